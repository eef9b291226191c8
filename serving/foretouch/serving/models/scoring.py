"""Scores: from a model and an input vector to a calibrated number with its interval and band. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelCard
from foretouch.core.decisions import Interval, ModelRef
from foretouch.serving.models.score_plan import ScorePlan

FloatArray = NDArray[np.float64]


class Scorer(Protocol):
    """A loaded model: its card, and raw scores of encoded vectors.

    A scorer may have more: ``plan``, its card's ``ScorePlan`` worked out once; ``predict_one(vector)``, a shorter
    way for one vector with the very same bits; and ``row_by_row``, see there.
    """

    @property
    def card(self) -> ModelCard:
        """What the model is and how to call it."""
        ...

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores.

        Args:
            vectors: Encoded inputs in the card's order, shape (n, inputs); NaN is missing.

        Returns:
            Shape (n,), or (n, 168) for a distribution over the local hours of a week (Monday 00h first).
        """
        ...


@runtime_checkable
class Explainer(Protocol):
    """A scorer that can say what each input added (LightGBM's own ``pred_contrib``, which are SHAP values)."""

    def contributions(self, vectors: FloatArray, /) -> FloatArray:
        """Contribution of each input to the raw margin, shape (n, inputs + 1); the last column is the base value."""
        ...


def plan_of(scorer: Scorer) -> ScorePlan:
    """The plan of a scorer's card: the scorer's own where it keeps one."""
    plan = getattr(scorer, "plan", None)
    return plan if isinstance(plan, ScorePlan) else ScorePlan(scorer.card)


def row_by_row(scorer: Scorer) -> bool:
    """Whether a vector's raw score has the same bits whichever vectors are scored beside it, as trees' have.

    Only such a scorer is asked about several customers at once.
    """
    return bool(getattr(scorer, "row_by_row", False))


def score(scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    """Calibrated scores of feature rows, shape (n,).

    Every row is encoded by the card, so that the model sees in service exactly what it was trained on.

    Raises:
        ValueError: The model gave a number that is not finite, or not one number per row.
    """
    if not rows:
        return np.empty(0)
    plan = plan_of(scorer)
    return np.array([plan.calibrated(value) for value in predict_raw(scorer, rows).tolist()])


def score_one(scorer: Scorer, values: Mapping[str, Any]) -> float:
    """The calibrated score of one feature row: ``score`` of it alone.

    Raises:
        ValueError: The model gave a number that is not finite, or not one number.
    """
    plan = plan_of(scorer)
    one = getattr(scorer, "predict_one", None)
    if one is None:
        return float(score(scorer, [values])[0])
    raw: float = one(plan.vector(values))
    if not isfinite(raw):
        raise ValueError(f"model {scorer.card.model}: output is not finite")
    return plan.calibrated(raw)


def predict_raw(scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    """Raw scores of feature rows, shape (n,); see ``score`` for calibrated ones."""
    plan = plan_of(scorer)
    return predict_vectors(scorer, np.array([plan.vector(row) for row in rows], dtype=np.float64))


def predict_pairs(
    scorer: Scorer, customer: Mapping[str, Any], offers: Sequence[Mapping[str, Any]]
) -> tuple[FloatArray, FloatArray]:
    """Raw scores of one customer with several offers, and the vectors they are of.

    Args:
        scorer: The offer model.
        customer: The customer's values by name; encoded once.
        offers: Per offer the values that differ, all of the same names; they win over the customer's.

    Returns:
        Shape (n,), and the encoded inputs of shape (n, inputs).
    """
    vectors = plan_of(scorer).pairs(customer, offers)
    return predict_vectors(scorer, vectors), vectors


def predict_vectors(scorer: Scorer, vectors: FloatArray) -> FloatArray:
    """Raw scores of encoded inputs, shape (n,).

    Raises:
        ValueError: The model gave a number that is not finite, or not one per row.
    """
    rows = len(vectors)
    raw = np.asarray(scorer.predict(vectors), dtype=np.float64)
    if raw.shape != (rows,):
        raise ValueError(f"model {scorer.card.model}: output has shape {raw.shape}, must be ({rows},)")
    if not np.isfinite(raw).all():
        raise ValueError(f"model {scorer.card.model}: output is not finite")
    return raw


def calibrate(card: ModelCard, raw: float) -> float:
    """The calibrated score of one raw score; a probability is kept inside [0, 1], a difference of two in [-1, 1]."""
    value = card.calibration.apply(raw)
    if card.target in {"probability", "difference"}:
        return min(max(value, 0.0 if card.target == "probability" else -1.0), 1.0)
    return value


def interval(card: ModelCard, calibrated: float) -> Interval | None:
    """The card's interval of a calibrated score, widened where needed to hold the score; None without one."""
    if card.intervals is None:
        return None
    low, high = card.intervals.at(calibrated)
    return Interval(low=min(low, calibrated), high=max(high, calibrated), level=card.intervals.level)


def band(card: ModelCard, calibrated: float) -> str | None:
    """The name of the band that a calibrated score falls in; None without bands or below the first."""
    named = [item for item in card.bands if item.at_least <= calibrated]
    return max(named, key=lambda item: item.at_least).name if named else None


def level(card: ModelCard, calibrated: float) -> float:
    """A score on the scale [0, 1]: a probability as it is, an amount as its percentile among everyone.

    The percentiles are ``card.extras["percentiles"]``: amounts in rising order, equally spaced in rank.
    An amount whose card has none counts as 0.5, the middle.
    """
    if card.target == "probability":
        return calibrated
    percentiles = card.extras.get("percentiles")
    if not isinstance(percentiles, (list, tuple)) or len(percentiles) < 2:
        return 0.5
    amounts = [float(value) for value in percentiles]
    below = bisect_right(amounts, calibrated)
    if below == 0:
        return 0.0
    if below == len(amounts):
        return 1.0
    left, right = amounts[below - 1], amounts[below]
    return (below - 1 + (calibrated - left) / (right - left)) / (len(amounts) - 1)


def model_ref(card: ModelCard) -> ModelRef:
    """How a decision names this model."""
    return ModelRef(name=card.model, version=card.version, trained_through=card.trained_through)
