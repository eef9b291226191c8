"""The configuration files of a simulated workspace."""

from datetime import datetime, timedelta

from foretouch.features import template_experiments
from foretouch.features.simulation_world import CATEGORIES, RESPONSE_DAYS

EXPERIMENT = "contact-or-not"
CAP_PER_WEEK = 2


def setup_files(*, customers: int, days: int, seed: int, end: datetime) -> dict[str, str]:
    """File name to text: configuration, policy, contact rules, one experiment, and what is assumed.

    Args:
        customers: Size of the world, for the texts.
        days: Days of history.
        seed: Seed of the world.
        end: When the data end; the experiment starts there.
    """
    world = f"{customers} simulated customers, {days} days, seed {seed}"
    return {
        "foretouch.toml": _config(world),
        "policy.toml": _POLICY,
        "contact_policy.toml": _CONTACT_POLICY,
        f"experiments/{EXPERIMENT}.toml": _experiment(end),
        "experiments/portfolio.toml": template_experiments.portfolio("purchase"),
        "assumptions.toml": _assumptions(customers, days, seed),
    }


def _config(world: str) -> str:
    categories = ", ".join(f'"{name}"' for name in CATEGORIES)
    return f"""# A simulated world: {world}. Nobody in it is real.
schema_version = 1

[workspace]
name = "Simulated shop"
currency = "USD"
time_zone = "UTC"
origin = "simulated"

[clock]
kind = "manual"                 # clock.json; the campaign engine moves it

[goals.lead]                    # the first conversion within two weeks
goal_event = "conversion"
window_days = 14
points = {{ page_view = 5.0, form_submit = 10.0 }}
points_days = 28
hot_from = 20

[goals.churn]
activity_event = "purchase"
window_days = 28
active_days = 56

[goals.value]
value_event = "purchase"
window_days = 28
margin_rate = 0.35

[goals.offer]
acceptance = {{ "*" = "conversion" }}
window_days = {RESPONSE_DAYS:g}

[reward]                        # a contact has earned what follows within the window
window_days = {RESPONSE_DAYS:g}

[goals.send_time]
engagement_event = "page_view"

[channels.email]
cost = 0.01

[channels.sms]
cost = 0.05

[features]
purchase_event = "purchase"
engagement_events = ["open", "click", "page_view", "form_submit"]
coupon_event = "conversion"
categories = [{categories}]
attributes = ["age", "source"]
snapshot_days = 7
max_age_hours = 192             # features are built and materialised once a week, and after each posted event
"""


_POLICY = """# How scores become a choice: priority = propensity x (value - cost) - channel cost, drawn by softmax.
schema_version = 1
name = "default"
kind = "softmax"
temperature = 0.15
floor = 0.02
slot_exploration = 0.05
expires_after_hours = 24
"""

_CONTACT_POLICY = f"""# Rules that no score can override.
schema_version = 1
name = "default"
purposes_without_consent = ["transactional"]
purposes_without_caps = ["transactional"]
minimum_gap_hours = 20
default_time_zone = "UTC"

[[quiet_hours]]
rule = "quiet_hours"
start = 21:00:00
end = 08:00:00

[[caps]]
rule = "customer_week"
scope = "customer"
limit = {CAP_PER_WEEK}
days = 7
"""


def _experiment(end: datetime) -> str:
    return f"""# Half of the customers are not contacted: what does contacting earn?
schema_version = 1
key = "{EXPERIMENT}"
control = "no_contact"
starts_at = {end.isoformat()}
ends_at = {(end + timedelta(days=90)).isoformat()}

[title]
en = "Contact or not"
zh = "联系还是不联系"

[weights]
no_contact = 0.5
contact = 0.5

[arms.no_contact]
kind = "no_contact"
title = {{ en = "no contact", zh = "不联系" }}

[arms.contact]
kind = "policy"
title = {{ en = "contact", zh = "联系" }}

[[metrics]]
name = "conversion"
title = {{ en = "conversion rate", zh = "转化率" }}
kind = "proportion"
event = "conversion"
measure = "occurred"
window_days = 14
role = "primary"
better = "up"
value_per_unit = 11.0

[[metrics]]
name = "revenue"
title = {{ en = "revenue per customer", zh = "人均收入" }}
kind = "mean"
event = "purchase"
measure = "value"
window_days = 14
winsor = 0.99
covariates = ["purchase:value"]
role = "secondary"
better = "up"

[[metrics]]
name = "buyers"
title = {{ en = "share of buyers", zh = "购买者占比" }}
kind = "proportion"
event = "purchase"
measure = "occurred"
window_days = 14
role = "guardrail"
margin = 0.03
better = "up"
"""


def _assumptions(customers: int, days: int, seed: int) -> str:
    return f"""# What is not from life; shown in every report made of this workspace.
schema_version = 1

[[assumptions]]
id = "simulated-world"
text_en = "Everything is simulated: {customers} invented people, {days} days, seed {seed}. No figure is of real people."
text_zh = "全部为模拟数据：{customers} 名虚构客户、{days} 天（随机种子 {seed}）。任何数字都不代表真实人群。"
value = true

[[assumptions]]
id = "offer-economics"
text_en = "Value and cost of offers, channel costs and the margin rate of 35 % are invented."
text_zh = "优惠的价值与成本、渠道成本以及 35% 的毛利率均为虚构。"
value = 0.35

[[assumptions]]
id = "consent"
text_en = "Consent was drawn at random: 88 % allow e-mail and 35 % text messages when they sign up."
text_zh = "联系许可为随机生成：注册时 88% 允许电子邮件，35% 允许短信。"
value = "random"
"""
