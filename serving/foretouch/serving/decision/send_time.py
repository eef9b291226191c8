"""Send time: what every allowed slot is worth, and one draw of a slot. Pure.

Two questions are kept apart. *Activity*: when is the customer there? *Effect*: what does sending at that hour do to the
response? Only an effect that is identified multiplies the worth of a contact; where several slots are worth the same,
and without an identified effect or a cost of waiting all are, activity decides, and then the earlier one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from foretouch.core.decisions import Send
from foretouch.serving.rules.local_hours import hours_of_week

HOURS_OF_WEEK = 168
EVERY_CHANNEL = "*"
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """When a customer is active, and what sending at an hour does.

    Attributes:
        shares: Share of activity per local hour of the week, Monday 00h first, shape (168,), sums to 1.
        support: Number of the customer's own events behind it; 0 is everyone's pattern.
        basis: ``activity``, ``prior`` (everyone's pattern: nothing of the customer is behind it), or ``none`` where
            there is no send-time model: then the first allowed slot is the best.
        effects: What sending at an hour of the week does to the response, relative to the average hour, by channel
            (``*`` is every channel), shape (168,) each; empty where it is not identified.
        identified: Whether sends were spread over hours enough to tell.
    """

    shares: NDArray[np.float64]
    support: float = 0.0
    basis: str = "activity"
    effects: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    identified: bool = False

    def effect_on(self, channel: str) -> NDArray[np.float64] | None:
        """The effect of sending on a channel, shape (168,); None where it is not identified."""
        if not self.identified or not self.effects:
            return None
        found = self.effects.get(channel)
        return self.effects.get(EVERY_CHANNEL) if found is None else found


NO_RHYTHM = Rhythm(shares=np.full(HOURS_OF_WEEK, 1.0 / HOURS_OF_WEEK), basis="none")


class Timetable:
    """The slots of a channel, and what is known of each.

    Attributes:
        slots: Allowed slots, earliest first; at least one.
        shares: Share of the customer's activity in each one's hour.
        timing: Effect of sending in it, relative to the average hour; 1 where it is not identified.
        patience: Share of the value that is left in it.
        factors: timing x patience.
        timed: Whether an identified effect takes part.
        waiting: Whether waiting costs anything.
    """

    __slots__ = ("_bests", "_orders", "factors", "patience", "shares", "slots", "timed", "timing", "waiting")

    def __init__(
        self,
        slots: tuple[datetime, ...],
        hours: Sequence[int],
        *,
        shares: Sequence[float],
        effect: Sequence[float] | None,
        now: datetime | None = None,
        waiting_cost_per_hour: float = 0.0,
    ) -> None:
        self.slots = slots
        self.shares = [shares[hour] for hour in hours]
        self.timed = effect is not None
        self.timing = [1.0] * len(slots) if effect is None else [effect[hour] for hour in hours]
        self.waiting = waiting_cost_per_hour > 0.0
        self.patience = [1.0] * len(slots)
        if self.waiting:
            left, start = 1.0 - waiting_cost_per_hour, slots[0] if now is None else now
            self.patience = [left ** ((slot - start).total_seconds() / _SECONDS_PER_HOUR) for slot in slots]
        self.factors = [early * late for early, late in zip(self.timing, self.patience, strict=True)]
        self._orders: dict[int, list[int]] = {}
        self._bests: list[int] = [-1, -1, -1]

    def order(self, scale: float) -> list[int]:
        """Slots by scale x factor, the best first; then by activity, then the earlier one.

        Args:
            scale: Expected value of a contact before timing, patience and costs; where it is negative, a slot that
                does less is the better one.
        """
        sign = (scale > 0.0) - (scale < 0.0)
        found = self._orders.get(sign)
        if found is None:
            factors, shares = self.factors, self.shares
            found = sorted(range(len(self.slots)), key=lambda index: (-sign * factors[index], -shares[index], index))
            self._orders[sign] = found
        return found

    def best(self, scale: float) -> int:
        """Index of the best slot; see ``order``."""
        kind = 2 if scale > 0.0 else 0 if scale < 0.0 else 1
        found = self._bests[kind]
        if found < 0:
            found = self._bests[kind] = self._first(kind - 1, range(len(self.slots)))
        return found

    def runner_up(self, scale: float) -> int | None:
        """Index of the second best slot; see ``order``."""
        best = self.best(scale)
        others = [index for index in range(len(self.slots)) if index != best]
        return self._first((scale > 0.0) - (scale < 0.0), others) if others else None

    def _first(self, sign: int, among: Sequence[int]) -> int:
        """``order``'s first of some slots, without putting the others in order."""
        if sign:
            factors = self.factors
            of_these = [factors[index] for index in among]
            most = max(of_these) if sign > 0 else min(of_these)
            among = [index for index in among if factors[index] == most]
        return max(among, key=self.shares.__getitem__)  # of equal ones the first


class TimetableBook:
    """The timetables of one decision, each made once.

    Args:
        zone: The customer's.
        rhythm: When they are active, and what sending at an hour does.
        now: The decision's time, from which waiting is counted; None: from the first slot.
        waiting_cost_per_hour: Share of the value that is lost per hour of waiting.
        use_effects: Whether effects take part.

    Attributes:
        rhythm: As given.
        timed: Whether an identified effect takes part on any channel.
        waiting: Whether waiting costs anything.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        rhythm: Rhythm,
        *,
        now: datetime | None = None,
        waiting_cost_per_hour: float = 0.0,
        use_effects: bool = True,
    ) -> None:
        self.rhythm = rhythm
        self._zone = zone
        self._now = now
        self._waiting_cost = waiting_cost_per_hour
        self._use_effects = use_effects
        self.timed = use_effects and rhythm.identified and bool(rhythm.effects)
        self.waiting = waiting_cost_per_hour > 0.0
        self._shares: list[float] = rhythm.shares.tolist()
        self._effects: dict[str, list[float] | None] = {}
        self._hours: dict[int, tuple[tuple[datetime, ...], list[int]]] = {}
        self._kept: dict[tuple[str, int], Timetable] = {}

    def of(self, channel: str, slots: tuple[datetime, ...]) -> Timetable:
        """The timetable of a channel's slots, earliest first; at least one slot."""
        effect = self._effect(channel) if self.timed else None
        key = ("" if effect is None else channel, id(slots))  # without an effect all channels are alike
        table = self._kept.get(key)
        if table is None:
            table = self._kept[key] = Timetable(  # it holds the slots, so that their identity stays theirs
                slots,
                self._local_hours(slots),
                shares=self._shares,
                effect=effect,
                now=self._now,
                waiting_cost_per_hour=self._waiting_cost,
            )
        return table

    def _effect(self, channel: str) -> list[float] | None:
        if channel not in self._effects:
            found = self.rhythm.effect_on(channel) if self._use_effects else None
            self._effects[channel] = None if found is None else found.tolist()
        return self._effects[channel]

    def _local_hours(self, slots: tuple[datetime, ...]) -> list[int]:
        kept = self._hours.get(id(slots))
        if kept is None:  # it holds the slots, so that their identity stays theirs
            kept = self._hours[id(slots)] = (slots, hours_of_week(slots, self._zone))
        return kept[1]


class Chosen(NamedTuple):
    """A drawn slot.

    Attributes:
        at: The slot.
        send: How it was found.
    """

    at: datetime
    send: Send


def choose_slot(
    table: Timetable,
    rhythm: Rhythm,
    *,
    exploration: float,
    position: Callable[[str], float],
    scale: float = 1.0,
    valued: bool = True,
) -> Chosen:
    """The slot to send at: the best one, except for a share drawn from all alike.

    Args:
        table: The option's slots.
        rhythm: What the table rests on.
        exploration: Share of decisions whose slot is drawn uniformly.
        position: Numbers in [0, 1) by stream name, from the decision's seed.
        scale: Expected value of the contact before timing, patience and costs, in the workspace's currency.
        valued: Whether ``scale`` is an expected value; else what waiting costs and gains is not known.

    Returns:
        The slot, and how it was found: best slot and runner-up, what waiting for the best one costs and gains, and
        the chosen slot's probability under this draw.
    """
    slots, second = table.slots, table.runner_up(scale)
    best = chosen = table.best(scale)
    if position("slot/explore") < exploration:
        chosen = min(int(position("slot/which") * len(slots)), len(slots) - 1)
    probability = exploration / len(slots) + (1.0 - exploration if chosen == best else 0.0)
    return Chosen(
        slots[chosen],
        Send(
            best_at=slots[best],
            runner_up_at=None if second is None else slots[second],
            score=table.shares[best],
            effect=table.timing[best] if table.timed else None,
            identified=table.timed,
            waiting_cost=scale * table.timing[best] * (table.patience[0] - table.patience[best]) if valued else None,
            gain_over_first=scale * (table.factors[best] - table.factors[0]) if valued else None,
            support=rhythm.support,
            slot_probability=min(probability, 1.0),
            explored=chosen != best,
            basis=_basis(table, rhythm, scale),
        ),
    )


def _basis(table: Timetable, rhythm: Rhythm, scale: float) -> str:
    """What the best slot rests on: the effect only where it tells slots apart.

    With a cost of waiting and no effect it is the first one, whatever the activity.
    """
    if table.timed and scale and max(table.timing) > min(table.timing):
        return "effect"
    return "none" if table.waiting else rhythm.basis
