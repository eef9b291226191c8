"""Features of an offer, and of a customer and an offer together: pure, the same in training and in service.

Training calls these for every past send, the service for every candidate; both hand the result to
``ModelCard.encode`` under the same names. What is not known is ``None``, never zero. ``pair_table.py`` works the same
numbers out for many offers at once.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from foretouch.core.columns import OFFER_ID
from foretouch.core.offers import Offer

CUSTOMER_SHARE: Final = "category_share_"
"""Customer features that begin like this hold the share of spend by product category."""
OFFER_SHARE: Final = "share_"
"""Offer attributes that begin like this hold the share of the offer's products by product category."""

OFFER_FEATURES: Final = (
    "offer_category",
    "offer_remaining_days",
    "offer_running_days",
    "offer_duration_days",
    "offer_coupons",
    "offer_products",
    "offer_value",
    "offer_cost",
)
CROSS_FEATURES: Final = (
    "offer_affinity",
    "offer_affinity_ratio",
    "offer_favourite_share",
    "response_rate",
)
CATEGORY_FEATURES: Final = ("offer_category",)
"""Those of the above that are categories; the others are numbers."""

PRIOR_SENDS: Final = 2.0
"""Response rates are shrunk as if a customer had been sent this many more offers with the prior rate."""
PRIOR_RATE: Final = 0.1
DAY: Final = 86_400.0
"""Seconds."""
_OFFER_SHARES: Final = "offer_shares"


def offer_features(offer: Offer, at: datetime) -> dict[str, Any]:
    """What an offer is like at one moment.

    Args:
        offer: The offer, as in the catalogue.
        at: When it would be sent, tz-aware.

    Returns:
        ``OFFER_FEATURES`` by name (days as fractions, money in the workspace's currency, ``None`` where the offer does
        not say), and its shares by product category for ``cross_features``.
    """
    attributes = offer.attributes
    running = None if offer.starts_at is None else (at - offer.starts_at).total_seconds() / DAY
    left = None if offer.ends_at is None else (offer.ends_at - at).total_seconds() / DAY
    return {
        "offer_category": offer.category or None,
        "offer_remaining_days": left,
        "offer_running_days": running,
        "offer_duration_days": None if running is None or left is None else running + left,
        "offer_coupons": number_of(attributes.get("coupons")),
        "offer_products": number_of(attributes.get("products")),
        "offer_value": offer.value,
        "offer_cost": offer.cost,
        _OFFER_SHARES: offer_shares(offer),
    }


def offer_shares(offer: Offer) -> dict[str, float]:
    """The share of an offer's products by product category, in the order of the names; unreadable ones are left out."""
    return {
        name.removeprefix(OFFER_SHARE): share
        for name, raw in sorted(offer.attributes.items())
        if name.startswith(OFFER_SHARE) and (share := number_of(raw)) is not None
    }


def cross_features(customer: Mapping[str, Any], offer: Mapping[str, Any]) -> dict[str, Any]:
    """How a customer and an offer fit together.

    Args:
        customer: Customer features by name.
        offer: The result of ``offer_features``.

    Returns:
        ``CROSS_FEATURES`` by name:

        - ``offer_affinity``: sum over product categories of the customer's share of spend times the offer's share.
        - ``offer_affinity_ratio``: that over the offer's sum of squared shares, which a customer who buys exactly
          what the offer holds would reach: 1 is a perfect fit.
        - ``offer_favourite_share``: the offer's share in the customer's largest category.
        - ``response_rate``: the customer's responses per send in the last year, shrunk towards ``PRIOR_RATE``.
    """
    offered: Mapping[str, float] = offer.get(_OFFER_SHARES) or {}
    bought = {name: number_of(customer.get(CUSTOMER_SHARE + name)) for name in offered}
    known = {name: share for name, share in bought.items() if share is not None}
    affinity = ratio = favourite = None
    if known and sum(known.values()) > 0.0:
        affinity = sum(share * offered[name] for name, share in known.items())
        own = sum(share * share for share in offered.values())
        ratio = affinity / own if own > 0.0 else None
        favourite = offered[max(known, key=lambda name: (known[name], name))]
    return {
        "offer_affinity": affinity,
        "offer_affinity_ratio": ratio,
        "offer_favourite_share": favourite,
        "response_rate": response_rate(customer.get("responses_365d"), customer.get("sends_365d")),
    }


def pair_row(customer: Mapping[str, Any], offer: Offer, at: datetime) -> dict[str, Any]:
    """Everything the offer model may see of one customer and one offer, by feature name."""
    return {**customer, **pair_part(customer, offer, at)}


def pair_part(customer: Mapping[str, Any], offer: Offer, at: datetime) -> dict[str, Any]:
    """What ``pair_row`` adds to the customer's own features, by name.

    ``offer_id``, ``OFFER_FEATURES`` and ``CROSS_FEATURES``.
    """
    about = offer_features(offer, at)
    crossed = cross_features(customer, about)
    del about[_OFFER_SHARES]
    return {OFFER_ID: offer.offer_id, **about, **crossed}


def response_rate(responses: object, sends: object) -> float:
    """(responses + PRIOR_SENDS x PRIOR_RATE) / (sends + PRIOR_SENDS); unknown counts are none."""
    return ((number_of(responses) or 0.0) + PRIOR_SENDS * PRIOR_RATE) / ((number_of(sends) or 0.0) + PRIOR_SENDS)


def number_of(value: object) -> float | None:
    """A finite number, or None for whatever is none; true and false are none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
