"""Which share each of several scores gets, judged on rows that none of them saw.

Scores are log-odds. Each blend is judged after Platt's line, as it will be used: a strongly shrunk linear model is far
too modest on its own scale, and without the line would seem worse than it orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foretouch.training.metrics import calibration_line, row_log_loss
from foretouch.training.task import FloatArray

STEP = 0.15
"""Shares are multiples of it, below the first score's, which gets the rest."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """Shares of scores and the line on their sum.

    Attributes:
        shares: Of each score, by name; they sum to 1.
        slope: Of Platt's line.
        intercept: Of it.
        loss: Mean log loss on the rows it was chosen on, nats.
    """

    shares: Mapping[str, float]
    slope: float
    intercept: float
    loss: float

    def apply(self, scores: Mapping[str, FloatArray]) -> FloatArray:
        """Calibrated probabilities, shape (n,)."""
        mixed = np.sum([share * scores[name] for name, share in self.shares.items() if share > 0.0], axis=0)
        return sigmoid(self.slope * mixed + self.intercept)


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """Probabilities of log-odds, which are clipped to 30 on either side."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))


def platt(label: FloatArray, log_odds: FloatArray) -> tuple[float, float]:
    """Slope and intercept; (1, 0) where the line would turn the order round."""
    slope, intercept = calibration_line(label, sigmoid(log_odds))
    return (slope, intercept) if np.isfinite(slope) and slope > 0.0 else (1.0, 0.0)


def calibrated_loss(label: FloatArray, log_odds: FloatArray) -> float:
    """Mean log loss after Platt's line, nats."""
    slope, intercept = platt(label, log_odds)
    return float(row_log_loss(label, sigmoid(slope * log_odds + intercept)).mean())


def best_of(label: FloatArray, candidates: Sequence[FloatArray]) -> int:
    """Index of the score with the least calibrated loss."""
    return min(range(len(candidates)), key=lambda index: calibrated_loss(label, candidates[index]))


def choose(label: FloatArray, scores: Mapping[str, FloatArray]) -> Blend:
    """The shares with the least calibrated loss.

    Args:
        label: 0 or 1, shape (n,).
        scores: Log-odds by name, shape (n,) each, of rows that the score's model did not see; the first takes what the
            others leave.
    """
    first, *others = scores
    shares = min(
        _simplex(len(others)),
        key=lambda tried: calibrated_loss(label, _mix(scores, first, others, tried)),
    )
    mixed = _mix(scores, first, others, shares)
    slope, intercept = platt(label, mixed)
    named = {first: 1.0 - sum(shares)} | dict(zip(others, shares, strict=True))
    return Blend(shares=named, slope=slope, intercept=intercept, loss=calibrated_loss(label, mixed))


def _mix(scores: Mapping[str, FloatArray], first: str, others: Sequence[str], shares: Sequence[float]) -> FloatArray:
    mixed = (1.0 - sum(shares)) * scores[first]
    for name, share in zip(others, shares, strict=True):
        mixed = mixed + share * scores[name]
    return mixed


def _simplex(parts: int) -> list[tuple[float, ...]]:
    """Every choice of ``parts`` multiples of ``STEP`` whose sum is at most 0.9, and each part alone."""
    grid: list[tuple[float, ...]] = [()]
    for _ in range(parts):
        grid = [(*done, level * STEP) for done in grid for level in range(7) if sum(done) + level * STEP <= 0.9 + 1e-9]
    alone = [tuple(1.0 if index == one else 0.0 for index in range(parts)) for one in range(parts)]
    return [*grid, *alone]
