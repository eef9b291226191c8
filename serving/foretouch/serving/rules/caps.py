"""Caps on contacts and the gap between them, as the times that they leave no room in. Pure.

A cap of ``limit`` in rolling windows forbids a moment if some window of that length that holds it would hold more
than ``limit`` contacts, whatever lies before and after: past, planned and just chosen contacts all count. That is so
exactly between the ends of each run of ``limit`` neighbouring contacts that itself fits into one window. A window is
half-open: two contacts a full length apart are in no window together.

A calendar cap forbids a period that is full, on the clock of its zone.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from foretouch.core.contact import ANY, Cap
from foretouch.core.counters import PastContact
from foretouch.serving.rules.bans import ALWAYS, NEVER_ENDS, Ban, Span, around
from foretouch.serving.rules.contact import Touch, in_words

Period = Literal["day", "week", "month"]


def cap_ban(
    cap: Cap, touch: Touch, zone: ZoneInfo, *, channel: str, offer_id: str | None, placement: str | None
) -> Ban | None:
    """When a cap leaves no room for one more contact; None if it always does.

    Args:
        cap: The cap; it must hold for the channel.
        touch: The touchpoint.
        zone: The customer's.
        channel: Of the contact that is asked about.
        offer_id: Its offer, where the cap's scope is ``offer``.
        placement: Its placement, where the cap's scope is ``placement``; a contact without one is in no placement.
    """
    if cap.limit == 0:
        text = f"no contact ({cap.scope}) is allowed"
        return Ban("caps", cap.rule, text, ((ALWAYS, NEVER_ENDS),))
    if cap.scope == "total":
        return _total(cap, touch)
    times = _counted(cap, touch, channel, offer_id, placement)
    if len(times) < cap.limit:
        return None
    if cap.calendar is None:
        return _rolling(cap, times, touch.now)
    clock = ZoneInfo(touch.policy.default_time_zone) if cap.scope == "household" else zone
    return _calendar(cap, cap.calendar, times, touch.now, clock)


def gap_ban(touch: Touch) -> Ban | None:
    """The times that are too close to another contact of the customer, past, planned or just chosen."""
    hours = touch.policy.minimum_gap_hours
    if hours <= 0.0 or not touch.own:
        return None
    gap = timedelta(hours=hours)
    spans = tuple(around(contact.at, contact.at, gap) for contact in touch.own if contact.at + gap > touch.now)
    text = f"every slot is less than {hours:g} h from another contact"
    return Ban("caps", "minimum_gap", text, spans) if spans else None


def period_of(day: date, period: Period) -> tuple[int, ...]:
    """What a local date's day, week or month is called."""
    if period == "day":
        return (day.toordinal(),)
    return tuple(day.isocalendar()[:2]) if period == "week" else (day.year, day.month)


def bounds_of(day: date, period: Period, zone: ZoneInfo) -> Span:
    """When the period that holds a local date begins and ends, UTC."""
    if period == "day":
        first, after = day, day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        after = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return _midnight(first, zone), _midnight(after, zone)


def _counted(cap: Cap, touch: Touch, channel: str, offer_id: str | None, placement: str | None) -> Sequence[datetime]:
    """Times of the contacts that count, in their order."""
    pool = touch.household if cap.scope == "household" else touch.own
    if len(pool) < cap.limit or (cap.scope == "placement" and placement is None):
        return ()
    every = ANY in cap.channels
    return [
        contact.at
        for contact in reversed(pool)
        if (every or contact.channel in cap.channels) and _counts(cap, contact, channel, offer_id, placement)
    ]


def _counts(cap: Cap, contact: PastContact, channel: str, offer_id: str | None, placement: str | None) -> bool:
    if cap.scope == "channel":
        return contact.channel == channel
    if cap.scope == "offer":
        return contact.offer_id == offer_id
    return cap.scope != "placement" or contact.placement == placement


