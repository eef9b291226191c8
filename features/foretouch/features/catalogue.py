"""Every customer feature by name: its view, its kind, and what a marketer reads. Models name services of views.

Some features follow the configuration (one share per category, one column per customer attribute, one count per
event of the points rule), so the full list is a function of it: ``features_of(config)``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from foretouch.core.config import Config
from foretouch.core.models import ModelName
from foretouch.features.schemas import slug

Kind = Literal["number", "category", "array"]
Group = Literal["attributes", "behaviour", "preferences", "value"]
GROUPS: Final[dict[Group, tuple[str, str]]] = {
    "attributes": ("Attributes", "属性"),
    "behaviour": ("Behaviour", "行为"),
    "preferences": ("Preferences", "偏好"),
    "value": ("Value level", "价值等级"),
}
"""The four groups of a customer profile, in English and Chinese."""

PURCHASES, PROFILE, PREFERENCES = "customer_purchases", "customer_profile", "customer_preferences"
CAMPAIGNS, ACTIVITY, RHYTHM = "customer_campaigns", "customer_activity", "customer_rhythm"
HOURS: Final = 168
"""Local hours of a week; 0 is Monday 00:00 to 01:00."""
WINDOWS: Final = (7, 28, 90, 365)
CLUSTER: Final = "cluster"
"""The cluster of a customer, where the configuration wants it."""
SEND: Final = "send"
"""The points rule's name for a touch, which is no event of the customer's."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """One customer feature.

    Args:
        name: Column name, the same in training and in service.
        view: The feature view it belongs to.
        kind: ``number`` (missing is null), ``category`` (text) or ``array`` (168 counts by local hour of week).
        group: Where it stands in a customer's profile.
        text_en: What it is, for people.
        text_zh: The same in Chinese.
    """

    name: str
    view: str
    kind: Kind
    group: Group
    text_en: str
    text_zh: str


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """One feature view.

    Args:
        name: Its name in Feast.
        owner: Who answers for it.
        text: What it holds.
    """

    name: str
    owner: str
    text: str


VIEWS: Final[dict[str, ViewSpec]] = {
    view.name: view
    for view in (
        ViewSpec(name=PURCHASES, owner="data science", text="Recency, frequency and monetary value of purchases."),
        ViewSpec(name=PROFILE, owner="marketing", text="Tenure, RFM tier, lifecycle stage and customer attributes."),
        ViewSpec(name=PREFERENCES, owner="marketing", text="Category shares, sensitivity to discounts and coupons."),
        ViewSpec(name=CAMPAIGNS, owner="marketing", text="Earlier sends, responses and coupon use."),
        ViewSpec(
            name=ACTIVITY, owner="data science", text="Recent events that the goals and the points rule refer to."
        ),
        ViewSpec(name=RHYTHM, owner="data science", text="Purchases and engagement by local hour of week."),
    )
}

TABULAR: Final = (PURCHASES, PROFILE, PREFERENCES, CAMPAIGNS, ACTIVITY)
SERVICES: Final[dict[ModelName, str]] = {
    "lead": "lead_v1",
    "churn": "churn_v1",
    "value": "value_v1",
    "offer": "offer_v1",
    "send-time": "send_time_v1",
    "uplift": "uplift_v1",
}
"""The Feast FeatureService of each model: training and serving both name it."""
SERVICE_VIEWS: Final[dict[ModelName, tuple[str, ...]]] = {
    "lead": TABULAR,
    "churn": TABULAR,
    "value": TABULAR,
    "offer": TABULAR,
    "send-time": (RHYTHM, PURCHASES, PROFILE),
    "uplift": (PURCHASES, PROFILE, PREFERENCES, ACTIVITY),
}
"""The views that make up each service; uplift's has no earlier sends, which would tell contacts from controls."""


def features_of(config: Config) -> dict[str, FeatureSpec]:
    """Every feature of a workspace by name, in the order of views and columns."""
    return {spec.name: spec for spec in _specs(config)}


def model_features(model: ModelName, config: Config | None = None) -> tuple[FeatureSpec, ...]:
    """The features that a model may learn from: those of its service, but no cluster, which is made of later customers.

    Args:
        model: Which model.
        config: The workspace's; without it the features of a default workspace.
    """
    views = SERVICE_VIEWS[model]
    known = FEATURES if config is None else features_of(config)
    return tuple(spec for spec in known.values() if spec.view in views and spec.name != CLUSTER)


def view_features(config: Config, view: str) -> tuple[FeatureSpec, ...]:
    """The features of one view, in the order of its columns."""
    return tuple(spec for spec in features_of(config).values() if spec.view == view)


