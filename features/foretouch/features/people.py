"""Hands what the service must know of people to the state: customers, consents, earlier contacts, suppressions."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import duckdb

from foretouch.core import columns as c
from foretouch.core.events import Consent
from foretouch.core.state.connection import Connection
from foretouch.core.state.contacts import Contact, add_contacts
from foretouch.core.state.db import State
from foretouch.core.state.opening import open_state
from foretouch.core.state.people import Person, add_consents, upsert_customers
from foretouch.core.state.suppressions import take_over_suppressions
from foretouch.core.workspace import Workspace
from foretouch.features.schemas import COLUMNS
from foretouch.features.suppressed import listed_suppressions
from foretouch.features.tables import connect

PART: Final = 20_000
"""Rows of one transaction."""
Row = TypeVar("Row")


def register_people(workspace: Workspace) -> dict[str, int]:
    """Writes customers, consents, past touches and suppressions of the canonical tables to the state database.

    Idempotent: customers are replaced, a consent or contact that is there already stays as it is, and a suppression
    that was changed or taken off after the table named it stays so.

    Returns:
        Rows handed over, by table.
    """
    with closing(connect(workspace, customers=())) as tables, open_state(workspace) as state:
        people = _hand_over(state, _people(tables), upsert_customers)
        consents = _hand_over(state, _consents(tables), add_consents)
        contacts = _hand_over(state, _contacts(tables), add_contacts)
        suppressions = listed_suppressions(tables)
        if suppressions:
            now = workspace.clock.now()
            state.write(lambda connection: take_over_suppressions(connection, suppressions, now))
    return {
        c.CUSTOMERS: people,
        c.CONSENTS: consents,
        c.TOUCHES: contacts,
        c.SUPPRESSIONS: len(suppressions),
    }


def _hand_over(state: State, rows: Iterator[Row], write: Callable[[Connection, list[Row]], object]) -> int:
    """Writes rows in parts, each one transaction, so that millions never lie in memory; returns how many."""
    count = 0
    while part := list(islice(rows, PART)):
        state.write(partial(_write, write, part))
        count += len(part)
    return count


def _write(write: Callable[[Connection, list[Row]], object], part: list[Row], connection: Connection) -> None:
    write(connection, part)


def _rows(tables: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    cursor = tables.execute(query)
    names = [column[0] for column in cursor.description or []]
    while rows := cursor.fetchmany(PART):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def _people(tables: duckdb.DuckDBPyConnection) -> Iterator[Person]:
    known = set(COLUMNS[c.CUSTOMERS])
    for row in _rows(tables, "SELECT * FROM customers ORDER BY customer_id"):
        yield Person(
            customer_id=row[c.CUSTOMER_ID],
            household_id=row[c.HOUSEHOLD_ID],
            time_zone=row[c.TIME_ZONE],
            language=row[c.LANGUAGE],
            attributes={
                name: value if isinstance(value, (str, int, float, bool)) else str(value)
                for name, value in row.items()
                if name not in known and value is not None
            },
        )


def _consents(tables: duckdb.DuckDBPyConnection) -> Iterator[Consent]:
    query = 'SELECT customer_id, channel, purpose, granted, "at", source FROM consents ORDER BY "at"'
    for row in _rows(tables, query):
        yield Consent(**{**row, c.SOURCE: row[c.SOURCE] or ""})


def _contacts(tables: duckdb.DuckDBPyConnection) -> Iterator[Contact]:
    query = (
        "SELECT touch_id, customer_id, household_id, offer_id, channel, sent_at,"
        " coalesce(responded, responded_at IS NOT NULL) AS answered,"
        " responded IS NOT NULL OR max(responded_at IS NOT NULL) OVER () AS responses_known"
        " FROM touches LEFT JOIN (SELECT customer_id, household_id FROM customers) USING (customer_id) ORDER BY sent_at"
    )
    for row in _rows(tables, query):
        yield Contact(
            contact_id=row[c.TOUCH_ID],
            customer_id=row[c.CUSTOMER_ID],
            household_id=row[c.HOUSEHOLD_ID],
            offer_id=row[c.OFFER_ID],
            channel=row[c.CHANNEL],
            at=row[c.SENT_AT],
            status="sent",
            answered=row["answered"] if row["responses_known"] else None,
        )
