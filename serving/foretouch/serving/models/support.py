"""Of whom too little is known: the segment's rate stands in, or "too little data" instead of a number. Pure.

Trees answer for everybody, also for a kind of customer that no training row was like. A card's ``extras["support"]``
lets the service tell. It says of how many inputs something was known of the customers that the model was fitted on: of
whom less is known than of any ten of them, the rate of the customer's lifecycle stage is told, with its interval. It
says how many customers of each stage there were: of a stage with fewer than ten nothing is told. A card without it is
taken to know everyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelCard

SUPPORT: Final = "support"
"""In a card's extras: ``feature``, ``min_customers``, and ``customers`` by level of the feature; ``least_known``, how
many inputs were known of the tenth least known customer; ``rates`` by level: ``customers``, ``rate``, ``low``,
``high`` and ``level``."""
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


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """What is told instead of a model's own answer.

    Attributes:
        why: In words.
        rate: The segment's rate, or mean amount; None where there is none either.
        low: Lower end of its interval.
        high: Upper end of it.
        level: Of the interval.
    """

    why: str
    rate: float | None = None
    low: float = 0.0
    high: float = 0.0
    level: float = 0.95


def back_off(card: ModelCard, level: object, known: int) -> BackOff | None:
    """What is told of a customer whose stage has support: None, the model's own answer, where enough is known of them.

    Args:
        card: Of the model.
        level: The customer's lifecycle stage; None or NaN where it is not known.
        known: How many of the model's inputs are known of the customer.
    """
    support = card.extras.get(SUPPORT)
    if not isinstance(support, Mapping) or known >= int(support.get("least_known", 0)):
        return None
    seen = f"{known} of {len(card.inputs)} inputs are known of this customer, {card.model} was trained on customers"
    needs = f"of whom {int(support['least_known'])} or more are"
    rates: Mapping[str, Mapping[str, Any]] = support.get("rates", {})
    found = rates.get(level) if isinstance(level, str) else None
    if found is None:
        return BackOff(why=f"too little data: {seen} {needs}; there is no segment to fall back on")
    return BackOff(
        why=f"{seen} {needs}: this is the rate of {int(found['customers'])} customers of lifecycle stage {level!r}",
        rate=float(found["rate"]),
        low=float(found["low"]),
        high=float(found["high"]),
        level=float(found["level"]),
    )


def back_off_of(card: ModelCard, features: pd.DataFrame, vectors: NDArray[np.float64]) -> dict[int, BackOff]:
    """``back_off`` by row, for those of whom too little is known.

    Args:
        card: Of the model.
        features: Customer features, for the lifecycle stage.
        vectors: The model's inputs of the same rows, shape (n, inputs).
    """
    known = np.count_nonzero(~np.isnan(vectors), axis=1)
    stages = features[FEATURE].to_numpy(dtype=object) if FEATURE in features.columns else [None] * len(features)
    found = {row: back_off(card, stages[row], int(count)) for row, count in enumerate(known)}
    return {row: told for row, told in found.items() if told is not None}
