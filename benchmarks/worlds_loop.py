"""A policy that learns from its own log in a simulated world: decide, log, wait for outcomes, train, decide again.

What decides is the product's own code, on the same scores: ``serving.policies.distribution`` and ``draw`` with one seed
per decision (``core.rng``), priorities by the formula of ``serving.priority`` (here over whole days at once; a test
holds the two equal), trees by ``training.booster.fit_booster``. Simulated are the world, the touchpoints, the delays.

The log is what a workspace's log is: features as they were known at the decision, the selection probability, the
outcome once it has arrived. A row is learnt from when its window has closed. Nothing of ``worlds_truth`` is seen but
attributes and answers.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worlds_choice import Belief, Drawn, check, drawn_of, positions, shares_of
from worlds_learner import INPUTS, NUMBERS, Learner
from worlds_log import FAR, Log, Memory, Sent
from worlds_truth import CHANNEL_COST, CHANNELS, FloatArray, IntArray, Population, World, draw_population

from foretouch.core.policy import Factors, NewOffers, PolicySpec
from foretouch.serving.decision.cooling import cooled

HISTORY_SENDS = 5_000
"""Sends before day 0: a marketer's, of the first half of the offers on the cheap channel, to big spenders."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A policy in the race.

    Attributes:
        name: In results.
        spec: What ``serving.policies`` gets.
        model: ``trees``, ``rates`` (observed rate by offer and channel, the same for everybody) or ``none``.
    """

    name: str
    spec: PolicySpec
    model: str = "trees"


OURS = "foretouch"
NO_PRICES = Factors(value=False, cost=False, price=False, lever=False, context_weight=False)
SHARED: Mapping[str, Any] = {"fatigue_cost": 0.1, "new_offers": NewOffers(prior_strength=100.0)}
EXPLORES: Mapping[str, Any] = {
    "explores_by": "evidence",
    "temperature": 2.0,
    "cools_after": 20_000,
    "floor": 0.003,
}
NARROWER: Mapping[str, Any] = {**EXPLORES, "temperature": 0.5, "cools_after": 40_000}
"""What ``EXPLORES`` was before development draws chose it again; propensity-only keeps it, as its races were run."""
CONTESTANTS = (
    Contestant(name=OURS, spec=PolicySpec(kind="softmax", **EXPLORES, **SHARED)),
    Contestant(name="greedy", spec=PolicySpec(kind="greedy", **SHARED)),
    Contestant(name="propensity-only", spec=PolicySpec(kind="softmax", factors=NO_PRICES, **NARROWER, **SHARED)),
    Contestant(name="popularity", spec=PolicySpec(kind="epsilon", epsilon=0.05, **SHARED), model="rates"),
    Contestant(name="random", spec=PolicySpec(kind="shuffle"), model="none"),
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The draws of one day, each of shape (m,).

    Attributes:
        index: Of the candidate drawn; 0 is no contact.
        probability: Its selection probability.
        believed: Its propensity.
        best: Index of the candidate with the highest priority.
    """

    index: IntArray
    probability: FloatArray
    believed: FloatArray
    best: IntArray


