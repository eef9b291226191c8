"""How many customers of each lifecycle stage a model was fitted on, and how much was known of them.

What the service needs to tell a segment's rate instead of a customer's, or to admit ignorance.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from foretouch.core.bundle import ModelInput
from foretouch.core.columns import CUSTOMER_ID
from foretouch.serving.models.support import FEATURE, MIN_CUSTOMERS, SUPPORT
from foretouch.training.data import encode
from foretouch.training.task import Dataset, FloatArray


def support_of(*parts: Dataset) -> dict[str, Any]:
    """The card's extras about support: distinct customers by level; nothing where the rows do not hold the feature."""
    frames = [part.frame[[CUSTOMER_ID, FEATURE]] for part in parts if FEATURE in part.frame.columns]
    if not frames:
        return {}
    rows = pd.concat(frames, ignore_index=True).dropna(subset=[FEATURE])
    customers = rows[CUSTOMER_ID].astype(str).groupby(rows[FEATURE].astype(str)).nunique()
    counted = {str(name): int(count) for name, count in sorted(customers.items())}
    return {SUPPORT: {"feature": FEATURE, "min_customers": MIN_CUSTOMERS, "customers": counted}}


LEVEL, AMOUNT_LEVEL = 0.95, 0.80
"""Of a segment's interval: for a rate, and for where four of five amounts fall, as intervals of scores have it."""


def support_and_rates(
    fit: Dataset, calibrate: Dataset, inputs: Sequence[ModelInput], *, amount: bool = False
) -> dict[str, Any]:
    """``support_of`` the fit part, how much was known of its customers, and the rate of each lifecycle stage.

    Args:
        fit: Rows that the model was fitted on.
        calibrate: Rows that it was calibrated on; they count for the rates.
        inputs: The model's columns.
        amount: Whether the label is an amount: its mean, and where four of five amounts fall. Else the share of rows
            with the label, and Jeffreys' interval of as many rows as there are customers.
    """
    found = support_of(fit)
    if not found:
        return {}
    known = np.count_nonzero(~np.isnan(encode(fit.frame, inputs)), axis=1)
    fewest = np.sort(pd.Series(known).groupby(fit.customer_id.astype(str)).min().to_numpy())
    least = int(fewest[min(MIN_CUSTOMERS, len(fewest)) - 1])
    rates = {}
    stage = pd.concat([part.frame[FEATURE] for part in (fit, calibrate)], ignore_index=True)
    customer = np.concatenate([part.customer_id.astype(str) for part in (fit, calibrate)])
    label = np.concatenate([fit.label, calibrate.label])
    for name in sorted(found[SUPPORT]["customers"]):
        mine = (stage.astype(str) == name).to_numpy() & stage.notna().to_numpy()
        customers = len(np.unique(customer[mine]))
        if customers >= MIN_CUSTOMERS:
            rates[name] = {"customers": customers, **_rate(label[mine], customers, amount=amount)}
    return {SUPPORT: {**found[SUPPORT], "least_known": least, "rates": rates}}


def _rate(label: FloatArray, customers: int, *, amount: bool) -> dict[str, float]:
    mean = float(label.mean())
    if amount:
        low, high = np.quantile(label, [(1.0 - AMOUNT_LEVEL) / 2.0, (1.0 + AMOUNT_LEVEL) / 2.0])
        return {"rate": mean, "low": min(float(low), mean), "high": max(float(high), mean), "level": AMOUNT_LEVEL}
    hits = mean * customers
    low, high = betaincinv(hits + 0.5, customers - hits + 0.5, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return {"rate": mean, "low": min(float(low), mean), "high": max(float(high), mean), "level": LEVEL}
