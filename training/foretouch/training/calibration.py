"""Calibration on rows the trees did not see, the interval round a calibrated score, and its bands.

Scores, labels and clusters (customer ids) are arrays of one value per row, shape (n,).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from foretouch.core.bundle import Band, Calibration, ScoreIntervals
from foretouch.training.evaluation import cluster_weights
from foretouch.training.metrics import calibration_line, row_log_loss
from foretouch.training.ranking import dot
from foretouch.training.task import FloatArray

FOLDS = 5
BINS = 10
ISOTONIC_KNOTS = 64


def apply(calibration: Calibration, raw: FloatArray) -> FloatArray:
    """``core.bundle.Calibration.apply`` on every raw score, shape (n,)."""
    return np.array([calibration.apply(float(score)) for score in raw], dtype=np.float64)


def calibrate_probability(raw: FloatArray, label: FloatArray, cluster: NDArray[np.object_]) -> Calibration:
    """Platt or isotonic, whichever has the smaller log loss on customers left out, in five folds by customer.

    Platt (1999) is a line on the log-odds; isotonic (Zadrozny and Elkan 2002) is a monotone step function, kept as
    knots. Where labels are all alike nothing can be calibrated and scores stay as they are.
    """
    if label.min() == label.max():
        return Calibration()
    _, codes = np.unique(cluster.astype(str), return_inverse=True)
    fold = codes % FOLDS
    losses = {"platt": 0.0, "isotonic": 0.0}
    for index in range(FOLDS):
        held = fold == index
        for name, fit in (("platt", fit_platt), ("isotonic", fit_isotonic)):
            if held.any() and not held.all():
                scored = apply(fit(raw[~held], label[~held]), raw[held])
                losses[name] += float(row_log_loss(label[held], np.clip(scored, 1e-4, 1 - 1e-4)).sum())
    return fit_isotonic(raw, label) if losses["isotonic"] < losses["platt"] else fit_platt(raw, label)


def fit_platt(raw: FloatArray, label: FloatArray) -> Calibration:
    """A line on the log-odds of the raw probability; not calibrated where it would turn the order round."""
    slope, intercept = calibration_line(label, np.clip(raw, 1e-12, 1.0 - 1e-12))
    if not np.isfinite(slope) or slope <= 0.0:
        return Calibration()
    return Calibration(method="platt", x=(slope,), y=(intercept,))


def fit_isotonic(raw: FloatArray, label: FloatArray, *, smallest: float | None = None) -> Calibration:
    """A monotone function from raw to calibrated by pooling adjacent violators, at most 64 knots.

    Each knot is a pooled block's mean raw score and mean label; between knots it is linear. A block's probability is
    shrunk by half a row of the overall mean, so that no score is exactly 0 or 1.

    Args:
        raw: Raw scores, shape (n,).
        label: 0/1, or amounts, shape (n,).
        smallest: Where given, calibrated values are at least this.
    """
    order = np.argsort(raw, kind="stable")
    x, y = raw[order], label[order]
    overall = float(y.mean())
    pieces = np.array_split(np.arange(len(x)), min(len(x), 1000))
    blocks: list[list[float]] = []  # sum of raw, sum of label, rows
    for piece in pieces:
        blocks.append([float(x[piece].sum()), float(y[piece].sum()), float(len(piece))])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    while len(blocks) > ISOTONIC_KNOTS:
        at = min(range(len(blocks) - 1), key=lambda index: blocks[index][2] + blocks[index + 1][2])
        last = blocks.pop(at + 1)
        blocks[at] = [a + b for a, b in zip(blocks[at], last, strict=True)]
    knots_x = [block[0] / block[2] for block in blocks]
    knots_y = [(block[1] + 0.5 * overall) / (block[2] + 0.5) for block in blocks]
    knots_y = list(np.maximum.accumulate(knots_y if smallest is None else np.maximum(knots_y, smallest)))
    keep = [0, *(index for index in range(1, len(knots_x)) if knots_x[index] > knots_x[index - 1])]
    return Calibration(
        method="isotonic",
        x=tuple(float(knots_x[index]) for index in keep),
        y=tuple(float(knots_y[index]) for index in keep),
    )


def scale_amount(
    raw: FloatArray, label: FloatArray, cluster: NDArray[np.object_], *, seed: int, draws: int = 1000
) -> Calibration:
    """One factor that makes the mean right, where the calibration rows show that it is wrong.

    The factor is mean label over mean score. If its 95 % bootstrap interval by customer holds 1, the rows cannot tell
    it from no factor, and there is none.
    """
    if raw.mean() <= 0 or label.sum() <= 0:
        return Calibration()
    factors = [dot(weight, label) / dot(weight, raw) for weight in cluster_weights(cluster, draws=draws, seed=seed)]
    low, high = np.percentile(factors, [2.5, 97.5])
    if low <= 1.0 <= high:
        return Calibration()
    return Calibration(method="scale", y=(float(label.mean() / raw.mean()),))


def probability_intervals(
    score: FloatArray, label: FloatArray, *, level: float = 0.95, cluster: NDArray[np.object_] | None = None
) -> ScoreIntervals:
    """An interval for the rate among customers with such a score, by ten bins of equal mass.

    Jeffreys' interval (Brown, Cai and DasGupta 2001): quantiles of Beta(k + 1/2, n - k + 1/2), widened to hold the
    bin's own range of scores, so that a score is never outside its interval.

    Args:
        score: Calibrated scores, shape (n,).
        label: 0 or 1, shape (n,).
        level: Of the interval.
        cluster: Customer of each row, shape (n,): a customer's rows in a bin say what one row says, so a bin counts as
            many rows as it has customers. None where every row stands for itself.
    """
    edges, lows, highs = [], [], []
    for part in _bins(score):
        rows = float(len(part) if cluster is None else len(np.unique(cluster[part].astype(str))))
        hits = float(label[part].mean()) * rows
        low = float(betaincinv(hits + 0.5, rows - hits + 0.5, (1 - level) / 2))
        high = float(betaincinv(hits + 0.5, rows - hits + 0.5, (1 + level) / 2))
        edges.append(float(score[part].max()))
        lows.append(min(low, float(score[part].min())))
        highs.append(max(high, float(score[part].max())))
    return ScoreIntervals(
        upper_edges=tuple(edges),
        low=(*(float(value) for value in np.minimum.accumulate(lows[::-1])[::-1]),),
        high=(*(float(value) for value in np.maximum.accumulate(highs)),),
        level=level,
    )


def amount_intervals(score: FloatArray, label: FloatArray, *, level: float = 0.80) -> ScoreIntervals:
    """Where the amount of one customer with such a score falls: quantiles of the label by ten bins of equal mass."""
    edges, lows, highs = [], [], []
    for part in _bins(score):
        low, high = np.quantile(label[part], [(1 - level) / 2, (1 + level) / 2])
        edges.append(float(score[part].max()))
        lows.append(min(float(low), float(score[part].min())))
        highs.append(max(float(high), float(score[part].max())))
    return ScoreIntervals(upper_edges=tuple(edges), low=tuple(lows), high=tuple(highs), level=level)


def _bins(score: FloatArray) -> list[NDArray[np.intp]]:
    """Rows by score in up to ten bins of about equal mass; equal scores share a bin."""
    inner = np.unique(np.quantile(score, np.linspace(0, 1, BINS + 1)[1:-1]))
    index = np.searchsorted(inner, score, side="left")
    return [np.flatnonzero(index == value) for value in np.unique(index)]


def bands(names: Sequence[str], thresholds: Sequence[float]) -> tuple[Band, ...]:
    """Bands from their lower ends; the first begins at 0.

    Args:
        names: From lowest to highest.
        thresholds: Lower ends of all but the first.
    """
    lower = (0.0, *(float(value) for value in thresholds))
    return tuple(Band(name=name, at_least=value) for name, value in zip(names, lower, strict=True))
