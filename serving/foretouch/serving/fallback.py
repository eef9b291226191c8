"""The ladder: what a decision rests on, from the champion on fresh features down to the marketer's own order. Pure.

====================  ==========  ===============================================================================
step                  status      what decides
====================  ==========  ===============================================================================
``champion``          decided     the offer model on fresh features
``not_personalised``  decided     rates of the offer's category, because the request asks for no profiling
``stale``             degraded    the offer model on features older than their limit
``defaults``          degraded    the offer model without the customer's features, if its card allows that
``prior``             fallback    rates: the offer's own ``prior_propensity``, or its category's on the model's card
``default_action``    fallback    the caller's, if the contact rules allow it
``rules``             fallback    the marketer's values, levers and costs
``nothing``           fallback    no offer to speak of: no contact
====================  ==========  ===============================================================================

Contact rules hold on every step: what a rule dropped never comes here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foretouch.core.bundle import ModelCard
from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot, Interval, Status
from foretouch.core.offers import Catalogue, Offer
from foretouch.features.crosses import pair_row
from foretouch.serving.candidates import Key, Option, expand, usable_channels
from foretouch.serving.scoring import Scorer, calibrate, interval, predict_raw

STATUS: Mapping[str, Status] = {
    "champion": "decided",
    "not_personalised": "decided",
    "stale": "degraded",
    "defaults": "degraded",
    "prior": "fallback",
    "default_action": "fallback",
    "rules": "fallback",
    "nothing": "fallback",
}
OFFER_MODEL = "offer"
NO_UPLIFT = "no offer model took part"


@dataclass(frozen=True, kw_only=True)
class Propensities:
    """What the ladder found.

    Attributes:
        step: The step that answered.
        reason: Why it was not a better one; empty on the first step.
        by_key: Calibrated propensity per option; None where nothing can say.
        intervals: Interval per option, where the model has one.
        rows: The model's input values per option, for reasons; empty without a model.
        scorer: The model that took part.
        uplift_reason: Why uplift is null.
    """

    step: str
    reason: str = ""
    by_key: Mapping[Key, float | None] = field(default_factory=dict)
    intervals: Mapping[Key, Interval | None] = field(default_factory=dict)
    rows: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)
    scorer: Scorer | None = None
    uplift_reason: str = NO_UPLIFT


def find_propensities(
    options: Sequence[Option],
    *,
    request: DecisionRequest,
    features: FeatureSnapshot,
    models: Mapping[str, Scorer],
    at: datetime,
) -> Propensities:
    """The best step of the ladder that can say something about every option.

    Args:
        options: What the rules left.
        request: Says whether profiling is allowed, and names a default action.
        features: The customer's.
        models: Loaded models by name.
        at: The decision's time, for the offers' days left.
    """
    scorer = models.get(OFFER_MODEL)
    card = None if scorer is None else scorer.card
    if not request.personalised:
        return _prior(options, card, request, step="not_personalised", reason="the request asks for no profiling")
    missing = _why_missing(features)
    reason = ""
    if scorer is None:
        reason = "the offer model is missing"
    elif missing and not scorer.card.extras.get("defaults_allowed", False):
        reason = missing
    else:
        try:
            found = _scored(options, scorer, {} if missing else features.values, at)
        except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
            reason = f"the offer model failed ({type(error).__name__})"
        else:
            step, why = "champion", ""
            if missing:
                step, why = "defaults", missing
            elif features.stale:
                step, why = "stale", f"features are older than their limit: {', '.join(features.stale)}"
            return Propensities(
                step=step,
                reason=why,
                by_key={key: value for key, (value, _, _) in found.items()},
                intervals={key: around for key, (_, around, _) in found.items()},
                rows={key: row for key, (_, _, row) in found.items()},
                scorer=scorer,
                uplift_reason=_uplift_reason(scorer.card),
            )
    return _prior(options, card, request, step="prior", reason=reason)


def _why_missing(features: FeatureSnapshot) -> str:
    if features.error is not None:
        return f"features could not be read: {features.error}"
    return "" if features.known else "nothing is known of the customer"


def _uplift_reason(card: ModelCard) -> str:
    return str(card.extras.get("uplift_reason", "the offer model gives no uplift"))


def _scored(
    options: Sequence[Option], scorer: Scorer, customer: Mapping[str, Any], at: datetime
) -> dict[Key, tuple[float, Interval | None, Mapping[str, Any]]]:
    """Propensity, interval and input row per option; an offer is scored once, whatever its channels."""
    offers = {option.offer.offer_id: option.offer for option in options}
    rows = [pair_row(customer, offer, at) for offer in offers.values()]
    raw = predict_raw(scorer, rows) if rows else ()
    by_offer = {}
    for offer_id, row, number in zip(offers, rows, raw, strict=True):
        chance = calibrate(scorer.card, float(number))
        by_offer[offer_id] = (chance, interval(scorer.card, chance), row)
    return {option.key: by_offer[option.offer.offer_id] for option in options}


def _prior(
    options: Sequence[Option], card: ModelCard | None, request: DecisionRequest, *, step: str, reason: str
) -> Propensities:
    rates = {option.key: prior_rate(option.offer, card) for option in options}
    why = NO_UPLIFT if card is None else _uplift_reason(card)
    if all(rate is not None for rate in rates.values()):
        return Propensities(step=step, reason=reason, by_key=rates, uplift_reason=why)
    if step == "prior":
        step = "rules" if request.default_action is None else "default_action"
        reason = f"{reason}, and no rate is known for every offer"
    return Propensities(step=step, reason=reason, by_key=dict.fromkeys(rates), uplift_reason=why)


def prior_rate(offer: Offer, card: ModelCard | None) -> float | None:
    """How often an offer like this is accepted: its attribute ``prior_propensity``, else its category's base rate.

    The card's ``extras["category_rates"]`` holds rates by category, ``*`` for the rest; None where neither is known.
    """
    own = offer.attributes.get("prior_propensity")
    if isinstance(own, (int, float)) and not isinstance(own, bool) and 0.0 <= own <= 1.0:
        return float(own)
    rates = card.extras.get("category_rates") if card is not None else None
    if not isinstance(rates, Mapping):
        return None
    rate = rates.get(offer.category, rates.get("*"))
    return float(rate) if isinstance(rate, (int, float)) and 0.0 <= rate <= 1.0 else None


def default_options(request: DecisionRequest, catalogue: Catalogue) -> tuple[Option, ...]:
    """The caller's default action as options, in the order in which they are tried; empty without one.

    An offer that the catalogue does not have is taken as the caller names it: without dates, value or caps of its
    own. The contact rules look at it like at any other.
    """
    ref = request.default_action
    if ref is None:
        return ()
    offer = next((offer for offer in catalogue.offers if offer.offer_id == ref.offer_id), None)
    if offer is None:
        channels = (ref.channel,) if ref.channel is not None else request.channels
        if channels is None:
            return ()
        return tuple(
            Option(
                offer=Offer(offer_id=ref.offer_id, name=ref.offer_id, channels=channels),
                treatment_id=ref.treatment_id,
                channel=channel,
            )
            for channel in channels
        )
    return tuple(expand(offer, treatment_id=ref.treatment_id, channel=ref.channel))


def probes(request: DecisionRequest, config: Config) -> tuple[Option, ...]:
    """One made-up offer per usable channel: would the rules let anything through?"""
    channels = usable_channels(request, config)
    if not channels:
        return ()
    offer = Offer(offer_id="*", name="any offer", channels=channels)
    return tuple(Option(offer=offer, treatment_id=None, channel=channel) for channel in channels)
