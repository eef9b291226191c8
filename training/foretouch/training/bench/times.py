"""Times in any log: read with the zone that the caller declares, never guessed."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from foretouch.core.errors import DataError


def known_zone(name: str) -> ZoneInfo:
    """An IANA zone.

    Raises:
        DataError: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError) as error:
        raise DataError(f"--time-zone == {name!r} is no IANA time zone", hint="e.g. Europe/Paris or UTC") from error


def read_times(frame: pd.DataFrame, column: str, zone: ZoneInfo) -> "pd.Series[pd.Timestamp]":
    """A column of times, tz-aware in ``zone``; times without an offset are wall-clock times of that zone.

    A wall-clock time that the change to summer time skips is moved to the next that exists; one that comes twice in
    autumn is the second (standard) one.

    Raises:
        DataError: A cell is no time.
    """
    try:
        if pd.api.types.is_numeric_dtype(frame[column]):
            raise TypeError("its cells are numbers")
        times = pd.to_datetime(frame[column], format=None if _is_time(frame, column) else "ISO8601")
        if times.isna().any():
            raise ValueError(f"row {int(np.flatnonzero(times.isna())[0])} has none")
        if times.dt.tz is None:
            return times.dt.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.zeros(len(times), dtype=bool))
        return times.dt.tz_convert(zone)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"column {column!r} cannot be read as times: {error}", hint="ISO 8601, all with or all without an offset"
        ) from error


def read_as_of(text: str, zone: ZoneInfo) -> pd.Timestamp:
    """The as-of time; a date is its first moment in ``zone``.

    Raises:
        DataError: It is no ISO date or time.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--as-of == {text!r} is no ISO date or time", hint="e.g. 2025-03-20") from error
    return pd.Timestamp(at.replace(tzinfo=zone) if at.tzinfo is None else at)


def _is_time(frame: pd.DataFrame, column: str) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(frame[column]))
