"""The policy file: how scores become a priority, and priorities a distribution over candidates."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract, Share


class Factors(Contract):
    """Which factors multiply into the priority; a factor that is off counts as 1."""

    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True


class ContextWeight(Contract):
    """Adds ``percent`` to the weight of offers of a category when ``context[key] == equals``.

    Weights add up as 1 + sum of percentages / 100.
    """

    key: str
    equals: str | int | float | bool
    category: str = "*"
    offer_id: str = "*"
    percent: float


class ScoreWeight(Contract):
    """Lets a customer score (churn, value, lead) enter the value factor: 1 + percent/100 x its level.

    ``level`` is the score itself for probabilities, and its percentile among everyone for amounts.
    """

    model: Literal["lead", "churn", "value"]
    category: str = "*"
    percent: float


class PolicySpec(Contract):
    """One policy: arbitration and exploration.

    priority = propensity x context weight x (value - offer cost) x score weights x lever - channel cost - price.
    """

    schema_version: Literal[1] = 1
    name: str = "default"
    kind: Literal["noop", "shuffle", "greedy", "epsilon", "softmax", "thompson"] = "softmax"
    temperature: float = Field(default=0.1, gt=0.0)
    """Softmax temperature in units of the spread (max - min) of the candidates' priorities."""
    floor: Share = 0.01
    """Smallest selection probability of any candidate that no rule dropped, as a share of uniform exploration."""
    epsilon: Share = 0.05
    factors: Factors = Factors()
    context_weights: tuple[ContextWeight, ...] = ()
    score_weights: tuple[ScoreWeight, ...] = ()
    fatigue_cost: float = Field(default=0.0, ge=0.0)
    """Price of one more contact, in the workspace's currency, per contact in the last 7 days."""
    slot_exploration: Share = 0.05
    """Share of decisions whose send slot is drawn uniformly from the allowed ones."""
    expires_after_hours: float = Field(default=24.0, gt=0.0)
