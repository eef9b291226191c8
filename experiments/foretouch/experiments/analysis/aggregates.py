"""Sufficient statistics that add up: day + day, shard + shard = whole.

Means, proportions, ratios and their covariate-adjusted forms need no more than count, means and centred second
moments of a few columns. Everything downstream of this module sees only these.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, means and centred second moments of k columns over one group of units.

    Attributes:
        n: Number of units.
        mean: Means, shape (k,).
        m2: Sums of products of deviations from the means, shape (k, k).
    """

    n: int
    mean: Floats
    m2: Floats

    @classmethod
    def empty(cls, k: int) -> "Moments":
        """The neutral element of ``+``: no units, k columns."""
        return cls(n=0, mean=np.zeros(k), m2=np.zeros((k, k)))

    @classmethod
    def of(cls, rows: Floats) -> "Moments":
        """The moments of rows of shape (n, k)."""
        if len(rows) == 0:
            return cls.empty(rows.shape[1])
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(n=len(rows), mean=mean, m2=centred.T @ centred)

    @classmethod
    def grouped(cls, rows: Floats, codes: Codes, groups: int) -> tuple["Moments", ...]:
        """The moments of each group, in two passes over the rows (centred, so large means lose no digits).

        Args:
            rows: Values, shape (n, k).
            codes: Group of each row, 0..groups-1, shape (n,).
            groups: Number of groups; empty ones are kept.
        """
        k = rows.shape[1]
        counts = np.bincount(codes, minlength=groups)
        safe = np.maximum(counts, 1)
        means = np.empty((groups, k))
        centred = np.empty_like(rows, order="F")
        for j in range(k):
            means[:, j] = np.bincount(codes, weights=rows[:, j], minlength=groups) / safe
            centred[:, j] = rows[:, j] - means[codes, j]
        m2 = np.empty((groups, k, k))
        for i in range(k):
            for j in range(i, k):
                m2[:, i, j] = np.bincount(codes, weights=centred[:, i] * centred[:, j], minlength=groups)
                m2[:, j, i] = m2[:, i, j]
        return tuple(cls(n=int(counts[g]), mean=means[g], m2=m2[g]) for g in range(groups))

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both groups together (Chan, Golub, LeVeque 1979)."""
        n = self.n + other.n
        if n == 0:
            return self
        shift = other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + shift * (other.n / n),
            m2=self.m2 + other.m2 + np.outer(shift, shift) * (self.n * other.n / n),
        )

    def covariance(self) -> Floats:
        """Sample covariances (n - 1 in the denominator), shape (k, k); needs at least two units."""
        covariance: Floats = self.m2 / (self.n - 1)
        return covariance


def total(parts: tuple[Moments, ...]) -> Moments:
    """All parts together; at least one."""
    return reduce(Moments.__add__, parts)
