"""The data-quality report: what came in, what became of it, and what it looks like."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from foretouch.core import columns as c
from foretouch.core.errors import DataError

OUTLIER_REACH = 3.0
"""Values further from the quartiles than this many interquartile ranges are outliers: shown, never dropped."""
FRESH_COLUMN = {
    c.CUSTOMERS: c.CREATED_AT,
    c.CONSENTS: c.AT,
    c.EVENTS: c.OCCURRED_AT,
    c.TOUCHES: c.SENT_AT,
    c.OFFERS: c.STARTS_AT,
    c.SUPPRESSIONS: c.AT,
}


@dataclass(frozen=True, kw_only=True)
class TableQuality:
    """One table of one ingest. Always ``rows_in == accepted + duplicates + quarantined``.

    Args:
        table: Which table.
        source: Where the rows came from.
        rows_in: Rows that came in.
        accepted: Rows that are new (or, with ``update``, changed).
        duplicates: Rows that were there already, or came twice, with the same content.
        quarantined: Rows refused, each with its reasons in the quarantine file.
        updated: Of the accepted, rows that replaced a stored one.
        reasons: Quarantined rows by reason; a row with two reasons counts under both.
        stored: Rows in the table now.
        missing: Share of missing values per column, over the table now.
        outliers: Values far outside the quartiles, per numeric column.
        newest: The latest time in the table.
        age_days: How long before the workspace's now that is.
        bot_share: Share of events by bots.
        unknown_customers: Share of rows whose customer is not in ``customers``.
    """

    table: str
    source: str
    rows_in: int
    accepted: int
    duplicates: int
    quarantined: int
    updated: int
    reasons: dict[str, int]
    stored: int
    missing: dict[str, float]
    outliers: dict[str, int]
    newest: datetime | None = None
    age_days: float | None = None
    bot_share: float | None = None
    unknown_customers: float | None = None


@dataclass(frozen=True, kw_only=True)
class QualityReport:
    """The report of one ingest.

    Args:
        at: The workspace's time.
        tables: In the order of ingest.
    """

    at: datetime
    tables: tuple[TableQuality, ...]

    @property
    def quarantined(self) -> int:
        """Rows refused, over all tables."""
        return sum(table.quarantined for table in self.tables)

    @property
    def lost(self) -> tuple[TableQuality, ...]:
        """Tables of which every row was refused: something is wrong with the whole source."""
        return tuple(table for table in self.tables if table.rows_in and table.quarantined == table.rows_in)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "at": self.at.isoformat(),
            "tables": {
                table.table: {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name, value in vars(table).items()
                    if name != "table"
                }
                for table in self.tables
            },
        }


def all_refused(report: QualityReport) -> DataError:
    """What to say when no row of a table could be taken: the commonest reason, and what mends it."""
    said = [
        f"{table.table} ({next(iter(table.reasons), 'unknown reason')})" for table in report.lost
    ]  # reasons come with the most frequent first
    naive = any("without an offset" in reason for table in report.lost for reason in table.reasons)
    zone = '[sources."*"] time_zone = "…" in foretouch.toml says where the times are from; '
    return DataError(
        f"every row was refused of: {', '.join(said)}",
        hint=f"{zone if naive else 'mend the file, '}then ingest again",
    )


def describe(table: str, stored: pd.DataFrame, customers: "pd.Series[Any]", now: datetime) -> dict[str, Any]:
    """What a stored table looks like: the part of ``TableQuality`` that does not depend on the ingest."""
    missing = {str(name): round(float(share), 6) for name, share in stored.isna().mean().items()} if len(stored) else {}
    newest = _newest(table, stored)
    described: dict[str, Any] = {
        "stored": len(stored),
        "missing": missing,
        "outliers": {
            str(name): outliers(stored[name])
            for name in stored.columns
            if pd.api.types.is_float_dtype(stored[name]) and stored[name].notna().any()
        },
        "newest": newest,
        "age_days": None if newest is None else round((now - newest).total_seconds() / 86400, 3),
    }
    if table == c.EVENTS and len(stored):
        described["bot_share"] = round(float(stored[c.IS_BOT].astype(bool).mean()), 6)
    if table in {c.EVENTS, c.TOUCHES, c.CONSENTS, c.SUPPRESSIONS} and len(stored):
        described["unknown_customers"] = round(float((~stored[c.CUSTOMER_ID].isin(customers)).mean()), 6)
    return described


def _newest(table: str, stored: pd.DataFrame) -> datetime | None:
    column = FRESH_COLUMN.get(table)
    if column is None or not len(stored) or stored[column].isna().all():
        return None
    newest: datetime = stored[column].max().to_pydatetime()
    return newest


def outliers(values: "pd.Series[Any]") -> int:
    """How many values lie more than three interquartile ranges outside the quartiles."""
    low, high = values.quantile(0.25), values.quantile(0.75)
    reach = OUTLIER_REACH * (high - low)
    return int(((values < low - reach) | (values > high + reach)).sum())


def count_reasons(reasons: list[list[str]]) -> dict[str, int]:
    """Rows by reason, the most frequent first."""
    counts = Counter(reason for row in reasons for reason in dict.fromkeys(row))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
