"""Features of one customer with many offers, column by column: the very numbers of ``crosses.pair_part``. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROS: Final = 1e6
_EXACT: Final = 2.0**53

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

    def among(self, rows: Sequence[int]) -> tuple[list[int], list[int]]:
        """Which of some rows are here: their indices among the rows, and their places in ``shares``."""
        places = [self.place.get(row, -1) for row in rows]
        if min(places) >= 0:
            return list(range(len(rows))), places
        return [index for index, place in enumerate(places) if place >= 0], [place for place in places if place >= 0]


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
        self._starts = np.array([_micros(offer.starts_at) for offer in self.offers])
        self._ends = np.array([_micros(offer.ends_at) for offer in self.offers])
        self._exact = not any(
            np.abs(times).max(initial=0.0, where=~np.isnan(times)) >= _EXACT for times in (self._starts, self._ends)
        )
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
            running, left = self._days(rows, at)
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

    def _days(self, rows: Sequence[int], at: datetime) -> tuple[FloatArray, FloatArray]:
        """Days since each offer began, and until it ends.

        Microseconds since 1970 and their differences are whole numbers that floats hold exactly up to the year 2255,
        so that one division gives what ``timedelta.total_seconds`` does; where a date is later, that is asked.
        """
        now = _micros(at)
        if self._exact and abs(now) < _EXACT:
            return (now - self._starts[rows]) / _MICROS / DAY, (self._ends[rows] - now) / _MICROS / DAY
        offers = [self.offers[row] for row in rows]
        return (
            np.array([_days(offer.starts_at, at) for offer in offers]),
            np.array([_days(at, offer.ends_at) for offer in offers]),
        )

    def _crossed(self, customer: Mapping[str, Any], rows: Sequence[int]) -> dict[str, FloatArray | float]:
        affinity, ratio, favourite = np.full((3, len(rows)), np.nan)
        for group in self._groups:
            bought = [(number_of(customer.get(name)), index) for index, name in enumerate(group.names)]
            known = [(share, index) for share, index in bought if share is not None]
            if not known or not sum(share for share, _ in known) > 0.0:
                continue
            into, which = group.among(rows)
            shares = group.shares[which]
            summed = np.zeros(len(which))
            with np.errstate(all="ignore"):  # beyond the range of floats: infinite, as the sum of floats is
                for share, index in known:
                    summed += share * shares[:, index]
                ratio[into] = summed / group.own[which]
            affinity[into] = summed
            favourite[into] = shares[:, max(known)[1]]
        return {_AFFINITY: affinity, _RATIO: ratio, _FAVOURITE: favourite}


def _micros(at: datetime | None) -> float:
    """Microseconds since 1970; NaN where it is not known."""
    return _NAN if at is None else float((at - _EPOCH) // timedelta(microseconds=1))


def _days(first: datetime | None, second: datetime | None) -> float:
    """Days from one moment to another as ``crosses.offer_features`` counts them; NaN where one is not known."""
    return _NAN if first is None or second is None else (second - first).total_seconds() / DAY
