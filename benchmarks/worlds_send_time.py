"""The send-time world: what was planted, what past sends looked like, and whose hour brings the most responses.

Everybody has two or three busy hours a day, seen as events. A message does best about two hours after one's busiest
hour on working days and an hour before it at weekends, less so for some, and differently on the two channels; responses
saturate. None of that is in the learner's class (one multiplicative pattern, the same lag every day). Past sends went
out mostly at ten, the better the customer the more so; a share of them at any hour.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretouch.serving.models.rhythm import Rhythm, back_off
from foretouch.serving.models.send_effect import EXTRA, SendEffect, fold
from foretouch.training.send_effect import Sends
from foretouch.training.send_effect_report import learn
from foretouch.training.send_effect_rows import slot_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CUSTOMERS, SENDS, SEEDS = 4_000, 14, (1, 2, 3, 4, 5)
FIRST, LAST = 9, 20
ALLOWED: Final = np.arange(FIRST, LAST + 1)
USUAL, USUAL_SHARE = 10, 0.7


def _circle(hour: FloatArray, peak: FloatArray, width: float) -> FloatArray:
    away = np.abs((hour - peak + 12.0) % 24.0 - 12.0)
    return np.asarray(np.exp(-0.5 * np.square(away / width)))


class Town:
    """The planted truth of one seed: activity, and the chance of a response by hour of the week and channel."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 77])
        n = CUSTOMERS
        self.rng = rng
        self.peak = rng.choice([8.0, 12.0, 15.0, 17.0], n, p=[0.2, 0.3, 0.2, 0.3]) + rng.normal(0.0, 0.7, n)
        hours = np.arange(24.0)[None, :]
        shape = _circle(hours, self.peak[:, None], 1.3) + 0.35 * _circle(hours, self.peak[:, None] + 9.0, 1.0) + 0.05
        self.activity = np.tile(shape, (1, 7)) / (7 * shape.sum(axis=1, keepdims=True))
        self.level = rng.gamma(1.2, 0.07, n)
        self.feels = np.where(rng.random(n) < 0.25, 0.2, 1.0)
        self.counts = rng.poisson(rng.gamma(2.0, 12.0, n)[:, None] * self.activity).astype(np.float64)

    def chance(self, channel: int) -> FloatArray:
        """Chance of a response by local hour of the week, shape (n, 168)."""
        hours = np.arange(24.0)[None, :]
        shift = (2.0, 1.0)[channel]
        work = _circle(hours, self.peak[:, None] + shift, 2.0)
        free = _circle(hours, self.peak[:, None] - 1.0, 2.5)
        week = np.concatenate([np.tile(work, (1, 5)), np.tile(free, (1, 2))], axis=1)
        raw = self.level[:, None] * (0.5 + 1.6 * self.feels[:, None] * week)
        return np.asarray(0.6 * (1.0 - np.exp(-raw / 0.6)))

    def sends(self, rhythm: Rhythm, *, varied: bool) -> Sends:
        """Past sends: mostly at ten to good customers; or all of them at ten."""
        rng, n = self.rng, CUSTOMERS
        who = np.repeat(np.arange(n), SENDS)
        usual = rng.random(len(who)) < np.clip(USUAL_SHARE * (0.4 + self.level[who] / self.level.mean()), 0.0, 0.9)
        hour = np.where(usual, USUAL, rng.choice(ALLOWED, len(who))) if varied else np.full(len(who), USUAL)
        hour = rng.integers(0, 7, len(who)) * 24 + hour
        channel = rng.integers(0, 2, len(who))
        chance = np.stack([self.chance(0), self.chance(1)])[channel, who, hour]
        own = fold(self.shares(rhythm))
        return Sends(
            customer=who.astype(str).astype(object),
            stratum=who.astype(np.int64),
            hour=hour.astype(np.int64),
            channel=channel.astype(np.int64),
            offer=rng.integers(0, 6, len(who)),
            segment=np.full(len(who), -1, dtype=np.int64),
            own=own[who],
            response=(rng.random(len(who)) < chance).astype(np.float64),
            weight=slot_weights(np.full(len(who), np.nan)),
            micros=np.tile(np.arange(SENDS, dtype=np.int64), n),
            logged=np.zeros(len(who), dtype=bool),
            channels=("email", "sms"),
            segments=(),
            offers=tuple("012345"),
        )

    def rhythm(self) -> Rhythm:
        """Everyone's activity as the service would know it."""
        total = self.counts.sum(axis=0) + 1.0
        return Rhythm(
            counts_feature="page_view_hours",
            segment_feature="",
            everyone=total / total.sum(),
            segments={},
            concentration=20.0,
            bandwidth=1.0,
            other_days=0.8,
            refined=False,
        )

    def shares(self, rhythm: Rhythm) -> FloatArray:
        """Every customer's share of activity as the service would say, shape (n, 168)."""
        return back_off(rhythm, self.counts, np.full(CUSTOMERS, None, dtype=object))


