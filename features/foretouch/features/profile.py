"""A customer's profile for people: readable tags in four groups, in English and Chinese."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from foretouch.core.config import Config
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.errors import NotFoundError, NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import ATTRIBUTE_ZH, GROUPS, Group, features_of
from foretouch.features.online import OnlineFeatures
from foretouch.features.schemas import slug

STAGES: Final[dict[str, tuple[str, str]]] = {
    "prospect": ("prospect: never bought", "潜在客户：尚未购买"),
    "new": ("new", "新客户"),
    "active": ("active", "活跃"),
    "loyal": ("loyal: buys most weeks", "忠诚：多数周都有购买"),
    "at_risk": ("at risk", "有流失风险"),
    "lapsed": ("lapsed", "已流失"),
}
TIERS: Final[dict[str, tuple[str, str]]] = {
    "top": ("top value", "最高价值"),
    "high": ("high value", "高价值"),
    "middle": ("middle value", "中等价值"),
    "low": ("low value", "低价值"),
    "none": ("no purchases", "无购买"),
    "unknown": ("too early to rank", "数据不足，尚未分级"),
}
WEEKDAYS: Final = (
    ("Mondays", "周一"),
    ("Tuesdays", "周二"),
    ("Wednesdays", "周三"),
    ("Thursdays", "周四"),
    ("Fridays", "周五"),
    ("Saturdays", "周六"),
    ("Sundays", "周日"),
)
DISCOUNT_KEEN, COUPON_KEEN = 0.2, 0.1
"""Above this share of full prices, or of purchases, a customer is called keen on discounts, or on coupons."""
ENGAGED = 0.1
"""Above this share of sends responded to, a customer is called responsive."""
FOND = 0.15
"""A category with at least this share of spend is a preference."""


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One readable statement about a customer."""

    group: Group
    text_en: str
    text_zh: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of a customer.

    Args:
        customer_id: Whom it is about.
        tags: In the order of the groups.
        values: Every feature by name.
        as_of: When the values of each view were true.
        stale: Views that are too old.
    """

    customer_id: str
    tags: tuple[Tag, ...]
    values: Mapping[str, Any]
    as_of: Mapping[str, datetime]
    stale: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The profile as JSON values, tags by group."""
        return {
            "customer_id": self.customer_id,
            "tags": {
                group: [{"en": tag.text_en, "zh": tag.text_zh} for tag in self.tags if tag.group == group]
                for group in GROUPS
            },
            "values": dict(self.values),
            "as_of": {view: at.isoformat() for view, at in self.as_of.items()},
            "stale": list(self.stale),
        }


def read_profile(workspace: Workspace, customer_id: str) -> Profile:
    """The profile of one customer, from the online features.

    Raises:
        NotReadyError: The online features cannot be read.
        NotFoundError: Nobody knows this customer.
    """
    snapshot = OnlineFeatures(workspace).read(customer_id)
    if snapshot.error:
        raise NotReadyError(snapshot.error, hint="foretouch features materialize")
    if not snapshot.known:
        raise NotFoundError(f"no features of customer {customer_id!r}", hint="foretouch features materialize")
    return profile_of(customer_id, snapshot, workspace.config)


def profile_of(customer_id: str, snapshot: FeatureSnapshot, config: Config) -> Profile:
    """A profile from a snapshot; tags say only what the values say."""
    values = {name: snapshot.values.get(name) for name in features_of(config)}
    order = list(GROUPS)
    tags = sorted(_tags(values, config), key=lambda tag: order.index(tag.group))
    return Profile(
        customer_id=customer_id,
        tags=tuple(tags),
        values=values,
        as_of=snapshot.as_of,
        stale=snapshot.stale,
    )


def _tags(values: Mapping[str, Any], config: Config) -> Iterator[Tag]:
    yield from _attributes(values, config)
    yield from _behaviour(values)
    yield from _preferences(values, config)
    yield from _value(values, config)


