"""``foretouch bench send-time``: in which local hours of the week each customer of any event log is active.

The method is ``serving.rhythm``: a customer's own hours, smoothed over neighbours and days, drawn towards everyone's.
How far is chosen on the end of the log itself: patterns of what came before are scored on what came then. It is
activity time, never an effect of sending.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.errors import DataError
from foretouch.serving.models.rhythm import HOURS, Rhythm, back_off
from foretouch.training.activity import hits, log_likelihoods
from foretouch.training.bench.tables import need_columns, need_writable, read_table, write_table
from foretouch.training.bench.times import known_zone, read_as_of, read_times
from foretouch.training.task import FloatArray

CONCENTRATIONS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
BANDWIDTHS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
OTHER_DAYS: Final = (0.0, 0.3, 0.6, 0.9, 1.0)
HALF_LIVES: Final = (0.0, 30.0, 90.0)
"""Days after which an event counts half; 0 for never."""
WINDOWS: Final = (28, 14, 7)
MIN_LATER = 50
MAX_CUSTOMERS = 4_000
"""Customers on whom the shrinkage is chosen."""
COLUMNS: Final = tuple(f"h{hour:03d}" for hour in range(HOURS))


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Events before the as-of time.

    Attributes:
        customers: Distinct ids, in the log's order.
        customer: Index of each event's customer, shape (n,).
        hour: Local hour of the week, Monday 00h first, shape (n,).
        age: Days before the as-of time, shape (n,).
    """

    customers: "pd.Index[Any]"
    customer: NDArray[np.int64]
    hour: NDArray[np.int64]
    age: FloatArray

    def counts(self, *, since: float = 0.0, until: float = np.inf, half_life: float = 0.0) -> FloatArray:
        """Events by customer and hour with ``since <= age < until``, shape (customers, 168).

        Args:
            since: Smallest age, days.
            until: Age from which on events are left out, days.
            half_life: Days, counted from ``since``, after which an event counts half; 0 counts each as one.
        """
        used = (self.age >= since) & (self.age < until)
        weight = np.exp2(-(self.age[used] - since) / half_life) if half_life > 0.0 else None
        cell = self.customer[used] * HOURS + self.hour[used]
        total = np.bincount(cell, weights=weight, minlength=len(self.customers) * HOURS)
        return total.astype(np.float64).reshape(-1, HOURS)


@dataclass(frozen=True, kw_only=True)
class Shrinkage:
    """How far own hours are trusted; see ``serving.rhythm.Rhythm``, and ``HALF_LIVES``."""

    concentration: float = 20.0
    bandwidth: float = 1.0
    other_days: float = 0.6
    half_life: float = 0.0


def read_activity(frame: pd.DataFrame, *, id_column: str, time: str, time_zone: str, as_of: str) -> Activity:
    """Events before ``as_of`` by local hour of the week.

    Raises:
        DataError: A time cannot be read, an id is missing, or nothing happened before ``as_of``.
    """
    zone = known_zone(time_zone)
    at = read_times(frame, time, zone)
    moment = read_as_of(as_of, zone)
    if frame[id_column].isna().any() or at.isna().any():
        raise DataError(f"{int((frame[id_column].isna() | at.isna()).sum())} events lack an id or a time")
    before = (at < moment).to_numpy()
    if not before.any():
        raise DataError(f"no event lies before {as_of}; the first is at {at.min().isoformat()}")
    codes, customers = pd.factorize(frame.loc[before, id_column])
    local = at[before]
    age: FloatArray = np.asarray((moment - local).dt.total_seconds() / 86_400.0, dtype=np.float64)
    hour = local.dt.dayofweek.to_numpy() * 24 + local.dt.hour.to_numpy()
    return Activity(customers=pd.Index(customers), customer=codes.astype(np.int64), hour=hour.astype(np.int64), age=age)


