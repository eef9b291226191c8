"""Offers that have hardly been sent: what is believed of them before the evidence is in. Pure.

An offer model *knows* an offer if the rows it was trained on hold contacts of it or, unless the offer states a
``prior_propensity`` of its own, contacts of its category: then the model alone speaks, as it was judged on later offers
of known categories. A card that does not say what it was trained on is taken to know everything.

Of any other offer the belief is Beta(prior x strength, (1 - prior) x strength), where ``strength`` is
``new_offers.prior_strength``: what that many contacts would have taught. It gives way to the model as contacts come
in::

    propensity = (prior x strength + model x contacts) / (strength + contacts)

Interval and bootstrap members move in the same way from quantiles of the belief to the model's own, so that Thompson
sampling tries a new offer as often as its prior leaves room for it to be good.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

from foretouch.core.bundle import ModelCard
from foretouch.core.offers import Offer
from foretouch.core.rng import derive_seed
from foretouch.serving.models.scoring import FloatArray

OFFER_CONTACTS, CATEGORY_CONTACTS = "offer_contacts", "category_contacts"
"""Extras of the offer model's card: contacts in its training rows, by offer and by category."""


def knows_all(card: ModelCard) -> bool:
    """Whether a card does not say what its model was trained on: it is taken to know everything."""
    extras = card.extras
    return not isinstance(extras.get(OFFER_CONTACTS), Mapping) or not isinstance(extras.get(CATEGORY_CONTACTS), Mapping)


def knows(card: ModelCard, offer: Offer) -> bool:
    """Whether a model was trained on this offer, or on its category where the offer states no prior of its own."""
    offers, categories = card.extras.get(OFFER_CONTACTS), card.extras.get(CATEGORY_CONTACTS)
    if not isinstance(offers, Mapping) or not isinstance(categories, Mapping):
        return True
    if offers.get(offer.offer_id, 0) > 0:
        return True
    return own_prior(offer) is None and categories.get(offer.category, 0) > 0


def own_prior(offer: Offer) -> float | None:
    """The offer's attribute ``prior_propensity``, if it is a probability."""
    own = offer.attributes.get("prior_propensity")
    if isinstance(own, (int, float)) and not isinstance(own, bool) and 0.0 <= own <= 1.0:
        return float(own)
    return None


def prior_rate(offer: Offer, card: ModelCard | None) -> float | None:
    """How often an offer like this is accepted: its attribute ``prior_propensity``, else its category's base rate.

    The card's ``extras["category_rates"]`` holds rates by category, ``*`` for the rest; None where neither is known.
    """
    own = own_prior(offer)
    if own is not None:
        return own
    rates = card.extras.get("category_rates") if card is not None else None
    if not isinstance(rates, Mapping):
        return None
    rate = rates.get(offer.category, rates.get("*"))
    return float(rate) if isinstance(rate, (int, float)) and 0.0 <= rate <= 1.0 else None


def evidence_of(offers: Sequence[Offer], counted: Mapping[str, int], card: ModelCard | None) -> dict[str, int]:
    """Contacts of anybody ever, by offer: what the state counts, or what the model's card says if that is more.

    Args:
        offers: Which offers.
        counted: ``CounterSnapshot.offer_contacts``; empty where no policy asks.
        card: Of the offer model.
    """
    trained = card.extras.get(OFFER_CONTACTS) if card is not None else None
    trained = trained if isinstance(trained, Mapping) else {}
    names = [offer.offer_id for offer in offers]
    if not trained:
        return {name: counted.get(name, 0) for name in names} if counted else dict.fromkeys(names, 0)
    return {name: max(counted.get(name, 0), int(trained.get(name, 0))) for name in names}


def span(prior: float, strength: float, level: float) -> tuple[float, float]:
    """Low and high end of the belief's central interval of that level."""
    low, high = _quantiles(prior, strength, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return min(low, prior), max(high, prior)


def members(prior: float, strength: float, count: int, offer_id: str) -> FloatArray:
    """``count`` evenly spread quantiles of the belief, shape (count,), in an order that is the offer's own.

    Members of different offers are paired at random by that order, so that beliefs in different offers are independent.
    """
    values = np.array(_quantiles(prior, strength, tuple((index + 0.5) / count for index in range(count))))
    return values[list(_order(offer_id, count))]


@lru_cache(maxsize=4096)
def _quantiles(prior: float, strength: float, at: tuple[float, ...]) -> tuple[float, ...]:
    """Quantiles of Beta(prior x strength, (1 - prior) x strength); a prior of 0 or 1 is certain."""
    if prior <= 0.0 or prior >= 1.0 or strength <= 0.0:
        return (prior,) * len(at)
    return tuple(float(value) for value in betaincinv(prior * strength, (1.0 - prior) * strength, np.array(at)))


@lru_cache(maxsize=4096)
def _order(offer_id: str, count: int) -> tuple[int, ...]:
    """A permutation that depends on the offer's id alone."""
    keys = [derive_seed("new-offers", offer_id, str(index)) for index in range(count)]
    return tuple(sorted(range(count), key=keys.__getitem__))
