"""Uplift of every offer: the model's score of customer and offer, and its card's shift of the offer. Pure.

It is the offer's, whatever the channel: the record keeps it once per offer.
"""

from collections.abc import Mapping
from math import sqrt

from foretouch.core.bundle import ModelCard
from foretouch.core.offers import Offer
from foretouch.serving.decision.pair_scores import PairScores
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import Span
from foretouch.serving.models.uplift_shifts import Shifts

Z = 1.959964
"""Standard deviations of a normal 95 % interval."""
NOT_IDENTIFIED = "the uplift model's card says that the effect is not identified"


def not_identified(card: ModelCard) -> str:
    """Why a model's numbers are no effects, as its card says; empty where they are."""
    if card.extras.get("identified", True) is not False:
        return ""
    return str(card.extras.get("uplift_reason") or NOT_IDENTIFIED)


def shifted(
    scores: PairScores, offers: Mapping[str, Offer], plans: Plans
) -> tuple[dict[str, float | None], dict[str, Span | None]]:
    """Uplift and interval of every offer.

    An offer's shift is added, and its variance to that of the interval; an uplift stays within [-1, 1]. An offer that
    the model has not met takes its category's shift, which is less certain.

    Args:
        scores: The model's, by offer.
        offers: By id.
        plans: Where the card's shifts are kept.
    """
    card = scores.scorer.card
    shifts = plans.get("uplift-shifts", (card,), lambda: Shifts.of(card.extras.get("shifts")))
    made = {name: _one(scores, shifts, offer) for name, offer in offers.items()}
    return {name: value for name, (value, _) in made.items()}, {name: span for name, (_, span) in made.items()}


def _one(scores: PairScores, shifts: Shifts, offer: Offer) -> tuple[float, Span | None]:
    own = shifts.of_offer(offer.offer_id, offer.category)
    base, span = scores.chances[offer.offer_id], scores.spans[offer.offer_id]
    if own.mean == 0.0 and own.sd == 0.0:
        return base, span
    value = min(max(base + own.mean, -1.0), 1.0)
    if span is None:
        return value, None
    below, above = (sqrt(reach**2 + (Z * own.sd) ** 2) for reach in (base - span[0], span[1] - base))
    return value, (max(value - below, -1.0), min(value + above, 1.0))
