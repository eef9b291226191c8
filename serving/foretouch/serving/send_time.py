"""Send time: how likely the customer is active, or answers, in each allowed slot, and one draw of a slot. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from foretouch.core.decisions import Send
from foretouch.serving.slots import hour_of_week

HOURS_OF_WEEK = 168


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """When a customer is active.

    Attributes:
        shares: Share of activity per local hour of the week, Monday 00h first, shape (168,), sums to 1.
        support: Number of the customer's own events behind it; 0 is everyone's pattern.
        basis: ``activity``, or ``none`` where there is no send-time model: then the first allowed slot is the best.
        effects: What sending at an hour of the week does to the response, relative to the average hour, by channel
            (``*`` is every channel), shape (168,) each; empty where it is not identified.
        identified: Whether sends were spread over hours enough to tell.
    """

    shares: NDArray[np.float64]
    support: float = 0.0
    basis: str = "activity"
    effects: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    identified: bool = False


NO_RHYTHM = Rhythm(shares=np.full(HOURS_OF_WEEK, 1.0 / HOURS_OF_WEEK), basis="none")


def choose_slot(
    slots: Sequence[datetime],
    zone: ZoneInfo,
    rhythm: Rhythm,
    *,
    exploration: float,
    position: Callable[[str], float],
) -> tuple[datetime, Send]:
    """The slot to send at: the best one, except for a share drawn from all alike.

    Args:
        slots: Allowed slots, earliest first; at least one.
        zone: The customer's.
        rhythm: When the customer is active.
        exploration: Share of decisions whose slot is drawn uniformly.
        position: Numbers in [0, 1) by stream name, from the decision's seed.

    Returns:
        The slot, and how it was found: best slot and runner-up (ties go to the earlier one), the best hour's share of
        activity, and the chosen slot's probability under this draw.
    """
    shares = [float(rhythm.shares[hour_of_week(slot, zone)]) for slot in slots]
    order = sorted(range(len(slots)), key=lambda index: (-shares[index], slots[index]))
    best = order[0]
    chosen = best
    if position("slot/explore") < exploration:
        chosen = min(int(position("slot/which") * len(slots)), len(slots) - 1)
    probability = exploration / len(slots) + (1.0 - exploration if chosen == best else 0.0)
    send = Send(
        best_at=slots[best],
        runner_up_at=slots[order[1]] if len(order) > 1 else None,
        score=shares[best],
        support=rhythm.support,
        slot_probability=min(probability, 1.0),
        explored=chosen != best,
        basis=rhythm.basis,
    )
    return slots[chosen], send
