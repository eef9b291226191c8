"""The effect of sending at an hour, learnt from past sends: within one customer, better hours against worse ones.

Hours that were favoured may have had better customers. A conditional Poisson model (Chamberlain 1984; Wooldridge 1999,
"Distribution-free estimation of some nonlinear panel data models", J. Econometrics 90) gives every stratum (a customer)
a level of its own and lets only the contrast of hours *within* it speak, whatever made the levels differ::

    E[response of send i] = level(stratum) x exp(eta_i)
    eta_i = hour(h) + day(d) + channel(c, h) + segment(g, h) + sum_k lag(k) own_i(h - k) + nuisance(o, c, g)

    log-likelihood = sum_s [ sum_i w_i y_i eta_i - Y_s log sum_i w_i exp(eta_i) ],   Y_s = sum_i w_i y_i

It needs the mean to be right and no distribution. The weights w are inverse probabilities of the slot where those were
logged. Every block is drawn towards nought by a Gaussian prior, neighbouring hours towards each other (empirical
Bayes); its strength is the one under which most is said about customers that were held out, and a block that does not
help there by more than two standard errors is left out. Levels of offers, channels and segments are nuisances: they
differ, and so do their hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from foretouch.core.rng import bucket
from foretouch.serving.models.send_effect import DAY_HOURS, DAYS, SendEffect, lagged
from foretouch.training.task import FloatArray

IntArray = NDArray[np.int64]

BLOCKS: Final = ("hour", "lag", "day", "segment", "channel")
"""In the order in which they are tried."""
CIRCULAR: Final = frozenset({"hour", "lag", "segment", "channel"})
"""Blocks over the 24 hours of a day, whose neighbours are alike."""
STRENGTHS: Final = (4.0, 20.0, 100.0)
"""Precisions of the Gaussian prior that are tried: 20 is a standard deviation of 0.22."""
SMOOTH: Final = 4.0
"""Precision of the difference between neighbouring hours, relative to that of an hour itself."""
LEVEL_STRENGTH: Final = 4.0
"""Precision of the prior of a level of an offer, a channel or a segment."""
LAG_SCALE: Final = 5.0
"""Own shares by hour of day are small: a peak holds about a fifth."""
STANDARD_ERRORS: Final = 2.0
FOLDS: Final = 3
MAX_JUDGED: Final = 20_000
"""Informative sends on which the strengths are chosen; more are thinned by stratum."""


@dataclass(frozen=True, kw_only=True)
class Sends:
    """Past sends as arrays of length n.

    Attributes:
        customer: Customer ids.
        stratum: Index of the group within which hours are compared: see ``send_effect_rows.as_arrays``.
        hour: Local hour of the week, Monday 00h first.
        channel: Index into ``channels``.
        offer: Index into ``offers``.
        segment: Index into ``segments``; -1 for none.
        own: Customer's share of activity by local hour of day before the send, shape (n, 24).
        response: 1 where it was accepted, else 0.
        weight: Inverse probability of the slot where it was logged, else 1.
        micros: When it was sent, microseconds since 1970 UTC.
        logged: Whether the slot's probability was logged.
        channels: Names.
        segments: Names.
        offers: Names.
    """

    customer: NDArray[np.object_]
    stratum: IntArray
    hour: IntArray
    channel: IntArray
    offer: IntArray
    segment: IntArray
    own: FloatArray
    response: FloatArray
    weight: FloatArray
    micros: IntArray
    logged: NDArray[np.bool_]
    channels: tuple[str, ...]
    segments: tuple[str, ...]
    offers: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.hour)

    @property
    def of_day(self) -> IntArray:
        """Local hour of day, shape (n,)."""
        return self.hour % DAY_HOURS

    def take(self, rows: "NDArray[np.bool_] | IntArray") -> "Sends":
        """Some of them."""
        names = {"channels", "segments", "offers"}
        arrays = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name not in names}
        return Sends(**arrays, channels=self.channels, segments=self.segments, offers=self.offers)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Coefficients of the blocks that are used, on the log scale.

    Attributes:
        strengths: Precision of each used block's prior.
        blocks: By name: ``hour`` and ``lag`` (24,), ``day`` (7,), ``channel`` (channels, 24), ``segment`` (groups, 24).
        levels: Of offers, channels and segments, one after the other (``_level_cells``).
    """

    strengths: Mapping[str, float]
    blocks: Mapping[str, FloatArray]
    levels: FloatArray

    def eta(self, sends: Sends) -> FloatArray:
        """Log of each send's factor within its stratum, shape (n,)."""
        own = lagged(sends.own, sends.of_day) if "lag" in self.blocks else sends.own
        return np.asarray(_eta(self.blocks, sends, own) + self.levels[_level_cells(sends)].sum(axis=0))

    def effect(self, sends: Sends, *, why: str) -> SendEffect:
        """What the service needs, for the channels of some sends."""
        hour = self.blocks.get("hour", np.zeros(DAY_HOURS))
        day = self.blocks.get("day", np.zeros(DAYS))
        week = (day[:, None] + hour[None, :]).reshape(-1)
        everyone, supported = {}, {}
        for index, name in enumerate(sends.channels):
            rows = sends.channel == index
            if not rows.any():
                continue
            own = self.blocks["channel"][index] if "channel" in self.blocks else np.zeros(DAY_HOURS)
            everyone[name] = week + np.tile(own, DAYS)
            supported[name] = np.bincount(sends.of_day[rows], minlength=DAY_HOURS) > 0
        segments = self.blocks.get("segment")
        lag = self.blocks.get("lag")
        return SendEffect(
            identified=True,
            why=why,
            everyone=everyone,
            supported=supported,
            segments={} if segments is None else dict(zip(sends.segments, segments, strict=True)),
            lag=None if lag is None else lag * LAG_SCALE,
        )


