"""The purchase models (BG/NBD, Gamma-Gamma) as baselines of churn and value, fitted anew at every as-of time.

Each fit sees every customer's purchases up to its as-of time, so the baseline knows more of the recent past than our
model, whose training ended earlier.
"""

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

from foretouch.training.lifetime import BetaGeometric, GammaGamma, PurchaseHistory, expected_value, summarise
from foretouch.training.task import FloatArray

WEEK = 7.0

Predict = Callable[[PurchaseHistory], FloatArray]


def purchase_events(connection: duckdb.DuckDBPyConnection, event: str) -> pd.DataFrame:
    """Every human purchase: ``customer_id``, ``occurred_at`` (UTC), ``value``."""
    found = connection.execute(
        "SELECT customer_id, occurred_at, value FROM events WHERE event = ? AND NOT is_bot", [event]
    ).df()
    found["occurred_at"] = pd.to_datetime(found["occurred_at"], utc=True)
    return found


def no_purchase(events: pd.DataFrame, rows: pd.DataFrame, *, window_days: float) -> FloatArray:
    """BG/NBD's probability of no purchase within the window, shape (n,); 1 for who never bought."""

    def predict(history: PurchaseHistory) -> FloatArray:
        return BetaGeometric.fit(history).probability_no_purchase(history, window_days / WEEK)

    return _by_time(events, rows, predict, otherwise=1.0)


def expected_spend(events: pd.DataFrame, rows: pd.DataFrame, *, window_days: float) -> FloatArray:
    """BG/NBD x Gamma-Gamma's expected revenue within the window, shape (n,); 0 for who never bought."""

    def predict(history: PurchaseHistory) -> FloatArray:
        return expected_value(BetaGeometric.fit(history), GammaGamma.fit(history), history, window_days / WEEK)

    return _by_time(events, rows, predict, otherwise=0.0)


def _by_time(events: pd.DataFrame, rows: pd.DataFrame, predict: Predict, *, otherwise: float) -> FloatArray:
    """Predictions of each as-of time from a model fitted on everyone's history at that time."""
    everyone = pd.DataFrame({"customer_id": pd.unique(events["customer_id"])})
    score = np.full(len(rows), otherwise)
    as_of = pd.to_datetime(rows["as_of"], utc=True)
    for moment in as_of.drop_duplicates().sort_values():
        history, known = summarise(events, everyone.assign(as_of=moment))
        predicted = pd.Series(predict(history), index=everyone.loc[known, "customer_id"])
        here = np.flatnonzero((as_of == moment).to_numpy())
        mine = predicted.reindex(rows["customer_id"].iloc[here]).to_numpy(dtype=np.float64)
        score[here] = np.where(np.isfinite(mine), mine, otherwise)
    return score
