"""Calibration figures with errors that take whole customers as one draw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from foretouch.training.metrics import calibration_line
from foretouch.training.task import FloatArray

Z = float(norm.ppf(0.975))
BINS = 10


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def among(self, count: int) -> "Figure":
        """With the interval of one of several, so that all of them hold together with 95 % (Bonferroni)."""
        wider = float(norm.ppf(1.0 - 0.025 / max(count, 1))) / Z
        return Figure(
            value=self.value,
            low=self.value - wider * (self.value - self.low),
            high=self.value + wider * (self.high - self.value),
        )

    def reaches(self, least: float, most: float) -> bool:
        """Whether the interval has a point in a range; a figure that is not finite has none."""
        return bool(np.isfinite(self.value) and self.low <= most and self.high >= least)


def slope(label: FloatArray, score: FloatArray, cluster: NDArray[np.object_]) -> Figure | None:
    """Slope of logit(label) on logit(score) with a cluster-robust (sandwich) interval; None where there is none.

    Args:
        label: 0 or 1, shape (n,).
        score: Probabilities, shape (n,); rows with 0 or 1 are left out.
        cluster: Shape (n,).
    """
    inside = (score > 0.0) & (score < 1.0)
    label, score, cluster = label[inside], score[inside], cluster[inside]
    value, intercept = calibration_line(label, score)
    if not np.isfinite(value):
        return None
    design = np.column_stack([np.log(score / (1.0 - score)), np.ones(len(score))])
    mean = 1.0 / (1.0 + np.exp(-(design @ np.array([value, intercept]))))
    bread = np.linalg.inv(design.T @ (design * (mean * (1.0 - mean))[:, None]))
    parts = _sums(design * (label - mean)[:, None], cluster)
    meat = parts.T @ parts * len(parts) / max(len(parts) - 1.0, 1.0)
    se = float(np.sqrt((bread @ meat @ bread)[0, 0]))
    return Figure(value=value, low=value - Z * se, high=value + Z * se)


def mean_ratio(label: FloatArray, score: FloatArray, cluster: NDArray[np.object_]) -> Figure | None:
    """Mean label over mean score, interval by the delta method over clusters; None where the scores sum to 0."""
    total = float(score.sum())
    if total <= 0.0:
        return None
    value = float(label.sum()) / total
    parts = _sums((label - value * score)[:, None], cluster)[:, 0]
    se = float(np.sqrt(np.square(parts).sum() * len(parts) / max(len(parts) - 1.0, 1.0))) / total
    return Figure(value=value, low=value - Z * se, high=value + Z * se)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How much labels vary about scores beyond what independent rows would: the design effect of whole clusters.

    In a group of a few customers the residuals at hand say little of their own error: no churner among six expected
    ones looks like no error at all. So the variance is taken from everyone: v(s) = s (1 - s) for a probability and s^2
    for an amount, times ``factor``.

    Attributes:
        factor: Sum over clusters of squared residual sums, over the sum of v, among all rows.
        amount: Whether scores are amounts.
    """

    factor: float
    amount: bool

    @classmethod
    def of(cls, label: FloatArray, score: FloatArray, cluster: NDArray[np.object_], *, amount: bool) -> "Spread":
        """From all rows."""
        total = float(_variance(score, amount=amount).sum())
        squares = float(np.square(_sums((label - score)[:, None], cluster)).sum())
        return cls(factor=squares / total if total > 0.0 else 0.0, amount=amount)

    def mean_ratio(self, label: FloatArray, score: FloatArray, cluster: NDArray[np.object_]) -> Figure | None:
        """``mean_ratio`` of a group, its interval as wide as everyone's variance makes it at least."""
        figure = mean_ratio(label, score, cluster)
        if figure is None:
            return None
        variance = self.factor * float(_variance(score, amount=self.amount).sum())
        reach = max(figure.high - figure.value, Z * float(np.sqrt(variance)) / float(score.sum()))
        return Figure(value=figure.value, low=figure.value - reach, high=figure.value + reach)


def _variance(score: FloatArray, *, amount: bool) -> FloatArray:
    return np.square(score) if amount else score * (1.0 - score)


def error_beyond_chance(label: FloatArray, score: FloatArray, cluster: NDArray[np.object_]) -> tuple[float, float]:
    """Expected calibration error over ten bins of equal mass, and what chance alone would make of it.

    Chance: were every score right, a bin's gap would be normal with the standard error of its residuals by cluster, so
    that its mean size is that times sqrt(2 / pi).

    Returns:
        The error, and the part of it that chance explains.
    """
    parts = np.array_split(np.argsort(score, kind="stable"), BINS)
    error = chance = 0.0
    for part in parts:
        if not len(part):
            continue
        residual = label[part] - score[part]
        gap = float(residual.sum())
        by_cluster = _sums((residual - gap / len(part))[:, None], cluster[part])[:, 0]
        error += abs(gap)
        chance += float(np.sqrt(2.0 / np.pi * np.square(by_cluster).sum()))
    return error / len(label), chance / len(label)


def _sums(rows: FloatArray, cluster: NDArray[np.object_]) -> FloatArray:
    """Sums by cluster, shape (clusters, columns)."""
    _, code = np.unique(cluster.astype(str), return_inverse=True)
    columns = [np.bincount(code, weights=rows[:, index]) for index in range(rows.shape[1])]
    return np.column_stack(columns).astype(np.float64)
