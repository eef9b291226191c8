"""The files that ``foretouch init`` writes: read once by a person, then owned by them."""

from foretouch.features.sample import CATEGORIES, DEMOGRAPHICS, MARGIN_RATE, ZONE


def own_config(name: str) -> str:
    """``foretouch.toml`` of a workspace for your own data."""
    return f"""# Foretouch workspace for your own data. Every setting has the value written here unless you change it;
# every setting there is: docs/configuration.md. A setting that is wrong is named by the next command you run.
schema_version = 1

[workspace]
name = {_text(name)}
currency = "USD"         # the one currency of every value and cost
time_zone = "UTC"        # where a customer without a zone of their own is taken to be

# [sources."*"]          # times without an offset are refused unless their source says where they are from
# time_zone = "Europe/Berlin"
# [sources.events]       # one table can differ
# time_zone = "UTC"

[privacy]
pseudonymise = []        # columns with e-mail addresses, phone numbers or names, to be hashed with the workspace's key

[goals.lead]             # the first goal_event within window_days
goal_event = "conversion"
window_days = 28
hot_from = 20            # the points rule beside it: points per event of the last points_days
points_days = 28
[goals.lead.points]
page_view = 5
form_submit = 10

[goals.churn]            # no activity_event within window_days, among those active in the last active_days
activity_event = "purchase"
window_days = 28
active_days = 56

[goals.value]            # sum of value_event within window_days; margin = revenue x margin_rate
value_event = "purchase"
window_days = 90
margin_rate = 1.0

[goals.offer]
window_days = 28         # of an offer without an end date; one with an end date is accepted until then
[goals.offer.acceptance] # which event counts as acceptance, by offer category; "*" is every other
"*" = "conversion"

[goals.send_time]        # the event that shows that a customer is active
engagement_event = "purchase"

[channels.email]         # one section per channel that an offer may name, with the cost of a contact
cost = 0.01
# [channels.sms]
# cost = 0.05

[features]               # which of your events mean what
purchase_event = "purchase"
coupon_event = "coupon_redemption"
engagement_events = ["open", "click", "page_view", "form_submit", "coupon_redemption"]
categories = []          # keys of properties.categories of a purchase whose shares become features
attributes = []          # columns of customers that become features, for example ["plan", "country"]
snapshot_days = 7        # history is built at as-of times this far apart
max_age_hours = 72       # online values older than this are stale: build and materialize at least as often

[training]
trials = 12              # of every search for hyper-parameters
threads = 2

# [lead_alert]           # a signed webhook to sales when a lead's score first reaches the threshold
# url = "https://crm.example.org/hooks/leads"
# threshold = 0.5
"""


def complete_journey_config(offset_seconds: float) -> str:
    """``foretouch.toml`` of the sample.

    Args:
        offset_seconds: What to add to the machine's clock, so that the workspace lives right after its data.
    """
    categories = ", ".join(_text(name) for name in CATEGORIES)
    attributes = ", ".join(_text(name) for name in DEMOGRAPHICS)
    return f"""# The Complete Journey: a year of 2,469 households, published by 84.51°.
# What the data lack is listed in assumptions.toml.
schema_version = 1

[workspace]
name = "The Complete Journey"
currency = "USD"
time_zone = "{ZONE}"
origin = "complete-journey"

[clock]                  # the data end on 31 December 2017; this workspace lives right after them
kind = "offset"
offset_seconds = {offset_seconds:.3f}

[goals.lead]             # the first coupon redemption within 28 days
goal_event = "coupon_redemption"
window_days = 28
hot_from = 20
points_days = 28
[goals.lead.points]      # the sample has no page views or forms: points for its own events; `send` is a touch
coupon_redemption = 10
purchase = 1
send = 5

[goals.churn]            # no purchase within 28 days, among those who bought in the last 56
activity_event = "purchase"
window_days = 28
active_days = 56

[goals.value]            # spend in 90 days
value_event = "purchase"
window_days = 90
margin_rate = {MARGIN_RATE}

[goals.offer]
window_days = 28
[goals.offer.acceptance] # redemption of a coupon of that campaign while it runs
"*" = "coupon_redemption"

[goals.send_time]        # when customers are active; never an effect of sending
engagement_event = "purchase"

[channels.email]
cost = 0.01
[channels.sms]           # nobody consented to it
cost = 0.05

[features]
purchase_event = "purchase"
coupon_event = "coupon_redemption"
engagement_events = ["coupon_redemption"]
categories = [{categories}]
attributes = [{attributes}]
snapshot_days = 7
max_age_hours = 72
"""


