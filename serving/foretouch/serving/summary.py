"""The short list of what the rules dropped, for the caller: one line per rule, not one per candidate. Pure."""

from collections.abc import Sequence

from foretouch.core.decisions import Suppression
from foretouch.serving.screening import Screened

EVERY = "*"
OFF = frozenset({("dates", "starts_at"), ("dates", "ends_at")})


def summarise(screened: Sequence[Screened]) -> tuple[Suppression, ...]:
    """What dropped what, with ``*`` where one rule dropped every offer that is on.

    An offer that has ended, or not begun, or that the request left out, is on no list of ``*``: it is named by itself,
    after the rules that say something about the customer.

    A statement names a channel if it holds for that channel alone, and no channel if it holds for all channels that
    the offer (or, for ``*``, any offer) has here. ``until`` is the earliest time at which a part of it may end.

    Args:
        screened: Every option that was looked at, dropped or not.
    """
    off = [item for item in screened if item.dropped is not None and is_off(item.dropped)]
    on = [item for item in screened if item.dropped is None or not is_off(item.dropped)]
    return (*_statements(on), *_statements(off, every=not on))


def is_off(dropped: Suppression) -> bool:
    """Whether the offer is not on at all, whoever the customer is."""
    return dropped.stage == "requested" or (dropped.stage, dropped.rule) in OFF


def _statements(screened: Sequence[Screened], *, every: bool = True) -> tuple[Suppression, ...]:
    drops = [item.dropped for item in screened if item.dropped is not None]
    by_channel: dict[str, int] = {}
    by_offer: dict[str, int] = {}
    for item in screened:
        by_channel[item.option.channel] = by_channel.get(item.option.channel, 0) + 1
        by_offer[item.option.offer.offer_id] = by_offer.get(item.option.offer.offer_id, 0) + 1
    rules: dict[tuple[str, str], list[Suppression]] = {}
    for drop in drops:
        rules.setdefault((drop.stage, drop.rule), []).append(drop)
    found: list[Suppression] = []
    for group in rules.values():
        if every and len(group) == len(screened):
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
                channels = dict.fromkeys(drop.channel for drop in there)
                found.extend(
                    _statement([drop for drop in there if drop.channel == channel], offer_id, channel)
                    for channel in channels
                )
    return tuple(found)


def _statement(group: Sequence[Suppression], offer_id: str, channel: str | None) -> Suppression:
    untils = [drop.until for drop in group if drop.until is not None]
    return group[0].model_copy(
        update={"offer_id": offer_id, "channel": channel, "until": min(untils) if untils else None}
    )
