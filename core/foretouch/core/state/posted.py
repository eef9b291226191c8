"""Customers posted to the service, kept until the canonical table has them: an ingest must not undo what was posted."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import orjson

from foretouch.core.canonical import canonical_json
from foretouch.core.state.connection import Connection, from_micros, stream, to_micros
from foretouch.core.state.people import Person, upsert_customers


def post_customer(connection: Connection, person: Person, now: datetime) -> None:
    """Keeps what is known of a customer from now on; rules see it in the very next decision."""
    upsert_customers(connection, [person])
    body = canonical_json({**vars(person), "attributes": dict(person.attributes)})
    connection.execute(
        "INSERT INTO posted_customers (customer_id, at, body) VALUES (?, ?, ?)"
        " ON CONFLICT (customer_id) DO UPDATE SET at = excluded.at, body = excluded.body",
        (person.customer_id, to_micros(now), body),
    )


def posted_customers(connection: Connection) -> Iterator[tuple[Person, datetime]]:
    """What was posted and not taken over yet, and when."""
    for at, body in stream(connection, "SELECT at, body FROM posted_customers ORDER BY customer_id"):
        yield Person(**orjson.loads(body)), from_micros(at)


def taken_over(connection: Connection, posted: Iterable[tuple[str, datetime]]) -> None:
    """Forgets what the canonical table has by now; what was posted again in between stays."""
    connection.executemany(
        "DELETE FROM posted_customers WHERE customer_id = ? AND at = ?",
        [(customer_id, to_micros(at)) for customer_id, at in posted],
    )
