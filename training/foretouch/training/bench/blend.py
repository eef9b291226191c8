"""Which share each of several scores gets, judged on rows that none of them saw.

Scores are log-odds. Each blend is judged after Platt's line, as it will be used: a strongly shrunk linear model is far
too modest on its own scale, and without the line would seem worse than it orders.

Shares that are chosen on a few hundred positives follow their chance: even shares of scores that are known to be good
foretell better (the forecast combination puzzle, Stock and Watson 2004). So they stand, each score on its own line,
unless the chosen ones are better by more than ``SURE`` standard errors of the paired difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from foretouch.training.metrics import calibration_line, row_log_loss
from foretouch.training.task import FloatArray

Line = tuple[float, float]
"""Slope and intercept on the log-odds."""
AS_IT_IS: Final[Line] = (1.0, 0.0)
SURE: Final = 3.0
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
        lines: Of each score, by name: what it is before it is mixed; as it comes where none is given.
    """

    shares: Mapping[str, float]
    slope: float
    intercept: float
    loss: float
    lines: Mapping[str, Line] = field(default_factory=dict)

    def apply(self, scores: Mapping[str, FloatArray]) -> FloatArray:
        """Calibrated probabilities, shape (n,)."""
        used = {name: on_line(scores[name], self.lines.get(name, AS_IT_IS)) for name in self.shares if name in scores}
        return sigmoid(self.slope * mix(used, self.shares) + self.intercept)


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


def choose(label: FloatArray, scores: Mapping[str, FloatArray], *, even: Sequence[str] = ()) -> Blend:
    """The shares with the least calibrated loss, or even ones of some scores where these are hardly worse.

    Args:
        label: 0 or 1, shape (n,).
        scores: Log-odds by name, shape (n,) each, of rows that the score's model did not see; the first takes what the
            others leave.
        even: Names of the scores that share evenly unless chosen shares are surely better; none, or one that is not
            among the scores, leaves the choice alone.
    """
    first, *others = scores
    shares = min(
        _simplex(len(others)), key=lambda tried: calibrated_loss(label, mix(scores, _named(first, others, tried)))
    )
    found = _blend(label, scores, _named(first, others, shares), {})
    if not even or not set(even) <= set(scores):
        return found
    lines = {name: platt(label, scores[name]) for name in even}
    alike = _blend(label, scores, {name: 1.0 / len(even) if name in even else 0.0 for name in scores}, lines)
    saved = row_log_loss(label, alike.apply(scores)) - row_log_loss(label, found.apply(scores))
    sure = saved.mean() > SURE * saved.std(ddof=1) / np.sqrt(len(saved))
    return found if sure else alike


def _blend(
    label: FloatArray, scores: Mapping[str, FloatArray], shares: Mapping[str, float], lines: Mapping[str, Line]
) -> Blend:
    mixed = mix({name: on_line(scores[name], lines.get(name, AS_IT_IS)) for name in scores}, shares)
    slope, intercept = platt(label, mixed)
    loss = calibrated_loss(label, mixed)
    return Blend(shares=shares, slope=slope, intercept=intercept, loss=loss, lines=lines)


def on_line(score: FloatArray, line: Line) -> FloatArray:
    """A score on its own line, shape (n,)."""
    return line[0] * score + line[1]


def mix(scores: Mapping[str, FloatArray], shares: Mapping[str, float]) -> FloatArray:
    """Scores by their shares, shape (n,); one without a share may be absent."""
    return np.asarray(np.sum([share * scores[name] for name, share in shares.items() if share > 0.0], axis=0))


def _named(first: str, others: Sequence[str], shares: Sequence[float]) -> dict[str, float]:
    return {first: 1.0 - sum(shares)} | dict(zip(others, shares, strict=True))


def _simplex(parts: int) -> list[tuple[float, ...]]:
    """Every choice of ``parts`` multiples of ``STEP`` whose sum is at most 0.9, and each part alone."""
    grid: list[tuple[float, ...]] = [()]
    for _ in range(parts):
        grid = [(*done, level * STEP) for done in grid for level in range(7) if sum(done) + level * STEP <= 0.9 + 1e-9]
    alone = [tuple(1.0 if index == one else 0.0 for index in range(parts)) for one in range(parts)]
    return [*grid, *alone]