def fit_effect(sends: Sends, strengths: Mapping[str, float]) -> Learnt:
    """The penalised conditional maximum of the blocks that ``strengths`` names; a convex problem with one answer."""
    used = informative(sends)
    data = sends.take(used)
    _, stratum = np.unique(data.stratum, return_inverse=True)
    count = int(stratum.max()) + 1 if len(data) else 0
    cells, levels = _level_cells(data), _level_count(sends)
    shapes: dict[str, tuple[int, ...]] = {
        "hour": (DAY_HOURS,),
        "lag": (DAY_HOURS,),
        "day": (DAYS,),
        "segment": (len(sends.segments), DAY_HOURS),
        "channel": (len(sends.channels), DAY_HOURS),
    }
    names = [name for name in BLOCKS if name in strengths and np.prod(shapes[name]) > 0]
    sizes = [int(np.prod(shapes[name])) for name in names]
    ends = np.cumsum([*sizes, levels])
    own = lagged(data.own, data.of_day) if "lag" in names else np.zeros((len(data), 0))
    weighted = data.weight * data.response
    total = np.bincount(stratum, weights=weighted, minlength=count)

    def parts(theta: FloatArray) -> tuple[dict[str, FloatArray], FloatArray]:
        pieces = np.split(theta, ends[:-1])
        return {name: piece.reshape(shapes[name]) for name, piece in zip(names, pieces, strict=False)}, pieces[-1]

    def negative(theta: FloatArray) -> tuple[float, FloatArray]:
        blocks, level = parts(theta)
        eta = _eta(blocks, data, own) + level[cells].sum(axis=0)
        raised = data.weight * np.exp(np.clip(eta, -20.0, 20.0))
        sums = np.bincount(stratum, weights=raised, minlength=count)
        value = float(weighted @ eta - total @ np.log(sums))
        residual = weighted - (total / sums)[stratum] * raised
        slopes = []
        for name in names:
            slope = _slope(name, residual, data, own, shapes[name])
            penalty, push = _penalty(name, blocks[name], strengths[name])
            value -= penalty
            slopes.append((slope - push).reshape(-1))
        value -= 0.5 * LEVEL_STRENGTH * float(level @ level)
        pull = np.sum([np.bincount(cell, weights=residual, minlength=levels) for cell in cells], axis=0)
        slopes.append(pull - LEVEL_STRENGTH * level)
        return -value, -np.concatenate(slopes)

    start = np.zeros(int(ends[-1]))
    if count == 0:
        blocks, level = parts(start)
    else:
        found = minimize(negative, start, jac=True, method="L-BFGS-B", options={"maxiter": 150, "ftol": 1e-8})
        blocks, level = parts(np.asarray(found.x, dtype=np.float64))
    return Learnt(strengths={name: strengths[name] for name in names}, blocks=blocks, levels=level)


