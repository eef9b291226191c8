"""``foretouch bench churn``: who will stay away, how often the others come, what they spend, from transactions alone.

BG/NBD and Gamma-Gamma (``lifetime``), fitted on what lies before the as-of date; later rows are not looked at.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from foretouch.core.errors import DataError
from foretouch.training.bench_tables import need_columns, numbers, read_table, write_table
from foretouch.training.lifetime import WEEK_DAYS, BetaGeometric, GammaGamma, expected_value, summarise


def run(
    transactions: Path, *, id_column: str, time: str, value: str, as_of: str, horizon_days: float, out: Path
) -> dict[str, Any]:
    """Predicts the ``horizon_days`` after a date for every customer who bought before it.

    Args:
        transactions: CSV or Parquet, one row per purchase.
        id_column: Column with the customer's id.
        time: Column with the time; without an offset it is read as UTC.
        value: Column with the money.
        as_of: Only rows before it are used; a date is its midnight, UTC.
        horizon_days: Length of the time predicted.
        out: Parquet or CSV: ``id_column``, ``p_churn`` (no purchase), ``expected_purchases`` (days with a purchase)
            and ``expected_value`` (money), one row per customer in the order of ids.

    Returns:
        The parameters and how many rows and customers were used.

    Raises:
        DataError: A column is missing, a time or value cannot be read, or there is too little before ``as_of``.
    """
    if not horizon_days > 0:
        raise DataError(f"--horizon-days == {horizon_days:g}, must be above 0")
    frame = read_table(transactions, texts=[id_column])
    need_columns(frame, transactions, id=id_column, time=time, value=value)
    moment = _time(as_of)
    rows = pd.DataFrame(
        {
            "customer_id": frame[id_column].astype(str),
            "occurred_at": _times(frame, time),
            "value": numbers(frame, value),
        }
    )
    if frame[id_column].isna().any():
        raise DataError(f"column {id_column!r}: {int(frame[id_column].isna().sum())} ids are missing")
    seen = rows[rows["occurred_at"] < moment]
    if seen.empty:
        raise DataError(f"no row of {transactions.name} is before {as_of}", hint="give a later --as-of")
    customers = pd.DataFrame({"customer_id": sorted(seen["customer_id"].unique())}).assign(as_of=moment)
    history, _ = summarise(seen, customers)
    purchases, spend = BetaGeometric.fit(history), GammaGamma.fit(history)
    weeks = horizon_days / WEEK_DAYS
    write_table(
        pd.DataFrame(
            {
                id_column: customers["customer_id"],
                "p_churn": purchases.probability_no_purchase(history, weeks),
                "expected_purchases": purchases.expected_purchases(history, weeks),
                "expected_value": expected_value(purchases, spend, history, weeks),
            }
        ),
        out,
    )
    return {
        "customers": len(customers),
        "rows_used": len(seen),
        "rows_not_looked_at": len(rows) - len(seen),
        "log_likelihood": purchases.log_likelihood(history),
        "bg_nbd": {"r": purchases.r, "alpha": purchases.alpha, "a": purchases.a, "b": purchases.b},
        "gamma_gamma": {"p": spend.p, "q": spend.q, "v": spend.v},
    }


def _time(text: str) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise DataError(f"--as-of == {text!r} is no date", hint="write it as 1997-10-01") from error
    if pd.isna(moment):
        raise DataError(f"--as-of == {text!r} is no date", hint="write it as 1997-10-01")
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")


def _times(frame: pd.DataFrame, column: str) -> "pd.Series[pd.Timestamp]":
    times = pd.to_datetime(frame[column].astype(str), utc=True, errors="coerce", format="ISO8601")
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise DataError(f"column {column!r}: row {row} has {frame[column].iloc[row]!r}, which is no ISO 8601 time")
    return times
