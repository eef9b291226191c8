"""When customers were active: as-of times, later events by local hour of the week, and figures for hour patterns."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd

from foretouch.core.errors import DataError
from foretouch.serving.models.rhythm import HOURS
from foretouch.training.metrics import Metric
from foretouch.training.ranking import Weighted, dot
from foretouch.training.splits import SplitPlan, plan_split
from foretouch.training.task import FloatArray

WINDOWS_DAYS = (28, 14, 7)
"""Later activity is counted over the longest of these that the history has room for."""


def plan_times(times: Sequence[datetime], *, start: datetime, end: datetime) -> SplitPlan:
    """As-of times whose windows of later activity do not overlap, in three parts that follow each other.

    Args:
        times: When features were built.
        start: Earliest as-of time.
        end: End of the data; no window reaches beyond it.

    Raises:
        DataError: The history is too short even for windows of seven days.
    """
    refusal: DataError | None = None
    for days in WINDOWS_DAYS:
        window = timedelta(days=days)
        chosen: list[datetime] = []
        for time in sorted(times, reverse=True):
            if start <= time <= (chosen[-1] if chosen else end) - window:
                chosen.append(time)
        try:
            return plan_split(chosen[::-1], window)
        except DataError as error:
            refusal = error
    raise refusal or DataError("there is no as-of time", hint="foretouch features build")


def later_hours(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, *, event: str, window: timedelta, time_zone: str
) -> FloatArray:
    """Events of a kind in the window after each row's as-of time, by the customer's local hour of the week.

    Args:
        connection: With the canonical views.
        rows: ``customer_id`` and ``as_of``, n of them.
        event: The kind of event; bots do not count.
        window: ``as_of <= occurred_at < as_of + window``.
        time_zone: Of customers without a zone of their own.

    Returns:
        Counts of shape (n, 168), Monday 00h first.
    """
    spine = pd.DataFrame(
        {"row": np.arange(len(rows)), "customer_id": rows["customer_id"].astype(str), "as_of": rows["as_of"]}
    )
    connection.register("activity_rows", spine)
    try:
        found = connection.execute(
            """
            WITH zones AS (SELECT customer_id, any_value(time_zone) AS zone FROM customers GROUP BY customer_id),
            human AS (SELECT customer_id, occurred_at FROM events WHERE event = $event AND NOT is_bot),
            local AS (
                SELECT h.customer_id, h.occurred_at, timezone(coalesce(z.zone, $zone), h.occurred_at) AS at
                FROM human h LEFT JOIN zones z USING (customer_id)
            )
            SELECT r.row, (isodow(l.at) - 1) * 24 + hour(l.at) AS hour, count(*) AS n
            FROM activity_rows r JOIN local l
                ON l.customer_id = r.customer_id
                AND l.occurred_at >= r.as_of AND l.occurred_at < r.as_of + to_microseconds($window)
            GROUP BY ALL
            """,
            {"event": event, "zone": time_zone, "window": round(window / timedelta(microseconds=1))},
        ).df()
    finally:
        connection.unregister("activity_rows")
    counts = np.zeros((len(rows), HOURS))
    counts[found["row"].to_numpy(dtype=np.int64), found["hour"].to_numpy(dtype=np.int64)] = found["n"].to_numpy()
    return counts


def log_likelihoods(later: FloatArray, shares: FloatArray) -> FloatArray:
    """Sum over a row's later events of the logarithm of their hour's share, nats, shape (n,)."""
    return np.asarray((later * np.log(shares)).sum(axis=1))


def hits(later: FloatArray, shares: FloatArray, k: int) -> FloatArray:
    """How many of a row's later events fall into the k hours with the largest shares (the earlier of equals)."""
    best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
    return np.asarray(np.take_along_axis(later, best, axis=1).sum(axis=1))


def per_event(name: str) -> Metric:
    """A figure per event: the sum of a row's score over the sum of its events (the label); more is better."""

    def prepare(label: FloatArray, score: FloatArray) -> Weighted:
        def ratio(weight: FloatArray | None) -> float:
            if weight is None:
                return float(score.sum() / label.sum())
            return dot(weight, score) / dot(weight, label)

        return ratio

    return Metric(name=name, better="up", prepare=prepare)
