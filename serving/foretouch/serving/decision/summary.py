"""The short list of what the rules dropped, for the caller: one line per rule, not one per candidate. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from foretouch.core.decisions import Suppression
from foretouch.serving.decision.screening import Screened

EVERY = "*"
OFF = frozenset({("dates", "starts_at"), ("dates", "ends_at")})


class Statement(NamedTuple):
    """What one rule dropped.

    Attributes:
        offer_id: The offer, or ``*`` for every offer that is on.
        channel: The channel if it holds for that one alone.
        until: The earliest time at which a part of it may end.
        dropped: The rule's own statement about the first of them.
    """

    offer_id: str
    channel: str | None
    until: datetime | None
    dropped: Suppression


def summarise(screened: Sequence[Screened]) -> tuple[Statement, ...]:
    """What dropped what, with ``*`` where one rule dropped every offer that is on.

    An offer that has ended, or not begun, or that the request left out, is on no list of ``*``: it is named by itself,
    after the rules that say something about the customer.

    A statement names a channel if it holds for that channel alone, and no channel if it holds for all channels that
    the offer (or, for ``*``, any offer) has here.

    Args:
        screened: Every option that was looked at, dropped or not.
    """
    on: list[tuple[str, str, Suppression | None]] = []
    off: list[tuple[str, str, Suppression | None]] = []
    for item in screened:
        dropped = item.dropped
        row = (item.option.offer.offer_id, item.option.channel, dropped)
        (on if dropped is None or not is_off(dropped) else off).append(row)
    return (*_statements(on), *_statements(off, every=not on))


def is_off(dropped: Suppression) -> bool:
    """Whether the offer is not on at all, whoever the customer is."""
    return dropped.stage == "requested" or (dropped.stage, dropped.rule) in OFF


def _statements(rows: Sequence[tuple[str, str, Suppression | None]], *, every: bool = True) -> list[Statement]:
    by_channel: dict[str, int] = {}
    by_offer: dict[str, int] = {}
    rules: dict[tuple[str, str], list[Suppression]] = {}
    for offer_id, channel, drop in rows:
        by_channel[channel] = by_channel.get(channel, 0) + 1
        by_offer[offer_id] = by_offer.get(offer_id, 0) + 1
        if drop is not None:
            rules.setdefault((drop.stage, drop.rule), []).append(drop)
    found: list[Statement] = []
    for group in rules.values():
        if every and len(group) == len(rows):
            found.append(_statement(group, EVERY, None if len(by_channel) > 1 else group[0].channel))
            continue
        rest: list[Suppression] = []
        for channel, count in by_channel.items():
            there = [drop for drop in group if drop.channel == channel]
            if every and len(there) == count:
                found.append(_statement(there, EVERY, channel))
            else:
                rest.extend(there)
        by_name: dict[str, list[Suppression]] = {}
        for drop in rest:
            by_name.setdefault(drop.offer_id, []).append(drop)
        for offer_id, there in by_name.items():
            if len(there) == by_offer[offer_id]:
                found.append(_statement(there, offer_id, None if len(there) > 1 else there[0].channel))
            else:
                found.extend(
                    _statement([drop for drop in there if drop.channel == channel], offer_id, channel)
                    for channel in dict.fromkeys(drop.channel for drop in there)
                )
    return found


def _statement(group: Sequence[Suppression], offer_id: str, channel: str | None) -> Statement:
    untils = [drop.until for drop in group if drop.until is not None]
    return Statement(offer_id, channel, min(untils) if untils else None, group[0])
