"""Three fixed simulated worlds in which a policy learns from its own log: what is true in them.

The chance that a contact is accepted lies outside of what trees on the logged features can write down::

    chance = cap x sigmoid(base[offer]
                 + bump(age; category) x [segment in the category's segments]      interaction, not linear
                 + twist x sign((spend - 1/2)(visits - 1/2) x side[category])      exclusive or
                 + bargain x (love - 1/2) x depth[offer]                           customer x offer
                 + liking[channel, segment]                                        channel x segment
                 + drift x side[segment] x sin(2 pi (day / period + phase[category]))   tastes that turn
                 - saturation x log(1 + acceptances of the category, decayed)      nobody buys twice at once
                 - fatigue x load ^ 1.5                                            contacts, decayed over five days
                 + unseen[customer, category])                                     nobody can know it

``load``, decayed acceptances and ``unseen`` are never logged; what a policy sees are counts of its own contacts and of
outcomes that have arrived. An acceptance is worth the offer's margin; a contact costs its channel's price.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SEGMENTS, CATEGORIES, CHANNELS = 6, 4, 2
CHANNEL_COST = (0.05, 0.35)
LOAD_DAYS, SATED_DAYS = 5.0, 20.0


@dataclass(frozen=True, kw_only=True)
class World:
    """What is fixed about a world before anybody is drawn.

    Attributes:
        name: In results and on the figure.
        seed: Of people, offers, visits and answers.
        customers: How many.
        days: Days of decisions.
        per_day: Customers with a touchpoint per day, drawn without replacement.
        offers: How many offers.
        late_offers: The last so many start at evenly spread later days.
        delay_days: Mean days until an acceptance is known; longer ones than ``window_days`` are lost.
        window_days: After so many days a contact without an answer counts as not accepted.
        rate: Logit of a middling acceptance.
        cap: Highest chance.
        bump: See the module.
        twist: See the module.
        bargain: See the module.
        drift: See the module.
        period: Days of one turn of tastes.
        saturation: See the module.
        fatigue: See the module.
        unseen: Standard deviation of what nobody can know.
    """

    name: str
    seed: int
    offers: int
    rate: float
    delay_days: float
    window_days: int
    customers: int = 5_000
    days: int = 100
    per_day: int = 2_000
    late_offers: int = 0
    cap: float = 0.6
    bump: float = 2.2
    twist: float = 0.7
    bargain: float = 2.0
    drift: float = 0.0
    period: float = 80.0
    saturation: float = 0.8
    fatigue: float = 0.15
    unseen: float = 0.25


WORLDS = (
    World(name="interactions", seed=11, offers=8, rate=-3.0, delay_days=2.0, window_days=7),
    World(name="drift", seed=22, offers=10, rate=-2.8, delay_days=1.0, window_days=5, late_offers=4, drift=1.0),
    World(
        name="fatigue",
        seed=33,
        offers=12,
        rate=-3.8,
        delay_days=4.0,
        window_days=10,
        saturation=1.4,
        fatigue=0.45,
        drift=0.3,
    ),
)
"""Committed: seeds, sizes and delays are part of the result."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """People and offers of a world; all draws come from its seed.

    Attributes:
        world: What it was drawn from.
        age: On [0, 1], shape (n,); ``spend``, ``visits`` and ``love`` likewise.
        segment: 0…5, shape (n,).
        noise: Two attributes that mean nothing, shape (n, 2).
        unseen: Shape (n, categories).
        category: Of each offer, shape (offers,).
        base: Logit of each offer.
        depth: How much of a bargain, on [-1, 1].
        value: Margin of an acceptance, in the workspace's currency.
        start_day: First day of each offer.
        middle: Age at which a category is liked best.
        member: Segments that like a category, shape (categories, segments).
        side: ±1 by category.
        swing: ±1 by segment.
        phase: By category.
        liking: Shape (channels, segments).
    """

    world: World
    age: FloatArray
    spend: FloatArray
    visits: FloatArray
    love: FloatArray
    segment: IntArray
    noise: FloatArray
    unseen: FloatArray
    category: IntArray
    base: FloatArray
    depth: FloatArray
    value: FloatArray
    start_day: IntArray
    middle: FloatArray
    member: NDArray[np.bool_]
    side: FloatArray
    swing: FloatArray
    phase: FloatArray
    liking: FloatArray

    def fixed_logit(self) -> FloatArray:
        """What neither the day nor the past changes, shape (n, offers, channels)."""
        world = self.world
        near = np.exp(-np.square((self.age[:, None] - self.middle[None, :]) / 0.18))
        taste = world.bump * near * self.member[:, self.segment].T
        odd = np.sign((self.spend - 0.5) * (self.visits - 0.5))
        taste = taste + world.twist * odd[:, None] * self.side[None, :] + self.unseen
        bargain = world.bargain * (self.love[:, None] - 0.5) * self.depth[None, :]
        return np.asarray(
            (self.base[None, :] + taste[:, self.category] + bargain)[:, :, None]
            + self.liking[:, self.segment].T[:, None, :]
        )

    def chance(
        self,
        day: int,
        who: IntArray,
        fixed: FloatArray,
        *,
        load: FloatArray,
        sated: FloatArray,
        tastes_of: int | None = None,
    ) -> FloatArray:
        """Chance that each contact would be accepted, shape (m, offers, channels); 0 before an offer starts.

        Args:
            day: Day of the decision.
            who: Customers, shape (m,).
            fixed: ``fixed_logit()[who]``.
            load: Decayed contacts of them, shape (m,).
            sated: Decayed acceptances by category, shape (m, categories).
            tastes_of: Day whose tastes are taken instead of today's.
        """
        world = self.world
        tastes = day if tastes_of is None else tastes_of
        turn = np.sin(2 * np.pi * (tastes / world.period + self.phase))
        moves = world.drift * self.swing[self.segment[who]][:, None] * turn[None, :]
        moves = moves - world.saturation * np.log1p(sated)
        logit = fixed + moves[:, self.category][:, :, None] - world.fatigue * np.power(load, 1.5)[:, None, None]
        chance = world.cap / (1.0 + np.exp(-logit))
        return np.where((self.start_day <= day)[None, :, None], chance, 0.0)


def draw_population(world: World) -> Population:
    """The people and offers of a world."""
    rng = np.random.default_rng([world.seed, 0])
    n, k = world.customers, world.offers
    category = np.arange(k) % CATEGORIES
    member = np.zeros((CATEGORIES, SEGMENTS), dtype=bool)
    for index in range(CATEGORIES):
        member[index, rng.choice(SEGMENTS, 3, replace=False)] = True
    start = np.zeros(k, dtype=np.int64)
    if world.late_offers:
        start[k - world.late_offers :] = np.linspace(15, 0.7 * world.days, world.late_offers).astype(np.int64)
    base = world.rate + rng.normal(0.0, 0.5, k)
    return Population(
        world=world,
        age=rng.random(n),
        spend=rng.random(n),
        visits=rng.random(n),
        love=rng.random(n),
        segment=rng.integers(0, SEGMENTS, n),
        noise=rng.normal(size=(n, 2)),
        unseen=rng.normal(0.0, world.unseen, (n, CATEGORIES)),
        category=category.astype(np.int64),
        base=base,
        depth=rng.uniform(-1.0, 1.0, k),
        value=np.round(12.0 * np.exp(rng.normal(0.0, 0.35, k) - 0.3 * (base - world.rate)), 2),
        start_day=start,
        middle=rng.permutation(np.linspace(0.15, 0.85, CATEGORIES)),
        member=member,
        side=rng.choice([-1.0, 1.0], CATEGORIES),
        swing=np.where(np.arange(SEGMENTS) % 2 == 0, 1.0, -1.0),
        phase=rng.random(CATEGORIES),
        liking=rng.normal(0.0, 0.4, (CHANNELS, SEGMENTS)),
    )
