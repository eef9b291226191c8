"""Send slots: the hours at which every rule lets an option be sent. Pure.

A slot is the earliest possible moment, or a whole hour on the customer's own clock after it. Slots are walked in UTC
and read on the local clock, so that a skipped hour has no slot, a repeated one has two, and zones with half and
quarter hours come out right.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from foretouch.core.contact import ANY, QuietHours, known_zone
from foretouch.core.decisions import Suppression
from foretouch.serving.candidates import Option
from foretouch.serving.contact import Touch, in_words, next_midnight

HORIZON = timedelta(days=7)
"""Slots later than this after the earliest one are not looked at: the week repeats."""


def zone_of(touch: Touch) -> tuple[ZoneInfo, str | None]:
    """The customer's zone, and a warning where none is known: request, then customer, then the policy's default."""
    if touch.request.send_window.time_zone is not None:
        return ZoneInfo(touch.request.send_window.time_zone), None
    default = touch.policy.default_time_zone
    if touch.counters.time_zone is None:
        return ZoneInfo(default), f"the customer's time zone is not known; {default} is used for quiet hours"
    try:
        return ZoneInfo(known_zone(touch.counters.time_zone)), None
    except ValueError as error:
        return ZoneInfo(default), f"the customer's {error}; {default} is used for quiet hours"


def hour_of_week(at: datetime, zone: ZoneInfo) -> int:
    """The local hour of the week, 0 (Monday 00h) to 167."""
    local = at.astimezone(zone)
    return local.weekday() * 24 + local.hour


def walk(earliest: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """The earliest moment and every later whole local hour before ``until``, in UTC, over at most seven days."""
    slots: list[datetime] = []
    at = earliest.astimezone(UTC)
    end = min(until.astimezone(UTC), at + HORIZON)
    while at < end:
        local = at.astimezone(zone)
        if not slots or (local.minute, local.second, local.microsecond) == (0, 0, 0):
            slots.append(at)
        at += timedelta(hours=1) - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return slots


def is_quiet(at: datetime, zone: ZoneInfo, rule: QuietHours) -> bool:
    """Whether a moment is inside quiet hours on the local clock; equal ends are the whole day."""
    local = at.astimezone(zone).time()
    if rule.start < rule.end:
        return rule.start <= local < rule.end
    return local >= rule.start or local < rule.end


def quiet_rules(option: Option, touch: Touch) -> tuple[QuietHours, ...]:
    """The quiet hours that hold for an option's channel and the request's purpose."""
    return tuple(
        rule
        for rule in touch.policy.quiet_hours
        if (ANY in rule.channels or option.channel in rule.channels) and touch.request.purpose in rule.purposes
    )


def bounds(option: Option, touch: Touch, expires_at: datetime) -> tuple[datetime, datetime]:
    """When an option may be sent at all: [earliest, until), from the window, the expiry and the offer's dates.

    An offer with a daily limit must be sent today, because only today's count is known.
    """
    offer, window = option.offer, touch.request.send_window
    earliest = max(touch.now, window.earliest or touch.now, offer.starts_at or touch.now)
    ends = [expires_at]
    if window.latest is not None:
        ends.append(window.latest + timedelta(microseconds=1))  # the caller's latest moment is still allowed
    if offer.ends_at is not None:
        ends.append(offer.ends_at)
    if offer.caps.per_day is not None:
        ends.append(next_midnight(touch.now, touch.policy.default_time_zone))
    return earliest, min(ends)


SlotMemo = dict[tuple[str, datetime, datetime], tuple[tuple[datetime, ...], Suppression | None]]


def allowed_slots(
    option: Option, touch: Touch, zone: ZoneInfo, expires_at: datetime, memo: SlotMemo
) -> tuple[tuple[datetime, ...], Suppression | None]:
    """The slots at which every rule lets an option be sent, earliest first; or none, and the rule that took the last.

    Rules in turn: window and dates, quiet hours, minimum gap to every other contact, past or planned.

    Args:
        option: The option.
        touch: The touchpoint and its rules.
        zone: The customer's.
        expires_at: When the decision lapses.
        memo: Slots already found for this touch and zone; they depend on the channel and the bounds alone.
    """
    key = (option.channel, *bounds(option, touch, expires_at))
    if key not in memo:
        memo[key] = _find_slots(option, touch, zone, key[1], key[2])
    slots, dropped = memo[key]
    if dropped is not None:
        dropped = dropped.model_copy(update={"offer_id": option.offer.offer_id})
    return slots, dropped


def _find_slots(
    option: Option, touch: Touch, zone: ZoneInfo, earliest: datetime, until: datetime
) -> tuple[tuple[datetime, ...], Suppression | None]:
    slots = walk(earliest, until, zone)
    if not slots:
        return (), option.drop("dates", "send_window", _why_no_time(touch, earliest, until))
    quiet = quiet_rules(option, touch)
    awake = [slot for slot in slots if not any(is_quiet(slot, zone, rule) for rule in quiet)]
    if not awake:
        dropped = option.drop("quiet_hours", quiet[0].rule, f"every slot of the window is in quiet hours ({zone.key})")
        return (), dropped.model_copy(update={"until": _next_awake(slots[-1], zone, quiet)})
    if not touch.capped or touch.policy.minimum_gap_hours <= 0.0:
        return tuple(awake), None
    gap = timedelta(hours=touch.policy.minimum_gap_hours)
    apart = [slot for slot in awake if all(abs(slot - contact.at) >= gap for contact in touch.own)]
    if not apart:
        text = f"every slot is less than {touch.policy.minimum_gap_hours:g} h from another contact"
        dropped = option.drop("caps", "minimum_gap", text)
        return (), dropped.model_copy(update={"until": max(contact.at for contact in touch.own) + gap})
    return tuple(apart), None


def _why_no_time(touch: Touch, earliest: datetime, until: datetime) -> str:
    """Why a window leaves no slot, whichever of its ends it is that does."""
    window = touch.request.send_window
    if window.latest is not None and window.latest < touch.now:
        return f"the send window closed at {in_words(window.latest)}"
    if window.earliest is not None and window.earliest == earliest:
        return f"the send window opens at {in_words(earliest)}, after the latest possible time, {in_words(until)}"
    return f"no time is left between {in_words(earliest)} and {in_words(until)}"


def _next_awake(after: datetime, zone: ZoneInfo, quiet: Sequence[QuietHours]) -> datetime | None:
    for slot in walk(after, after + timedelta(days=2), zone):
        if slot > after and not any(is_quiet(slot, zone, rule) for rule in quiet):
            return slot
    return None
