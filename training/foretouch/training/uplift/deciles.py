"""Calibration of an uplift: does each tenth by score gain what the score says?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foretouch.training.task import FloatArray

TENTHS = 10


@dataclass(frozen=True, kw_only=True)
class Tenth:
    """One group of rows that follow each other by score; the first is the top.

    Attributes:
        rows: How many.
        predicted: Their mean predicted uplift.
        observed: Their mean pseudo-outcome, an unbiased estimate of their mean uplift.
        se: Its standard error, by cluster.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
    """

    rows: int
    predicted: float
    observed: float
    se: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the interval holds what was predicted."""
        return self.low <= self.predicted <= self.high


def uplift_by_tenth(
    score: FloatArray,
    pseudo: FloatArray,
    *,
    count: FloatArray | None = None,
    cluster: NDArray[np.object_] | None = None,
    groups: int = TENTHS,
    level: float = 0.95,
) -> tuple[Tenth, ...]:
    """Mean uplift by tenth of the score.

    Args:
        score: Predicted uplift, shape (n,).
        pseudo: DR pseudo-outcome of rows that the score has not met, shape (n,).
        count: How often each row counts, shape (n,); None is once.
        cluster: Whose row it is, shape (n,); None is everybody's own.
        groups: How many.
        level: Of the intervals.
    """
    weight = np.ones(len(score)) if count is None else count
    order = np.argsort(-score, kind="stable")
    z = float(ndtri((1.0 + level) / 2.0))
    share = (np.cumsum(weight[order]) - weight[order] / 2.0) / weight.sum()
    place = np.minimum((share * groups).astype(int), groups - 1)
    found = []
    for index in range(groups):
        rows = order[place == index]
        if len(rows) < 2:
            continue
        own = weight[rows]
        observed = float(np.average(pseudo[rows], weights=own))
        parts = own * (pseudo[rows] - observed)
        if cluster is not None:
            parts = np.bincount(np.unique(cluster[rows].astype(str), return_inverse=True)[1], weights=parts)
        units = len(parts)
        se = float(np.sqrt(units / max(units - 1.0, 1.0) * np.square(parts).sum()) / own.sum())
        found.append(
            Tenth(
                rows=len(rows),
                predicted=float(np.average(score[rows], weights=own)),
                observed=observed,
                se=se,
                low=observed - z * se,
                high=observed + z * se,
            )
        )
    return tuple(found)
