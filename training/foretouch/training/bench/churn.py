"""``foretouch bench churn``: who will stay away, how often the others come, what they spend, from transactions alone.

BG/NBD and Gamma-Gamma (``lifetime``), fitted on what lies before the as-of date; where the log is long enough, with a
factor learned from its end (``churn_factor``). Later rows are not looked at.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.errors import DataError
from foretouch.training.bench.churn_factor import fit_base, fit_factor
from foretouch.training.bench.tables import need_columns, need_writable, numbers, read_table, write_table
from foretouch.training.bench.times import known_zone, read_as_of, read_times


def predict(
    log: pd.DataFrame, as_of: pd.Timestamp, horizon_days: float, *, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Predictions for every customer with a purchase before ``as_of``, and how they were made."""
    base = fit_base(log, as_of, horizon_days)
    factor = fit_factor(log, as_of, horizon_days, seed=seed)
    purchases, silent = base.purchases, base.silent
    if factor is not None:
        purchases = factor.purchases_of(base)
        silent = np.maximum(factor.silent_of(base), 1.0 - purchases)  # at most as many buy as purchases are expected
    table = pd.DataFrame(
        {
            "customer_id": base.customers,
            "p_churn": silent,
            "expected_purchases": purchases,
            "expected_value": purchases * base.spend,
        }
    )
    model = base.model
    about: dict[str, Any] = {
        "customers": len(table),
        "boosted": factor is not None,
        "log_likelihood": model.log_likelihood(base.history),
        "bg_nbd": {"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b},
    }
    if factor is not None:
        about |= {
            "power_on_purchases": factor.purchases,
            "power_on_churn": factor.silent,
            "share_of_trees": factor.share,
            "spread": factor.spread,
            "left_out": factor.figures,
        }
    return table, about


def run(
    transactions: Path,
    *,
    id_column: str,
    time: str,
    value: str,
    as_of: str,
    horizon_days: float,
    out: Path,
    time_zone: str = "UTC",
    seed: int = 0,
) -> dict[str, Any]:
    """Predicts the ``horizon_days`` after a date for every customer who bought before it.

    Args:
        transactions: CSV or Parquet, one row per purchase.
        id_column: Column with the customer's id.
        time: Column with the time or date.
        value: Column with the money.
        as_of: Only rows before it are used; a date is its first moment in ``time_zone``.
        horizon_days: Length of the time predicted.
        out: Parquet or CSV: ``id_column``, ``p_churn`` (no purchase), ``expected_purchases`` (days with a purchase)
            and ``expected_value`` (money), one row per customer in the order of ids. Expected purchases sum to what
            BG/NBD expects in all, and are as good a mean as its own by Poisson deviance (``churn_factor``).
        time_zone: Of times without an offset, and of what counts as one day.
        seed: Of the trees.

    Returns:
        The parameters, how many rows and customers were used, and what the trees added.

    Raises:
        DataError: A column is missing, a cell cannot be read, or the log is too short for a purchase model.
    """
    need_writable(out)
    if not horizon_days > 0:
        raise DataError(f"--horizon-days == {horizon_days:g}, must be above 0")
    frame = read_table(transactions, texts=[id_column])
    need_columns(frame, transactions, id=id_column, time=time, value=value)
    if frame[id_column].isna().any():
        raise DataError(f"column {id_column!r}: {int(frame[id_column].isna().sum())} ids are missing")
    zone = known_zone(time_zone)
    moment = read_as_of(as_of, zone)
    log = pd.DataFrame(
        {"customer_id": frame[id_column], "occurred_at": read_times(frame, time, zone), "value": numbers(frame, value)}
    )
    seen = log[log["occurred_at"] < moment].reset_index(drop=True)
    if seen.empty:
        raise DataError(f"no row of {transactions.name} is before {as_of}", hint="give a later --as-of")
    seen["occurred_at"] = seen["occurred_at"].dt.tz_localize(None).dt.tz_localize("UTC")  # local days count as days
    wall = moment.tz_convert(zone).tz_localize(None).tz_localize("UTC")
    table, about = predict(seen, wall, horizon_days, seed=seed)
    write_table(table.rename(columns={"customer_id": id_column}), out)
    return {**about, "rows_used": len(seen), "rows_not_looked_at": len(log) - len(seen)}
