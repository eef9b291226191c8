"""Everyone's purchase history as of a moment, out of the events: sums that DuckDB makes, on disk where memory ends."""

from datetime import datetime

import duckdb
import pandas as pd

from foretouch.features.tables import open_duckdb
from foretouch.training.lifetime import PurchaseHistory

_HISTORIES = """
WITH days AS (
    SELECT customer_id, CAST(occurred_at AS DATE) AS day, sum(coalesce(value, 0.0)) AS spent
    FROM {purchases} WHERE occurred_at < $moment GROUP BY ALL
), sums AS (
    SELECT customer_id, min(day) AS first, max(day) AS last, count(*) - 1 AS again,
        sum(spent) - arg_min(spent, day) AS spent_again
    FROM days GROUP BY customer_id
)
SELECT customer_id, CAST(again AS DOUBLE) AS frequency,
    (last - first) / 7.0 AS recency,
    (CAST($moment - INTERVAL 1 MICROSECOND AS DATE) - first) / 7.0 AS age,
    CASE WHEN again > 0 THEN spent_again / again ELSE 0.0 END AS monetary
FROM sums ORDER BY customer_id
"""


def histories_at(
    connection: duckdb.DuckDBPyConnection, purchases: str, moment: datetime
) -> tuple["pd.Index[str]", PurchaseHistory]:
    """The history of everyone who bought before a moment; purchases of one UTC day count as one.

    Args:
        connection: Whose session lives in UTC. It works on one core from here on, so that sums of money add up in the
            same order every time.
        purchases: A relation with ``customer_id``, ``occurred_at`` (with time zone), ``value`` (money; null is 0).
        moment: Later purchases are not looked at; with a time zone.

    Returns:
        The m customers in order of their ids, and their histories.
    """
    connection.execute("SET threads = 1")
    found = connection.execute(_HISTORIES.format(purchases=purchases), {"moment": moment}).df()
    history = PurchaseHistory(
        **{name: found[name].to_numpy(dtype=float) for name in ("frequency", "recency", "age", "monetary")}
    )
    return pd.Index(found["customer_id"]), history


def histories_of(events: pd.DataFrame, moment: datetime) -> tuple["pd.Index[str]", PurchaseHistory]:
    """The same of purchases in a table: ``customer_id``, ``occurred_at`` (with time zone), ``value``."""
    with open_duckdb() as connection:
        connection.register("purchases", events[["customer_id", "occurred_at", "value"]])
        return histories_at(connection, "purchases", moment)
