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

from foretouch.core.counters import PastContact
from foretouch.core.decisions import Send
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.candidates import NO_CONTACT, Key, Lineup
from foretouch.serving.decision.doubt import widths
from foretouch.serving.decision.placements import has_placement_caps
from foretouch.serving.decision.policies import Draws, distribution, draw
from foretouch.serving.decision.priority import Appraiser
from foretouch.serving.decision.propensities import Propensities
from foretouch.serving.decision.screening import Screened, screen_again
from foretouch.serving.decision.send_time import Rhythm, choose_slot
from foretouch.serving.decision.worths import NO_WORTHS, Worth, Worths
from foretouch.serving.rules.contact import Touch

__all__ = ["NOTHING_DRAWN", "NO_CONTACT", "Lottery", "Pick", "Selection", "select"]


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
        valued: Worth of every option that no rule dropped, in their order, before any draw.
        shares: First draw: selection probability of ``NO_CONTACT`` and of each of these options; they sum to 1. An
            option that the first draw's placement does not show has 0. Later draws are conditional on the earlier ones:
            their picks carry their own probability.
        picks: What was drawn.
    """

    valued: Worths
    shares: Sequence[float]
    picks: tuple[Pick, ...]

    @property
    def worths(self) -> dict[Key, Worth]:
        """``valued`` by option."""
        return dict(zip(self.valued.lineup.keys, self.valued, strict=True))

    @property
    def probabilities(self) -> dict[Key, float]:
        """``shares`` by option, ``NO_CONTACT`` first."""
        return dict(zip(self.valued.lineup.keys_with_none, self.shares, strict=True))


NOTHING_DRAWN = Selection(valued=NO_WORTHS, shares=(1.0,), picks=())
"""Where no option is left."""


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
    survivors: Sequence[Screened],
    lottery: Lottery,
    *,
    touch: Touch,
    zone: ZoneInfo,
    expires_at: datetime,
    lineup: Lineup | None = None,
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
        lineup: The options that are left, where their lineup is at hand.
    """
    request = touch.request
    placements: Sequence[str | None] = request.placements or (None,)
    lineup = lineup or Lineup.of([option for option, _, _, _ in survivors])
    first = valued = lottery.appraiser.appraise(survivors, touch, lineup)
    shares_of_first: Sequence[float] | None = None
    picks: list[Pick] = []
    turn = 0
    for placement in placements:
        pool = pool_for(placement, survivors, lottery.forced, fallback=lineup.has_fallback)
        if placement is not None:
            touch = replace(touch, placement=placement)
            pool = _with_room(pool, touch, zone, expires_at)
        for _ in range(request.n):
            if not pool or (lottery.forced is not None and picks):
                break
            turn += 1
            worths = first if pool is survivors else lottery.appraiser.appraise(pool, touch)
            shares, pick = _draw(pool, worths, lottery, str(turn))
            if shares_of_first is None:
                valued, shares_of_first = (first, shares) if pool is survivors else _among_all(first, worths, shares)
            if pick is None:
                break
            picks.append(replace(pick, placement=placement) if placement else pick)
            if len(picks) < request.n * len(placements):
                touch = replace(touch, chosen=(*touch.chosen, _contact(picks[-1])))
                pool = screen_again(pool, touch, zone, expires_at)
    if shares_of_first is None:
        shares_of_first = [1.0, *[0.0] * len(survivors)]
    return Selection(valued=valued, shares=shares_of_first, picks=tuple(picks))


def _among_all(every: Worths, worths: Worths, shares: Sequence[float]) -> tuple[Worths, Sequence[float]]:
    """What a draw from some of the options says of every option: those that it did not show have no share."""
    drawn = dict(zip(worths.lineup.keys_with_none, shares, strict=True))
    return every.but(worths), [drawn.get(key, 0.0) for key in every.lineup.keys_with_none]


def _with_room(pool: Sequence[Screened], touch: Touch, zone: ZoneInfo, expires_at: datetime) -> Sequence[Screened]:
    """What a placement still has room for.

    Placements differ in their caps alone, so that nothing is asked again where there are none and nothing was chosen.
    """
    if touch.chosen or has_placement_caps(touch):
        return screen_again(pool, touch, zone, expires_at)
    return pool


def pool_for(
    placement: str | None, survivors: Sequence[Screened], forced: Key | None = None, *, fallback: bool = True
) -> Sequence[Screened]:
    """What may be shown in a placement: other offers, and fallback offers only where there is no other.

    Args:
        placement: None is a touchpoint without placements.
        survivors: What the rules left.
        forced: The only option, where there is one.
        fallback: False where it is known that no fallback offer is among them.
    """
    if forced is not None:
        return tuple(item for item in survivors if item.option.key == forced and item.option.fits(placement))
    fitting = survivors if placement is None else tuple(item for item in survivors if item.option.fits(placement))
    if not fallback:
        return fitting
    return tuple(item for item in fitting if not item.option.offer.fallback) or fitting


def _draw(
    pool: Sequence[Screened], worths: Worths, lottery: Lottery, turn: str
) -> tuple[tuple[float, ...], Pick | None]:
    """One draw: the probability of every candidate, "no contact" first, and what was drawn; None is "no contact"."""
    keys = worths.lineup.keys_with_none
    priorities = [0.0, *worths.priorities]
    if lottery.forced is not None:
        shares = tuple([float(key == lottery.forced) for key in keys])
    else:
        shares = distribution(
            priorities,
            0,
            lottery.spec,
            draws=_members(worths, lottery),
            widths=_widths(worths, lottery),
            immature=_immature(worths.lineup, lottery),
        )
    owed = lottery.owed and turn == "1"
    if owed:
        shares = without_no_contact(shares, priorities)
    index = draw(shares, keys, lottery.position(f"candidate/{turn}"), order=worths.lineup.order)
    if index == 0:
        return shares, None
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


def _members(worths: Worths, lottery: Lottery) -> Draws | None:
    """Priorities under every bootstrap member of the model, shape (K, n); "no contact" is 0 under each."""
    members, keys = lottery.found.members, worths.lineup.keys
    if lottery.spec.kind != "thompson" or not members or not all(key in members for key in keys):
        return None
    chances = np.stack([members[key] for key in keys], axis=1)
    gains = np.array([worth.gain for worth in worths])
    fixed = np.array([worth.fixed for worth in worths])
    return np.column_stack([np.zeros(len(chances)), chances * gains - fixed])


def _widths(worths: Worths, lottery: Lottery) -> list[float] | None:
    """How far each priority may be off; None where the policy does not ask, or a chance is not known or not used."""
    spec, found = lottery.spec, lottery.found
    if spec.explores_by != "evidence" or not spec.factors.propensity:
        return None
    if any(found.by_key.get(key) is None for key in worths.lineup.keys):
        return None
    return widths(
        [worth.chance for worth in worths],
        [worth.gain for worth in worths],
        [found.evidence.get(option.offer.offer_id, 0) for option in worths.lineup],
        spec.new_offers.prior_strength,
    )


def _immature(pool: Lineup, lottery: Lottery) -> list[bool] | None:
    """Which candidates are of offers with too few contacts to be believed."""
    young = lottery.found.immature
    if not young:
        return None
    return [False, *(option.offer.offer_id in young for option in pool)]


def _contact(pick: Pick) -> PastContact:
    offer = pick.item.option.offer
    return PastContact(
        at=pick.send_at,
        channel=pick.item.option.channel,
        offer_id=offer.offer_id,
        placement=pick.placement,
        category=offer.category or None,
    )
