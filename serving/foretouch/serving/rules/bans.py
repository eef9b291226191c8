"""Bans: the times in which one rule forbids a contact, as half-open spans; every rule about time comes down to them.

Times have microseconds, so that "less than seven days before and after a contact" is a half-open span as well: it
begins one microsecond later. Pure.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from foretouch.core.decisions import Stage

Span = tuple[datetime, datetime]
"""[start, end), UTC."""

ALWAYS = datetime.min.replace(tzinfo=UTC)
NEVER_ENDS = datetime.max.replace(tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ban:
    """One rule's word on when not.

    Attributes:
        stage: The kind of rule.
        rule: Its name in the policy.
        text: Why, in words.
        spans: When it forbids a contact.
        ask_again: When more will be known, where the spans stand for what is not known yet.
    """

    stage: Stage
    rule: str
    text: str
    spans: tuple[Span, ...]
    ask_again: datetime | None = None

    def until(self, at: datetime) -> datetime | None:
        """When a moment that it forbids would be free, by this rule alone; None if never."""
        return self.ask_again if self.ask_again is not None else free_from(at, self.spans)


def around(first: datetime, last: datetime, length: timedelta) -> Span:
    """Every moment less than ``length`` after ``first`` and less than ``length`` before ``last``; ends excluded."""
    return (last - length + INSTANT, first + length)


def allowed(slots: Sequence[datetime], spans: Iterable[Span]) -> tuple[datetime, ...]:
    """The slots that lie in none of the spans, in their order.

    Args:
        slots: Earliest first; at least one.
        spans: See ``Ban``.
    """
    first, last = slots[0], slots[-1]
    near = [span for span in spans if span[0] <= last and span[1] > first]
    if not near:
        return tuple(slots)
    left = tuple(slots)
    for start, end in near:
        if start < end:
            left = left[: bisect_left(left, start)] + left[bisect_left(left, end) :]
    return left


def free_from(at: datetime, spans: Sequence[Span]) -> datetime | None:
    """The first moment from ``at`` on that no span covers; None if there is none."""
    moved = True
    while moved:
        moved = False
        for start, end in spans:
            if start <= at < end:
                if end >= NEVER_ENDS:
                    return None
                at, moved = end, True
    return at
