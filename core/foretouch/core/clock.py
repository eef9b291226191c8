"""The only place that reads the wall clock. Everything else is told the time.

A workspace has a clock of its own: the machine's (``system``), the machine's moved by a fixed amount
(``offset``, for sample data of another year) or a hand-moved one (``manual``, for simulated campaigns).
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


def utc_now() -> datetime:
    """The machine's time, tz-aware, UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never goes back: for deadlines and latencies only."""
    return time.perf_counter()


class Clock(Protocol):
    """Tells the workspace's time."""

    def now(self) -> datetime:
        """The workspace's time, tz-aware, UTC."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The machine's time."""
        return utc_now()


class FixedClock:
    """A clock that stands still: for tests and replays."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The time it was given."""
        return self.at


class OffsetClock:
    """The machine's time plus a fixed offset: a sample of 2017 is decided on as if it were then.

    Args:
        offset: Added to the machine's time; negative for a workspace that lives in the past.
    """

    def __init__(self, offset: timedelta) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The machine's time, moved."""
        return utc_now() + self.offset


class ManualClock:
    """A clock kept in a small file, moved by hand: simulated days pass in seconds.

    Args:
        path: A JSON file ``{"now": "<RFC 3339>"}``; written atomically by ``set``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def now(self) -> datetime:
        """The time in the file."""
        text: str = json.loads(self.path.read_text(encoding="utf-8"))["now"]
        return datetime.fromisoformat(text).astimezone(UTC)

    def set(self, at: datetime) -> None:
        """Moves the clock to ``at`` (tz-aware) for every process that reads this file."""
        if at.tzinfo is None:
            raise ValueError(f"at == {at.isoformat()}, must carry an offset")
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps({"now": at.astimezone(UTC).isoformat()}), encoding="utf-8")
        draft.replace(self.path)