def shares_of(activity: Activity, chosen: Shrinkage, *, since: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Every customer's shares from events older than ``since`` days, and everyone's: shapes (n, 168) and (168,)."""
    rhythm = _rhythm(activity.counts(since=since).sum(axis=0), chosen)
    own = activity.counts(since=since, half_life=chosen.half_life)
    return back_off(rhythm, own, np.full(len(own), None, dtype=object)), rhythm.everyone


def choose(activity: Activity) -> tuple[Shrinkage, dict[str, float]]:
    """The shrinkage under which the log's past says most about its end, and figures of that end.

    The end is the last 28, 14 or 7 days, at most a quarter of the log. Where too little happened then, a middling
    shrinkage is taken and there are no figures.
    """
    span = float(activity.age.max())
    window = next((days for days in WINDOWS if 4 * days <= span), None)
    if window is None:
        return Shrinkage(), {}
    some = _some(activity)
    later = some.counts(until=float(window))
    if later.sum() < MIN_LATER or not (some.age >= window).any():
        return Shrinkage(), {}
    total = some.counts(since=window).sum(axis=0)
    nobody = np.full(len(later), None, dtype=object)
    best, highest = Shrinkage(), -np.inf
    for half_life in HALF_LIVES:
        own = some.counts(since=window, half_life=half_life)
        for tried in _grid(half_life):
            likelihood = float(log_likelihoods(later, back_off(_rhythm(total, tried), own, nobody)).sum())
            if likelihood > highest:
                best, highest = tried, likelihood
    shares, everyone = shares_of(some, best, since=window)
    reference = np.tile(everyone, (len(later), 1))
    events = float(later.sum())
    figures = {"days": float(window), "events": events, "log_likelihood": highest / events}
    figures["log_likelihood_of_everyone"] = float(log_likelihoods(later, reference).sum()) / events
    for k in (3, 6, 12, 24):
        figures[f"hit_rate_{k}h"] = float(hits(later, shares, k).sum()) / events
        figures[f"hit_rate_{k}h_of_everyone"] = float(hits(later, reference, k).sum()) / events
    return best, figures


def _grid(half_life: float) -> Iterator[Shrinkage]:
    for bandwidth, other_days, concentration in product(BANDWIDTHS, OTHER_DAYS, CONCENTRATIONS):
        yield Shrinkage(concentration=concentration, bandwidth=bandwidth, other_days=other_days, half_life=half_life)


def _some(activity: Activity) -> Activity:
    if len(activity.customers) <= MAX_CUSTOMERS:
        return activity
    chosen = np.random.default_rng(0).choice(len(activity.customers), MAX_CUSTOMERS, replace=False)
    index = np.full(len(activity.customers), -1)
    index[np.sort(chosen)] = np.arange(MAX_CUSTOMERS)
    used = index[activity.customer] >= 0
    return replace(
        activity,
        customers=activity.customers[np.sort(chosen)],
        customer=index[activity.customer][used].astype(np.int64),
        hour=activity.hour[used],
        age=activity.age[used],
    )


def _rhythm(total: FloatArray, chosen: Shrinkage) -> Rhythm:
    everyone = total + 1.0
    return Rhythm(
        counts_feature="",
        segment_feature="",
        everyone=everyone / everyone.sum(),
        segments={},
        concentration=chosen.concentration,
        bandwidth=chosen.bandwidth,
        other_days=chosen.other_days,
        refined=False,
    )


def run(events: Path, *, id_column: str, time: str, time_zone: str, as_of: str, out: Path) -> dict[str, Any]:
    """Reads the log, writes id and 168 shares per customer, and returns what was done.

    Raises:
        DataError: A column is missing, a time cannot be read, or nothing happened before ``as_of``.
    """
    need_writable(out)
    frame = read_table(events, texts=[id_column])
    need_columns(frame, events, id=id_column, time=time)
    activity = read_activity(frame, id_column=id_column, time=time, time_zone=time_zone, as_of=as_of)
    chosen, figures = choose(activity)
    shares, _ = shares_of(activity, chosen)
    table = pd.DataFrame(shares, columns=list(COLUMNS))
    table.insert(0, id_column, activity.customers)
    write_table(table, out)
    return {
        "customers": len(activity.customers),
        "events": len(activity.age),
        "shrinkage": {
            "concentration": chosen.concentration,
            "bandwidth_hours": chosen.bandwidth,
            "other_days": chosen.other_days,
            "half_life_days": chosen.half_life,
        },
        "end_of_the_log": figures,
        "measures": "when customers are active; it says nothing about the effect of sending at an hour",
    }
