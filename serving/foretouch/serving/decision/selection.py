"""Selection: one seeded draw after the other, each from a whole distribution, without replacement. Pure.

A draw chooses a candidate by its priority, which is its worth at its best slot; then the slot: uniform with the
policy's ``slot_exploration``, else the best. The joint probability of both is their product.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from foretouch.core.decisions import PastContact, Send
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.placements import has_placement_caps
from foretouch.serving.decision.policies import Draws, distribution, draw
from foretouch.serving.decision.priority import Appraiser, Worth
from foretouch.serving.decision.propensities import Propensities
from foretouch.serving.decision.screening import Screened, screen_again
from foretouch.serving.decision.send_time import Rhythm, choose_slot
from foretouch.serving.rules.contact import Touch

NO_CONTACT: Key = ("", "", "")
"""Sorts before every option; no offer has an empty id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """One drawn contact.

    Attributes:
        item: The option and its slots.
        worth: Its priority, with the price of the contacts that this decision chose before it.
        probability: Of this draw, given the earlier ones.
        best: Key of the highest priority among what this draw could choose (``NO_CONTACT`` included).
        best_probability: Of that candidate in this draw.
        left: How many candidates this draw could choose from, "no contact" among them.
        send_at: The slot.
        send: How the slot was found.
        placement: What it fills; the offer's own, if any, where the request has no placements.
    """

    item: Screened
    worth: Worth
    probability: float
    best: Key
    best_probability: float
    left: int
    send_at: datetime
    send: Send
    placement: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Every draw of a decision.

    Attributes:
        worths: Worth of every option that no rule dropped, before any draw.
        probabilities: First draw: selection probability per option and for ``NO_CONTACT``; they sum to 1. An option
            that the first draw's placement does not show has 0. Later draws are conditional on the earlier ones: their
            picks carry their own probability.
        picks: What was drawn.
    """

    worths: dict[Key, Worth]
    probabilities: dict[Key, float]
    picks: tuple[Pick, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lottery:
    """How one decision draws.

    Attributes:
        spec: The policy that draws.
        appraiser: What contacts are worth.
        found: What the ladder knows of the options.
        rhythm: When the customer is active.
        slot_exploration: Share of draws whose slot is drawn uniformly.
        position: Numbers in [0, 1) by stream name, from the decision's seed.
        forced: An option that is chosen with probability 1, whatever it is worth; at most one contact is drawn then.
        owed: The message is owed to the customer: the first draw is among contacts alone, whatever they are worth.
    """

    spec: PolicySpec
    appraiser: Appraiser
    found: Propensities
    rhythm: Rhythm
    slot_exploration: float
    position: Callable[[str], float]
    forced: Key | None = None
    owed: bool = False


def select(
    survivors: tuple[Screened, ...], lottery: Lottery, *, touch: Touch, zone: ZoneInfo, expires_at: datetime
) -> Selection:
    """Draws up to ``n`` contacts, or up to ``n`` for each of the request's placements in turn.

    After each, the same offer is out, and caps and gaps count the contact just chosen. Drawing "no contact" ends it, or
    leaves the placement at that and goes on to the next one. In a placement for which no other offer passed the rules,
    fallback offers are drawn from.

    Args:
        survivors: What the rules left.
        lottery: How to draw.
        touch: The touchpoint; its request says how many.
        zone: The customer's.
        expires_at: When the decision lapses.
    """
    request = touch.request
    placements: Sequence[str | None] = request.placements or (None,)
    first = lottery.appraiser.appraise(survivors, touch)
    known = dict(zip([option.key for option, _, _, _ in survivors], first, strict=True))
    probabilities: dict[Key, float] | None = None
    picks: list[Pick] = []
    turn = 0
    for placement in placements:
        pool = pool_for(placement, survivors, lottery.forced)
        if placement is not None:
            touch = replace(touch, placement=placement)
            pool = _with_room(pool, touch, zone, expires_at)
        for _ in range(request.n):
            if not pool or (lottery.forced is not None and picks):
                break
            turn += 1
            worths = first if pool is survivors else lottery.appraiser.appraise(pool, touch)
            keys, shares, pick = _draw(pool, worths, lottery, str(turn))
            if probabilities is None:
                probabilities = dict(zip(keys, shares, strict=True))
                if pool is not survivors:
                    known.update(zip(keys[1:], worths, strict=True))
                    probabilities = {NO_CONTACT: 0.0, **dict.fromkeys(known, 0.0), **probabilities}
            if pick is None:
                break
            picks.append(replace(pick, placement=placement) if placement else pick)
            touch = replace(touch, chosen=(*touch.chosen, _contact(picks[-1])))
            if len(picks) < request.n * len(placements):
                pool = screen_again(pool, touch, zone, expires_at)
    if probabilities is None:
        probabilities = {NO_CONTACT: 1.0, **dict.fromkeys(known, 0.0)}
    return Selection(worths=known, probabilities=probabilities, picks=tuple(picks))


def _with_room(pool: tuple[Screened, ...], touch: Touch, zone: ZoneInfo, expires_at: datetime) -> tuple[Screened, ...]:
    """What a placement still has room for.

    Placements differ in their caps alone, so that nothing is asked again where there are none and nothing was chosen.
    """
    if touch.chosen or has_placement_caps(touch):
        return screen_again(pool, touch, zone, expires_at)
    return pool


def pool_for(placement: str | None, survivors: tuple[Screened, ...], forced: Key | None = None) -> tuple[Screened, ...]:
    """What may be shown in a placement: other offers, and fallback offers only where there is no other.

    Args:
        placement: None is a touchpoint without placements.
        survivors: What the rules left.
        forced: The only option, where there is one.
    """
    if forced is not None:
        return tuple(item for item in survivors if item.option.key == forced and item.option.fits(placement))
    fitting = survivors if placement is None else tuple(item for item in survivors if item.option.fits(placement))
    if not any([option.offer.fallback for option, _, _, _ in fitting]):  # noqa: C419 - hot: a list beats a generator
        return fitting
    return tuple(item for item in fitting if not item.option.offer.fallback) or fitting


def _draw(
    pool: Sequence[Screened], worths: Sequence[Worth], lottery: Lottery, turn: str
) -> tuple[list[Key], tuple[float, ...], Pick | None]:
    """One draw: every candidate, its probability, and what was drawn; None is "no contact"."""
    keys = [NO_CONTACT, *[option.key for option, _, _, _ in pool]]
    priorities = [0.0, *[worth.priority for worth in worths]]
    if lottery.forced is not None:
        shares = tuple([float(key == lottery.forced) for key in keys])
    else:
        shares = distribution(
            priorities,
            0,
            lottery.spec,
            draws=_members(keys, worths, lottery),
            immature=_immature(pool, lottery),
        )
    owed = lottery.owed and turn == "1"
    if owed:
        shares = without_no_contact(shares, priorities)
    index = draw(shares, keys, lottery.position(f"candidate/{turn}"))
    if index == 0:
        return keys, shares, None
    top = max(priorities[1:]) if owed else max(priorities)
    highest = index if priorities[index] == top else priorities.index(top, int(owed))
    item, worth = pool[index - 1], worths[index - 1]
    table = lottery.appraiser.timetable(item)
    send_at, send = choose_slot(
        table,
        lottery.rhythm,
        exploration=lottery.slot_exploration,
        position=lambda stream: lottery.position(f"{stream}/{turn}"),
        scale=worth.chance * worth.scale,
        valued=worth.known,
    )
    return (
        keys,
        shares,
        Pick(
            item=item,
            worth=worth,
            probability=shares[index],
            best=keys[highest],
            best_probability=shares[highest],
            left=len(keys),
            send_at=send_at,
            send=send,
            placement=item.option.offer.placement,
        ),
    )


def without_no_contact(shares: Sequence[float], priorities: Sequence[float]) -> tuple[float, ...]:
    """A distribution whose first candidate, "no contact", is out: its share goes to the others in proportion.

    Where they have none, the highest priority among them is chosen, ties shared.
    """
    rest = math.fsum(shares[1:])
    if rest > 0.0:
        return (0.0, *(share / rest for share in shares[1:]))
    highest = max(priorities[1:])
    best = [float(priority == highest) for priority in priorities[1:]]
    return (0.0, *(share / sum(best) for share in best))


def _members(keys: Sequence[Key], worths: Sequence[Worth], lottery: Lottery) -> Draws | None:
    """Priorities under every bootstrap member of the model, shape (K, n); "no contact" is 0 under each."""
    members = lottery.found.members
    if lottery.spec.kind != "thompson" or not members or not all(key in members for key in keys[1:]):
        return None
    chances = np.stack([members[key] for key in keys[1:]], axis=1)
    gains = np.array([worth.gain for worth in worths])
    fixed = np.array([worth.fixed for worth in worths])
    return np.column_stack([np.zeros(len(chances)), chances * gains - fixed])


def _immature(pool: Sequence[Screened], lottery: Lottery) -> list[bool] | None:
    """Which candidates are of offers with too few contacts to be believed."""
    young = lottery.found.immature
    if not young:
        return None
    return [False, *(item.option.offer.offer_id in young for item in pool)]


def _contact(pick: Pick) -> PastContact:
    offer = pick.item.option.offer
    return PastContact(
        at=pick.send_at,
        channel=pick.item.option.channel,
        offer_id=offer.offer_id,
        placement=pick.placement,
        category=offer.category or None,
    )
