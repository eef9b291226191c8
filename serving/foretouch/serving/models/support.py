"""Customers of whom a model has seen too few: they get "too little data" instead of a number. Pure.

Trees answer for everybody, also for a kind of customer that no training row was like. A card whose
``extras["support"]`` says how many customers of each lifecycle stage the model was fitted on lets the service tell;
one that says nothing is taken to know everyone.
"""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from foretouch.core.bundle import ModelCard

SUPPORT: Final = "support"
"""In a card's extras: ``feature``, ``min_customers`` and ``customers`` by level of the feature."""
FEATURE: Final = "lifecycle_stage"
MIN_CUSTOMERS: Final = 10


def too_little(card: ModelCard, level: object) -> str | None:
    """Why a customer of this lifecycle stage gets no score, or None where there is enough to go by.

    Args:
        card: Of the model.
        level: The customer's own; a missing one says nothing, and nobody is left out for it.
    """
    support = card.extras.get(SUPPORT)
    if not isinstance(support, Mapping) or not isinstance(support.get("customers"), Mapping):
        return None
    if not isinstance(level, str):
        return None
    seen, need = int(support["customers"].get(level, 0)), int(support.get("min_customers", MIN_CUSTOMERS))
    if seen >= need:
        return None
    return f"too little data: {card.model} was trained on {seen} customers of lifecycle stage {level!r}, needs {need}"


def too_little_of(card: ModelCard, features: pd.DataFrame) -> "pd.Series[str]":
    """The reason by customer, for those who get no score.

    Args:
        card: Of the model.
        features: Customer features, indexed by customer; without the lifecycle stage nobody is left out.
    """
    if FEATURE not in features.columns:
        return pd.Series([], index=features.index[:0], dtype=object)
    stages = features[FEATURE].astype(object)
    why = {level: too_little(card, level) for level in stages.dropna().unique()}
    reasons = pd.Series([why.get(level) for level in stages], index=features.index, dtype=object)
    return reasons.dropna()
