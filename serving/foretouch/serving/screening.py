"""Screening: every option through every rule, in one order, so that each dropped one names the first that took it.

Dates, channel, purpose, consent, suppression, the three tiers, the offer's issue limits, and then the rules that ask
at what hour: cool-downs, caps, quiet and working hours, gaps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Suppression
from foretouch.serving.bans import INSTANT, Ban, allowed
from foretouch.serving.candidates import Option
from foretouch.serving.contact import (
    Touch,
    check_channel,
    check_consent,
    check_dates,
    check_issues,
    check_purpose,
)
from foretouch.serving.cool_down import suppression_bans
from foretouch.serving.engagement import Questions, Standing, TierPlan, Values
from foretouch.serving.slots import SlotMemo, allowed_slots


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """An option with the slots that the rules leave it, or the rule that dropped it.

    Attributes:
        option: The option.
        slots: Earliest first; empty where it was dropped.
        dropped: The first rule that took it.
        later: Times at which a tier's rule that begins after the decision forbids it.
    """

    option: Option
    slots: tuple[datetime, ...] = ()
    dropped: Suppression | None = None
    later: tuple[Ban, ...] = ()


def screen(
    options: Iterable[Option], touch: Touch, values: Values, zone: ZoneInfo, expires_at: datetime
) -> tuple[Screened, ...]:
    """Puts every option through the rules.

    Args:
        options: Candidates.
        touch: The touchpoint and its rules.
        values: What expressions may name; see ``rule_values``.
        zone: The customer's.
        expires_at: When the decision lapses.
    """
    memo = SlotMemo()
    latest = touch.request.send_window.latest
    until = expires_at if latest is None else min(expires_at, latest + INSTANT)  # the latest moment is still allowed
    plan = touch.plans.get("tiers", (touch.engagement,), lambda: TierPlan(touch.engagement))
    questions = Questions(plan, values, touch.now)
    channels: dict[str, Suppression | None] = {}
    screened = []
    for option in options:
        dropped = check_dates(option, touch.now, until) or _check_channel(option, touch, until, channels)
        slots: tuple[datetime, ...] = ()
        later: tuple[Ban, ...] = ()
        if dropped is None:
            standing = questions.ask(option.offer)
            dropped = _missed(option, standing) or check_issues(option, touch)
            if dropped is None:
                slots, dropped = allowed_slots(option, touch, zone, expires_at, memo)
                if standing.bans and dropped is None:
                    slots, dropped = _later(option, standing, slots)
                    later = tuple(ban for _, ban in standing.bans)
        screened.append(Screened(option=option, slots=slots, dropped=dropped, later=later))
    return tuple(screened)


def screen_again(
    survivors: Iterable[Screened], touch: Touch, zone: ZoneInfo, expires_at: datetime
) -> tuple[Screened, ...]:
    """What is left after a contact was chosen: other offers only, under caps and gaps that count the chosen one."""
    memo = SlotMemo()
    taken = {contact.offer_id for contact in touch.chosen}
    left = []
    for item in survivors:
        if item.option.offer.offer_id in taken or check_issues(item.option, touch) is not None:
            continue
        slots, dropped = allowed_slots(item.option, touch, zone, expires_at, memo)
        if dropped is None and item.later:
            slots = allowed(slots, (span for ban in item.later for span in ban.spans))
        if slots:
            left.append(Screened(option=item.option, slots=slots, later=item.later))
    return tuple(left)


def _check_channel(
    option: Option, touch: Touch, until: datetime, known: dict[str, Suppression | None]
) -> Suppression | None:
    """Channel, purpose, consent and suppression lists; all but the purpose are asked once per channel."""
    channel = option.channel
    if channel in known:
        found = known[channel]
    else:
        found = known[channel] = (
            check_channel(option, touch) or check_consent(option, touch) or _check_lists(option, touch, until)
        )
    if found is None or found.stage != "channel":
        dropped = check_purpose(option, touch)
        if dropped is not None:
            return dropped
    if found is None or found.offer_id == option.offer.offer_id:
        return found
    return option.drop(found.stage, found.rule, found.text, until=found.until)


def _check_lists(option: Option, touch: Touch, until: datetime) -> Suppression | None:
    """A suppression list that forbids the whole window; one that ends before is asked at the slot."""
    for ban in suppression_bans(touch, option.channel):
        ends = ban.spans[0][1]
        if ends >= until:
            return option.drop("suppression", ban.rule, ban.text, until=ban.until(touch.now))
    return None


def _missed(option: Option, standing: Standing) -> Suppression | None:
    missed = standing.missed
    if missed is None:
        return None
    return option.drop(missed.tier, missed.rule, missed.text, until=missed.until, seen=missed.seen)


def _later(
    option: Option, standing: Standing, slots: tuple[datetime, ...]
) -> tuple[tuple[datetime, ...], Suppression | None]:
    """Slots before a rule that begins later, or after its end."""
    for missed, ban in standing.bans:
        left = allowed(slots, ban.spans)
        if not left:
            until = ban.until(slots[0])
            return (), option.drop(ban.stage, ban.rule, ban.text, until=until, seen=missed.seen)
        slots = left
    return slots, None
