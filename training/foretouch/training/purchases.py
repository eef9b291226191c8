# ruff: noqa: S608 - the one literal in the statement is quoted
"""The purchase models (BG/NBD, Gamma-Gamma) as baselines of churn and value, fitted anew at every as-of time.

Each fit sees every customer's purchases up to its as-of time, so the baseline knows more of the recent past than our
model, whose training ended earlier.
"""

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pandas as pd

from foretouch.core.workspace import Workspace
from foretouch.features.schemas import literal
from foretouch.features.tables import connect, spill
from foretouch.training.lifetime import BetaGeometric, GammaGamma, PurchaseHistory, expected_value
from foretouch.training.purchase_histories import histories_at
from foretouch.training.task import FloatArray

WEEK = 7.0

Predict = Callable[[PurchaseHistory], FloatArray]


def no_purchase(workspace: Workspace, event: str, rows: pd.DataFrame, *, window_days: float) -> FloatArray:
    """BG/NBD's probability of no purchase within the window, shape (n,); 1 for who never bought.

    Args:
        workspace: Whose events are the purchases.
        event: The name of a purchase.
        rows: ``customer_id``, ``as_of``.
        window_days: From ``as_of`` on.
    """

    def predict(history: PurchaseHistory) -> FloatArray:
        return BetaGeometric.fit(history).probability_no_purchase(history, window_days / WEEK)

    return _by_time(workspace, event, rows, predict, otherwise=1.0)


def expected_spend(workspace: Workspace, event: str, rows: pd.DataFrame, *, window_days: float) -> FloatArray:
    """BG/NBD x Gamma-Gamma's expected revenue within the window, shape (n,); 0 for who never bought.

    Args:
        workspace: Whose events are the purchases.
        event: The name of a purchase.
        rows: ``customer_id``, ``as_of``.
        window_days: From ``as_of`` on.
    """

    def predict(history: PurchaseHistory) -> FloatArray:
        return expected_value(BetaGeometric.fit(history), GammaGamma.fit(history), history, window_days / WEEK)

    return _by_time(workspace, event, rows, predict, otherwise=0.0)


def _by_time(workspace: Workspace, event: str, rows: pd.DataFrame, predict: Predict, *, otherwise: float) -> FloatArray:
    """Predictions of each as-of time from a model fitted on everyone's history at that time."""
    score = np.full(len(rows), otherwise)
    as_of = pd.to_datetime(rows["as_of"], utc=True)
    purchases = f"(SELECT * FROM events WHERE event = {literal(event)} AND NOT is_bot)"
    with closing(connect(workspace)) as connection:
        spill(connection, workspace)
        for moment in as_of.drop_duplicates().sort_values():
            customers, history = histories_at(connection, purchases, moment)
            here = np.flatnonzero((as_of == moment).to_numpy())
            found = customers.get_indexer(pd.Index(rows["customer_id"].iloc[here]))
            score[here] = np.where(found >= 0, predict(history)[found], otherwise)
    return score
