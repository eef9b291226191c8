"""The decision log, the outcome log and the event log: append-only, keyed, read in order.

Every function takes a connection, so that several of them can make one transaction (see ``State.write``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.decisions import DecisionRecord, ShadowChoice
from foretouch.core.errors import ConflictError, NotFoundError
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import ANSWERS, Outcome
from foretouch.core.schema import Contract
from foretouch.core.state.connection import Connection, from_micros, stream, to_micros
from foretouch.core.state.contacts import Contact, find_contact, mark_answered, reservation_id
from foretouch.core.stored_record import StoredRecord, read_record, store


def keep_artifact(connection: Connection, kind: str, value: Contract) -> str:
    """Stores a configuration by its content hash, once, and returns the hash: what a replay reads back."""
    digest = content_hash(value)
    connection.execute(
        "INSERT INTO artifacts (sha256, kind, body) VALUES (?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
        (digest, kind, canonical_json(value)),
    )
    return digest


def read_artifact(connection: Connection, digest: str) -> bytes:
    """The canonical JSON stored under a content hash.

    Raises:
        NotFoundError: Nothing was stored under it.
    """
    row = connection.execute("SELECT body FROM artifacts WHERE sha256 = ?", (digest,)).fetchone()
    if row is None:
        raise NotFoundError(f"no configuration {digest[:12]}… in the log")
    body: bytes = row[0]
    return body


WITH_SHADOW = "SELECT d.record, s.body FROM decisions d LEFT JOIN shadows s ON s.decision_id = d.decision_id"
"""A record, and what was logged of its shadow afterwards, if anything was."""


def append_decision(connection: Connection, record: DecisionRecord | StoredRecord) -> None:
    """Appends a decision; the id must be new."""
    kept = store(record) if isinstance(record, DecisionRecord) else record
    connection.execute(
        "INSERT INTO decisions (decision_id, customer_id, touchpoint, decided_at, status, record)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            kept.decision_id,
            kept.customer_id,
            kept.touchpoint,
            to_micros(kept.decided_at),
            kept.status,
            kept.stored_bytes,
        ),
    )


def read_decision(connection: Connection, decision_id: str) -> DecisionRecord:
    """One logged decision.

    Raises:
        NotFoundError: There is no such decision.
    """
    row = connection.execute(f"{WITH_SHADOW} WHERE d.decision_id = ?", (decision_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"no decision {decision_id!r} in the log")
    return read_record(row[0], shadow=row[1])


def read_decisions(
    connection: Connection, *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[DecisionRecord]:
    """Logged decisions with ``since <= decided_at < until``, in the order in which they were logged."""
    rows = stream(
        connection,
        f"{WITH_SHADOW} WHERE d.decided_at >= ? AND d.decided_at < ? ORDER BY d.sequence",
        (to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62),
    )
    for body, shadow in rows:
        yield read_record(body, shadow=shadow)


@dataclass(frozen=True, kw_only=True)
class DecisionLine:
    """One decision in a list."""

    decision_id: str
    customer_id: str
    touchpoint: str
    decided_at: datetime
    status: str


def latest_decisions(connection: Connection, customer_id: str | None = None, *, most: int) -> list[DecisionLine]:
    """The latest decisions of a customer, or of everyone, newest first."""
    columns = "SELECT decision_id, customer_id, touchpoint, decided_at, status FROM decisions"
    if customer_id is None:
        rows = connection.execute(f"{columns} ORDER BY sequence DESC LIMIT ?", (most,))
    else:
        rows = connection.execute(
            f"{columns} WHERE customer_id = ? ORDER BY decided_at DESC, sequence DESC LIMIT ?", (customer_id, most)
        )
    return [
        DecisionLine(
            decision_id=decision_id,
            customer_id=customer,
            touchpoint=touchpoint,
            decided_at=from_micros(at),
            status=status,
        )
        for decision_id, customer, touchpoint, at, status in rows
    ]


def count_decisions(connection: Connection, *, since: datetime | None = None, until: datetime | None = None) -> int:
    """How many decisions have ``since <= decided_at < until``."""
    query = "SELECT COUNT(*) FROM decisions WHERE decided_at >= ? AND decided_at < ?"
    return int(connection.execute(query, _range(since, until)).fetchone()[0])


def sample_decisions(
    connection: Connection, most: int, *, since: datetime | None = None, until: datetime | None = None
) -> list[str]:
    """Ids of at most so many decisions with ``since <= decided_at < until``, evenly spread, oldest first.

    The same log, range and number give the same sample.
    """
    query = "SELECT decision_id FROM decisions WHERE decided_at >= ? AND decided_at < ? ORDER BY sequence"
    names = [str(name) for (name,) in stream(connection, query, _range(since, until))]
    if len(names) <= most:
        return names
    return [names[index * len(names) // most] for index in range(most)]


def _range(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    return (to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62)


def append_shadow(connection: Connection, decision_id: str, choices: Sequence[ShadowChoice]) -> None:
    """Appends what others would have chosen on the request of a logged decision; the first statement holds."""
    connection.execute(
        "INSERT INTO shadows (decision_id, body) VALUES (?, ?) ON CONFLICT (decision_id) DO NOTHING",
        (decision_id, canonical_json([choice.model_dump(mode="json", exclude_defaults=True) for choice in choices])),
    )


def append_outcome(connection: Connection, outcome: Outcome, received_at: datetime) -> bool:
    """Appends an outcome once; False when the same one was there already.

    Channel, offer and category are those of the contact that was reserved; where none was, the decision's action says.

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
    contact_id = reservation_id(kept.decision_id, kept.rank)
    contact = find_contact(connection, contact_id, received_at)
    if kept.type in ANSWERS and not kept.is_bot:
        mark_answered(connection, contact_id)
    connection.execute(
        "INSERT INTO outcomes (outcome_id, decision_id, customer_id, type, occurred_at, received_at, body, is_bot,"
        " channel, offer_id, category) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            kept.outcome_id,
            kept.decision_id,
            owner[0],
            kept.type,
            to_micros(kept.occurred_at),
            to_micros(kept.received_at or received_at),
            canonical_json(kept),
            int(kept.is_bot),
            *_about(connection, kept, contact),
        ),
    )
    return True


def _about(
    connection: Connection, outcome: Outcome, contact: Contact | None
) -> tuple[str | None, str | None, str | None]:
    """Channel, offer and category of the contact that an outcome is about."""
    if contact is not None:
        return contact.channel, contact.offer_id, contact.category
    actions = read_decision(connection, outcome.decision_id).action
    action = next((action for action in actions if action.rank == outcome.rank), None)
    return (None, None, None) if action is None else (action.channel, action.offer_id, None)


def read_outcomes(connection: Connection) -> Iterator[Outcome]:
    """Every outcome, in the order in which they came."""
    for (body,) in stream(connection, "SELECT body FROM outcomes ORDER BY sequence"):
        yield Outcome.from_line(body)


def append_event(connection: Connection, event: CustomerEvent, received_at: datetime) -> bool:
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


def read_events(connection: Connection, customer_id: str | None = None) -> Iterator[CustomerEvent]:
    """Events posted to the service, of one customer or of all, in the order in which they came."""
    if customer_id is None:
        rows = stream(connection, "SELECT body FROM events ORDER BY sequence")
    else:
        rows = iter(
            connection.execute("SELECT body FROM events WHERE customer_id = ? ORDER BY sequence", (customer_id,))
        )
    for (body,) in rows:
        yield CustomerEvent.from_line(body)
