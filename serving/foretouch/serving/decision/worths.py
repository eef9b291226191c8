"""What contacts are worth, by column: what is the offer's once per offer, what is the channel's once per channel. Pure.

``priority.Appraiser`` fills the columns; ``Worth`` is what they say of one contact.
"""

from collections.abc import Sequence
from typing import NamedTuple, overload

from foretouch.core.policy import ContextWeight, ScoreWeight
from foretouch.serving.decision.candidates import Lineup

Moment = tuple[int, float, dict[str, float]]
"""The best slot: its index, its factor, and the weights that it adds."""


class Terms(NamedTuple):
    """What one policy makes of one offer, whoever the customer is.

    Attributes:
        value: Margin if the goal happens, in the workspace's currency.
        offer_cost: Cost of the offer itself, if the goal happens.
        base: value - offer_cost, or 1 where the policy switches value off.
        lever: The offer's own multiplier x (1 + sum of the policy's percentages / 100); never below 0.
        contexts: The context weights that hold for it.
        scores: The score weights that hold for it.
    """

    value: float
    offer_cost: float
    base: float
    lever: float
    contexts: tuple[ContextWeight, ...]
    scores: tuple[ScoreWeight, ...]


class Toll(NamedTuple):
    """What a contact costs on one channel, whatever comes of it, in the workspace's currency.

    Attributes:
        cost: The channel's cost of a contact.
        price: Fatigue and the risk of an unsubscription.
        fixed: What of both counts under the policy.
    """

    cost: float
    price: float
    fixed: float


class Worth(NamedTuple):
    """The parts of a priority, as the record keeps them; amounts in the workspace's currency.

    Attributes:
        value: Margin if the goal happens.
        cost: Cost of the contact on its channel.
        price: Price of one more contact: fatigue and the risk of an unsubscription.
        weights: Multipliers ``context``, ``score``, ``lever``, where they take part in the decision ``timing`` (effect
            of sending at the best slot) and ``patience`` (share of the value that is left there); and ``offer_cost``
            (currency, if the goal happens). The same names for every option of a decision.
        chance: Propensity as it counts: 1 where nothing can say, or the policy switches it off.
        scale: Worth of a certain acceptance before timing, patience and costs.
        gain: Worth of a certain acceptance at the best slot, before costs.
        fixed: Costs and price as they count.
        priority: chance x gain - fixed.
        best: Index of the best slot.
        known: Whether ``chance`` and value are what was estimated, so that the priority is an expected value.
    """

    value: float
    cost: float
    price: float
    weights: dict[str, float]
    chance: float
    scale: float
    gain: float
    fixed: float
    priority: float
    best: int
    known: bool


class Stand(NamedTuple):
    """What holds for one offer in one decision, whatever the channel and the slot.

    Attributes:
        chance: Propensity as it counts.
        scale: Worth of a certain acceptance before timing, patience and costs.
        sign: Of chance x scale.
        known: Whether chance and value are what was estimated.
        terms: What the policy makes of it.
        context: The context weight that its request earns.
        score: The weight of the customer's scores.
    """

    chance: float
    scale: float
    sign: int
    known: bool
    terms: Terms
    context: float
    score: float


class Worths(Sequence[Worth]):
    """The worths of some options by column; that of one option is put together when it is asked for.

    Args:
        lineup: The options.
        stands: What holds for each of the lineup's offers.
        tolls: What a contact costs on each of the lineup's channels.
        moments: The best slot of each option.
        priorities: Of each option.
    """

    __slots__ = ("lineup", "moments", "priorities", "stands", "tolls")

    def __init__(
        self,
        lineup: Lineup,
        stands: Sequence[Stand],
        tolls: Sequence[Toll],
        moments: list[Moment],
        priorities: list[float],
    ) -> None:
        self.lineup = lineup
        self.stands = stands
        self.tolls = tolls
        self.moments = moments
        self.priorities = priorities

    def __len__(self) -> int:
        return len(self.priorities)

    @overload
    def __getitem__(self, row: int) -> Worth: ...
    @overload
    def __getitem__(self, row: slice) -> list[Worth]: ...
    def __getitem__(self, row: int | slice) -> Worth | list[Worth]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        stand, toll = self.stands[self.lineup.offer_at[row]], self.tolls[self.lineup.channel_at[row]]
        best, factor, parts = self.moments[row]
        own = {
            "context": stand.context,
            "score": stand.score,
            "lever": stand.terms.lever,
            "offer_cost": stand.terms.offer_cost,
        }
        return Worth(
            value=stand.terms.value,
            cost=toll.cost,
            price=toll.price,
            weights={**own, **parts},
            chance=stand.chance,
            scale=stand.scale,
            gain=stand.scale * factor,
            fixed=toll.fixed,
            priority=self.priorities[row],
            best=best,
            known=stand.known,
        )

    def but(self, other: "Worths") -> "Worths":
        """The same, with the best slots and priorities of some of the options as others have them.

        Args:
            other: Of some of these options, by the same policy and with the same contacts before.
        """
        place = {key: row for row, key in enumerate(self.lineup.keys)}
        moments, priorities = list(self.moments), list(self.priorities)
        for key, moment, priority in zip(other.lineup.keys, other.moments, other.priorities, strict=True):
            moments[place[key]], priorities[place[key]] = moment, priority
        return Worths(self.lineup, self.stands, self.tolls, moments, priorities)


NO_WORTHS = Worths(Lineup(), (), (), [], [])