def sample_assumptions(value: float, cost: float) -> str:
    """``assumptions.toml`` of the sample.

    Args:
        value: Margin of an accepted campaign, in USD.
        cost: Coupon cost of an accepted campaign, in USD.
    """
    entries = [
        (
            "channel",
            "The data do not say how campaigns were sent. Every past send is taken to be an e-mail.",
            "数据未说明活动的发送渠道；所有历史发送均视为电子邮件。",
            '"email"',
        ),
        (
            "consent",
            (
                "The data hold no consent. Every household is taken to have agreed to e-mail for marketing, retention "
                "and service from the day it was first seen; to nothing on any other channel."
            ),
            "数据不含同意记录；假定每个家庭自首次出现之日起同意接收营销、挽留和服务类电子邮件，其他渠道一律视为未同意。",
            '"email: marketing, retention, service"',
        ),
        (
            "margin_rate",
            "The data hold sales, not margins. A quarter of sales is taken to be contribution margin.",
            "数据只有销售额，没有毛利；假定边际贡献为销售额的四分之一。",
            f"{MARGIN_RATE}",
        ),
        (
            "offer_value",
            (
                "An accepted campaign is taken to be worth the margin of the average basket with a coupon discount "
                "(before that discount), in USD, the same for every campaign."
            ),
            "接受一次活动的价值取使用优惠券的购物篮（折扣前）平均边际贡献（美元），所有活动相同。",
            f"{value}",
        ),
        (
            "offer_cost",
            "An accepted campaign is taken to cost the average coupon discount of such a basket, in USD.",
            "接受一次活动的成本取上述购物篮的平均优惠券折扣（美元）。",
            f"{cost}",
        ),
        (
            "channel_cost",
            "The cost of a contact is not in the data: 0.01 USD for an e-mail, 0.05 USD for a text message.",
            "数据不含触达成本；假定每封邮件 0.01 美元，每条短信 0.05 美元。",
            "0.01",
        ),
        (
            "redemption_time",
            (
                "A redemption has a date only. It is placed at that day's first basket with a coupon discount, else at "
                "that day's first basket, else at noon in the shops' zone."
            ),
            "兑换记录只有日期；取当日首个含优惠券折扣的购物篮时间，否则取当日首个购物篮，再否则取门店当地正午。",
            '"first basket with a coupon discount"',
        ),
        (
            "send_time",
            "A campaign's sends have no time. They are placed at 09:00 in the shops' zone on its first day.",
            "活动发送没有时间记录；统一取活动首日门店当地 09:00。",
            '"09:00"',
        ),
        (
            "time_zone",
            (
                "Timestamps carry no zone. They are read as UTC, which agrees with every redemption date; households "
                "are taken to live in the shops' zone, US Eastern time."
            ),
            "时间戳不含时区；按 UTC 读取（与全部兑换日期一致），家庭所在时区取门店所在的美国东部时间。",
            f'"{ZONE}"',
        ),
        (
            "created_at",
            (
                "A household is taken to exist from its first basket, redemption or send in the data; its real age is "
                "unknown."
            ),
            "家庭的建立时间取数据中首次购物、兑换或被发送活动的时间；真实时长未知。",
            '"first seen"',
        ),
    ]
    blocks = [
        f'[[assumptions]]\nid = "{id_}"\ntext_en = {_text(english)}\ntext_zh = {_text(chinese)}\nvalue = {shown}\n'
        for id_, english, chinese, shown in entries
    ]
    return "# What the data lack and how it was filled. Every report made of this sample shows this list.\n" + (
        "schema_version = 1\n\n" + "\n".join(blocks)
    )


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
