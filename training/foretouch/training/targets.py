"""Labels: who is in scope at an as-of time, and what happened in the window after it.

A row (customer, as_of) is mature when ``as_of + window`` is not later than the data's end; only mature rows get a
label. Windows are half-open, ``[as_of, as_of + window)``. Bots never train a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd

from foretouch.core.errors import DataError
from foretouch.core.goals import ChurnGoal, LeadGoal, ValueGoal
from foretouch.core.rng import bucket

LABEL = "label"
MAX_ROWS = 400_000
"""More rows than this are thinned by customer, by a hash of the id, so that training fits a small machine."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """From the first event to the last event of the goal's kind, tz-aware UTC."""

    start: datetime
    end: datetime


def data_span(connection: duckdb.DuckDBPyConnection, event: str, now: datetime) -> Span:
    """How far the data reach for a goal event; what lies after ``now`` does not count.

    Raises:
        DataError: There is no such event.
    """
    found = connection.execute(
        "SELECT epoch_us(min(occurred_at)), epoch_us(max(occurred_at) FILTER (event = ?)) FROM events"
        " WHERE NOT is_bot AND occurred_at <= ?",
        [event, now],
    ).fetchone()
    if found is None or found[0] is None or found[1] is None:
        raise DataError(
            f"no {event!r} event in the data, and that is what the goal counts",
            hint="foretouch ingest --events F  (or another goal in foretouch.toml)",
        )
    return Span(start=_time(found[0]), end=_time(found[1]))


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))


def spine(connection: duckdb.DuckDBPyConnection, times: Sequence[datetime], *, kept: float = 1.0) -> pd.DataFrame:
    """Every known customer at every as-of time, thinned by customer above ``MAX_ROWS``.

    Args:
        connection: With the view ``customers``.
        times: As-of times.
        kept: Share of customers whose past the history holds (``history_sample.read_sample``).

    Returns:
        Columns ``customer_id`` and ``as_of`` (UTC), sorted by both.
    """
    known = connection.execute(
        "SELECT customer_id, min(created_at) AS since FROM customers GROUP BY customer_id ORDER BY customer_id"
    ).df()
    known["since"] = pd.to_datetime(known["since"], utc=True)
    share = min(kept, MAX_ROWS / max(len(known) * max(len(times), 1), 1))
    if share < 1.0:
        known = known[[bucket("training-rows", customer) < share for customer in known["customer_id"]]]
    moments = pd.DataFrame({"as_of": pd.to_datetime(list(times), utc=True)})
    rows = known.merge(moments, how="cross")
    rows = rows[rows["since"].isna() | (rows["since"] < rows["as_of"])]
    return rows[["customer_id", "as_of"]].sort_values(["as_of", "customer_id"], ignore_index=True)


def lead_labels(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, goal: LeadGoal) -> pd.DataFrame:
    """Rows of customers who have not done the goal event before ``as_of``; 1 if they first do within the window."""
    return _labelled(
        connection,
        rows,
        event=goal.goal_event,
        window_days=goal.window_days,
        before_days=None,
        scope="before = 0",
        label="(within > 0)::DOUBLE",
    )


def churn_labels(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, goal: ChurnGoal) -> pd.DataFrame:
    """Rows of customers active in the last ``active_days``; 1 if they do nothing within the window."""
    return _labelled(
        connection,
        rows,
        event=goal.activity_event,
        window_days=goal.window_days,
        before_days=goal.active_days,
        scope="before > 0",
        label="(within = 0)::DOUBLE",
    )


def value_labels(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, goal: ValueGoal) -> pd.DataFrame:
    """Every row, with the sum of the value event's value within the window: revenue in the workspace's currency."""
    return _labelled(
        connection,
        rows,
        event=goal.value_event,
        window_days=goal.window_days,
        before_days=None,
        scope="true",
        label="greatest(amount, 0.0)",
    )


def _labelled(
    connection: duckdb.DuckDBPyConnection,
    rows: pd.DataFrame,
    *,
    event: str,
    window_days: float,
    before_days: float | None,
    scope: str,
    label: str,
) -> pd.DataFrame:
    """Counts a kind of event before and within the window of every row, keeps who is in scope, and labels them."""
    connection.register("label_rows", rows[["customer_id", "as_of"]])
    window = round(window_days * 86_400e6)
    since = "true" if before_days is None else "e.occurred_at >= r.as_of - to_microseconds($before)"
    parameters: dict[str, object] = {"event": event, "window": window}
    if before_days is not None:
        parameters["before"] = round(before_days * 86_400e6)
    try:
        found = connection.execute(
            f"""
            WITH counted AS (
                SELECT r.customer_id, r.as_of,
                    count(e.customer_id) FILTER (e.occurred_at < r.as_of AND {since}) AS before,
                    count(e.customer_id) FILTER (e.occurred_at >= r.as_of) AS within,
                    coalesce(sum(e.value) FILTER (e.occurred_at >= r.as_of), 0.0) AS amount
                FROM label_rows r LEFT JOIN events e
                    ON e.customer_id = r.customer_id AND e.event = $event AND NOT e.is_bot
                    AND e.occurred_at < r.as_of + to_microseconds($window)
                GROUP BY r.customer_id, r.as_of
            )
            SELECT customer_id, as_of, {label} AS label FROM counted WHERE {scope} ORDER BY as_of, customer_id
            """,  # noqa: S608 - scope and label are ours
            parameters,
        ).df()
    finally:
        connection.unregister("label_rows")
    found["as_of"] = pd.to_datetime(found["as_of"], utc=True)
    return found
