"""The table ``suppressions``: whom nobody contacts, as other systems say it; blanks mean everywhere and from now on."""

from datetime import datetime
from typing import Any

import duckdb
import pandas as pd

from foretouch.core import columns as c
from foretouch.core.contact import ANY, SuppressionEntry

WORDS = (c.CUSTOMER_ID, c.CHANNEL, c.PURPOSE)
"""What makes a line of the list."""


def fill_words(frame: pd.DataFrame) -> pd.DataFrame:
    """A blank channel or purpose is every one; a blank reason is none."""
    return frame.assign(
        **{
            c.CHANNEL: frame[c.CHANNEL].fillna(ANY),
            c.PURPOSE: frame[c.PURPOSE].fillna(ANY),
            c.REASON: frame[c.REASON].fillna(""),
        }
    )


def fill_times(frame: pd.DataFrame, stored: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """A row without ``at`` is as old as the newest stored one that says the same, else it is new: of now.

    Args:
        frame: Rows in canonical types.
        stored: The table so far.
        now: The workspace's time.
    """
    if not frame[c.AT].isna().any():
        return frame
    ordered = stored.sort_values(c.AT)
    known = {_said(row): row[c.AT] for row in ordered[[*WORDS, c.REASON, c.UNTIL, c.AT]].to_dict("records")}
    rows = frame[[*WORDS, c.REASON, c.UNTIL, c.AT]].to_dict("records")
    times = [known.get(_said(row), pd.Timestamp(now)) if pd.isna(row[c.AT]) else row[c.AT] for row in rows]
    return frame.assign(**{c.AT: pd.Series(times, index=frame.index).astype(frame[c.AT].dtype)})


def _said(row: dict[Any, Any]) -> tuple[Any, ...]:
    until = row[c.UNTIL]
    return (*(row[name] for name in WORDS), row[c.REASON], None if pd.isna(until) else pd.Timestamp(until).value)


def listed_suppressions(tables: duckdb.DuckDBPyConnection) -> list[tuple[SuppressionEntry, datetime]]:
    """The newest row of each line, under the customers that aliases stand for, with its time.

    Args:
        tables: As ``tables.connect`` opens it.
    """
    query = (
        'SELECT customer_id, channel, purpose, reason, until, "at" FROM suppressions'
        " QUALIFY row_number() OVER (PARTITION BY customer_id, channel, purpose"
        ' ORDER BY "at" DESC, until DESC NULLS FIRST, reason) = 1 ORDER BY ALL'
    )
    return [
        (SuppressionEntry(customer_id=customer, channel=channel, purpose=purpose, reason=reason, until=until), at)
        for customer, channel, purpose, reason, until, at in tables.execute(query).fetchall()
    ]
