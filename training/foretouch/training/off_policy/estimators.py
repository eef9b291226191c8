"""Off-policy estimators: what a policy would have earned, from a log that another policy wrote.

With w = pi(a | x) / pscore for the logged action a, q the reward model and n rows (Dudik, Langford and Li 2011;
Swaminathan and Joachims 2015 for self-normalisation; Wang, Agarwal and Dudik 2017 for Switch; Su and others 2020 for
optimistic shrinkage)::

    IPS       mean(w r)                               SNIPS   sum(w r) / sum(w)
    DM        mean(sum_a pi(a|x) q(x, a))             DR      DM + mean(w (r - q))
    SNDR      DM + sum(w (r - q)) / sum(w)            Switch  DR with w kept only where w <= tau
    DRos      DR with lambda w / (w^2 + lambda)       clipped w cut at a bound

Every estimate is a mean of *round terms*, one per row, so its standard error is their standard deviation over the
square root of n. For a ratio the terms are those of its linearisation (delta method).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from foretouch.training.task import FloatArray

IntArray = NDArray[np.int64]

FOLDS = 5
SHRINKAGE_ROWS = 20.0


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What the estimators see of n rows of a log.

    Attributes:
        reward: r, shape (n,).
        weight: w = pi(a | x) / pscore of the logged action, shape (n,).
        direct: sum_a pi(a | x) q(x, a), shape (n,).
        predicted: q of the logged action, shape (n,).
    """

    reward: FloatArray
    weight: FloatArray
    direct: FloatArray
    predicted: FloatArray

    def __len__(self) -> int:
        return len(self.reward)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate of the mean reward, in the units of the reward.

    Attributes:
        value: The estimate.
        se: Standard error from the round terms.
        low: ``value - z se``.
        high: ``value + z se``.
        terms: Deviations of the round terms from the value, shape (n,): two estimates of one log are compared
            through the difference of theirs.
    """

    value: float
    se: float
    low: float
    high: float
    terms: FloatArray


Estimator = Callable[[Rounds], tuple[float, FloatArray]]
"""From rounds to the estimate and the deviations of its round terms."""


def ips(rounds: Rounds) -> tuple[float, FloatArray]:
    """Inverse propensity scoring (Horvitz and Thompson 1952): unbiased, noisy where weights are large."""
    return _mean(rounds.weight * rounds.reward)


def clipped_ips(most: float) -> Estimator:
    """IPS with weights cut at ``most``: less noise, biased towards 0."""
    return lambda rounds: _mean(np.minimum(rounds.weight, most) * rounds.reward)


def snips(rounds: Rounds) -> tuple[float, FloatArray]:
    """Self-normalised IPS: a weighted mean of rewards, so always between the smallest and the largest."""
    return _ratio(rounds.weight, rounds.reward, np.zeros(len(rounds)))


def direct_method(rounds: Rounds) -> tuple[float, FloatArray]:
    """The reward model alone: as good as the model, and its interval does not know how good that is."""
    return _mean(rounds.direct)


def doubly_robust(rounds: Rounds) -> tuple[float, FloatArray]:
    """DR: right if the propensities or the reward model are."""
    return _corrected(rounds, rounds.weight)


def clipped_doubly_robust(most: float) -> Estimator:
    """DR with weights cut at ``most``."""
    return lambda rounds: _corrected(rounds, np.minimum(rounds.weight, most))


def self_normalised_doubly_robust(rounds: Rounds) -> tuple[float, FloatArray]:
    """DR whose correction is a weighted mean of residuals."""
    return _ratio(rounds.weight, rounds.reward - rounds.predicted, rounds.direct)


def switch(tau: float) -> Estimator:
    """Switch-DR: rows with a weight above ``tau`` trust the reward model alone."""
    return lambda rounds: _corrected(rounds, np.where(rounds.weight <= tau, rounds.weight, 0.0))


def optimistic_shrinkage(strength: float) -> Estimator:
    """DRos: weights shrunk to ``strength w / (w^2 + strength)``; DM at 0, DR at infinity."""
    return lambda rounds: _corrected(rounds, strength * rounds.weight / (np.square(rounds.weight) + strength))


ESTIMATORS: Final[Mapping[str, Estimator]] = {
    "ips": ips,
    "ips_clip20": clipped_ips(20.0),
    "snips": snips,
    "dm": direct_method,
    "dr": doubly_robust,
    "dr_clip20": clipped_doubly_robust(20.0),
    "sndr": self_normalised_doubly_robust,
    "switch_dr_tau5": switch(5.0),
    "switch_dr_tau20": switch(20.0),
    "dros_lambda1": optimistic_shrinkage(1.0),
    "dros_lambda100": optimistic_shrinkage(100.0),
}


def estimate(rounds: Rounds, estimator: Estimator, *, level: float = 0.95) -> Estimate:
    """One estimate with its standard error and normal interval; NaN error for a single row."""
    value, terms = estimator(rounds)
    n = len(rounds)
    se = float(np.sqrt(np.sum(np.square(terms)) / (n - 1) / n)) if n > 1 else float("nan")
    reach = float(norm.ppf((1.0 + level) / 2.0)) * se
    return Estimate(value=value, se=se, low=value - reach, high=value + reach, terms=terms)


def estimate_all(rounds: Rounds, *, level: float = 0.95) -> dict[str, Estimate]:
    """Every estimator of ``ESTIMATORS`` on the same rows."""
    return {name: estimate(rounds, estimator, level=level) for name, estimator in ESTIMATORS.items()}


def effective_sample_size(weight: FloatArray) -> float:
    """(sum w)^2 / sum w^2 (Kish 1965): how many rows of equal weight say as much; 0 where all weights are 0."""
    squares = float(np.square(weight).sum())
    return float(np.square(weight.sum())) / squares if squares > 0.0 else 0.0


def max_weight_share(weight: FloatArray) -> float:
    """Share of the largest weight in their sum; 1 where all weights are 0."""
    total = float(weight.sum())
    return float(weight.max()) / total if total > 0.0 else 1.0


def weight_share_of_top(weight: FloatArray, *, share: float = 0.01) -> float:
    """Share of the weight that the heaviest ``share`` of rows (at least one) carry."""
    total = float(weight.sum())
    count = max(int(len(weight) * share), 1)
    return float(np.sort(weight)[-count:].sum()) / total if total > 0.0 else 1.0


def deal_folds(n: int) -> IntArray:
    """The fold of each row, dealt in turn, shape (n,); one fold for a log of up to five rows."""
    return np.arange(n) % FOLDS if n > FOLDS else np.zeros(n, dtype=np.int64)


def cross_fitted_means(reward: FloatArray, cell: IntArray, cells: int, fold: IntArray) -> FloatArray:
    """A reward model without features: the mean of each cell in the other folds, drawn towards everyone's mean.

    A row is scored by means that have not seen its fold, so that no reward predicts itself. A cell's mean is drawn
    towards the overall mean of the rows seen as by 20 more rows.

    Args:
        reward: Shape (n,).
        cell: Cell of each row, 0…cells-1, shape (n,): the action, or the action at its position.
        cells: How many cells there are.
        fold: Fold of each row, shape (n,).

    Returns:
        By fold that is scored, the mean of every cell, shape (folds, cells).
    """
    folds = int(fold.max()) + 1
    means = np.empty((folds, cells))
    for index in range(folds):
        seen = fold != index if folds > 1 else np.ones(len(reward), dtype=bool)
        overall = float(reward[seen].mean())
        total = np.bincount(cell[seen], weights=reward[seen], minlength=cells)
        count = np.bincount(cell[seen], minlength=cells)
        means[index] = (total + SHRINKAGE_ROWS * overall) / (count + SHRINKAGE_ROWS)
    return means


def _mean(terms: FloatArray) -> tuple[float, FloatArray]:
    value = float(terms.mean())
    return value, terms - value


def _corrected(rounds: Rounds, weight: FloatArray) -> tuple[float, FloatArray]:
    return _mean(rounds.direct + weight * (rounds.reward - rounds.predicted))


def _ratio(weight: FloatArray, of: FloatArray, plus: FloatArray) -> tuple[float, FloatArray]:
    """mean(plus) + sum(weight of) / sum(weight); NaN where all weights are 0."""
    mean_weight = float(weight.mean())
    if mean_weight <= 0.0:
        return float("nan"), np.full(len(weight), np.nan)
    ratio = float(weight @ of) / float(weight.sum())
    offset, deviation = _mean(plus)
    return offset + ratio, deviation + weight * (of - ratio) / mean_weight
