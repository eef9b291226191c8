"""How far probabilities can be taken at their word: every figure of a calibration report in one place."""

from typing import Any, Final

import numpy as np

from foretouch.core.errors import DataError
from foretouch.training.metrics import (
    AUC,
    AVERAGE_PRECISION,
    BRIER,
    LOG_LOSS,
    calibration_in_the_large,
    calibration_line,
    decile_lift,
    expected_calibration_error,
)
from foretouch.training.task import FloatArray

BINS = 10
DEFINITIONS: Final = {
    "brier": "mean (p - y)^2",
    "log_loss": "mean of -log p(y), p clipped to [1e-15, 1 - 1e-15], nats",
    "auc": "P(score of a 1 > score of a 0) + half P(equal)",
    "average_precision": "sum over thresholds of precision x gain in recall",
    "ece_equal_width_10": "bin min(floor(10 p), 9); |mean p - rate| weighted by rows",
    "ece_equal_mass_10": "stable sort by p, ten parts by numpy.array_split; |mean p - rate| weighted by rows",
    "slope, intercept": "logistic regression of y on logit(p); 1 and 0 when calibrated; rows with p of 0 or 1 left out",
    "calibration_in_the_large": "intercept of logit(y) with offset logit(p); rows with p of 0 or 1 left out",
    "decile_lift": "stable sort by -p, ten parts; rate of each over the rate of all, the top first",
}


def calibration_figures(score: FloatArray, label: FloatArray) -> dict[str, Any]:
    """Figures and bins of probabilities against what happened.

    Args:
        score: Probabilities, shape (n,).
        label: 0 or 1, shape (n,).

    Returns:
        Figures by name; NaN where the rows do not determine one (labels that the score separates without an error have
        no slope).

    Raises:
        DataError: A score is no probability, or a label neither 0 nor 1.
    """
    if len(score) != len(label) or len(score) == 0:
        raise DataError(f"{len(score)} scores and {len(label)} labels; need one of each per row, and a row")
    odd = np.flatnonzero(~((score >= 0.0) & (score <= 1.0)))
    if len(odd):
        raise DataError(
            f"score {score[odd[0]]:g} in row {int(odd[0])} is no probability ({len(odd)} rows)",
            hint="calibration is about probabilities from 0 to 1; for a ranking score use foretouch bench qini",
        )
    if not np.isin(label, (0.0, 1.0)).all():
        raise DataError("labels must be 0 or 1")
    slope, intercept = (float("nan"), float("nan")) if _separated(score, label) else calibration_line(label, score)
    return {
        "n": len(score),
        "rate": float(label.mean()),
        "mean_score": float(score.mean()),
        "brier": BRIER(label, score),
        "log_loss": LOG_LOSS(label, score),
        "auc": AUC(label, score),
        "average_precision": AVERAGE_PRECISION(label, score),
        "ece_equal_width_10": expected_calibration_error(label, score, bins=BINS, width="equal_width"),
        "ece_equal_mass_10": expected_calibration_error(label, score, bins=BINS, width="equal_mass"),
        "slope": slope,
        "intercept": intercept,
        "calibration_in_the_large": calibration_in_the_large(label, score),
        "decile_lift": decile_lift(label, score, parts=BINS),
        "bins": _bins(score, label),
        "definitions": DEFINITIONS,
    }


def _separated(score: FloatArray, label: FloatArray) -> bool:
    """Whether a threshold splits the labels without an error, so that no finite slope fits best."""
    inside = (score > 0.0) & (score < 1.0)
    ones, zeros = score[inside & (label == 1.0)], score[inside & (label == 0.0)]
    if not len(ones) or not len(zeros):
        return True
    return bool(ones.min() >= zeros.max() or zeros.min() >= ones.max())


def _bins(score: FloatArray, label: FloatArray) -> list[dict[str, float]]:
    """The points of a calibration plot: ten bins of equal mass."""
    parts = np.array_split(np.argsort(score, kind="stable"), BINS)
    return [
        {"n": len(part), "mean_score": float(score[part].mean()), "rate": float(label[part].mean())}
        for part in parts
        if len(part)
    ]
