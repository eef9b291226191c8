"""The generative model of the simulated world: who its people are and how they answer.

People (one row each; every draw is seeded by (seed, block of 1,000 people, stream), so that a world of 2,000 people
holds the first 1,000 of a world of 1,000, value by value):

- *Lifetime*: created before the start (60 %) or on a uniform later day; leaves for good after an exponential time
  whose mean is log-normal around 300 days. Nothing marks the day of leaving.
- *Activity*: page views and purchases are Poisson by day, with gamma rates, times a weekly pattern; the local hour
  follows 0.75 x a von Mises bump around the person's own peak + 0.25 x everyone's pattern (``hour_shape``).
- *Intent*: once in a life, for 21 days, a person means to buy: four times the page views, twelve times the forms, and
  3 added to the logit of converting (``untreated``).
- *Occasions*: every person has one a week. Without a contact, they convert with probability ``untreated``. With a
  delivered contact, conversions have two independent causes (``treated``)::

      p1 = p0 * stays + (1 - p0 * stays) * pull * persuadability * 4 * affinity[category] * channel * fit(hour)

  ``stays`` is 0.4 for one person in ten (whom contacts annoy: uplift below zero) and 1 otherwise; ``fit`` rises from
  0.5 to 1 with the share of the person's activity that the hour holds. Uplift is p1 - p0.
- *Money*: gamma order values (shape 4) around a log-normal personal mean. A conversion comes with an order.

What a model may see of this is only what the tables say: events, touches, attributes.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK = 1_000
"""People drawn together."""
START = datetime(2025, 1, 6, tzinfo=UTC)
"""Day 0 of every simulated world: a Monday."""
NIGHT_HOURS = 6
"""The data end this many hours after midnight UTC, when day is over in every zone of the world."""
INTENT_DAYS = 21.0
INTENT_LOGIT = 3.0
WEEK = 7
RESPONSE_DAYS = 7.0
"""A conversion belongs to an occasion when it falls within these days."""

CATEGORIES = ("beauty", "food", "home", "sports")
CHANNELS = ("email", "sms")
CHANNEL_STRENGTH = {"email": 1.0, "sms": 1.25}
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Shanghai", "Asia/Kolkata", "UTC")
ZONE_SHARES = (0.4, 0.2, 0.25, 0.1, 0.05)
LANGUAGES = ("en", "en", "zh", "en", "en")
AGES = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")
AGE_SHARES = (0.1, 0.22, 0.25, 0.2, 0.13, 0.1)
AGE_PERSUASION = (1.5, 1.3, 1.0, 0.9, 0.7, 0.5)
SOURCES = ("search", "referral", "advertising", "store")
SOURCE_SHARES = (0.4, 0.15, 0.3, 0.15)
SOURCE_INTENT_DAYS = (220.0, 120.0, 350.0, 200.0)

_HOURS = np.arange(24, dtype=np.float64)


def _bump(peak: "float | FloatArray", concentration: "float | FloatArray") -> FloatArray:
    """A von Mises bump over the 24 hours, not normalised."""
    bump: FloatArray = np.exp(concentration * (np.cos(2 * np.pi * (_HOURS - peak) / 24) - 1))
    return bump


_EVERYONE = 0.05 + _bump(12.0, 3.0) + _bump(20.0, 4.0)
EVERYONE: FloatArray = _EVERYONE / _EVERYONE.sum()
"""Everyone's share of activity by local hour, shape (24,)."""


