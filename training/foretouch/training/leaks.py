"""A feature that tells the label by itself is more likely a leak than a discovery: such features are named.

Features are known at a row's time and labels lie after it; laws and tests hold the project's own features to that. What
a workspace adds (an attribute that is overwritten when somebody leaves, a table filled after the fact) is out of their
reach, and shows in one way only: it is too good.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.training.metrics import AUC, SPEARMAN
from foretouch.training.task import FloatArray, Split

SURE: Final = 0.99
"""AUC, or absolute rank correlation with an amount, from which a feature alone is a suspect."""
MIN_KNOWN: Final = 50
MIN_OF_EACH: Final = 20
"""Rows with a value, and with either label, below which nothing is said."""

MOST_LEVELS: Final = 20
"""A category of more levels orders the rows that it was counted on by chance."""


def suspects(split: Split) -> dict[str, float]:
    """Features of the fit part that order its labels almost without error, by name with their AUC or correlation.

    Args:
        split: Numbers and categories are looked at; what is missing counts as a value of its own.
    """
    label = split.fit.label
    found = {}
    for name in split.fit.frame.columns:
        value = _ranked(split.fit.frame[name], label)
        if value is None:
            continue
        strength = _strength(value, label)
        if strength >= SURE:
            found[str(name)] = round(strength, 4)
    return dict(sorted(found.items()))


def warning_of(found: dict[str, float]) -> str:
    """One sentence for the card; empty without suspects."""
    if not found:
        return ""
    named = ", ".join(f"{name} ({strength:.3f})" for name, strength in found.items())
    return f"Suspected leak: alone, {named} orders the labels almost without error; look at when it becomes known."


def _ranked(values: "pd.Series[Any]", label: FloatArray) -> FloatArray | None:
    """A column as numbers that can be ordered; None where it holds no numbers or categories of a feature."""
    if values.name in {"customer_id", "as_of", "offer_id", "source", "randomised"}:
        return None
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        texts = values.astype(object)
        if not texts.dropna().map(lambda cell: isinstance(cell, str)).all():
            return None
        means = pd.Series(label).groupby(texts.fillna("").to_numpy()).mean()
        if len(means) > MOST_LEVELS:
            return None
        numbers = texts.fillna("").map(means).to_numpy(dtype=np.float64)
    known = np.isfinite(numbers)
    if known.sum() < MIN_KNOWN or np.unique(numbers[known]).size < 2:
        return None
    return np.where(known, numbers, numbers[known].min() - 1.0)


def _strength(value: FloatArray, label: FloatArray) -> float:
    classes = np.unique(label)
    if len(classes) < 2:
        return 0.0
    if len(classes) == 2:
        if min((label == classes[0]).sum(), (label == classes[1]).sum()) < MIN_OF_EACH:
            return 0.0
        auc = float(AUC(label, value))
        return max(auc, 1.0 - auc)
    return abs(float(SPEARMAN(label, value)))
