"""Selection: one seeded draw after the other, each from a whole distribution, without replacement. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from foretouch.core.decisions import PastContact, Send
from foretouch.core.policy import PolicySpec
from foretouch.serving.candidates import Key, Option
from foretouch.serving.contact import Touch, contacts_last_week
from foretouch.serving.policies import distribution, draw
from foretouch.serving.priority import Worth
from foretouch.serving.screening import Screened, screen_again
from foretouch.serving.send_time import Rhythm, choose_slot

NO_CONTACT: Key = ("", "", "")
"""Sorts before every option; no offer has an empty id."""

Appraise = Callable[[Option, int], Worth]
"""What an option is worth, given the number of contacts in the last seven days."""


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One drawn contact.

    Attributes:
        item: The option and its slots.
        worth: Its priority, with the price of the contacts that this decision chose before it.
        probability: Of this draw, given the earlier ones.
        best: Key of the highest priority among what this draw could choose (``NO_CONTACT`` included).
        send_at: The slot.
        send: How the slot was found.
    """

    item: Screened
    worth: Worth
    probability: float
    best: Key
    send_at: datetime
    send: Send


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Every draw of a decision.

    Attributes:
        worths: First draw: worth per option.
        probabilities: First draw: selection probability per option and for ``NO_CONTACT``; they sum to 1.
        picks: What was drawn, until "no contact" came up, nothing was left, or ``n`` were drawn.
    """

    worths: dict[Key, Worth]
    probabilities: dict[Key, float]
    picks: tuple[Pick, ...]


def select(
    survivors: tuple[Screened, ...],
    *,
    n: int,
    spec: PolicySpec,
    touch: Touch,
    zone: ZoneInfo,
    expires_at: datetime,
    appraise: Appraise,
    rhythm: Rhythm,
    position: Callable[[str], float],
    forced: Key | None = None,
) -> Selection:
    """Draws up to ``n`` contacts.

    After each, the same offer is out, and caps and gaps count the contact just chosen. Drawing "no contact" ends it.

    Args:
        survivors: What the rules left.
        n: Most contacts to draw.
        spec: The policy.
        touch: The touchpoint.
        zone: The customer's.
        expires_at: When the decision lapses.
        appraise: See ``Appraise``.
        rhythm: When the customer is active.
        position: Numbers in [0, 1) by stream name, from the decision's seed.
        forced: An option that is chosen with probability 1, whatever it is worth; at most one contact is drawn then.
    """
    first: tuple[dict[Key, Worth], dict[Key, float]] | None = None
    picks: list[Pick] = []
    left = survivors
    for rank in range(1, n + 1):
        if rank > 1:
            chosen = PastContact(
                at=picks[-1].send_at,
                channel=picks[-1].item.option.channel,
                offer_id=picks[-1].item.option.offer.offer_id,
            )
            touch = replace(touch, chosen=(*touch.chosen, chosen))
            left = screen_again(left, touch, zone, expires_at)
            if not left or forced is not None:
                break
        recent = contacts_last_week(touch)
        worths = {item.option.key: appraise(item.option, recent) for item in left}
        keys = [NO_CONTACT, *worths]
        priorities = [0.0, *(worth.priority for worth in worths.values())]
        if forced is not None:
            shares: tuple[float, ...] = tuple(float(key == forced) for key in keys)
        else:
            shares = distribution(priorities, 0, spec)
        if first is None:
            first = (worths, dict(zip(keys, shares, strict=True)))
        index = draw(shares, keys, position(f"candidate/{rank}"))
        if index == 0:
            break
        highest = max(range(len(keys)), key=lambda at: (priorities[at], keys[at] == keys[index], -at))
        item = left[index - 1]
        send_at, send = choose_slot(
            item.slots,
            zone,
            rhythm,
            exploration=spec.slot_exploration,
            position=lambda stream, rank=rank: position(f"{stream}/{rank}"),  # type: ignore[misc]
        )
        picks.append(
            Pick(
                item=item,
                worth=worths[keys[index]],
                probability=shares[index],
                best=keys[highest],
                send_at=send_at,
                send=send,
            )
        )
    worths, probabilities = first if first is not None else ({}, {NO_CONTACT: 1.0})
    return Selection(worths=worths, probabilities=probabilities, picks=tuple(picks))