def likelihoods(sends: Sends, eta: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Conditional log-likelihood of each informative stratum, shape (s,); its responses; and its index."""
    used = informative(sends)
    data, eta = sends.take(used), eta[used]
    index, stratum = np.unique(data.stratum, return_inverse=True)
    weighted = data.weight * data.response
    sums = np.bincount(stratum, weights=data.weight * np.exp(eta), minlength=len(index))
    level = np.bincount(stratum, weights=data.weight, minlength=len(index))
    total = np.bincount(stratum, weights=weighted, minlength=len(index))
    value = np.bincount(stratum, weights=weighted * eta, minlength=len(index)) - total * np.log(sums / level)
    return np.asarray(value), np.asarray(total), index


def choose(sends: Sends) -> dict[str, float]:
    """Strength of every block that helps on strata that were not fitted; a block that does not is not there.

    Strata are dealt into folds; each fold is judged by what the others say. Blocks are tried in turn, each on top of
    those chosen before. One is taken at its best strength if the likelihood rises by more than two standard errors
    over strata, so that chance alone seldom finds an effect.
    """
    sends = _judged(sends.take(informative(sends)))
    fold = np.array([int(position * FOLDS) for position in _positions("send-effect-folds", sends)])
    parts = [(sends.take(fold != index), sends.take(fold == index)) for index in range(FOLDS)]

    def judged(strengths: Mapping[str, float]) -> FloatArray:
        return np.concatenate([likelihoods(held, fit_effect(rest, strengths).eta(held))[0] for rest, held in parts])

    chosen: dict[str, float] = {}
    before = judged(chosen)
    for name in BLOCKS:
        if (name == "segment" and len(sends.segments) < 2) or (name == "channel" and len(sends.channels) < 2):
            continue
        tried = {strength: judged({**chosen, name: strength}) for strength in STRENGTHS}
        best = max(STRENGTHS, key=lambda strength: float(tried[strength].sum()))
        change = tried[best] - before
        if change.sum() > STANDARD_ERRORS * change.std() * np.sqrt(len(change)):
            chosen[name], before = best, tried[best]
    return chosen


def _judged(sends: Sends) -> Sends:
    share = MAX_JUDGED / max(len(sends), 1)
    return sends if share >= 1.0 else sends.take(_positions("send-effect-judged", sends) < share)


def _positions(salt: str, sends: Sends) -> FloatArray:
    """The position of each send's stratum in [0, 1), shape (n,)."""
    strata, index = np.unique(sends.stratum, return_inverse=True)
    return np.array([bucket(salt, str(stratum)) for stratum in strata], dtype=np.float64)[index]


def informative(sends: Sends) -> NDArray[np.bool_]:
    """Sends of strata with a response and at least two different hours: no other says anything, shape (n,)."""
    if len(sends) == 0:
        return np.zeros(0, dtype=bool)
    _, stratum = np.unique(sends.stratum, return_inverse=True)
    count = int(stratum.max()) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, -1)
    np.minimum.at(first, stratum, sends.hour)
    np.maximum.at(last, stratum, sends.hour)
    responses = np.bincount(stratum, weights=sends.response, minlength=count)
    return np.asarray(((first < last) & (responses > 0))[stratum])


def _eta(blocks: Mapping[str, FloatArray], sends: Sends, own: FloatArray) -> FloatArray:
    eta = np.zeros(len(sends))
    hour = sends.of_day
    if "hour" in blocks:
        eta += blocks["hour"][hour]
    if "day" in blocks:
        eta += blocks["day"][sends.hour // DAY_HOURS]
    if "lag" in blocks:
        eta += np.einsum("nk,k->n", own, blocks["lag"] * LAG_SCALE)
    if "channel" in blocks:
        eta += blocks["channel"][sends.channel, hour]
    if "segment" in blocks:
        eta += np.where(sends.segment >= 0, blocks["segment"][sends.segment, hour], 0.0)
    return eta


def _slope(name: str, residual: FloatArray, sends: Sends, own: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    hour = sends.of_day
    if name == "hour":
        return np.asarray(np.bincount(hour, weights=residual, minlength=DAY_HOURS))
    if name == "day":
        return np.asarray(np.bincount(sends.hour // DAY_HOURS, weights=residual, minlength=DAYS))
    if name == "lag":
        return np.asarray(LAG_SCALE * np.einsum("n,nk->k", residual, own))
    group = sends.channel if name == "channel" else sends.segment
    known = group >= 0
    cell = group[known] * DAY_HOURS + hour[known]
    return np.bincount(cell, weights=residual[known], minlength=shape[0] * DAY_HOURS).astype(np.float64).reshape(shape)


def _penalty(name: str, block: FloatArray, strength: float) -> tuple[float, FloatArray]:
    """Minus the prior's logarithm, and its slope."""
    value, slope = float(np.square(block).sum()), block.copy()
    if name in CIRCULAR:
        step = np.roll(block, -1, axis=-1) - block
        value += SMOOTH * float(np.square(step).sum())
        slope += SMOOTH * (np.roll(step, 1, axis=-1) - step)
    return 0.5 * strength * value, strength * slope


def _level_cells(sends: Sends) -> IntArray:
    """Places in ``levels`` of each send's offer, channel and segment, shape (3, n)."""
    offers, channels = len(sends.offers), len(sends.channels)
    return np.stack([sends.offer, offers + sends.channel, offers + channels + sends.segment + 1])


def _level_count(sends: Sends) -> int:
    return len(sends.offers) + len(sends.channels) + len(sends.segments) + 1