def _rolling(cap: Cap, times: Sequence[datetime], now: datetime) -> Ban | None:
    length = timedelta(days=cap.longest_days)
    spans = tuple(
        around(first, last, length)
        for first, last in zip(times, times[cap.limit - 1 :], strict=False)
        if last - first < length and first + length > now
    )
    if not spans:
        return None
    counted = sum(at > now - length for at in times)
    text = f"{counted} contacts ({cap.scope}) in {cap.longest_days:g} days; {cap.limit} allowed"
    return Ban("caps", cap.rule, text, spans)


def _calendar(cap: Cap, period: Period, times: Sequence[datetime], now: datetime, zone: ZoneInfo) -> Ban | None:
    days = [at.astimezone(zone).date() for at in times]
    counted = Counter(period_of(day, period) for day in days)
    full = {name: day for day in days if counted[name := period_of(day, period)] >= cap.limit}
    spans = {name: bounds_of(day, period, zone) for name, day in full.items()}
    still = {name: span for name, span in spans.items() if span[1] > now}
    if not still:
        return None
    most = max(counted[name] for name in still)
    text = f"{most} contacts ({cap.scope}) in one {period} ({zone.key}); {cap.limit} allowed"
    return Ban("caps", cap.rule, text, tuple(still.values()))


def _total(cap: Cap, touch: Touch) -> Ban | None:
    """A cap over everyone, whose contacts the state has counted.

    Of a rolling window there is one count, of the window that ends now and all that is planned, so that it can stand
    for every window that a later slot would lie in. Of a calendar there is one of the present period and of some that
    follow; of what comes after them nothing is known, which forbids it.
    """
    counted = touch.counters.total_contacts.get(cap.rule)
    if counted is None:
        return Ban("caps", cap.rule, "the contacts of everyone were not counted", ((ALWAYS, NEVER_ENDS),))
    mine = [contact.at for contact in touch.chosen if ANY in cap.channels or contact.channel in cap.channels]
    if cap.calendar is None:
        text = f"{counted} contacts of everyone in {cap.longest_days:g} days; {cap.limit} allowed"
        full = counted + len(mine) >= cap.limit
        return Ban("caps", cap.rule, text, ((ALWAYS, NEVER_ENDS),)) if full else None
    zone = ZoneInfo(touch.policy.default_time_zone)
    later = touch.counters.total_later.get(cap.rule, ())
    if later:
        return _periods(cap, (counted, *later), mine, now=touch.now, zone=zone)
    _, ends = bounds_of(touch.now.astimezone(zone).date(), cap.calendar, zone)
    if counted + len(mine) >= cap.limit:
        text = f"{counted} contacts of everyone this {cap.calendar}; {cap.limit} allowed"
        return Ban("caps", cap.rule, text, ((ALWAYS, NEVER_ENDS),), ask_again=ends)
    text = f"the contacts of everyone are known for this {cap.calendar} only"
    return Ban("caps", cap.rule, text, ((ends, NEVER_ENDS),), ask_again=ends)


def _periods(cap: Cap, counts: Sequence[int], mine: Sequence[datetime], *, now: datetime, zone: ZoneInfo) -> Ban:
    """The full ones of the periods whose contacts are known, and everything after them.

    Args:
        cap: Over everyone, with a calendar.
        counts: Contacts from the present period on, from the next one on, and so on.
        mine: Times of the contacts that this answer has chosen already.
        now: The decision's time.
        zone: Of the periods' midnights.
    """
    period: Period = cap.calendar or "day"
    spans: list[Span] = []
    most = 0
    start, end = bounds_of(now.astimezone(zone).date(), period, zone)
    for from_here, from_next in pairwise(counts):
        held = from_here - from_next + sum(start <= at < end for at in mine)
        if held >= cap.limit:
            spans.append((start, end))
            most = max(most, held)
        start, end = bounds_of(end.astimezone(zone).date(), period, zone)
    text = f"the contacts of everyone are known until {in_words(start)} only"
    if spans:
        text = f"{most} contacts of everyone in one {period} ({zone.key}); {cap.limit} allowed"
    some_left = 0 < len(spans) < len(counts) - 1
    return Ban("caps", cap.rule, text, (*spans, (start, NEVER_ENDS)), ask_again=None if some_left else start)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a date begins: where midnight is skipped, the moment of the change; where it comes twice, the first."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