@dataclass(frozen=True, kw_only=True)
class People:
    """The hidden truth about n people; every array has shape (n,) unless it says otherwise.

    Attributes:
        number: Running number; the customer id is made of it.
        created_day: Day of becoming a customer, from day 0 of the world; negative is before.
        churn_day: First day without any activity, for good.
        zone: Index into ``ZONES``.
        age: Index into ``AGES``.
        source: Index into ``SOURCES``.
        view_rate: Page views per day.
        purchase_rate: Organic purchases per day.
        order_value: Mean value of an order.
        discount_love: Share of orders bought at a discount.
        affinity_beauty: Share of interest in a category; the four sum to 1.
        affinity_food: As above.
        affinity_home: As above.
        affinity_sports: As above.
        persuadability: Factor of every offer's pull; mean about 1.
        stays: Factor of the untreated probability under contact; below 1 a contact annoys.
        base_logit: Logit of converting at an occasion without contact and intent.
        intent_day: Day on which the intent begins.
        peak_hour: Local hour of most activity.
        concentration: How narrow that peak is.
        weekend: Activity on Saturday and Sunday relative to other days.
        open_logit: Logit of opening a message.
        weekday: Day of week (0 is Monday) of the weekly occasion.
        consents_email: Whether e-mail was allowed on becoming a customer.
        consents_sms: The same for text messages.
    """

    number: IntArray
    created_day: IntArray
    churn_day: IntArray
    zone: IntArray
    age: IntArray
    source: IntArray
    view_rate: FloatArray
    purchase_rate: FloatArray
    order_value: FloatArray
    discount_love: FloatArray
    affinity_beauty: FloatArray
    affinity_food: FloatArray
    affinity_home: FloatArray
    affinity_sports: FloatArray
    persuadability: FloatArray
    stays: FloatArray
    base_logit: FloatArray
    intent_day: FloatArray
    peak_hour: FloatArray
    concentration: FloatArray
    weekend: FloatArray
    open_logit: FloatArray
    weekday: IntArray
    consents_email: NDArray[np.bool_]
    consents_sms: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.number)

    @cached_property
    def customer_id(self) -> "NDArray[np.object_]":
        """Ids such as ``S0000001``."""
        return np.array([f"S{number:07d}" for number in self.number], dtype=object)

    @property
    def affinity(self) -> FloatArray:
        """Shape (n, 4), by ``CATEGORIES``."""
        return np.column_stack([getattr(self, f"affinity_{name}") for name in CATEGORIES])

    def take(self, rows: "NDArray[np.int64] | slice") -> "People":
        """Some of them."""
        return People(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def frame(self) -> pd.DataFrame:
        """One row per person, with ``customer_id``: what the truth file holds."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return pd.DataFrame({"customer_id": self.customer_id, **columns})

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "People":
        """People as ``frame`` wrote them."""
        return cls(**{field.name: frame[field.name].to_numpy() for field in fields(cls)})

    def consents(self, channel: str) -> NDArray[np.bool_]:
        """Whether a channel was allowed on becoming a customer."""
        allowed: NDArray[np.bool_] = getattr(self, f"consents_{channel}")
        return allowed

    def alive(self, day: "int | IntArray") -> NDArray[np.bool_]:
        """Whether they are customers and have not left on a day."""
        return (self.created_day <= day) & (day < self.churn_day)

    def intent(self, day: "int | IntArray") -> NDArray[np.bool_]:
        """Whether they mean to buy on a day."""
        return (self.intent_day <= day) & (day < self.intent_day + INTENT_DAYS)

    def untreated(self, day: "int | IntArray") -> FloatArray:
        """Probability of converting at that day's occasion without a contact."""
        return np.where(self.alive(day), 1 / (1 + np.exp(-(self.base_logit + INTENT_LOGIT * self.intent(day)))), 0.0)

    def treated(
        self, day: "int | IntArray", *, pull: FloatArray, category: IntArray, strength: FloatArray, hour: IntArray
    ) -> FloatArray:
        """Probability of converting at that day's occasion after a delivered contact.

        Args:
            day: Day of the occasion.
            pull: The offer's pull, shape (n,).
            category: The offer's category as an index into ``CATEGORIES``, shape (n,).
            strength: ``CHANNEL_STRENGTH`` of the channel, shape (n,).
            hour: Local hour of the contact, shape (n,).
        """
        organic = self.untreated(day) * self.stays
        interest = self.affinity[np.arange(len(self)), category]
        caused = np.clip(pull * self.persuadability * len(CATEGORIES) * interest * strength, 0.0, 0.5)
        caused = np.where(self.alive(day), caused * self.fit(hour), 0.0)
        return organic + (1 - organic) * caused

    def hour_shape(self) -> FloatArray:
        """Share of a day's activity by local hour, shape (n, 24)."""
        return self._hour_shape

    @cached_property
    def _hour_shape(self) -> FloatArray:
        bump = _bump(self.peak_hour[:, None], self.concentration[:, None])
        shape: FloatArray = 0.75 * bump / bump.sum(axis=1, keepdims=True) + 0.25 * EVERYONE
        return shape

    def day_weights(self) -> FloatArray:
        """Activity by day of week relative to the mean day, Monday first, shape (n, 7)."""
        week = np.ones((len(self), WEEK))
        week[:, 5:] = self.weekend[:, None]
        weights: FloatArray = week * WEEK / week.sum(axis=1, keepdims=True)
        return weights

    def hour_of_week(self) -> FloatArray:
        """Share of a week's activity by local hour, Monday 00h first, shape (n, 168)."""
        return (self.day_weights()[:, :, None] / WEEK * self.hour_shape()[:, None, :]).reshape(len(self), -1)

    def fit(self, hour: IntArray) -> FloatArray:
        """How well a local hour suits each of them, 0.5 to 1."""
        shape = self.hour_shape()
        fit: FloatArray = 0.5 + 0.5 * shape[np.arange(len(self)), hour] / shape.max(axis=1)
        return fit


def draw_people(days: int, seed: int, *, block: int) -> People:
    """The people of one block of a world, always ``BLOCK`` of them.

    Args:
        days: Days of history; later arrivals are spread over them.
        seed: Seed of the world.
        block: Which thousand.
    """
    rng = np.random.default_rng([seed, block, 0])
    n = BLOCK
    early = rng.random(n) < 0.6
    created = np.where(early, -rng.integers(1, 400, n), np.floor(rng.random(n) * days)).astype(np.int64)
    zone = rng.choice(len(ZONES), n, p=ZONE_SHARES)
    age = rng.choice(len(AGES), n, p=AGE_SHARES)
    source = rng.choice(len(SOURCES), n, p=SOURCE_SHARES)
    lifetime = rng.exponential(1.0, n) * rng.lognormal(np.log(300.0), 0.6, n)
    love = rng.beta(1.2, 2.2, n)
    affinity = rng.dirichlet(np.full(len(CATEGORIES), 0.6), n)
    annoyed = rng.random(n) < 0.1
    persuasion = rng.gamma(2.0, 0.5, n) * (0.4 + 1.7 * love) * np.asarray(AGE_PERSUASION)[age]
    peaks = np.asarray((8.0, 12.5, 18.0, 20.5, 22.5))[rng.choice(5, n, p=(0.2, 0.2, 0.2, 0.25, 0.15))]
    return People(
        number=np.arange(block * BLOCK, block * BLOCK + n, dtype=np.int64),
        created_day=created,
        churn_day=(np.maximum(created, 0) + 1 + np.floor(lifetime)).astype(np.int64),
        zone=zone.astype(np.int64),
        age=age.astype(np.int64),
        source=source.astype(np.int64),
        view_rate=rng.gamma(1.5, 0.08, n),
        purchase_rate=rng.gamma(1.2, 0.05, n),
        order_value=rng.lognormal(np.log(35.0), 0.5, n),
        discount_love=love,
        affinity_beauty=affinity[:, 0],
        affinity_food=affinity[:, 1],
        affinity_home=affinity[:, 2],
        affinity_sports=affinity[:, 3],
        persuadability=np.where(annoyed, 0.0, persuasion),
        stays=np.where(annoyed, 0.4, 1.0),
        base_logit=rng.normal(-4.7, 0.6, n),
        intent_day=np.maximum(created, 0) + rng.exponential(np.asarray(SOURCE_INTENT_DAYS)[source]),
        peak_hour=(peaks + rng.normal(0.0, 0.7, n)) % 24,
        concentration=rng.uniform(2.0, 8.0, n),
        weekend=rng.lognormal(0.2, 0.4, n),
        open_logit=rng.normal(-0.6, 0.8, n),
        weekday=rng.integers(0, WEEK, n),
        consents_email=rng.random(n) < 0.88,
        consents_sms=rng.random(n) < 0.35,
    )


@dataclass(frozen=True, kw_only=True)
class WorldOffer:
    """An offer with its hidden pull.

    Attributes:
        offer_id: Its id.
        name: Its name.
        category: Index into ``CATEGORIES``.
        pull: Mean probability of converting that a contact adds, before persons and hours.
        value: Contribution margin of a conversion, in the workspace's currency.
        cost: Cost of the offer per conversion.
        start_day: First day, from day 0 of the world.
        end_day: First day on which it is over.
    """

    offer_id: str
    name: str
    category: int
    pull: float
    value: float
    cost: float
    start_day: int
    end_day: int


WAVE_DAYS = 28
RUN_ON_DAYS = 90
_PULL = (0.08, 0.055, 0.04, 0.065)
_VALUE = (14.0, 9.0, 18.0, 12.0)
_COST = (2.0, 1.0, 3.0, 1.5)


def draw_offers(days: int, seed: int) -> tuple[WorldOffer, ...]:
    """One offer per category every 28 days; the last four run on for 90 days after the data end."""
    waves = -(-days // WAVE_DAYS)
    offers = []
    for wave in range(waves):
        rng = np.random.default_rng([seed, 1_000_000 + wave, 0])
        noise = rng.lognormal(0.0, 0.15, len(CATEGORIES))
        last = wave == waves - 1
        offers += [
            WorldOffer(
                offer_id=f"offer-{wave + 1:02d}-{name}",
                name=f"{name.capitalize()} offer {wave + 1}",
                category=index,
                pull=float(_PULL[index] * noise[index]),
                value=_VALUE[index],
                cost=_COST[index],
                start_day=wave * WAVE_DAYS,
                end_day=days + RUN_ON_DAYS if last else (wave + 1) * WAVE_DAYS,
            )
            for index, name in enumerate(CATEGORIES)
        ]
    return tuple(offers)
