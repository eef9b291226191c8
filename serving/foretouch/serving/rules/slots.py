"""Send slots: the hours at which every rule lets an option be sent. Pure.

A slot is the earliest possible moment, or a whole hour on the customer's own clock after it. Slots are walked in UTC
and read on the local clock, so that a skipped hour has no slot, a repeated one has two, and zones with half and
quarter hours come out right. Every rule is asked at the slot: a contact that is capped now and free in five hours
keeps the later slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from foretouch.core.contact import ANY, Cap, ContactPolicy, CoolDown, WorkingHours, known_zone
from foretouch.core.decisions import Suppression
from foretouch.core.events import Purpose
from foretouch.serving.decision.candidates import Option
from foretouch.serving.rules.bans import INSTANT, Ban, allowed
from foretouch.serving.rules.caps import cap_ban, gap_ban
from foretouch.serving.rules.contact import Touch, in_words, next_midnight, placement_of
from foretouch.serving.rules.cool_down import cool_down_ban, suppression_bans
from foretouch.serving.rules.hours import HourRule, OpenHours, first_closed, hour_rules, is_quiet, next_open, open_slots
from foretouch.serving.rules.local_hours import hour_of_week, hours_between, hours_of
from foretouch.serving.rules.working_days import is_known, unpublished

__all__ = [
    "HORIZON",
    "SlotMemo",
    "allowed_slots",
    "bounds",
    "common_bounds",
    "hour_of_week",
    "is_quiet",
    "shares_slots",
    "walk",
    "zone_of",
]

HORIZON = timedelta(days=7)
"""Slots later than this after the earliest one are not looked at: the week repeats."""
OF_AN_OFFER = frozenset({"offer", "placement", "category"})
"""Scopes of rules that tell offers apart; all others are the same for every offer on a channel."""

Bounds = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """The rules about time that hold on one channel for one purpose.

    Attributes:
        hours: Quiet and working hours.
        caps: Caps that are the same for every offer.
        cool_downs: Cool-downs that are the same for every offer.
        caps_of_offers: Caps by offer or placement.
        cool_downs_of_offers: Cool-downs by offer or category.
        hours_key: The same for channels whose hours are the same.
        group: The same for channels whose rules by offer are the same, so that they share the work.
        of_repeats: Of the rules that tell offers apart, all say nothing of an offer that the customer was never sent.
    """

    hours: tuple[HourRule, ...]
    caps: tuple[Cap, ...]
    cool_downs: tuple[CoolDown, ...]
    caps_of_offers: tuple[Cap, ...]
    cool_downs_of_offers: tuple[CoolDown, ...]
    hours_key: tuple[int, ...]
    group: tuple[str, ...]
    of_repeats: bool


@dataclass(slots=True)
class Found:
    """Slots that rules left, or how the last one was lost.

    Attributes:
        slots: Earliest first.
        ban: The rule that took the last slot.
        until: When that rule would allow a contact again, if that is known.
    """

    slots: tuple[datetime, ...]
    ban: Ban | None = None
    until: datetime | None = None


@dataclass(slots=True)
class SlotMemo:
    """What was already found for one touch and zone: rules are asked once per channel, not once per option."""

    common: Bounds | None = None
    bounds: dict[str, Bounds] = field(default_factory=dict)
    rules: dict[str, ChannelRules] = field(default_factory=dict)
    walked: dict[Bounds, tuple[datetime, ...]] = field(default_factory=dict)
    opened: dict[tuple[int, tuple[int, ...]], tuple[datetime, ...]] = field(default_factory=dict)
    shared_bans: dict[str, tuple[Ban, ...]] = field(default_factory=dict)
    bans: dict[tuple[tuple[str, ...], str, str | None], tuple[Ban, ...]] = field(default_factory=dict)
    shared: dict[tuple[str, Bounds], Found] = field(default_factory=dict)
    unbanned: dict[tuple[Bounds, tuple[int, ...]], Found] = field(default_factory=dict)
    gaps: tuple[Ban, ...] | None = None
    spaced: dict[tuple[datetime, ...], Found] = field(default_factory=dict)


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


def calendar_warnings(touch: Touch, zone: ZoneInfo, expires_at: datetime) -> tuple[str, ...]:
    """What a caller should know of working-day calendars that do not reach the decision's days."""
    calendars = [rule.calendar for rule in touch.policy.working_hours if rule.calendar]
    if not calendars:
        return ()
    return unpublished(calendars, touch.now.astimezone(zone).date(), expires_at.astimezone(zone).date())


