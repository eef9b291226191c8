"""Quiet hours and working hours, on the customer's own clock. Pure.

A rule is read on the local clock and date of a moment: a skipped hour never comes, a repeated one counts twice. Quiet
hours that pass midnight belong to the day on which they begin.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from foretouch.core.contact import ANY, WEEKDAYS, ContactPolicy, QuietHours, WorkingHours
from foretouch.core.events import Purpose
from foretouch.serving.rules.local_hours import Hours, hours_between, hours_of
from foretouch.serving.rules.working_days import works

HourRule = QuietHours | WorkingHours

LOOK_AHEAD = 45
"""Days within which the end of closed hours is looked for: the longest holidays and their uncertain days fit in."""
MIDNIGHT = time()
MOST_DAYS = 4096
"""Days whose open hours are kept before all are let go: a workspace has some forty zones and looks eight days ahead."""


def hour_rules(policy: ContactPolicy, channel: str | None, purpose: Purpose) -> tuple[HourRule, ...]:
    """The rules that hold for a purpose on a channel; where no channel is named, on any."""
    rules: tuple[HourRule, ...] = (*policy.quiet_hours, *policy.working_hours)
    return tuple(
        rule
        for rule in rules
        if (channel is None or ANY in rule.channels or channel in rule.channels) and purpose in rule.purposes
    )


def is_quiet(at: datetime, zone: ZoneInfo, rule: QuietHours) -> bool:
    """Whether a moment is inside quiet hours on the local clock; equal ends are a whole day from ``start`` on."""
    local = at.astimezone(zone)
    return quiet_at(local.time(), local.weekday(), rule)


def quiet_at(clock: time, weekday: int, rule: QuietHours) -> bool:
    """Whether a local time on a weekday (Monday is 0) is inside quiet hours."""
    if rule.start < rule.end:
        return rule.start <= clock < rule.end and WEEKDAYS[weekday] in rule.days
    if clock >= rule.start and WEEKDAYS[weekday] in rule.days:
        return True
    return clock < rule.end and WEEKDAYS[weekday - 1] in rule.days


def closed_at(local: datetime, rule: HourRule) -> bool:
    """Whether a rule forbids a moment.

    Args:
        local: The moment on the customer's clock.
        rule: Quiet or working hours.
    """
    if isinstance(rule, QuietHours):
        return quiet_at(local.time(), local.weekday(), rule)
    return not (rule.start <= local.time() < rule.end and works(local.date(), rule.calendar))


def first_closed(local: datetime, rules: Iterable[HourRule]) -> HourRule | None:
    """The first of the rules that forbids a moment on the customer's clock."""
    return next((rule for rule in rules if closed_at(local, rule)), None)


def open_slots(slots: Sequence[datetime], zone: ZoneInfo, rules: Sequence[HourRule]) -> tuple[datetime, ...]:
    """The slots that no rule forbids, in their order."""
    if not rules:
        return tuple(slots)
    return tuple(slot for slot in slots if first_closed(slot.astimezone(zone), rules) is None)


class OpenHours:
    """The whole local hours of days that the rules of one policy leave open, worked out once per zone and day."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[int, ...], ZoneInfo, date], Hours] = {}

    def among(self, slots: Hours, zone: ZoneInfo, rules: Sequence[HourRule]) -> Hours:
        """``open_slots`` of one moment and every whole hour after it.

        Args:
            slots: As ``slots.walk`` gives them; at least one.
            zone: The customer's.
            rules: Of the policy.
        """
        if not rules:
            return slots
        first, last = slots[0], slots[-1]
        left = slots[:1] if first_closed(first.astimezone(zone), rules) is None else ()
        if first == last:
            return left
        among = partial(self._of_day, zone, rules, tuple(map(id, rules)))
        return left + hours_between(first, last + timedelta(microseconds=1), among)

    def _of_day(self, zone: ZoneInfo, rules: Sequence[HourRule], ids: tuple[int, ...], day: date) -> Hours:
        key = (ids, zone, day)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MOST_DAYS:
                self._kept = {}
            found = self._kept[key] = open_slots(hours_of(zone, day), zone, rules)
        return found


def next_open(after: datetime, zone: ZoneInfo, rules: Sequence[HourRule]) -> datetime | None:
    """The first moment from ``after`` on that no rule forbids, within ``LOOK_AHEAD`` days.

    Rules change only at their own times of the day, at midnight, and where the clock is changed; these are tried.
    """
    day = after.astimezone(zone).date()
    turns = {MIDNIGHT, *(edge for rule in rules for edge in (rule.start, rule.end))}
    for moment in _in_order(after, zone, day, turns):
        if first_closed(moment.astimezone(zone), rules) is None:
            return moment
    return None


def _in_order(after: datetime, zone: ZoneInfo, day: date, turns: Iterable[time]) -> Iterable[datetime]:
    yield after
    for ahead in range(LOOK_AHEAD):
        today = day + timedelta(days=ahead)
        moments = {
            datetime.combine(today, turn, zone).replace(fold=fold).astimezone(UTC) for turn in turns for fold in (0, 1)
        }
        changed = _change(today, zone)
        if changed is not None:
            moments.add(changed)
        yield from sorted(moment for moment in moments if moment > after)


def _change(day: date, zone: ZoneInfo) -> datetime | None:
    """When the clock is changed on a local date, if it is."""
    low = datetime.combine(day, MIDNIGHT, zone).astimezone(UTC)
    high = datetime.combine(day + timedelta(days=1), MIDNIGHT, zone).astimezone(UTC)
    before, after = low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
    if before == after:
        return None
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
