"""Times as callers stamp them, on the workspace's own clock. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from foretouch.core.config import ClockSection
from foretouch.core.decisions import SendWindow

FUTURE = timedelta(minutes=5)
"""How far ahead of ours a caller's clock may go."""
MOVED_WITHIN = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A posted time as it is used.

    Attributes:
        at: The time on the workspace's clock.
        warning: Set when it was moved.
    """

    at: datetime
    warning: str | None = None


def settle_time(clock: ClockSection, posted: datetime, now: datetime) -> Moment:
    """A posted time on the workspace's clock.

    In a workspace that lives at another time (an offset clock), a caller that uses the machine's own time would speak
    of the far future. A time later than the workspace's now that lies within 30 days of the machine's now is moved by
    the offset, and the answer says so.

    Args:
        clock: The workspace's.
        posted: As it came, tz-aware.
        now: The workspace's time, tz-aware.
    """
    offset = timedelta(seconds=clock.offset_seconds)
    if clock.kind != "offset" or posted <= now + FUTURE or abs(posted - (now - offset)) > MOVED_WITHIN:
        return Moment(at=posted)
    moved = posted + offset
    return Moment(
        at=moved,
        warning=f"{posted.isoformat()} was moved to {moved.isoformat()}: this workspace's clock has an offset",
    )


def settle_window(clock: ClockSection, window: SendWindow, now: datetime) -> tuple[SendWindow, tuple[str, ...]]:
    """A send window on the workspace's clock, and what was moved."""
    ends = {"earliest": window.earliest, "latest": window.latest}
    moments = {name: settle_time(clock, at, now) for name, at in ends.items() if at is not None}
    moved = {name: moment.at for name, moment in moments.items() if moment.warning is not None}
    warnings = tuple(moment.warning for moment in moments.values() if moment.warning is not None)
    return (window.model_copy(update=moved) if moved else window), warnings