def _attributes(values: Mapping[str, Any], config: Config) -> Iterator[Tag]:
    for name in config.features.attributes:
        value = values.get(f"attribute_{slug(name)}")
        if value is not None:
            readable = name.replace("_", " ")
            yield Tag(
                group="attributes", text_en=f"{readable}: {value}", text_zh=f"{ATTRIBUTE_ZH.get(name, name)}：{value}"
            )
    tenure = values.get("tenure_days")
    if tenure is not None:
        yield Tag(
            group="attributes", text_en=f"known for {_plural(tenure, 'day')}", text_zh=f"成为客户 {tenure:.0f} 天"
        )


def _plural(count: float, word: str) -> str:
    return f"{count:.0f} {word}" if round(count) == 1 else f"{count:.0f} {word}s"


def _behaviour(values: Mapping[str, Any]) -> Iterator[Tag]:
    english, chinese = STAGES[values.get("lifecycle_stage") or "prospect"]
    yield Tag(group="behaviour", text_en=english, text_zh=chinese)
    recency, month = values.get("recency_days"), values.get("frequency_28d") or 0
    if recency is not None:
        yield Tag(
            group="behaviour",
            text_en=f"bought {_plural(recency, 'day')} ago, {_plural(month, 'time')} in 28 days",
            text_zh=f"{recency:.0f} 天前购买，近 28 天 {month:.0f} 次",
        )
    sends, rate = values.get("sends_365d") or 0, values.get("response_rate_365d")
    if sends and rate is not None:
        responsive = rate >= ENGAGED
        yield Tag(
            group="behaviour",
            text_en=f"{'responds' if responsive else 'rarely responds'} to campaigns: {rate:.0%} of {sends:.0f} sends",
            text_zh=f"{'会' if responsive else '很少'}响应营销活动：{sends:.0f} 次触达中 {rate:.0%}",
        )


def _preferences(values: Mapping[str, Any], config: Config) -> Iterator[Tag]:
    shares = [(values.get(f"category_share_{slug(name)}") or 0.0, name) for name in config.features.categories]
    for share, name in sorted(shares, key=lambda item: -item[0])[:3]:
        if share >= FOND:
            yield Tag(
                group="preferences", text_en=f"{name}: {share:.0%} of spend", text_zh=f"{name}：消费占比 {share:.0%}"
            )
    discount, coupon = values.get("discount_share"), values.get("coupon_share")
    if discount is not None and discount >= DISCOUNT_KEEN:
        yield Tag(
            group="preferences",
            text_en=f"keen on discounts: {discount:.0%} off",
            text_zh=f"偏好折扣：平均优惠 {discount:.0%}",
        )
    if coupon is not None and coupon >= COUPON_KEEN:
        yield Tag(
            group="preferences",
            text_en=f"uses coupons: in {coupon:.0%} of purchases",
            text_zh=f"常用优惠券：{coupon:.0%} 的购买使用",
        )
    favourite = favourite_hour(values.get("purchase_hours"))
    if favourite is not None:
        day, hour = divmod(favourite, 24)
        yield Tag(
            group="preferences",
            text_en=f"buys most on {WEEKDAYS[day][0]} at {hour:02d}:00",
            text_zh=f"最常在{WEEKDAYS[day][1]} {hour:02d}:00 购买",
        )


def favourite_hour(counts: Any) -> int | None:
    """The local hour of week (0 is Monday 00h) with the most purchases; ``None`` without two in one hour."""
    if not counts or max(counts) < 2:
        return None
    return int(max(range(len(counts)), key=lambda hour: (counts[hour], -hour)))


def _value(values: Mapping[str, Any], config: Config) -> Iterator[Tag]:
    english, chinese = TIERS[values.get("rfm_tier") or "none"]
    yield Tag(group="value", text_en=english, text_zh=chinese)
    spend, currency = values.get("monetary_365d"), config.workspace.currency
    if spend:
        yield Tag(
            group="value",
            text_en=f"{spend:,.0f} {currency} in 365 days",
            text_zh=f"近 365 天消费 {spend:,.0f} {currency}",
        )
