"""The policy file: how scores become a priority, and priorities a distribution over candidates."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract, Share


class Factors(Contract):
    """Which factors multiply into the priority; a factor that is off counts as 1."""

    propensity: bool = True
    """The chance that the goal happens."""
    context_weight: bool = True
    """The weights in ``context_weights``."""
    value: bool = True
    """Value less cost of the offer, with the score weights."""
    lever: bool = True
    """The offer's own multiplier."""


class ContextWeight(Contract):
    """Adds ``percent`` to the weight of offers of a category when ``context[key] == equals``.

    Weights add up as 1 + sum of percentages / 100.
    """

    key: str
    """Of the request's ``context``."""
    equals: str | int | float | bool
    """The value that it must have."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    offer_id: str = "*"
    """Or one offer; ``*`` is every offer."""
    percent: float
    """Added to the weight; negative lowers it."""


class ScoreWeight(Contract):
    """Lets a customer score (churn, value, lead) enter the value factor: 1 + percent/100 x its level.

    ``level`` is the score itself for probabilities, and its percentile among everyone for amounts.
    """

    model: Literal["lead", "churn", "value"]
    """Whose score."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    percent: float
    """At level 1."""


class PolicySpec(Contract):
    """One policy: arbitration and exploration.

    priority = propensity x context weight x (value - offer cost) x score weights x lever - channel cost - price.
    """

    schema_version: Literal[1] = 1
    name: str = "default"
    """How arms of an experiment and records name it."""
    kind: Literal["noop", "shuffle", "greedy", "epsilon", "softmax", "thompson"] = "softmax"
    """How priorities become a distribution; ``thompson`` is refused: no model exports a posterior yet."""
    temperature: float = Field(default=0.1, gt=0.0)
    """Softmax temperature in units of the spread (max - min) of the candidates' priorities."""
    floor: Share = 0.01
    """Smallest selection probability of any candidate that no rule dropped, as a share of uniform exploration."""
    epsilon: Share = 0.05
    """Share of uniform exploration where ``kind`` is ``epsilon``."""
    factors: Factors = Factors()
    """Which factors count."""
    context_weights: tuple[ContextWeight, ...] = ()
    """What the occasion changes."""
    score_weights: tuple[ScoreWeight, ...] = ()
    """What the customer's scores change."""
    fatigue_cost: float = Field(default=0.0, ge=0.0)
    """Price of one more contact, in the workspace's currency, per contact in the last 7 days."""
    slot_exploration: Share = 0.05
    """Share of decisions whose send slot is drawn uniformly from the allowed ones."""
    expires_after_hours: float = Field(default=24.0, gt=0.0)
    """When an answer is too old to act on; the send window ends there."""
