"""Features of one customer with many offers, column by column: the very numbers of ``crosses.pair_part``. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretouch.core.offers import Offer
from foretouch.features.crosses import (
    CATEGORY_FEATURES,
    CROSS_FEATURES,
    CUSTOMER_SHARE,
    DAY,
    OFFER_FEATURES,
    number_of,
    offer_shares,
    response_rate,
)

FloatArray = NDArray[np.float64]

_NAN: Final = float("nan")

FIXED: Final = ("offer_coupons", "offer_products", "offer_value", "offer_cost")
"""Numbers that depend on the offer alone."""
MOVING: Final = tuple(name for name in (*OFFER_FEATURES, *CROSS_FEATURES) if name not in {*FIXED, *CATEGORY_FEATURES})
"""Numbers that depend on the time or the customer as well."""
_AFFINITY, _RATIO, _FAVOURITE = "offer_affinity", "offer_affinity_ratio", "offer_favourite_share"


class _ShareGroup:
    """Offers whose products are of the same product categories.

    Attributes:
        names: Customer features that hold the customer's share of each, in the order of the categories.
        place: By row of the table, the row in ``shares``.
        shares: Shape (offers, categories).
        own: Sum of squared shares by offer; NaN where it is not above 0.
    """

    __slots__ = ("names", "own", "place", "shares")

    def __init__(self, categories: Sequence[str], rows: Sequence[int], shares: Sequence[Mapping[str, float]]) -> None:
        self.names = [CUSTOMER_SHARE + name for name in categories]
        self.place = {row: index for index, row in enumerate(rows)}
        self.shares = np.array([list(one.values()) for one in shares], dtype=np.float64).reshape(len(rows), -1)
        own = np.array([float(sum(share * share for share in one.values())) for one in shares])
        self.own = np.where(own > 0.0, own, np.nan)


class PairTable:
    """Some offers laid out once.

    Every number has the very bits that ``pair_part`` gives it: sums run over the product categories in the same order.

    Args:
        offers: Immutable.

    Attributes:
        offers: As given; a *row* is an offer's place here.
    """

    def __init__(self, offers: Sequence[Offer]) -> None:
        self.offers = tuple(offers)
        self._starts = [offer.starts_at for offer in self.offers]
        self._ends = [offer.ends_at for offer in self.offers]
        shares = [offer_shares(offer) for offer in self.offers]
        alike: dict[tuple[str, ...], list[int]] = {}
        for row, one in enumerate(shares):
            alike.setdefault(tuple(one), []).append(row)
        self._groups = [
            _ShareGroup(categories, rows, [shares[row] for row in rows])
            for categories, rows in alike.items()
            if categories
        ]

    def fixed(self, name: str) -> FloatArray:
        """One of ``FIXED``, shape (offers,); NaN is missing."""
        if name in {"offer_value", "offer_cost"}:
            return np.array([float(getattr(offer, name.removeprefix("offer_"))) for offer in self.offers])
        found = [number_of(offer.attributes.get(name.removeprefix("offer_"))) for offer in self.offers]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def moving(
        self, customer: Mapping[str, Any], rows: Sequence[int], at: datetime, names: Collection[str]
    ) -> dict[str, FloatArray | float]:
        """Some of ``MOVING`` of one customer with some of the offers.

        Args:
            customer: Customer features by name.
            rows: Which offers.
            at: When they would be sent, tz-aware.
            names: Which of ``MOVING``; others may be among the result.

        Returns:
            By name, shape (rows,), or one number for all of them; NaN is missing.
        """
        found: dict[str, FloatArray | float] = {}
        if not {"offer_running_days", "offer_remaining_days", "offer_duration_days"}.isdisjoint(names):
            starts, ends = self._starts, self._ends
            running = np.array([_days(start, at) for start in [starts[row] for row in rows]])
            left = np.array([_days(at, end) for end in [ends[row] for row in rows]])
            found = {
                "offer_running_days": running,
                "offer_remaining_days": left,
                "offer_duration_days": running + left,
            }
        if not {_AFFINITY, _RATIO, _FAVOURITE}.isdisjoint(names):
            found |= self._crossed(customer, rows)
        if "response_rate" in names:
            found["response_rate"] = response_rate(customer.get("responses_365d"), customer.get("sends_365d"))
        return found

    def _crossed(self, customer: Mapping[str, Any], rows: Sequence[int]) -> dict[str, FloatArray | float]:
        affinity, ratio, favourite = (np.full(len(rows), np.nan) for _ in range(3))
        for group in self._groups:
            bought = [(number_of(customer.get(name)), index) for index, name in enumerate(group.names)]
            known = [(share, index) for share, index in bought if share is not None]
            if not known or not sum(share for share, _ in known) > 0.0:
                continue
            places = [group.place.get(row, -1) for row in rows]
            into = [index for index, place in enumerate(places) if place >= 0]
            which = [place for place in places if place >= 0]
            shares = group.shares[which]
            summed = np.zeros(len(which))
            with np.errstate(all="ignore"):  # beyond the range of floats: infinite, as the sum of floats is
                for share, index in known:
                    summed += share * shares[:, index]
                ratio[into] = summed / group.own[which]
            affinity[into] = summed
            favourite[into] = shares[:, max(known)[1]]
        return {_AFFINITY: affinity, _RATIO: ratio, _FAVOURITE: favourite}


def _days(first: datetime | None, second: datetime | None) -> float:
    """Days from one moment to another as ``crosses.offer_features`` counts them; NaN where one is not known."""
    return _NAN if first is None or second is None else (second - first).total_seconds() / DAY
