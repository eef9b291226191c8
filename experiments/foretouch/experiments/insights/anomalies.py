"""Days that stand out: each day's figures beside the band expected from the weeks before.

A day is one of the workspace's time zone; only whole days are judged. A day that stands out is a reason to look, not an
explanation: of healthy days one in a hundred does.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from foretouch.core.attribution import DAY, goal_events
from foretouch.core.state.connection import from_micros, to_micros
from foretouch.experiments.insights.contract import DailyPoint, DailySeries
from foretouch.experiments.insights.expected_band import LONGEST, SHORTEST, band
from foretouch.experiments.insights.reading import Gathered

QUARTER: Final = 900_000_000
"""Figures are summed by quarter of an hour, the finest step of any time zone's offset, and then by local day."""
_LOGGED: Final = "SELECT {at} // {quarter}, count(*) FROM {table} GROUP BY 1"
_POSTED: Final = """
    SELECT occurred_at // {quarter}, count(*) FROM (
        SELECT h.decision_id, h.rank, min(h.occurred_at) AS occurred_at
        FROM happened h JOIN contacts c ON c.decision_id = h.decision_id AND c.rank = h.rank
        WHERE list_contains([{types}], h.type) AND NOT h.by_machine GROUP BY h.decision_id, h.rank) GROUP BY 1"""
_EVENTS: Final = """
    SELECT epoch_us(occurred_at) // {quarter}, {what} FROM events
    WHERE list_contains(?, event) AND NOT is_bot AND epoch_us(received_at) <= ? AND epoch_us(occurred_at) >= ?
      AND epoch_us(occurred_at) < ? GROUP BY 1"""
COUNTS: Final = ("decisions", "contacts", "opened", "clicked", "unsubscribed", "conversions")
NAMES: Final = (*COUNTS, "revenue")


def anomalies(gathered: Gathered, zone: str) -> tuple[DailySeries, ...]:
    """Every series that has any figure.

    Args:
        gathered: The period.
        zone: The workspace's time zone.
    """
    local = ZoneInfo(zone)
    first, last = _whole_days(gathered, local)
    made = []
    for name, quarters in _figures(gathered).items():
        days: dict[date, float] = defaultdict(float)
        for quarter, value in quarters.items():
            days[from_micros(quarter * QUARTER).astimezone(local).date()] += value
        if days:
            made.append(_series(name, days, first=first, last=last))
    return tuple(made)


def _whole_days(gathered: Gathered, local: ZoneInfo) -> tuple[date, date]:
    """The first and the last day of the period that lie wholly in it."""
    begin, end = (at.astimezone(local) for at in (gathered.since, min(gathered.until, gathered.as_of)))
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    first = begin.date() if begin == midnight else begin.date() + timedelta(days=1)
    return first, end.date() - timedelta(days=1)


def _series(name: str, days: Mapping[date, float], *, first: date, last: date) -> DailySeries:
    """The figures of a period's whole days, each with its band where there are weeks enough before it."""
    oldest = min(*days, first)
    line = [oldest + timedelta(days=index) for index in range((last - oldest).days + 1)]
    values = np.array([float(days.get(day, 0.0)) for day in line])
    counts = name in COUNTS
    points = []
    for index, day in enumerate(line):
        if day < first:
            continue
        expected = band(values[:index], counts=counts)
        value = float(values[index])
        outside = expected is not None and not expected.low <= value <= expected.high
        points.append(
            DailyPoint(
                day=day.isoformat(),
                value=value,
                low=None if expected is None else expected.low,
                high=None if expected is None else expected.high,
                outside=outside,
            )
        )
    judged = sum(point.low is not None for point in points)
    return DailySeries(
        name=name,
        judged=judged,
        outside=sum(point.outside for point in points),
        history_days=max((first - oldest).days, 0),
        needed_days=SHORTEST,
        points=tuple(points),
    )


def _figures(gathered: Gathered) -> dict[str, dict[int, float]]:
    """By series: the sum of each quarter of an hour, numbered since 1970."""
    tables = gathered.tables
    accepted, value_event = goal_events(gathered.config)
    earlier = to_micros(datetime.combine(gathered.since.date(), datetime.min.time(), gathered.since.tzinfo))
    span = [gathered.known, earlier - LONGEST * DAY, min(gathered.end, gathered.known)]
    queries = {
        "decisions": _LOGGED.format(quarter=QUARTER, at="decided_at", table="decided"),
        "contacts": _LOGGED.format(quarter=QUARTER, at="send_at", table="contacts"),
        "opened": _POSTED.format(quarter=QUARTER, types="'open', 'click'"),
        "clicked": _POSTED.format(quarter=QUARTER, types="'click'"),
        "unsubscribed": _POSTED.format(quarter=QUARTER, types="'unsubscribe', 'complaint'"),
    }
    found = {name: dict(_pairs(tables.execute(query).fetchall())) for name, query in queries.items()}
    for name, events, what in (
        ("conversions", sorted(accepted), "count(*)"),
        ("revenue", [value_event], "sum(coalesce(value, 0))"),
    ):
        query = _EVENTS.format(quarter=QUARTER, what=what)
        found[name] = dict(_pairs(tables.execute(query, [events, *span]).fetchall()))
    return found


def _pairs(rows: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    return ((int(quarter), float(value)) for quarter, value in rows)
