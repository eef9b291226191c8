"""The decision log, the outcome log and the event log: append-only, keyed, read in order.

Every function takes a connection, so that several of them can make one transaction (see ``State.write``).
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.decisions import DecisionRecord
from foretouch.core.errors import ConflictError, NotFoundError
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.schema import Contract
from foretouch.core.state.db import to_micros


def keep_artifact(connection: sqlite3.Connection, kind: str, value: Contract) -> str:
    """Stores a configuration by its content hash, once, and returns the hash: what a replay reads back."""
    digest = content_hash(value)
    connection.execute("INSERT OR IGNORE INTO artifacts VALUES (?, ?, ?)", (digest, kind, canonical_json(value)))
    return digest


def read_artifact(connection: sqlite3.Connection, digest: str) -> bytes:
    """The canonical JSON stored under a content hash.

    Raises:
        NotFoundError: Nothing was stored under it.
    """
    row = connection.execute("SELECT body FROM artifacts WHERE sha256 = ?", (digest,)).fetchone()
    if row is None:
        raise NotFoundError(f"no configuration {digest[:12]}… in the log")
    body: bytes = row[0]
    return body


def append_decision(connection: sqlite3.Connection, record: DecisionRecord) -> None:
    """Appends a decision; the id must be new."""
    connection.execute(
        "INSERT INTO decisions (decision_id, customer_id, touchpoint, decided_at, status, record)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            record.decision_id,
            record.customer_id,
            record.touchpoint,
            to_micros(record.decided_at),
            record.status,
            canonical_json(record),
        ),
    )


def read_decision(connection: sqlite3.Connection, decision_id: str) -> DecisionRecord:
    """One logged decision.

    Raises:
        NotFoundError: There is no such decision.
    """
    row = connection.execute("SELECT record FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"no decision {decision_id!r} in the log")
    return DecisionRecord.from_line(row[0])


def read_decisions(
    connection: sqlite3.Connection, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[DecisionRecord]:
    """Logged decisions with ``since <= decided_at < until``, in the order in which they were logged."""
    rows = connection.execute(
        "SELECT record FROM decisions WHERE decided_at >= ? AND decided_at < ? ORDER BY sequence",
        (to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62),
    )
    for (body,) in rows:
        yield DecisionRecord.from_line(body)


def append_outcome(connection: sqlite3.Connection, outcome: Outcome, received_at: datetime) -> bool:
    """Appends an outcome once; False when the same one was there already.

    Raises:
        NotFoundError: It names a decision that is not in the log.
        ConflictError: Its id came before with other content.
    """
    kept = outcome.replace(received_at=outcome.received_at or received_at)
    row = connection.execute("SELECT body FROM outcomes WHERE outcome_id = ?", (outcome.outcome_id,)).fetchone()
    if row is not None:
        earlier = Outcome.from_line(row[0])
        if earlier.replace(received_at=None) != outcome.replace(received_at=None):
            raise ConflictError(f"outcome {outcome.outcome_id!r} came before with other content")
        return False
    owner = connection.execute(
        "SELECT customer_id FROM decisions WHERE decision_id = ?", (outcome.decision_id,)
    ).fetchone()
    if owner is None:
        raise NotFoundError(f"no decision {outcome.decision_id!r} in the log")
    connection.execute(
        "INSERT INTO outcomes (outcome_id, decision_id, customer_id, type, occurred_at, received_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            kept.outcome_id,
            kept.decision_id,
            owner[0],
            kept.type,
            to_micros(kept.occurred_at),
            to_micros(kept.received_at or received_at),
            canonical_json(kept),
        ),
    )
    return True


def read_outcomes(connection: sqlite3.Connection) -> Iterator[Outcome]:
    """Every outcome, in the order in which they came."""
    for (body,) in connection.execute("SELECT body FROM outcomes ORDER BY sequence"):
        yield Outcome.from_line(body)


def append_event(connection: sqlite3.Connection, event: CustomerEvent, received_at: datetime) -> bool:
    """Appends an event once; False when the same one was there already.

    Raises:
        ConflictError: Its id came before with other content.
    """
    kept = event.replace(received_at=event.received_at or received_at)
    row = connection.execute("SELECT body FROM events WHERE event_id = ?", (event.event_id,)).fetchone()
    if row is not None:
        earlier = CustomerEvent.from_line(row[0])
        if earlier.replace(received_at=None) != event.replace(received_at=None):
            raise ConflictError(f"event {event.event_id!r} came before with other content")
        return False
    connection.execute(
        "INSERT INTO events (event_id, customer_id, event, occurred_at, received_at, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            kept.event_id,
            kept.customer_id,
            kept.event,
            to_micros(kept.occurred_at),
            to_micros(kept.received_at or received_at),
            canonical_json(kept),
        ),
    )
    return True


def read_events(connection: sqlite3.Connection, customer_id: str | None = None) -> Iterator[CustomerEvent]:
    """Events posted to the service, of one customer or of all, in the order in which they came."""
    if customer_id is None:
        rows = connection.execute("SELECT body FROM events ORDER BY sequence")
    else:
        rows = connection.execute("SELECT body FROM events WHERE customer_id = ? ORDER BY sequence", (customer_id,))
    for (body,) in rows:
        yield CustomerEvent.from_line(body)