def tracked_events(config: Config) -> tuple[str, ...]:
    """Events that the goals or the points rule count, in the order of their names."""
    goals = config.goals
    named = {*goals.lead.points, goals.lead.goal_event, goals.churn.activity_event, goals.value.value_event}
    return tuple(sorted(named - {SEND}))


def _specs(config: Config) -> Iterator[FeatureSpec]:
    yield from _purchases()
    yield from _profile(config)
    yield from _preferences(config)
    yield from _campaigns()
    yield from _activity(config)
    yield from _rhythm()


def _spec(view: str, group: Group, kind: Kind, name: str, *text: str) -> FeatureSpec:
    text_en, text_zh = text
    return FeatureSpec(name=name, view=view, kind=kind, group=group, text_en=text_en, text_zh=text_zh)


def _purchases() -> Iterator[FeatureSpec]:
    def number(group: Group, name: str, text_en: str, text_zh: str) -> FeatureSpec:
        return _spec(PURCHASES, group, "number", name, text_en, text_zh)

    yield number("behaviour", "recency_days", "days since the last purchase", "距上次购买天数")
    yield number("behaviour", "first_purchase_days", "days since the first purchase", "距首次购买天数")
    for days in (*WINDOWS[:2], 56, *WINDOWS[2:]):
        yield number("behaviour", f"frequency_{days}d", f"purchases in the last {days} days", f"近 {days} 天购买次数")
    for days in (*WINDOWS[:2], 56, *WINDOWS[2:]):
        yield number("value", f"monetary_{days}d", f"revenue of the last {days} days", f"近 {days} 天消费额")
    yield number("behaviour", "purchases_total", "purchases so far", "累计购买次数")
    yield number("value", "monetary_total", "revenue so far", "累计消费额")
    yield number("value", "basket_mean_365d", "revenue per purchase, 365 days", "近 365 天客单价")
    yield number("value", "basket_max_365d", "largest purchase, 365 days", "近 365 天最大单笔消费")
    yield number("behaviour", "gap_mean_days", "mean days between purchases", "平均购买间隔天数")
    yield number(
        "behaviour", "recency_per_gap", "days since the last purchase per mean gap", "距上次购买天数与平均间隔之比"
    )
    yield number("behaviour", "active_weeks_12", "weeks with a purchase, of the last 12", "近 12 周中有购买的周数")
    yield number(
        "behaviour",
        "frequency_trend",
        "purchases of the last 28 days to the 28 before",
        "近 28 天与前 28 天购买次数之比",
    )
    yield number(
        "value", "monetary_trend", "revenue of the last 28 days to the 28 before", "近 28 天与前 28 天消费额之比"
    )
    yield number(
        "behaviour",
        "frequency_per_90_days",
        "purchases per 90 days since the first, over 365 days at most",
        "自首购起平均每 90 天购买次数（最多回看 365 天）",
    )
    yield number(
        "value",
        "monetary_per_90_days",
        "revenue per 90 days since the first purchase, over 365 days at most",
        "自首购起平均每 90 天消费额（最多回看 365 天）",
    )


def _profile(config: Config) -> Iterator[FeatureSpec]:
    yield _spec(PROFILE, "attributes", "number", "tenure_days", "days known to us", "成为客户的天数")
    yield _spec(PROFILE, "value", "category", "rfm_tier", "RFM tier", "RFM 等级")
    yield _spec(PROFILE, "value", "number", "rfm_recency", "recency score, 1 to 5", "最近购买得分（1–5）")
    yield _spec(PROFILE, "value", "number", "rfm_frequency", "frequency score, 1 to 5", "购买频率得分（1–5）")
    yield _spec(PROFILE, "value", "number", "rfm_monetary", "monetary score, 1 to 5", "消费金额得分（1–5）")
    yield _spec(PROFILE, "behaviour", "category", "lifecycle_stage", "lifecycle stage", "生命周期阶段")
    if config.segments.clusters:
        yield _spec(PROFILE, "behaviour", "category", CLUSTER, "cluster", "客户群")
    for name in config.features.attributes:
        readable = name.replace("_", " ")
        yield _spec(
            PROFILE, "attributes", "category", f"attribute_{slug(name)}", readable, ATTRIBUTE_ZH.get(name, readable)
        )


ATTRIBUTE_ZH: Final[dict[str, str]] = {
    "age": "年龄段",
    "income": "收入段",
    "home_ownership": "住房情况",
    "marital_status": "婚姻状况",
    "household_size": "家庭人数",
    "household_comp": "家庭构成",
    "kids_count": "孩子数量",
}
"""Chinese names of attributes that the sample brings; others keep the name of their column."""