class Race:
    """One contestant in one world."""

    def __init__(self, world: World, contestant: Contestant) -> None:
        self.world, self.contestant = world, contestant
        self.people: Population = draw_population(world)
        self.fixed = self.people.fixed_logit()
        self.memory, self.log = Memory.new(world), Log()
        self.learner = Learner(world, self.log, self.people.category)
        people = self.people
        numbers = (people.age, people.spend, people.visits, people.love, *people.noise.T)
        self.centre = np.array([values.mean() for values in numbers])
        k = world.offers
        self.keys = [
            ("", "", ""),
            *((f"offer-{at // CHANNELS:02d}", "", str(at % CHANNELS)) for at in range(k * CHANNELS)),
        ]
        self.arrivals: dict[int, list[tuple[IntArray, IntArray, IntArray]]] = {}

    def run(self) -> dict[str, Any]:
        """Every day of the world; figures by day."""
        started = time.perf_counter()
        world = self.world
        visits = np.random.default_rng([world.seed, 1])
        answers = np.random.default_rng([world.seed, 2])
        self._history(np.random.default_rng([world.seed, 3]))
        expected, realised, contacts, unexplored = [], [], [], []
        for day in range(world.days):
            self._morning(day)
            if self.contestant.model == "trees":
                self.learner.morning(day)
            who = visits.choice(world.customers, world.per_day, replace=False)
            chance = self._chance(day, who)
            features = self._features(day, who)
            choice = self._decide(day, who, features)
            sent = choice.index > 0
            at = np.maximum(choice.index - 1, 0)
            offer, channel = at // CHANNELS, at % CHANNELS
            truth = chance.reshape(len(who), -1)[np.arange(len(who)), at]
            gain = truth * self.people.value[offer] - np.asarray(CHANNEL_COST)[channel]
            accepted = (answers.random(len(who)) < truth) & sent
            delay = np.ceil(answers.exponential(world.delay_days, len(who))).astype(np.int64)
            expected.append(float(np.where(sent, gain, 0.0).mean()))
            money = accepted * self.people.value[offer] - sent * np.asarray(CHANNEL_COST)[channel]
            realised.append(float(money.mean()))
            contacts.append(float(sent.mean()))
            flat = (chance * self.people.value[None, :, None] - np.asarray(CHANNEL_COST)).reshape(len(who), -1)
            at_best = flat[np.arange(len(who)), np.maximum(choice.best - 1, 0)]
            unexplored.append(float(np.where(choice.best > 0, at_best, 0.0).mean()))
            rows = features.reshape(len(who), -1, features.shape[-1])[np.arange(len(who)), at]
            sends = Sent(
                day=day,
                who=who,
                offer=offer,
                channel=channel,
                rows=rows,
                probability=choice.probability,
                believed=choice.believed,
                accepted=accepted,
                delay=delay,
            )
            self._write(sends.take(sent))
        return {
            "world": world.name,
            "policy": self.contestant.name,
            "expected": expected,
            "realised": realised,
            "contacts": contacts,
            "unexplored": unexplored,
            "seconds": time.perf_counter() - started,
        }

    def _morning(self, day: int) -> None:
        self.memory.night(day)
        for who, category, offer_channel in self.arrivals.pop(day, []):
            np.add.at(self.memory.accepted, (who, category), 1.0)
            self.memory.last_accepted[who, category] = day
            np.add.at(self.memory.wins_recent, offer_channel // CHANNELS, 1.0)
            np.add.at(self.memory.wins_alike, (self.people.segment[who], category), 1.0)
            np.add.at(self.memory.wins_lately, (self.people.segment[who], category), 1.0)
            np.add.at(self.memory.wins_ever.reshape(-1), offer_channel, 1.0)

    def _chance(self, day: int, who: IntArray) -> FloatArray:
        return self.people.chance(day, who, self.fixed[who], load=self.memory.load[who], sated=self.memory.sated[who])

    def _write(self, sends: "Sent") -> None:
        category = self.people.category[sends.offer]
        self.memory.note(sends, category, self.people.segment[sends.who])
        in_time = sends.accepted & (sends.delay <= self.world.window_days)
        for wait in np.unique(sends.delay[in_time]):
            some = in_time & (sends.delay == wait)
            self.arrivals.setdefault(sends.day + int(wait), []).append(
                (sends.who[some], category[some], sends.offer[some] * CHANNELS + sends.channel[some])
            )
        if len(sends.who):
            self.log.append(sends)

    def _history(self, rng: np.random.Generator) -> None:
        """A marketer's sends of the month before: targeted, half of the offers, one channel."""
        world, people = self.world, self.people
        half = max(int((people.start_day == 0).sum()) // 2, 1)
        for day in range(-30, 0):
            self._morning(day)
            odds = 0.2 + people.spend
            who = rng.choice(world.customers, HISTORY_SENDS // 30, replace=False, p=odds / odds.sum())
            offer = rng.integers(0, half, len(who))
            channel = np.zeros(len(who), dtype=np.int64)
            chance = self._chance(max(day, 0), who)[np.arange(len(who)), offer, channel]
            rows = self._features(day, who)[np.arange(len(who)), offer, channel]
            accepted = rng.random(len(who)) < chance
            delay = np.ceil(rng.exponential(world.delay_days, len(who))).astype(np.int64)
            self._write(
                Sent(
                    day=day,
                    who=who,
                    offer=offer,
                    channel=channel,
                    rows=rows,
                    probability=np.full(len(who), np.nan),
                    believed=np.full(len(who), self.learner.rate),
                    accepted=accepted,
                    delay=delay,
                )
            )

    def _features(self, day: int, who: IntArray) -> NDArray[np.float32]:
        """What is known at the decision, shape (m, offers, channels, inputs)."""
        people, memory, world = self.people, self.memory, self.world
        m, k = len(who), world.offers
        out = np.empty((m, k, CHANNELS, len(INPUTS)), dtype=np.float32)
        person = (
            people.age[who],
            people.spend[who],
            people.visits[who],
            people.love[who],
            people.noise[who, 0],
            people.noise[who, 1],
            people.segment[who],
            memory.week[who].sum(axis=1),
            memory.contacts[who],
            np.minimum(day - memory.last_contact[who], FAR),
            memory.accepted[who].sum(axis=1),
        )
        for index, values in enumerate(person):
            out[..., index] = values[:, None, None]
        at = len(person)
        out[..., at] = memory.accepted[who][:, people.category][:, :, None]
        out[..., at + 1] = np.minimum(day - memory.last_accepted[who][:, people.category], FAR)[:, :, None]
        out[..., at + 2] = memory.contacts_category[who][:, people.category][:, :, None]
        recent = (memory.wins_recent + 20 * self.learner.rate) / (memory.sends_recent + 20)
        offered = (np.arange(k), people.category, None, people.value, people.depth, recent)
        for index, column in enumerate(offered, start=at + 3):
            out[..., index] = np.arange(CHANNELS)[None, None, :] if column is None else column[None, :, None]
        lately = (memory.wins_lately + 10 * self.learner.rate) / (memory.sends_lately + 10)
        out[..., at + 11] = lately[people.segment[who]][:, people.category][:, :, None]
        numbers = np.column_stack(person[: len(NUMBERS)]) - self.centre
        for index, (first, second) in enumerate(combinations(range(len(NUMBERS)), 2), start=at + 12):
            out[..., index] = (numbers[:, first] * numbers[:, second])[:, None, None]
        alike = (memory.wins_alike + 20 * self.learner.rate) / (memory.sends_alike + 20)
        surprise = (memory.wins_alike + 10 * self.learner.rate) / (memory.expected_alike + 10 * self.learner.rate)
        out[..., at + 10] = surprise[people.segment[who]][:, people.category][:, :, None]
        out[..., at + 9] = alike[people.segment[who]][:, people.category][:, :, None]
        return out

    def _decide(self, day: int, who: IntArray, features: NDArray[np.float32]) -> "Choice":
        m, k = len(who), self.world.offers
        spec = cooled(self.contestant.spec, self.learner.contacts)
        runs = np.flatnonzero(np.repeat(self.people.start_day <= max(day, 0), CHANNELS))
        keys = [self.keys[0], *(self.keys[at + 1] for at in runs)]
        recent = self.memory.week[who].sum(axis=1)
        offer, channel = runs // CHANNELS, runs % CHANNELS
        category = self.people.category[offer]
        evidence = self.memory.sends_ever.sum(axis=1)[offer]
        strength = spec.new_offers.prior_strength
        chance: FloatArray | None = None
        if self.contestant.model == "none":
            table = np.zeros((m, len(runs) + 1))
        else:
            if self.contestant.model == "rates":
                rate = (self.memory.wins_ever + 100 * self.learner.rate) / (self.memory.sends_ever + 100)
                chance = np.tile(rate.reshape(-1)[runs], (m, 1))
            else:
                model = self.learner.chances(features.reshape(m, k * CHANNELS, -1)[:, runs], category)
                prior = (self.learner.rate * strength + model * evidence) / (strength + evidence)
                chance = np.where(self.learner.knows(offer, category), model, prior)
            table = priorities(chance, self.people.value[offer], np.asarray(CHANNEL_COST)[channel], recent, spec)
        belief: Belief | None = None
        if chance is not None and spec.kind == "softmax" and spec.explores_by == "evidence":
            gain = self.people.value[offer] if spec.factors.value else np.ones(len(runs))
            belief = Belief(chance=chance, gain=gain, contacts=evidence, strength=strength)
        shares = shares_of(table, spec, belief)
        position = positions(self.world.name, who, day)
        index = drawn_of(shares, keys, position)
        check(table, spec, belief, keys, Drawn(shares=shares, position=position, index=index))
        every, at = np.arange(m), np.maximum(index - 1, 0)
        believed = np.full(m, self.learner.rate)
        if chance is not None and self.contestant.model == "trees":
            believed = np.where(index > 0, chance[every, at], believed)
        highest = table.argmax(axis=1)
        return Choice(
            index=np.where(index > 0, runs[at] + 1, 0),
            probability=shares[every, index],
            believed=believed,
            best=np.where(highest > 0, runs[highest - 1] + 1, 0),
        )


def priorities(
    chance: FloatArray, value: FloatArray, cost: FloatArray, recent: FloatArray, spec: PolicySpec
) -> FloatArray:
    """The formula of ``serving.priority.worth`` for m customers at once, "no contact" (0) in the first column.

    Args:
        chance: Propensity, shape (m, candidates).
        value: Margin less the offer's cost, shape (candidates,).
        cost: Of the channel, shape (candidates,).
        recent: Contacts of the last seven days, shape (m,).
        spec: Which factors count, and the price of fatigue.
    """
    gain = value if spec.factors.value else np.ones_like(value)
    worth = (chance if spec.factors.propensity else np.ones_like(chance)) * gain[None, :]
    if spec.factors.cost:
        worth = worth - cost[None, :]
    if spec.factors.price:
        worth = worth - spec.fatigue_cost * recent[:, None]
    return np.concatenate([np.zeros((len(worth), 1)), worth], axis=1)
