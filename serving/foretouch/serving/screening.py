"""Screening: every option through every rule, in one order, so that each dropped one names the first that took it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from foretouch.core.decisions import Suppression
from foretouch.serving.candidates import Option
from foretouch.serving.contact import Touch, check_caps, check_dates, first_violation
from foretouch.serving.eligibility import Values, check_eligibility
from foretouch.serving.slots import SlotMemo, allowed_slots


@dataclass(frozen=True, kw_only=True)
class Screened:
    """An option with the slots that the rules leave it, or the rule that dropped it."""

    option: Option
    slots: tuple[datetime, ...] = ()
    dropped: Suppression | None = None


def screen(
    options: Iterable[Option], touch: Touch, values: Values, zone: ZoneInfo, expires_at: datetime
) -> tuple[Screened, ...]:
    """Puts every option through the rules: dates, channel, consent, suppression, eligibility, caps, slots."""
    memo: SlotMemo = {}
    latest = touch.request.send_window.latest
    until = expires_at if latest is None else min(expires_at, latest)
    screened = []
    for option in options:
        dropped = (
            check_dates(option, touch.now, until)
            or first_violation(option, touch)
            or check_eligibility(option, values)
            or check_caps(option, touch)
        )
        slots: tuple[datetime, ...] = ()
        if dropped is None:
            slots, dropped = allowed_slots(option, touch, zone, expires_at, memo)
        screened.append(Screened(option=option, slots=slots, dropped=dropped))
    return tuple(screened)


def screen_again(
    survivors: Iterable[Screened], touch: Touch, zone: ZoneInfo, expires_at: datetime
) -> tuple[Screened, ...]:
    """What is left after a contact was chosen: other offers only, under caps and gaps that count the chosen one."""
    memo: SlotMemo = {}
    taken = {contact.offer_id for contact in touch.chosen}
    left = []
    for item in survivors:
        if item.option.offer.offer_id in taken or check_caps(item.option, touch) is not None:
            continue
        slots, dropped = allowed_slots(item.option, touch, zone, expires_at, memo)
        if dropped is None:
            left.append(Screened(option=item.option, slots=slots))
    return tuple(left)