def _preferences(config: Config) -> Iterator[FeatureSpec]:
    for name in config.features.categories:
        yield _spec(
            PREFERENCES,
            "preferences",
            "number",
            f"category_share_{slug(name)}",
            f"share of spend on {name}, 365 days",
            f"近 365 天 {name} 消费占比",
        )
    rest = ("category_share_other", "share of spend on other categories, 365 days", "近 365 天其他品类消费占比")
    yield _spec(PREFERENCES, "preferences", "number", *rest)
    yield _spec(PREFERENCES, "preferences", "category", "favourite_category", "favourite category", "最常购买的品类")
    yield _spec(
        PREFERENCES,
        "preferences",
        "number",
        "discount_share",
        "discounts as a share of full prices, 365 days",
        "近 365 天折扣占原价比例",
    )
    yield _spec(
        PREFERENCES,
        "preferences",
        "number",
        "coupon_share",
        "share of purchases with a coupon discount, 365 days",
        "近 365 天使用优惠券的购买占比",
    )
    yield _spec(
        PREFERENCES,
        "preferences",
        "number",
        "coupon_saved_365d",
        "coupon discounts taken, 365 days",
        "近 365 天优惠券节省金额",
    )


def _campaigns() -> Iterator[FeatureSpec]:
    def number(name: str, text_en: str, text_zh: str) -> FeatureSpec:
        return _spec(CAMPAIGNS, "behaviour", "number", name, text_en, text_zh)

    for days in WINDOWS[1:]:
        yield number(f"sends_{days}d", f"sends in the last {days} days", f"近 {days} 天收到的触达")
    for days in WINDOWS[1:]:
        yield number(f"responses_{days}d", f"sends responded to in the last {days} days", f"近 {days} 天响应的触达")
    yield number("response_rate_365d", "share of sends responded to, 365 days", "近 365 天触达响应率")
    yield number("days_since_send", "days since the last send", "距上次触达天数")
    yield number("days_since_response", "days since the last response", "距上次响应天数")
    yield number("active_offers", "offers received that are running", "收到且进行中的活动数")
    yield number("open_offers", "offers received, running, not responded to", "收到、进行中且未响应的活动数")
    yield number("offer_days_left", "longest time left of the offers received, in days", "收到的活动剩余最长天数")
    for days in WINDOWS[1:]:
        yield number(f"coupons_{days}d", f"coupons used in the last {days} days", f"近 {days} 天使用的优惠券数")
    yield number("days_since_coupon", "days since a coupon was last used", "距上次使用优惠券天数")


def _activity(config: Config) -> Iterator[FeatureSpec]:
    def number(name: str, text_en: str, text_zh: str) -> FeatureSpec:
        return _spec(ACTIVITY, "behaviour", "number", name, text_en, text_zh)

    days = config.goals.lead.points_days
    for event in (*tracked_events(config), SEND):
        yield number(
            f"recent_{slug(event)}",
            f"{event.replace('_', ' ')} in the last {days:g} days",
            f"近 {days:g} 天 {event} 次数",
        )
    goal = config.goals.lead.goal_event
    yield number("goal_total", f"{goal.replace('_', ' ')} so far", f"累计 {goal} 次数")
    yield number("days_since_goal", f"days since the last {goal.replace('_', ' ')}", f"距上次 {goal} 天数")
    activity = config.goals.churn.activity_event
    yield number("days_since_activity", f"days since the last {activity.replace('_', ' ')}", f"距上次 {activity} 天数")
    yield number("days_since_event", "days since any event", "距任一事件天数")
    yield number("events_28d", "events in the last 28 days", "近 28 天事件数")


def _rhythm() -> Iterator[FeatureSpec]:
    hours_en, hours_zh = "by local hour of week, Monday 00h first, 365 days", "近 365 天按当地每周小时（周一 0 时起）"
    yield _spec(RHYTHM, "behaviour", "array", "purchase_hours", f"purchases {hours_en}", f"购买次数，{hours_zh}")
    yield _spec(RHYTHM, "behaviour", "array", "engagement_hours", f"engagement {hours_en}", f"互动次数，{hours_zh}")
    yield _spec(
        RHYTHM,
        "behaviour",
        "number",
        "weekend_share",
        "share of purchases on weekends, 365 days",
        "近 365 天周末购买占比",
    )


AGES: Final = frozenset(
    {
        *("recency_days", "first_purchase_days", "tenure_days", "days_since_send", "days_since_response"),
        *("days_since_coupon", "days_since_goal", "days_since_activity", "days_since_event"),
    }
)
"""Features that are the days since something happened: they grow by one a day until it happens again."""

FEATURES: Final[dict[str, FeatureSpec]] = features_of(Config())
"""The features of a workspace with default configuration: those that every workspace has, and the default points."""
