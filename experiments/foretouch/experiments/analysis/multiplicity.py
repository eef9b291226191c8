"""Corrections for many comparisons: Holm for what is decided on, Benjamini-Hochberg for what is explored."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p (family-wise, any dependence), in the order given."""
    values = np.asarray(p, dtype=float)
    m = len(values)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (m - np.arange(m)))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(item) for item in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p (false discovery rate), in the order given."""
    values = np.asarray(p, dtype=float)
    m = len(values)
    order = np.argsort(values, kind="stable")[::-1]
    stepped = np.minimum.accumulate(values[order] * m / (m - np.arange(m)))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(item) for item in adjusted]


def fcr_level(adjusted: Sequence[float], alpha: float) -> float:
    """Error rate at which intervals of the selected keep the false coverage rate (Benjamini, Yekutieli 2005).

    alpha x selected / all; with nothing selected, that of a single selection.
    """
    selected = sum(item <= alpha for item in adjusted)
    return alpha * max(selected, 1) / max(len(adjusted), 1)
