"""Metrics of order, prepared once and then computed under many weights: what makes a bootstrap of them cheap.

Each ``prepare_*`` sorts once and returns a function of row weights, shape (n,), or None for one each. A weight of k
counts a row k times, so a weighted figure equals the figure of the rows repeated.

Labels, scores and row weights have shape (n,).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foretouch.training.task import FloatArray

Weighted = Callable[[FloatArray | None], float]


def dot(first: FloatArray, second: FloatArray) -> float:
    """The sum of products of two vectors, shape (n,) each, on one thread.

    BLAS (``@``) shares vectors of more than 10,000 numbers among threads: each call of a bootstrap then waits for them,
    and the last digits depend on the number of cores.
    """
    return float(np.einsum("i,i->", first, second))


def _tie_ends(values: FloatArray) -> NDArray[np.intp]:
    """Index of the last element of each run of equal values in a sorted array."""
    ends: NDArray[np.intp] = np.r_[np.flatnonzero(np.diff(values)), len(values) - 1]
    return ends


def prepare_auc(label: FloatArray, score: FloatArray) -> Weighted:
    """Area under the ROC curve: P(score of a positive > of a negative) + half P(equal). Mann-Whitney U / (P N)."""
    order = np.argsort(score, kind="stable")
    ends = _tie_ends(score[order])
    positive = label[order]

    def auc(weight: FloatArray | None) -> float:
        weights = np.ones(len(order)) if weight is None else weight[order]
        positives = np.diff(np.cumsum(weights * positive)[ends], prepend=0.0)
        negatives = np.diff(np.cumsum(weights * (1.0 - positive))[ends], prepend=0.0)
        total = positives.sum() * negatives.sum()
        below = np.cumsum(negatives) - negatives
        return float(np.sum(positives * (below + 0.5 * negatives)) / total) if total > 0 else float("nan")

    return auc


def prepare_average_precision(label: FloatArray, score: FloatArray) -> Weighted:
    """Average precision: sum over distinct thresholds of precision x gain in recall (scikit-learn's definition)."""
    order = np.argsort(-score, kind="stable")
    ends = _tie_ends(score[order])
    positive = label[order]

    def average_precision(weight: FloatArray | None) -> float:
        weights = np.ones(len(order)) if weight is None else weight[order]
        found = np.cumsum(weights * positive)[ends]
        seen = np.cumsum(weights)[ends]
        if found[-1] <= 0:
            return float("nan")
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return float(np.sum(precision * np.diff(found, prepend=0.0)) / found[-1])

    return average_precision


def prepare_gini(label: FloatArray, score: FloatArray) -> Weighted:
    """Normalised Gini of an amount: concentration by score over concentration by the amount itself; ties averaged."""
    by_score, by_label = _concentration(label, score), _concentration(label, label)

    def gini(weight: FloatArray | None) -> float:
        best = by_label(weight)
        return by_score(weight) / best if best > 0 else float("nan")

    return gini


def _concentration(label: FloatArray, score: FloatArray) -> Weighted:
    order = np.argsort(-score, kind="stable")
    ends = _tie_ends(score[order])
    amount = label[order]

    def area(weight: FloatArray | None) -> float:
        weights = np.ones(len(order)) if weight is None else weight[order]
        people = np.r_[0.0, np.cumsum(weights)[ends]]
        money = np.r_[0.0, np.cumsum(weights * amount)[ends]]
        if money[-1] <= 0:
            return float("nan")
        return float(np.trapezoid(money / money[-1], people / people[-1]) - 0.5)

    return area


def prepare_spearman(label: FloatArray, score: FloatArray) -> Weighted:
    """Spearman's rank correlation, ties by mid-rank."""
    rank_label, rank_score = _mid_ranks(label), _mid_ranks(score)

    def spearman(weight: FloatArray | None) -> float:
        weights = np.ones(len(label)) if weight is None else weight
        total = weights.sum()
        first, second = rank_label(weights), rank_score(weights)
        first = first - dot(weights, first) / total
        second = second - dot(weights, second) / total
        own = weights * second
        scale = np.sqrt(dot(weights, first**2) * dot(own, second))
        return float(dot(own, first) / scale) if scale > 0 else float("nan")

    return spearman


def _mid_ranks(values: FloatArray) -> Callable[[FloatArray], FloatArray]:
    order = np.argsort(values, kind="stable")
    ends = _tie_ends(values[order])
    group = np.empty(len(values), dtype=np.intp)
    group[order] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))

    def ranks(weights: FloatArray) -> FloatArray:
        above = np.cumsum(weights[order])[ends]
        middle: FloatArray = 0.5 * (above + np.r_[0.0, above[:-1]])
        return middle[group]

    return ranks
