"""The policy file: how scores become a priority, and priorities a distribution over candidates."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract, Cost, Hours, Percent, Share


class Factors(Contract):
    """Which factors multiply into the priority; a factor that is off counts as 1."""

    propensity: bool = True
    """The chance that the goal happens."""
    timing: bool = True
    """The effect of sending at the slot, where it is identified."""
    context_weight: bool = True
    """The weights in ``context_weights``."""
    value: bool = True
    """Value less cost of the offer, with the score weights."""
    lever: bool = True
    """The offer's own multiplier and the policy's ``levers``."""
    cost: bool = True
    """The channel's cost of a contact."""
    price: bool = True
    """Fatigue and the risk of an unsubscription."""


class Lever(Contract):
    """Adds ``percent`` to the lever of an issue, a category or an offer: together 1 + sum of percentages / 100."""

    issue: str = "*"
    """Offers it holds for; ``*`` is every issue."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    offer_id: str = "*"
    """Or one offer; ``*`` is every offer."""
    percent: Percent
    """Added to the lever; negative lowers it."""


class NewOffers(Contract):
    """What is believed of an offer that has hardly been sent."""

    prior_strength: float = Field(default=100.0, ge=0.0, le=1e12)
    """Contacts that the prior is worth: propensity = (prior x strength + model x contacts) / (strength + contacts).
    0 believes the model at once."""
    mature_from: int = Field(default=0, ge=0)
    """Contacts from which an offer is mature; 0 takes every offer as mature."""
    immature_share: Share = 0.1
    """Most selection probability that all immature offers together may have."""


class ContextWeight(Contract):
    """Adds ``percent`` to the weight of offers of a category when ``context[key] == equals``.

    Weights add up as 1 + sum of percentages / 100.
    """

    key: str
    """Of the request's ``context``."""
    equals: str | int | float | bool
    """The value that it must have."""
    issue: str = "*"
    """Offers it holds for; ``*`` is every issue."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    offer_id: str = "*"
    """Or one offer; ``*`` is every offer."""
    percent: Percent
    """Added to the weight; negative lowers it."""


class ScoreWeight(Contract):
    """Lets a customer score (churn, value, lead) enter the value factor: 1 + percent/100 x its level.

    ``level`` is the score itself for probabilities, and its percentile among everyone for amounts.
    """

    model: Literal["lead", "churn", "value"]
    """Whose score."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    percent: Percent
    """At level 1."""


class PolicySpec(Contract):
    """One policy: arbitration and exploration.

    priority = propensity x timing x patience x context weight x (value - offer cost) x score weights x lever
    - channel cost - price, at the candidate's best slot.
    """

    schema_version: Literal[1] = 1
    name: str = "default"
    """How arms of an experiment and records name it."""
    kind: Literal["noop", "shuffle", "greedy", "epsilon", "softmax", "thompson"] = "softmax"
    """How priorities become a distribution; ``thompson`` needs an offer model with a bootstrap ensemble."""
    propensity: Literal["response", "uplift"] = "response"
    """What a contact is credited with: every acceptance, or only what "no contact" would not have brought."""
    explores_by: Literal["spread", "evidence"] = "spread"
    """What the softmax temperature is measured in: ``spread`` is the distance between the highest and the lowest
    priority; ``evidence`` is how far each candidate's priority may be off, by the contacts of its offer so far."""
    temperature: float = Field(default=0.1, gt=0.0)
    """Softmax temperature in units of what ``explores_by`` names."""
    cools_after: int = Field(default=0, ge=0)
    """The temperature is multiplied by sqrt(this / (this + contacts that the offer model has learnt from)); 0 never
    cools."""
    floor: Share = 0.01
    """Smallest selection probability of any candidate that no rule dropped, as a share of uniform exploration."""
    epsilon: Share = 0.05
    """Share of uniform exploration where ``kind`` is ``epsilon``."""
    levers: tuple[Lever, ...] = ()
    """Marketers' multipliers by issue, category and offer."""
    new_offers: NewOffers = NewOffers()
    """What is believed of an offer that has hardly been sent."""
    waiting_cost_per_hour: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the goal's value that is lost per hour of waiting: patience = (1 - this) ^ hours until the slot."""
    factors: Factors = Factors()
    """Which factors count."""
    context_weights: tuple[ContextWeight, ...] = ()
    """What the occasion changes."""
    score_weights: tuple[ScoreWeight, ...] = ()
    """What the customer's scores change."""
    fatigue_cost: Cost = 0.0
    """Price of one more contact, in the workspace's currency, per contact in the last 7 days; channels add theirs."""
    slot_exploration: Share = 0.05
    """Share of decisions whose send slot is drawn uniformly from the allowed ones."""
    expires_after_hours: Hours = Field(default=24.0, gt=0.0)
    """When an answer is too old to act on; the send window ends there."""
