"""Goals derived from events by unit and window, for every arm alike; bots never count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd

from foretouch.core.errors import ConfigError
from foretouch.core.experiment import Metric
from foretouch.experiments.analysis.aggregates import Floats

MEASURES = ("occurred", "count", "value")
SEPARATOR = ":"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is counted of an event within a window.

    Attributes:
        event: The event's kind.
        measure: Whether it occurred (0 or 1), how often, or the sum of its value.
        days: Length of the window; it starts at the exposure, or ends there if ``before``.
        before: Counts the time before the exposure: for covariates.
    """

    event: str
    measure: str
    days: float
    before: bool = False


def named_measure(text: str, *, days: float, before: bool = False) -> Measure | None:
    """Reads ``event:measure`` (``purchase:value``), the way ratios and covariates name events.

    Returns:
        The measure, or ``None`` where the text is a plain column's name.

    Raises:
        ConfigError: The part after the colon is no measure.
    """
    event, separator, measure = text.rpartition(SEPARATOR)
    if not separator:
        return None
    if measure not in MEASURES:
        raise ConfigError(f"{text!r}: {measure!r} must be one of {', '.join(MEASURES)}", hint="write event:measure")
    return Measure(event=event, measure=measure, days=days, before=before)


def metric_measures(metric: Metric, days: float) -> dict[str, Measure]:
    """The measures behind a metric's own columns, by column."""
    if metric.kind == "ratio":
        named = {name: named_measure(str(name), days=days) for name in (metric.numerator, metric.denominator)}
        return {str(name): item for name, item in named.items() if item is not None}
    if metric.event is None:
        return {}
    return {metric.column or metric.name: Measure(event=metric.event, measure=metric.measure, days=days)}


def members_of(connection: duckdb.DuckDBPyConnection, units: pd.DataFrame, *, households: bool) -> pd.DataFrame:
    """Whose events count for each unit: the customer, or everyone of the household.

    Args:
        connection: With the view ``customers``.
        units: Columns ``unit`` and ``customer_id``, one row per unit.
        households: The units are households.

    Returns:
        Columns ``row`` (position in ``units``) and ``customer_id``.
    """
    own = pd.DataFrame({"row": np.arange(len(units)), "customer_id": units["customer_id"].to_numpy()})
    if not households:
        return own
    connection.register("exposed_units", pd.DataFrame({"row": own["row"], "unit": units["unit"].to_numpy()}))
    joined = connection.execute(
        "SELECT x.row, c.customer_id FROM exposed_units x JOIN customers c ON c.household_id = x.unit"
    ).df()
    connection.unregister("exposed_units")
    return pd.concat([own, joined]).drop_duplicates().reset_index(drop=True)


def measure(
    connection: duckdb.DuckDBPyConnection,
    members: pd.DataFrame,
    at: Sequence[datetime],
    wanted: Measure,
    *,
    received_by: datetime,
) -> Floats:
    """One number per unit.

    Args:
        connection: With the view ``events``, each event once, bots flagged.
        members: From ``members_of``.
        at: Each unit's first exposure.
        wanted: What to count.
        received_by: Events received later are not known yet.

    Returns:
        Shape (units,); zero where nothing happened.
    """
    rows = members["row"].to_numpy(dtype=np.int64)
    starts = pd.DatetimeIndex(list(at)).as_unit("us")
    span = pd.Timedelta(days=wanted.days)
    low, high = (starts - span, starts) if wanted.before else (starts, starts + span)
    windows = pd.DataFrame(
        {"row": rows, "customer_id": members["customer_id"].to_numpy(), "low": low[rows], "high": high[rows]}
    )
    connection.register("exposure_windows", windows)
    answer = connection.execute(
        "SELECT w.row, count(*) AS times, sum(coalesce(e.value, 0)) AS total FROM exposure_windows w"
        " JOIN events e ON e.customer_id = w.customer_id AND e.occurred_at >= w.low AND e.occurred_at < w.high"
        " WHERE e.event = ? AND NOT e.is_bot AND e.received_at <= ? GROUP BY w.row",
        [wanted.event, received_by],
    ).df()
    connection.unregister("exposure_windows")
    values = np.zeros(len(at))
    column = answer["total"] if wanted.measure == "value" else answer["times"]
    numbers = column.to_numpy(dtype=np.float64)
    if wanted.measure == "occurred":
        numbers = np.minimum(numbers, 1.0)
    values[answer["row"].to_numpy(dtype=np.int64)] = numbers
    return values


def newest_event(
    connection: duckdb.DuckDBPyConnection, events: Sequence[str] | None, received_by: datetime
) -> datetime | None:
    """When the newest event of some kinds was received, of any kind where ``None``; ``None`` without any."""
    among, kinds = (
        ("", []) if events is None else (f"event IN ({', '.join('?' for _ in events) or 'NULL'}) AND", events)
    )
    found = connection.execute(
        f"SELECT max(received_at) FROM events WHERE {among} received_at <= ?",  # noqa: S608 - marks only
        [*kinds, received_by],
    ).fetchall()
    newest: datetime | None = found[0][0]
    return newest
