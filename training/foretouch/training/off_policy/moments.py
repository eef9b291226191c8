"""Means that must be zero: how far they are from it, and how far chance takes one of several."""

from typing import Final

import numpy as np
from scipy.stats import norm

from foretouch.training.task import FloatArray

FALSE_ALARM: Final = 1e-4
"""Chance that a sound log fails one family of checks of its own consistency."""


def z_of(terms: FloatArray) -> float:
    """Mean over its standard error; 0 where all terms are 0, infinite where they are alike and not 0."""
    mean, deviation = float(terms.mean()), float(terms.std(ddof=1)) if len(terms) > 1 else 0.0
    if abs(mean) <= 1e-12 * max(float(np.abs(terms).max()), 1.0):
        return 0.0
    return mean / deviation * float(np.sqrt(len(terms))) if deviation > 0.0 else float("inf")


def limit(tests: int, alarm: float = FALSE_ALARM) -> float:
    """How large the largest of several |z| may be, by Bonferroni's inequality."""
    return float(norm.ppf(1.0 - alarm / (2.0 * tests)))
