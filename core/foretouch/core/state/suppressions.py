"""Suppression lists kept in the state: who is not contacted, on which channel, for which purpose, until when.

One line per customer, channel and purpose; a newer line replaces the older one.
"""

from collections.abc import Iterable
from datetime import datetime

from foretouch.core.contact import SuppressionEntry
from foretouch.core.decisions import OnList
from foretouch.core.state.connection import Connection, from_micros, stream, to_micros


def add_suppressions(connection: Connection, entries: Iterable[SuppressionEntry], now: datetime) -> int:
    """Adds lines, or replaces those of the same customer, channel and purpose; returns how many were given."""
    rows = [
        (
            entry.customer_id,
            entry.channel,
            entry.purpose,
            entry.reason,
            None if entry.until is None else to_micros(entry.until),
            to_micros(now),
        )
        for entry in entries
    ]
    connection.executemany(
        "INSERT INTO suppressions (customer_id, channel, purpose, reason, ends_at, added_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (customer_id, channel, purpose) DO UPDATE SET reason = excluded.reason,"
        " ends_at = excluded.ends_at, added_at = excluded.added_at",
        rows,
    )
    return len(rows)


def remove_suppression(connection: Connection, customer_id: str, channel: str = "*", purpose: str = "*") -> bool:
    """Takes one line off; False when there was none of exactly that customer, channel and purpose."""
    return (
        connection.execute(
            "DELETE FROM suppressions WHERE customer_id = ? AND channel = ? AND purpose = ?",
            (customer_id, channel, purpose),
        ).rowcount
        > 0
    )


def list_suppressions(connection: Connection, customer_id: str | None = None) -> list[SuppressionEntry]:
    """Every line, also those that have ended, of one customer or of all."""
    where, parameters = ("", ()) if customer_id is None else (" WHERE customer_id = ?", (customer_id,))
    rows = stream(
        connection,
        f"SELECT customer_id, channel, purpose, reason, ends_at FROM suppressions{where}"  # noqa: S608 - fixed words
        " ORDER BY customer_id, channel, purpose",
        parameters,
    )
    return [
        SuppressionEntry(
            customer_id=customer,
            channel=channel,
            purpose=purpose,
            reason=reason,
            until=None if until is None else from_micros(until),
        )
        for customer, channel, purpose, reason, until in rows
    ]


def lists_with(connection: Connection, customer_id: str, now: datetime) -> tuple[OnList, ...]:
    """The lines that name a customer and have not ended."""
    rows = connection.execute(
        "SELECT channel, purpose, reason, ends_at FROM suppressions"
        " WHERE customer_id = ? AND (ends_at IS NULL OR ends_at > ?) ORDER BY channel, purpose",
        (customer_id, to_micros(now)),
    )
    return tuple(
        OnList(channel=channel, purpose=purpose, reason=reason, until=None if until is None else from_micros(until))
        for channel, purpose, reason, until in rows
    )
