"""Quiet and working hours a second time, minute by minute from the offsets of a zone: no code of the service's."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.contact import WEEKDAYS, QuietHours, WorkingHours

MINUTE = timedelta(minutes=1)


def transitions(zone: ZoneInfo, first: int, last: int) -> list[datetime]:
    """The hours (UTC) around which a zone's offset changes, from the first year to the last."""
    found = []
    at = datetime(first, 1, 1, tzinfo=UTC)
    offset = zone.utcoffset(at.astimezone(zone))
    while at.year <= last:
        after = at + timedelta(hours=12)
        now = zone.utcoffset(after.astimezone(zone))
        if now != offset:
            found.append(at)
            offset = now
        at = after
    return found


def minutes(at: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The local day (since 1970, Thursday) and the minute of it, by arithmetic on the offset."""
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    seconds = int(at.timestamp()) + int(offset.total_seconds())
    return seconds // 86_400, seconds % 86_400 // 60


def quiet(at: datetime, zone: ZoneInfo, rule: QuietHours) -> bool:
    """Whether a whole minute lies in quiet hours: walked back to the minute at which they began."""
    day, minute = minutes(at, zone)
    start, end = _minute(rule.start), _minute(rule.end)
    length = (end - start) % 1440 or 1440
    since = (minute - start) % 1440
    begun = day if minute >= start else day - 1
    return since < length and WEEKDAYS[(begun + 3) % 7] in rule.days


def outside(at: datetime, zone: ZoneInfo, rule: WorkingHours, holidays: frozenset[date] = frozenset()) -> bool:
    """Whether a whole minute lies outside working hours, Monday to Friday without holidays."""
    day, minute = minutes(at, zone)
    off = (day + 3) % 7 > 4 or date(1970, 1, 1) + timedelta(days=day) in holidays
    return off or not _minute(rule.start) <= minute < _minute(rule.end)


def walk(start: datetime, hours: int) -> Iterator[datetime]:
    """Every minute from a whole minute on."""
    for step in range(hours * 60):
        yield start + step * MINUTE


def _minute(clock: time) -> int:
    return clock.hour * 60 + clock.minute
