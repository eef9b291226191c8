"""The experiments that ``foretouch init`` writes: a holdout, and the standing arms."""


def holdout(goal_event: str) -> str:
    """``experiments/portfolio-holdout.toml``: an always-on control group for everything that is sent.

    Args:
        goal_event: The event whose occurrence and value are compared.
    """
    return f"""# Always on: five customers in a hundred get no contact, so that the whole programme can be measured.
schema_version = 1
key = "portfolio-holdout"
unit = "customer_id"
control = "holdout"
alpha = 0.05
portfolio = true         # a customer in the holdout takes part in no other experiment

[title]
en = "Does contacting customers pay?"
zh = "营销触达是否带来收益？"

[weights]
holdout = 0.05
policy = 0.95

[arms.holdout]
kind = "no_contact"
title = {{ en = "no contact", zh = "不触达" }}
[arms.policy]
kind = "policy"
title = {{ en = "contact by policy", zh = "按策略触达" }}

{_revenue(goal_event)}
[[metrics]]
name = "customers who bought, 28 days"
title = {{ en = "share of customers who bought, 28 days", zh = "28 天内购买客户占比" }}
kind = "proportion"
event = "{goal_event}"
measure = "occurred"
window_days = 28
role = "secondary"
better = "up"
"""


def portfolio(goal_event: str) -> str:
    """``experiments/portfolio.toml``: standing arms that split what the whole programme earns into its parts.

    Args:
        goal_event: The event whose occurrence and value are compared.
    """
    return f"""# Always on: two customers in a hundred in each arm, so that the value of the whole can be split.
# random -> propensity_only -> whole is what ranking and arbitration add; no_levers and rules_only are what levers and
# models add. Rules, exploration and everything else are the same in every arm.
schema_version = 1
key = "portfolio"
unit = "customer_id"
control = "random"
alpha = 0.05
portfolio = true         # a customer in any arm but "whole" takes part in no other experiment
version = 1              # raise it with every change of weights, and keep the old weights:
# earlier_weights = [{{ random = 0.02, propensity_only = 0.02, no_levers = 0.02, rules_only = 0.02, whole = 0.92 }}]

[title]
en = "What does each part of the decision earn?"
zh = "决策的每个部分带来多少价值？"

[weights]
random = 0.02
propensity_only = 0.02
no_levers = 0.02
rules_only = 0.02
whole = 0.92

[arms.random]            # a uniform draw among what the rules allow
kind = "random"
title = {{ en = "random among eligible", zh = "合规范围内随机" }}
[arms.propensity_only]   # ranked by propensity alone: no value, cost, price, weight, lever or timing
kind = "propensity_only"
title = {{ en = "propensity only", zh = "仅按接受概率" }}
[arms.no_levers]         # everything but marketers' levers and context weights
kind = "no_levers"
title = {{ en = "without levers", zh = "不使用人工权重" }}
[arms.rules_only]        # marketers' values, costs and levers; no model
kind = "rules_only"
title = {{ en = "rules only", zh = "仅按规则" }}
[arms.whole]             # the policy
kind = "policy"
title = {{ en = "the whole policy", zh = "完整策略" }}
# [arms.business_as_usual]   # the request's baseline_offer_id, for callers that send one; give it a weight too
# kind = "business_as_usual"
# [arms.no_contact]          # nobody is contacted; the experiment portfolio-holdout has such an arm
# kind = "no_contact"

{_revenue(goal_event)}"""


def _revenue(goal_event: str) -> str:
    """The primary metric of both."""
    return f"""[[metrics]]
name = "revenue per customer, 28 days"
title = {{ en = "revenue per customer, 28 days", zh = "28 天人均收入" }}
kind = "mean"
event = "{goal_event}"
measure = "value"
window_days = 28
role = "primary"
better = "up"
winsor = 0.999
"""
