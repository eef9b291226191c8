"""Whether predictions came true: what was foretold beside what happened, with an interval by customer."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foretouch.training.evaluation import cluster_weights
from foretouch.training.metrics import AUC, LOG_LOSS, expected_calibration_error
from foretouch.training.ranking import dot
from foretouch.training.task import FloatArray

DRAWS = 500
LEVEL = 0.95
MIN_CUSTOMERS, MIN_EVENTS = 100, 20


@dataclass(frozen=True, kw_only=True)
class Decay:
    """Predictions beside outcomes.

    Attributes:
        rows: Predictions whose outcome is known.
        customers: Behind them.
        predicted: Mean prediction: a probability, or an amount in the workspace's currency.
        observed: Mean outcome.
        ratio: Observed over predicted; 1 where predictions hold on average.
        low: Lower end of its 95 % interval (percentile bootstrap of whole customers).
        high: Upper end.
        metrics: ``auc``, ``log_loss`` and ``ece`` of probabilities, ``mean_absolute_error`` of amounts.
        enough: Whether there are customers and events enough to raise an alarm.
    """

    rows: int
    customers: int
    predicted: float
    observed: float
    ratio: float
    low: float
    high: float
    metrics: dict[str, float]
    enough: bool


def decay_of(
    predicted: FloatArray,
    observed: FloatArray,
    customer: NDArray[np.object_],
    *,
    target: Literal["probability", "amount"],
    seed: int,
) -> Decay:
    """Compares predictions with what happened.

    Args:
        predicted: Calibrated scores, shape (n,), n > 0.
        observed: 0/1, or amounts, shape (n,).
        customer: Whose, shape (n,): whole customers are drawn.
        target: What a score is.
        seed: Of the draws.
    """
    ratios = [
        dot(weight, observed) / total if (total := dot(weight, predicted)) > 0.0 else np.nan
        for weight in cluster_weights(customer, draws=DRAWS, seed=seed)
    ]
    known = np.asarray([ratio for ratio in ratios if np.isfinite(ratio)] or [np.nan])
    low, high = np.percentile(known, [50.0 * (1.0 - LEVEL), 50.0 * (1.0 + LEVEL)])
    mean = float(predicted.mean())
    customers = len(set(customer.tolist()))
    events = int(min((observed > 0).sum(), (observed <= 0).sum())) if target == "probability" else len(observed)
    return Decay(
        rows=len(predicted),
        customers=customers,
        predicted=mean,
        observed=float(observed.mean()),
        ratio=float(observed.mean()) / mean if mean > 0.0 else float("nan"),
        low=float(low),
        high=float(high),
        metrics=_metrics(predicted, observed, target),
        enough=customers >= MIN_CUSTOMERS and events >= MIN_EVENTS,
    )


def effect_decay(
    predicted: FloatArray,
    observed: FloatArray,
    customer: NDArray[np.object_],
    *,
    treated: NDArray[np.bool_],
    count: FloatArray,
    seed: int,
) -> Decay:
    """Compares foretold effects with the difference between contacts and controls.

    Args:
        predicted: Uplift as the service would say it, shape (n,), n > 0.
        observed: 0/1, shape (n,).
        customer: Whose, shape (n,): whole customers are drawn.
        treated: Who was contacted, shape (n,).
        count: Weight on which contact or none is as good as tossed, shape (n,).
        seed: Of the draws.
    """
    sides = [count * side for side in (treated, ~treated)]
    terms = np.column_stack([count * predicted, count, *(part for side in sides for part in (side * observed, side))])

    def figures(weight: FloatArray) -> tuple[float, float]:
        score, rows, *arms = weight @ terms
        rates = [arms[at] / arms[at + 1] if arms[at + 1] > 0.0 else np.nan for at in (0, 2)]
        return float(score / rows), float(rates[0] - rates[1])

    foretold, happened = figures(np.ones(len(predicted)))
    drawn = [figures(weight) for weight in cluster_weights(customer, draws=DRAWS, seed=seed)]
    known = [effect / mean for mean, effect in drawn if mean > 0.0 and np.isfinite(effect)] or [np.nan]
    low, high = np.percentile(known, [50.0 * (1.0 - LEVEL), 50.0 * (1.0 + LEVEL)])
    customers = len(set(customer.tolist()))
    goals = min(int(observed[side].sum()) for side in (treated, ~treated))
    return Decay(
        rows=len(predicted),
        customers=customers,
        predicted=foretold,
        observed=happened,
        ratio=happened / foretold if foretold > 0.0 else float("nan"),
        low=float(low),
        high=float(high),
        metrics={"contacts": float(treated.sum()), "controls": float((~treated).sum())},
        enough=foretold > 0.0 and customers >= MIN_CUSTOMERS and goals >= MIN_EVENTS,
    )


def _metrics(predicted: FloatArray, observed: FloatArray, target: str) -> dict[str, float]:
    if target == "amount":
        return {"mean_absolute_error": float(np.abs(predicted - observed).mean())}
    figures = {"ece": expected_calibration_error(observed, predicted, bins=10, width="equal_mass")}
    if observed.min() < observed.max():
        figures |= {"auc": AUC(observed, predicted), "log_loss": LOG_LOSS(observed, predicted)}
    return figures