def walk(earliest: datetime, until: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The earliest moment and every later whole local hour before ``until``, in UTC, over at most seven days."""
    at = earliest.astimezone(UTC)
    end = min(until.astimezone(UTC), at + HORIZON)
    return (at, *hours_between(at, end, partial(hours_of, zone))) if at < end else ()


def bounds(option: Option, touch: Touch, expires_at: datetime) -> Bounds:
    """When an option may be sent at all: [earliest, until), from the window, the expiry and the offer's dates.

    An offer with a daily limit must be sent today, because only today's count is known.
    """
    offer, window = option.offer, touch.request.send_window
    earliest = max(touch.now, window.earliest or touch.now, offer.starts_at or touch.now)
    ends = [expires_at]
    if window.latest is not None:
        ends.append(window.latest + INSTANT)  # the caller's latest moment is still allowed
    if offer.ends_at is not None:
        ends.append(offer.ends_at)
    if offer.caps.per_day is not None:
        ends.append(next_midnight(touch.now, touch.policy.default_time_zone))
    return earliest, min(ends)


def allowed_slots(
    option: Option, touch: Touch, zone: ZoneInfo, expires_at: datetime, memo: SlotMemo
) -> tuple[tuple[datetime, ...], Suppression | None]:
    """The slots at which every rule lets an option be sent, earliest first; or none, and the rule that took the last.

    Rules in turn: window and dates, suppression lists, cool-downs, caps, quiet and working hours, minimum gap; then
    the cool-downs and caps that tell offers apart.

    Args:
        option: The option.
        touch: The touchpoint and its rules.
        zone: The customer's.
        expires_at: When the decision lapses.
        memo: What was already found for this touch and zone.
    """
    channel = option.channel
    within = _bounds(option, touch, expires_at, memo)
    found = memo.shared.get((channel, within))
    if found is None:
        found = memo.shared[channel, within] = _shared(channel, touch, zone, within, memo)
    rules = channel_rules(touch, channel, memo)
    if rules.group and found.slots:
        bans = _of_offer(option, touch, zone, rules, memo)
        if bans:
            found = _after(found.slots, bans)
    if found.slots:
        return found.slots, None
    if found.ban is None:
        return (), option.drop("dates", "send_window", _why_no_time(touch, *within))
    ban = found.ban
    return (), option.drop(ban.stage, ban.rule, ban.text, until=found.until)


def channel_rules(touch: Touch, channel: str, memo: SlotMemo) -> ChannelRules:
    """The rules about time of a channel, worked out once per policy."""
    rules = memo.rules.get(channel)
    if rules is None:
        plan = touch.plans.get("contact_rules", (touch.policy,), dict[tuple[str, Purpose], ChannelRules])
        key = (channel, touch.request.purpose)
        rules = plan.get(key)
        if rules is None:
            rules = plan[key] = _rules_of(touch.policy, channel, touch.request.purpose)
        memo.rules[channel] = rules
    return rules


def _rules_of(policy: ContactPolicy, channel: str, purpose: Purpose) -> ChannelRules:
    capped = purpose not in policy.purposes_without_caps
    caps = [cap for cap in policy.caps if capped and (ANY in cap.channels or channel in cap.channels)]
    pauses = [
        rule
        for rule in policy.cool_downs
        if (ANY in rule.channels or channel in rule.channels) and purpose in rule.purposes
    ]
    caps_of_offers = tuple(cap for cap in caps if cap.scope in OF_AN_OFFER)
    cool_downs_of_offers = tuple(rule for rule in pauses if rule.scope in OF_AN_OFFER)
    hours = hour_rules(policy, channel, purpose)
    return ChannelRules(
        hours=hours,
        hours_key=tuple(map(id, hours)),
        caps=tuple(cap for cap in caps if cap.scope not in OF_AN_OFFER),
        cool_downs=tuple(rule for rule in pauses if rule.scope not in OF_AN_OFFER),
        caps_of_offers=caps_of_offers,
        cool_downs_of_offers=cool_downs_of_offers,
        group=tuple(f"{id(rule)}" for rule in (*caps_of_offers, *cool_downs_of_offers)),
        of_repeats=not cool_downs_of_offers and all(cap.scope == "offer" and cap.limit > 0 for cap in caps_of_offers),
    )


def common_bounds(touch: Touch, expires_at: datetime, memo: SlotMemo) -> Bounds:
    """``bounds`` of an offer whose dates and limits narrow nothing."""
    if memo.common is None:
        window = touch.request.send_window
        latest = expires_at if window.latest is None else min(expires_at, window.latest + INSTANT)
        memo.common = (max(touch.now, window.earliest or touch.now), latest)
    return memo.common


def shares_slots(touch: Touch, channel: str, memo: SlotMemo) -> bool:
    """Whether all offers with the same bounds that the customer was never sent have the same slots on a channel."""
    rules = channel_rules(touch, channel, memo)
    return not rules.group or rules.of_repeats


def _bounds(option: Option, touch: Touch, expires_at: datetime, memo: SlotMemo) -> Bounds:
    """``bounds``, worked out once per offer, and shared by all offers that narrow nothing."""
    offer = option.offer
    known = memo.bounds.get(offer.offer_id)
    if known is not None:
        return known
    common = earliest, until = common_bounds(touch, expires_at, memo)
    plain = (
        (offer.starts_at is None or offer.starts_at <= earliest)
        and (offer.ends_at is None or offer.ends_at >= until)
        and offer.caps.per_day is None
    )
    found = memo.bounds[offer.offer_id] = common if plain else bounds(option, touch, expires_at)
    return found


def _shared(channel: str, touch: Touch, zone: ZoneInfo, within: Bounds, memo: SlotMemo) -> Found:
    """The slots that the rules of a channel leave every offer with the same bounds.

    Channels on which nothing is banned now differ in their hours alone, and share the work where those are the same.
    """
    slots = memo.walked.get(within)
    if slots is None:
        slots = memo.walked[within] = walk(*within, zone)
    if not slots:
        return Found(())
    rules = channel_rules(touch, channel, memo)
    bans = memo.shared_bans.get(channel)
    if bans is None:
        bans = memo.shared_bans[channel] = _bans_of(channel, touch, zone, rules)
    if bans:
        found = _after(slots, bans)
        if found.slots is slots:
            found = _open_whole(slots, zone, rules, touch, memo)
        elif found.slots:  # another rule took some
            opened = open_slots(found.slots, zone, rules.hours)
            found = _opened(slots=found.slots, opened=opened, zone=zone, rules=rules)
        return _spaced(found, touch, memo)
    shared = memo.unbanned.get((within, rules.hours_key))
    if shared is None:
        found = _spaced(_open_whole(slots, zone, rules, touch, memo), touch, memo)
        shared = memo.unbanned[within, rules.hours_key] = found
    return shared


def _bans_of(channel: str, touch: Touch, zone: ZoneInfo, rules: ChannelRules) -> tuple[Ban, ...]:
    """The times in which a rule of a channel forbids every offer."""
    bans = [*suppression_bans(touch, channel)]
    for rule in rules.cool_downs:
        ban = cool_down_ban(rule, touch, channel=channel, offer_id=None, category=None)
        if ban is not None:
            bans.append(ban)
    for cap in rules.caps:
        ban = cap_ban(cap, touch, zone, channel=channel, offer_id=None, placement=None)
        if ban is not None:
            bans.append(ban)
    return tuple(bans)


def _spaced(found: Found, touch: Touch, memo: SlotMemo) -> Found:
    """What the gap to other contacts leaves; channels with the same slots share the work."""
    if not found.slots or not touch.capped:
        return found
    if memo.gaps is None:
        gap = gap_ban(touch)
        memo.gaps = () if gap is None else (gap,)
    if not memo.gaps:
        return found
    spaced = memo.spaced.get(found.slots)
    if spaced is None:
        spaced = memo.spaced[found.slots] = _after(found.slots, memo.gaps)
    return spaced


def _open_whole(
    slots: tuple[datetime, ...], zone: ZoneInfo, rules: ChannelRules, touch: Touch, memo: SlotMemo
) -> Found:
    """The slots of a whole window outside closed hours; channels with the same rules share the work."""
    key = (id(slots), rules.hours_key)  # the memo holds the slots, so that their identity stays theirs
    opened = memo.opened.get(key)
    if opened is None:
        plan = touch.plans.get("open_hours", (touch.policy,), OpenHours)
        opened = memo.opened[key] = plan.among(slots, zone, rules.hours)
    return _opened(slots=slots, opened=opened, zone=zone, rules=rules)


def _opened(*, slots: tuple[datetime, ...], opened: tuple[datetime, ...], zone: ZoneInfo, rules: ChannelRules) -> Found:
    """What closed hours left of some slots, or how the last one was lost."""
    if opened:
        return Found(opened)
    local = slots[0].astimezone(zone)
    rule = first_closed(local, rules.hours) or rules.hours[0]
    text = f"every slot of the window is in quiet hours ({zone.key})"
    if isinstance(rule, WorkingHours):
        text = f"every slot of the window is outside working hours ({zone.key})"
        if not is_known(local.date(), rule.calendar):
            text += f"; whether {local.date()} is a working day in {rule.calendar} is not known yet"
    return Found((), Ban("quiet_hours", rule.rule, text, ()), next_open(slots[0], zone, rules.hours))


def _of_offer(option: Option, touch: Touch, zone: ZoneInfo, rules: ChannelRules, memo: SlotMemo) -> tuple[Ban, ...]:
    """What the caps and cool-downs that tell offers apart say of an offer in its placement."""
    offer, placement = option.offer, placement_of(option, touch)
    key = (rules.group, offer.offer_id, placement)
    bans = memo.bans.get(key)
    if bans is None:
        channel, offer_id = option.channel, offer.offer_id
        made: list[Ban | None] = [
            cool_down_ban(rule, touch, channel=channel, offer_id=offer_id, category=offer.category)
            for rule in rules.cool_downs_of_offers
        ]
        made += [
            cap_ban(cap, touch, zone, channel=channel, offer_id=offer_id, placement=placement)
            for cap in rules.caps_of_offers
            if cap.scope != "offer" or touch.own_by_offer[offer_id] >= cap.limit
        ]
        bans = memo.bans[key] = tuple(ban for ban in made if ban is not None)
    return bans


def _after(slots: tuple[datetime, ...], bans: Sequence[Ban]) -> Found:
    """The slots that bans leave, one ban after the other."""
    for ban in bans:
        left = allowed(slots, ban.spans)
        if not left:
            return Found((), ban, ban.until(slots[0]))
        slots = left
    return Found(slots)


def _why_no_time(touch: Touch, earliest: datetime, until: datetime) -> str:
    """Why a window leaves no slot, whichever of its ends it is that does."""
    window = touch.request.send_window
    if window.latest is not None and window.latest < touch.now:
        return f"the send window closed at {in_words(window.latest)}"
    if window.earliest is not None and window.earliest == earliest:
        return f"the send window opens at {in_words(earliest)}, after the latest possible time, {in_words(until)}"
    return f"no time is left between {in_words(earliest)} and {in_words(until)}"
