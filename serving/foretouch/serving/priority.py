"""Arbitration: what one contact is worth, factor by factor. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Offer
from foretouch.core.policy import PolicySpec
from foretouch.serving.candidates import Option

ANY = "*"


@dataclass(frozen=True, kw_only=True)
class Worth:
    """The parts of a priority, as the record keeps them.

    priority = propensity x context x (value - offer_cost) x score x lever - cost - price, where a factor that the
    policy switches off counts as 1.

    Attributes:
        value: Margin if the goal happens, in the workspace's currency.
        cost: Cost of the contact on its channel.
        price: Price of one more contact (fatigue).
        weights: ``context``, ``score``, ``lever`` (multipliers) and ``offer_cost`` (currency, if the goal happens).
        priority: Expected value of the contact.
    """

    value: float
    cost: float
    price: float
    weights: dict[str, float]
    priority: float


def context_weight(offer: Offer, request: DecisionRequest, spec: PolicySpec) -> float:
    """1 + sum of the percentages that the request's context earns this offer / 100; never below 0."""
    percent = sum(
        weight.percent
        for weight in spec.context_weights
        if weight.category in {ANY, offer.category}
        and weight.offer_id in {ANY, offer.offer_id}
        and weight.key in request.context
        and _same(request.context[weight.key], weight.equals)
    )
    return max(0.0, 1.0 + percent / 100.0)


def _same(left: object, right: object) -> bool:
    """Equality that keeps true and 1 apart."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def score_weight(offer: Offer, levels: Mapping[str, float], spec: PolicySpec) -> float:
    """1 + sum of percentage x the score's level / 100; a score that is not there adds nothing; never below 0.

    Args:
        offer: The offer.
        levels: Churn, value and lead by model name, each on [0, 1].
        spec: The policy.
    """
    percent = sum(
        weight.percent * levels.get(weight.model, 0.0)
        for weight in spec.score_weights
        if weight.category in {ANY, offer.category}
    )
    return max(0.0, 1.0 + percent / 100.0)


def worth(
    option: Option,
    propensity: float | None,
    *,
    request: DecisionRequest,
    spec: PolicySpec,
    config: Config,
    levels: Mapping[str, float],
    recent_contacts: int,
) -> Worth:
    """What contacting the customer with an option is worth.

    Args:
        option: The option.
        propensity: Its calibrated probability; None, where nothing can say, counts as 1 (a factor that is off).
        request: For the context.
        spec: The policy: factors, weights, the price of fatigue.
        config: For the channel's cost.
        levels: See ``score_weight``.
        recent_contacts: Contacts of the last seven days.
    """
    offer, factors = option.offer, spec.factors
    weights = {
        "context": context_weight(offer, request, spec) if factors.context_weight else 1.0,
        "score": score_weight(offer, levels, spec) if factors.value else 1.0,
        "lever": offer.lever if factors.lever else 1.0,
        "offer_cost": offer.cost,
    }
    chance = 1.0 if propensity is None or not factors.propensity else propensity
    gain = offer.value - offer.cost if factors.value else 1.0
    section = config.channels.get(option.channel)
    cost = section.cost if section is not None else 0.0
    price = spec.fatigue_cost * recent_contacts
    priority = chance * weights["context"] * gain * weights["score"] * weights["lever"] - cost - price
    return Worth(value=offer.value, cost=cost, price=price, weights=weights, priority=priority)
