"""Metrics by name, each with the side on which it is better; definitions as in scikit-learn where it has one.

Labels and scores are arrays of one number per row, shape (n,); so are row weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foretouch.training.ranking import (
    Weighted,
    dot,
    prepare_auc,
    prepare_average_precision,
    prepare_gini,
    prepare_spearman,
)
from foretouch.training.task import FloatArray

SMALLEST = 1e-15
"""Probabilities are clipped to [1e-15, 1 - 1e-15] in log loss."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of labels and scores that can be computed under row weights.

    Attributes:
        name: As written on the card.
        better: Whether more or less of it is better.
        prepare: Labels and scores, shape (n,) each, to a function of weights.
    """

    name: str
    better: Literal["up", "down"]
    prepare: Callable[[FloatArray, FloatArray], Weighted]

    def __call__(self, label: FloatArray, score: FloatArray) -> float:
        """The figure with every row counted once."""
        return self.prepare(np.asarray(label, dtype=np.float64), np.asarray(score, dtype=np.float64))(None)


def mean_metric(name: str, loss: Callable[[FloatArray, FloatArray], FloatArray], *, root: bool = False) -> Metric:
    """A metric that is the mean of a loss per row, or the root of that mean.

    Args:
        name: As written on the card.
        loss: Labels and scores to one loss each, shape (n,).
        root: Take the square root of the mean.
    """

    def prepare(label: FloatArray, score: FloatArray) -> Weighted:
        losses = loss(label, score)

        def mean(weight: FloatArray | None) -> float:
            value = losses.mean() if weight is None else dot(weight, losses) / weight.sum()
            return float(np.sqrt(value) if root else value)

        return mean

    return Metric(name=name, better="down", prepare=prepare)


def row_log_loss(label: FloatArray, score: FloatArray) -> FloatArray:
    """Log loss of each row, in nats."""
    clipped = np.clip(score, SMALLEST, 1.0 - SMALLEST)
    losses: FloatArray = -(label * np.log(clipped) + (1.0 - label) * np.log1p(-clipped))
    return losses


AUC = Metric(name="auc", better="up", prepare=prepare_auc)
AVERAGE_PRECISION = Metric(name="average_precision", better="up", prepare=prepare_average_precision)
GINI = Metric(name="gini", better="up", prepare=prepare_gini)
SPEARMAN = Metric(name="spearman", better="up", prepare=prepare_spearman)
LOG_LOSS = mean_metric("log_loss", row_log_loss)
BRIER = mean_metric("brier", lambda label, score: np.square(score - label))
MAE = mean_metric("mae", lambda label, score: np.abs(score - label))
RMSE = mean_metric("rmse", lambda label, score: np.square(score - label), root=True)

PROBABILITY_METRICS = (AUC, AVERAGE_PRECISION, LOG_LOSS, BRIER)
AMOUNT_METRICS = (RMSE, MAE, SPEARMAN, GINI)


def expected_calibration_error(
    label: FloatArray, score: FloatArray, *, bins: int = 10, width: Literal["equal_width", "equal_mass"] = "equal_mass"
) -> float:
    """Mean of |mean score - rate| over bins, weighted by their share of rows.

    Equal width: bin = min(floor(score x bins), bins - 1). Equal mass: a stable sort by score cut by
    ``numpy.array_split``. (Both as STATISTICS.md's calibration definitions.)
    """
    if width == "equal_width":
        index = np.minimum((score * bins).astype(int), bins - 1)
        count = np.bincount(index, minlength=bins)
        gap = np.abs(
            np.bincount(index, weights=score, minlength=bins) - np.bincount(index, weights=label, minlength=bins)
        )
        return float(gap.sum() / count.sum())
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    return float(sum(abs(score[part].sum() - label[part].sum()) for part in parts if len(part)) / len(score))


def calibration_line(label: FloatArray, score: FloatArray) -> tuple[float, float]:
    """Slope and intercept of logit(y) ~ logit(score): (1, 0) when calibrated. Rows scored 0 or 1 are left out.

    Logistic regression by Newton's method (Cox 1958).

    Returns:
        (slope, intercept); NaN where labels are all alike.
    """
    inside = (score > 0.0) & (score < 1.0)
    label, score = label[inside], score[inside]
    if len(label) == 0 or label.min() == label.max() or np.ptp(score) == 0.0:
        return float("nan"), float("nan")
    design = np.column_stack([np.log(score / (1.0 - score)), np.ones(len(score))])
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        mean = 1.0 / (1.0 + np.exp(-(design @ beta)))
        step = np.linalg.solve(design.T @ (design * (mean * (1.0 - mean))[:, None]), design.T @ (label - mean))
        beta = beta + np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-12:
            break
    return float(beta[0]), float(beta[1])


def calibration_in_the_large(label: FloatArray, score: FloatArray) -> float:
    """Intercept of logit(y) with offset logit(score): 0 when the mean is right. Rows scored 0 or 1 are left out."""
    inside = (score > 0.0) & (score < 1.0)
    label, score = label[inside], score[inside]
    if len(label) == 0 or label.min() == label.max():
        return float("nan")
    offset = np.log(score / (1.0 - score))
    intercept = 0.0
    for _ in range(100):
        mean = 1.0 / (1.0 + np.exp(-(offset + intercept)))
        step = float(np.clip((label - mean).sum() / (mean * (1.0 - mean)).sum(), -5.0, 5.0))
        intercept += step
        if abs(step) < 1e-12:
            break
    return intercept


def decile_lift(label: FloatArray, score: FloatArray, *, parts: int = 10) -> list[float]:
    """Mean label of each tenth by score over the mean of all; the first is the top (stable sort, array_split)."""
    overall = float(label.mean())
    groups = np.array_split(np.argsort(-score, kind="stable"), parts)
    return [float(label[group].mean() / overall) if overall > 0 and len(group) else float("nan") for group in groups]


def gain_curve(label: FloatArray, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the label total found in the top share of rows by score.

    Returns:
        (share of rows, share of label), each shape (n + 1,), from 0 to 1; ties in the order of the rows.
    """
    order = np.argsort(-score, kind="stable")
    found = np.r_[0.0, np.cumsum(label[order])]
    return np.linspace(0.0, 1.0, len(label) + 1), found / (found[-1] or 1.0)


def probability_figures(label: FloatArray, score: FloatArray) -> dict[str, float]:
    """Every figure of a calibrated probability that the card names; what cannot be computed is left out."""
    slope, intercept = calibration_line(label, score)
    figures = {metric.name: metric(label, score) for metric in PROBABILITY_METRICS} | {
        "ece_equal_width_10": expected_calibration_error(label, score, width="equal_width"),
        "ece_equal_mass_10": expected_calibration_error(label, score),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "calibration_in_the_large": calibration_in_the_large(label, score),
        "top_decile_lift": decile_lift(label, score)[0],
        "rate": float(label.mean()),
        "mean_score": float(score.mean()),
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def amount_figures(label: FloatArray, score: FloatArray) -> dict[str, float]:
    """Every figure of an expected amount that the card names; what cannot be computed is left out."""
    figures = {metric.name: metric(label, score) for metric in AMOUNT_METRICS} | {
        "top_decile_lift": decile_lift(label, score)[0],
        "mean_label": float(label.mean()),
        "mean_score": float(score.mean()),
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}
