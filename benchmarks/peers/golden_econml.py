"""Doubly robust average effects by econml, with nuisances that are given rather than fitted.

The columns of ``W`` are the probability of treatment and the expected outcome without and with it; the two "models"
read them. econml's second stage is then a regression of the doubly robust scores on a constant, with HC1 errors.
"""

from typing import Any

import numpy as np
from econml.dr import LinearDRLearner  # type: ignore[import-not-found]
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # type: ignore[import-untyped]

Json = dict[str, Any]
Array = np.ndarray[Any, Any]


class GivenPropensity(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The probability in the first column."""

    def fit(self, _: Array, y: Array) -> "GivenPropensity":
        """Learns nothing but the names of the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, features: Array) -> Array:
        """Of both classes, shape (n, 2)."""
        return np.column_stack([1.0 - features[:, 0], features[:, 0]])

    def predict(self, features: Array) -> Array:
        """The likelier class."""
        return np.take(self.classes_, (features[:, 0] > 0.5).astype(int))


class GivenOutcome(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The second column without treatment, the third with it; the last says which is asked for."""

    def fit(self, *_: Array) -> "GivenOutcome":
        """Learns nothing."""
        return self

    def predict(self, features: Array) -> Array:
        """Shape (n,)."""
        return np.where(features[:, -1] == 1.0, features[:, 2], features[:, 1])


CALL = (
    "LinearDRLearner(model_propensity=given, model_regression=given, cv=2).fit(y, t, X=None, W=[e, m0, m1]){}, "
    "intercept_(T=1) and intercept__inference(T=1): stderr, conf_int(alpha=0.05)"
)


def effect(y: Array, t: Array, e: Array, without: Array, treated: Array) -> Json:
    """The average effect with its error and interval.

    Args:
        y: Outcomes, shape (n,).
        t: 0 or 1, shape (n,).
        e: Probability of 1, shape (n,).
        without: Expected outcome without treatment, shape (n,).
        treated: The same with it.
    """
    learner = LinearDRLearner(model_propensity=GivenPropensity(), model_regression=GivenOutcome(), cv=2, random_state=0)
    learner.fit(y, t, X=None, W=np.column_stack([e, without, treated]))
    found = learner.intercept__inference(T=1)
    low, high = (np.asarray(end).item() for end in found.conf_int(alpha=0.05))
    return {
        "difference": np.asarray(learner.intercept_(T=1)).item(),
        "se": np.asarray(found.stderr).item(),
        "ci": [low, high],
    }


def answers(table: dict[str, list[Any]]) -> dict[str, tuple[str, Json]]:
    """By name, the call and its values.

    Args:
        table: Columns y, t, e, m0, m1 and score, in order of time.
    """
    y, t, e, m0, m1, score = (np.array(table[name], dtype=float) for name in ("y", "t", "e", "m0", "m1", "score"))
    t = t.astype(int)

    def before(arm: int) -> Array:
        means: list[float] = []
        seen: list[float] = []
        for outcome, got in zip(y, t, strict=True):
            means.append(float(np.mean(seen)) if seen else 0.0)
            if got == arm:
                seen.append(outcome)
        return np.array(means)

    share = np.full(len(y), t.mean())
    order = np.argsort(-score, kind="stable")
    halves = order[: len(y) // 2], order[len(y) // 2 :]
    return {
        "econml_effect": (CALL.format(""), effect(y, t, e, m0, m1)),
        "econml_running_means": (
            CALL.format(", m the mean of the arm's outcomes before the row, 0 before its first"),
            effect(y, t, e, before(0), before(1)),
        ),
        "econml_lot": (CALL.format(", e the share of 1"), effect(y, t, share, m0, m1)),
        "econml_halves": (
            CALL.format(", e the share of 1 among all, of the higher and of the lower half by score"),
            {"halves": [effect(y[rows], t[rows], share[rows], m0[rows], m1[rows]) for rows in halves]},
        ),
    }
