"""Local times of a zone as UTC, many at once: one table of the zone's changes of clock instead of one call per time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)
"""Between these the table is right; what lies outside is asked one by one."""


@dataclass(frozen=True, kw_only=True)
class ZoneClock:
    """A zone's changes of clock, in microseconds since 1970.

    Attributes:
        name: IANA name of the zone.
        changes: When its offset from UTC changes (UTC), sorted, shape (m,).
        offsets: The offset before, between and after, shape (m + 1,).
    """

    name: str
    changes: IntArray
    offsets: IntArray

    def to_utc(self, local: IntArray) -> IntArray:
        """Local times as UTC, shape (n,): a skipped one moves to the change, one that comes twice is the first.

        Args:
            local: Microseconds since 1970 on the zone's own clock, shape (n,).
        """
        begins = np.searchsorted(self.changes + self.offsets[:-1], local, side="right")
        begun = np.concatenate([[np.iinfo(np.int64).min], self.changes])[begins]
        found: IntArray = np.maximum(local - self.offsets[begins], begun)
        outside = (local < _micros(FIRST)) | (local >= _micros(LAST))
        if outside.any():
            found[outside] = self._one_by_one(local[outside])
        return found

    def _one_by_one(self, local: IntArray) -> IntArray:
        times = pd.DatetimeIndex(local.view("datetime64[us]"))
        first = np.ones(len(times), dtype=bool)
        there = times.tz_localize(self.name, ambiguous=first, nonexistent="shift_forward")
        return there.tz_convert("UTC").tz_localize(None).as_unit("us").asi8


@cache
def zone_clock(name: str) -> ZoneClock:
    """The clock of a zone.

    Args:
        name: Its IANA name.
    """
    zone, step = ZoneInfo(name), timedelta(days=1)
    at, offset = FIRST - step, _offset(zone, FIRST - step)
    changes, offsets = [], [offset]
    while at < LAST:
        if _offset(zone, at + step) != offset:
            before, after = at, at + step
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) / 2
                middle -= timedelta(microseconds=middle.microsecond)
                before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
            offset = _offset(zone, after)
            changes.append(_micros(after))
            offsets.append(offset)
        at += step
    return ZoneClock(name=name, changes=np.array(changes, np.int64), offsets=np.array(offsets, np.int64))


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1e6)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)
