"""The whole hours of a local clock, laid out once per zone and day of UTC and shared by all decisions. Pure.

Half-hour zones, skipped and repeated hours come out as they are: a whole hour is a moment at which the local clock
shows no minutes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_KEPT = 4096
"""Pairs of zone and day that are kept: a decision asks for eight days, a workspace for some forty zones."""

Hours = tuple[datetime, ...]
"""Moments in UTC, earliest first."""


@lru_cache(maxsize=_KEPT)
def whole_hours(zone: ZoneInfo, day: date) -> Mapping[datetime, int]:
    """Every whole local hour of one day of UTC, earliest first, with its local hour of the week (Monday 00h is 0)."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = at + _DAY
    found = {}
    while at < end:
        local = at.astimezone(zone)
        over = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        if not over:
            found[at] = local.weekday() * 24 + local.hour
        at += _HOUR - over
    return found


@lru_cache(maxsize=_KEPT)
def hours_of(zone: ZoneInfo, day: date) -> Hours:
    """The moments of ``whole_hours``."""
    return tuple(whole_hours(zone, day))


def hours_between(after: datetime, before: datetime, hours: Callable[[date], Hours]) -> Hours:
    """The moments of some days that lie after one moment and before another, both excluded.

    Args:
        after: UTC.
        before: UTC.
        hours: The moments of each day of UTC.
    """
    day, last = after.date(), before.date()
    first = hours(day)
    found = first[bisect_right(first, after) : bisect_left(first, before)]
    while day < last:
        day += _DAY
        more = hours(day)
        found += more if day < last else more[: bisect_left(more, before)]
    return found


def hours_of_week(slots: Hours, zone: ZoneInfo) -> list[int]:
    """The local hour of the week of every slot, 0 (Monday 00h) to 167.

    Args:
        slots: Earliest first; at least one.
        zone: Whose clock.
    """
    day, last = slots[0].date(), slots[-1].date()
    known = dict(whole_hours(zone, day))
    while day < last:
        day += _DAY
        known.update(whole_hours(zone, day))
    return [known[slot] if slot in known else hour_of_week(slot, zone) for slot in slots]


def hour_of_week(at: datetime, zone: ZoneInfo) -> int:
    """The local hour of the week, 0 (Monday 00h) to 167."""
    local = at.astimezone(zone)
    return local.weekday() * 24 + local.hour
