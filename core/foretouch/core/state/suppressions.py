"""Suppression lists kept in the state: who is not contacted, on which channel, for which purpose, until when.

One line per customer, channel and purpose; a newer line replaces the older one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

from foretouch.core.contact import SuppressionEntry
from foretouch.core.counters import OnList
from foretouch.core.state.access import append_audit
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


REMOVED = "suppression.remove"
"""The audit line of lines that were taken off."""


def take_over_suppressions(
    connection: Connection, entries: Sequence[tuple[SuppressionEntry, datetime]], now: datetime
) -> int:
    """Puts ingested lines on the list; the newest word on a line holds, whoever said it.

    A line that was changed or taken off at or after the ingested one's time stays as it is, so that ingesting the same
    table again changes nothing.

    Args:
        connection: The writer's.
        entries: Lines, each with the time from which it is known.
        now: For the audit line.

    Returns:
        How many lines were added or replaced.
    """
    latest: dict[tuple[str, str, str], int] = {
        (customer, channel, purpose): at
        for customer, channel, purpose, at in connection.execute(
            "SELECT customer_id, channel, purpose, added_at FROM suppressions"
        )
    }
    for at, detail in connection.execute("SELECT at, detail FROM audit WHERE action = ?", (REMOVED,)):
        for line in orjson.loads(detail)["lines"]:
            key = (line["customer_id"], line["channel"], line["purpose"])
            latest[key] = max(at, latest.get(key, at))
    new = [
        (entry, at)
        for entry, at in entries
        if latest.get((entry.customer_id, entry.channel, entry.purpose), -1) < to_micros(at)
    ]
    for entry, at in new:
        add_suppressions(connection, [entry], at)
    if new:
        detail = {"lines": [entry.model_dump(mode="json") for entry, _ in new]}
        append_audit(connection, actor="ingest", action="suppression.add", detail=detail, now=now)
    return len(new)


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