def run() -> dict[str, Any]:
    """Mean chance of a response at each rule's hour of the day, over customers, days and channels, by seed."""
    rows: list[dict[str, float]] = []
    equal = True
    for seed in SEEDS:
        town = Town(seed)
        rhythm = town.rhythm()
        shares = town.shares(rhythm)
        sends = town.sends(rhythm, varied=True)
        effect = SendEffect.from_extras(learn(sends).extras)
        rows.append({name: value_of(town, choice) for name, choice in choices(town, shares, sends, effect).items()})
        never = learn(town.sends(rhythm, varied=False))
        silent = SendEffect.from_extras(never.extras)
        prior = by_effect(shares, SendEffect(identified=False))
        equal = equal and not never.extras[EXTRA]["identified"] and bool((by_effect(shares, silent) == prior).all())
    names = list(rows[0])
    mean = {name: float(np.mean([row[name] for row in rows])) for name in names}
    ours = np.array([row["foretouch"] for row in rows])
    return {
        "customers": CUSTOMERS,
        "past_sends": CUSTOMERS * SENDS,
        "seeds": list(SEEDS),
        "mean_response": mean,
        "share_of_oracle": {name: mean[name] / mean["oracle"] for name in names},
        "least_gain_over_a_rule_in_any_seed": {
            name: float((ours - np.array([row[name] for row in rows])).min())
            for name in names
            if name not in {"foretouch", "oracle"}
        },
        "equals_the_prior_where_hours_were_never_varied": equal,
    }


def choices(town: Town, shares: FloatArray, sends: Sends, effect: SendEffect) -> dict[str, IntArray]:
    """Hour of day by customer, day and channel, shape (n, 7, 2), of every rule."""
    rng = np.random.default_rng(5)
    whole = (CUSTOMERS, 7, 2)
    truth = np.stack([town.chance(channel).reshape(CUSTOMERS, 7, 24) for channel in (0, 1)], axis=2)
    rate = np.array([sends.response[sends.of_day == hour].mean() for hour in ALLOWED])
    common = FIRST + truth.mean(axis=0)[..., ALLOWED].argmax(axis=2)
    frequent = ALLOWED[fold(town.counts)[:, ALLOWED].argmax(axis=1)]
    return {
        "foretouch": by_effect(shares, effect),
        "everyone's best hour (known)": np.broadcast_to(common[None, :, :], whole).astype(np.int64),
        "everyone's best hour (observed)": np.full(whole, int(ALLOWED[rate.argmax()])),
        "own most frequent hour": np.broadcast_to(frequent[:, None, None], whole).astype(np.int64),
        "any hour": rng.choice(ALLOWED, whole),
        "oracle": (FIRST + truth[..., ALLOWED].argmax(axis=3)).astype(np.int64),
    }


def by_effect(shares: FloatArray, effect: SendEffect) -> IntArray:
    """The service's rule: the largest multiplier; among equals the larger share of activity, then the earlier."""
    chosen = np.empty((len(shares), 7, 2), dtype=np.int64)
    for row, own in enumerate(shares):
        of = effect.of(own)
        activity = own.reshape(7, 24)[:, ALLOWED]
        for index, channel in enumerate(("email", "sms")):
            by_hour = of[channel].reshape(7, 24)[:, ALLOWED] if channel in of else np.ones((7, len(ALLOWED)))
            best = by_hour >= by_hour.max(axis=1, keepdims=True) - 1e-12
            chosen[row, :, index] = ALLOWED[np.where(best, activity, -1.0).argmax(axis=1)]
    return chosen


def value_of(town: Town, hour: IntArray) -> float:
    """Mean chance of a response when everybody is sent to at these hours."""
    day = np.arange(7)[None, :]
    who = np.arange(CUSTOMERS)[:, None]
    chances = [town.chance(channel)[who, day * 24 + hour[:, :, channel]] for channel in (0, 1)]
    return float(np.mean(chances))
