"""Features of customers with many offers, column by column: the very numbers of ``crosses.pair_part``. Pure."""

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
IntArray = NDArray[np.int64]

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
        place: By row of the table, the row in ``shares``; -1 for offers of another group.
        whole: Whether all rows of the table are here.
        shares: Shape (offers, categories).
        own: Sum of squared shares by offer; NaN where it is not above 0.
    """

    __slots__ = ("names", "own", "place", "shares", "whole")

    def __init__(
        self, categories: Sequence[str], rows: Sequence[int], shares: Sequence[Mapping[str, float]], count: int
    ) -> None:
        self.names = [CUSTOMER_SHARE + name for name in categories]
        self.place = np.full(count, -1)
        self.place[list(rows)] = np.arange(len(rows))
        self.whole = len(rows) == count
        self.shares = np.array([list(one.values()) for one in shares], dtype=np.float64).reshape(len(rows), -1)
        own = np.array([float(sum(share * share for share in one.values())) for one in shares])
        self.own = np.where(own > 0.0, own, np.nan)

    def bought(self, customers: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, NDArray[np.bool_], list[int]]:
        """The customers' shares of the categories.

        Returns:
            Shares of shape (customers, categories), 0 where one is not known; which are known, all of them False for
            a customer who has none above 0; and each customer's favourite category.
        """
        amounts = np.zeros((len(customers), len(self.names)))
        known = np.zeros(amounts.shape, dtype=bool)
        favourites = [0] * len(customers)
        for row, customer in enumerate(customers):
            found = [number_of(customer.get(name)) for name in self.names]
            some = [(share, index) for index, share in enumerate(found) if share is not None]
            if not some or not sum([share for share, _ in some]) > 0.0:
                continue
            favourites[row] = max(some)[1]
            if len(some) == len(found):
                amounts[row], known[row] = found, True
                continue
            for share, index in some:
                amounts[row, index], known[row, index] = share, True
        return amounts, known, favourites


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
            _ShareGroup(categories, rows, [shares[row] for row in rows], len(self.offers))
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
        self,
        customers: Sequence[Mapping[str, Any]],
        ats: Sequence[datetime],
        who: IntArray,
        rows: IntArray,
        names: Collection[str],
    ) -> dict[str, FloatArray]:
        """Some of ``MOVING`` of customers with offers, pair by pair.

        Args:
            customers: Customer features by name.
            ats: When each of them would be sent something, tz-aware.
            who: The customer of each pair, as an index, shape (n,).
            rows: The offer of each pair, shape (n,).
            names: Which of ``MOVING``; others may be among the result.

        Returns:
            By name, shape (n,); NaN is missing.
        """
        found: dict[str, FloatArray] = {}
        if not {"offer_running_days", "offer_remaining_days", "offer_duration_days"}.isdisjoint(names):
            running, left = self._days(ats, who, rows)
            found = {
                "offer_running_days": running,
                "offer_remaining_days": left,
                "offer_duration_days": running + left,
            }
        if not {_AFFINITY, _RATIO, _FAVOURITE}.isdisjoint(names):
            found |= self._crossed(customers, who, rows)
        if "response_rate" in names:
            rates = [response_rate(one.get("responses_365d"), one.get("sends_365d")) for one in customers]
            found["response_rate"] = np.array(rates, dtype=np.float64)[who]
        return found

    def _days(self, ats: Sequence[datetime], who: IntArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Days since each offer began, and until it ends.

        Microseconds since 1970 and their differences are whole numbers that floats hold exactly up to the year 2255,
        so that one division gives what ``timedelta.total_seconds`` does; where a date is later, that is asked.
        """
        nows = np.array([_micros(at) for at in ats])
        if self._exact and np.abs(nows).max(initial=0.0) < _EXACT:
            now = nows[who]
            return (now - self._starts[rows]) / _MICROS / DAY, (self._ends[rows] - now) / _MICROS / DAY
        pairs = [(ats[index], self.offers[row]) for index, row in zip(who.tolist(), rows.tolist(), strict=True)]
        return (
            np.array([_days(offer.starts_at, at) for at, offer in pairs]),
            np.array([_days(at, offer.ends_at) for at, offer in pairs]),
        )

    def _crossed(self, customers: Sequence[Mapping[str, Any]], who: IntArray, rows: IntArray) -> dict[str, FloatArray]:
        affinity, ratio, favourite = np.full((3, len(rows)), np.nan)
        for group in self._groups:
            amounts, known, favourites = group.bought(customers)
            buys: NDArray[np.bool_] = np.asarray(known.any(axis=1))
            places = group.place[rows]
            into: IntArray | slice = slice(None)
            if not (group.whole and buys.all()):
                into = np.nonzero((places >= 0) & buys[who])[0]
                places = places[into]
            whose = who[into]
            shares = group.shares[places]
            summed = np.zeros(len(places))
            with np.errstate(all="ignore"):  # beyond the range of floats: infinite, as the sum of floats is
                for index in range(len(group.names)):
                    added = amounts[whose, index] * shares[:, index]
                    summed += added if known[:, index].all() else np.where(known[whose, index], added, 0.0)
                ratio[into] = summed / group.own[places]
            affinity[into] = summed
            favourite[into] = shares[np.arange(len(places)), np.array(favourites)[whose]]
        return {_AFFINITY: affinity, _RATIO: ratio, _FAVOURITE: favourite}


def _micros(at: datetime | None) -> float:
    """Microseconds since 1970; NaN where it is not known."""
    return _NAN if at is None else float((at - _EPOCH) // timedelta(microseconds=1))


def _days(first: datetime | None, second: datetime | None) -> float:
    """Days from one moment to another as ``crosses.offer_features`` counts them; NaN where one is not known."""
    return _NAN if first is None or second is None else (second - first).total_seconds() / DAY
