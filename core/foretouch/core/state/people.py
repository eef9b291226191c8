"""Customers, their consents, and the counters that the contact rules look at, as one transaction sees them."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from foretouch.core.canonical import canonical_json
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import CounterSnapshot
from foretouch.core.events import Consent
from foretouch.core.state.contacts import (
    contacts_of,
    contacts_of_everyone,
    contacts_of_household,
    offer_counts,
    offers_of,
    window_start,
)
from foretouch.core.state.db import to_micros


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the contact rules need to know of a customer.

    Args:
        customer_id: The customer.
        household_id: Whom they share caps with, if anybody.
        time_zone: IANA name; None falls back to the contact policy's, with a warning.
        language: For texts.
        attributes: JSON scalars that eligibility rules may name as ``customer.<name>``.
    """

    customer_id: str
    household_id: str | None = None
    time_zone: str | None = None
    language: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def upsert_customers(connection: sqlite3.Connection, people: Iterable[Person]) -> None:
    """Adds customers, or replaces what was known of them."""
    connection.executemany(
        "INSERT INTO customers (customer_id, household_id, time_zone, language, attributes) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (customer_id) DO UPDATE SET household_id = excluded.household_id,"
        " time_zone = excluded.time_zone, language = excluded.language, attributes = excluded.attributes",
        (
            (
                person.customer_id,
                person.household_id,
                person.time_zone,
                person.language,
                canonical_json(dict(person.attributes)),
            )
            for person in people
        ),
    )


def add_consents(connection: sqlite3.Connection, consents: Iterable[Consent]) -> None:
    """Appends statements of consent; of two about the same instant the withdrawal holds."""
    connection.executemany(
        "INSERT INTO consents (customer_id, channel, purpose, at, granted, source) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (customer_id, channel, purpose, at) DO UPDATE SET"
        " granted = MIN(granted, excluded.granted), source = excluded.source",
        (
            (
                consent.customer_id,
                consent.channel,
                consent.purpose,
                to_micros(consent.at),
                int(consent.granted),
                consent.source,
            )
            for consent in consents
        ),
    )


def read_consents(connection: sqlite3.Connection, customer_id: str, now: datetime) -> dict[str, bool]:
    """The newest statement per ``channel/purpose``.

    A grant counts from its date on; a withdrawal counts as soon as it is on record, whatever its date.
    """
    rows = connection.execute(
        "SELECT channel, purpose, granted FROM consents WHERE customer_id = ? AND (at <= ? OR granted = 0) ORDER BY at",
        (customer_id, to_micros(now)),
    )
    return {f"{channel}/{purpose}": bool(granted) for channel, purpose, granted in rows}


def counter_snapshot(
    connection: sqlite3.Connection,
    customer_id: str,
    household_id: str | None,
    now: datetime,
    policy: ContactPolicy,
    *,
    offers: Iterable[str] = (),
) -> CounterSnapshot:
    """Everything mutable that the contact rules look at, one indexed read each.

    Args:
        connection: The one of the transaction that logs the decision.
        customer_id: The customer.
        household_id: The caller's, which wins over the one on record.
        now: The decision's time.
        policy: Says how far back to look and in which zone a day begins.
        offers: Offers with a total or daily cap; only these are counted over everyone.
    """
    row = connection.execute(
        "SELECT household_id, time_zone, language, attributes FROM customers WHERE customer_id = ?", (customer_id,)
    ).fetchone()
    household = household_id or (row[0] if row else None)
    since = window_start(policy, now)
    consents: dict[str, bool] = {}
    consent_error = None
    try:
        consents = read_consents(connection, customer_id, now)
    except sqlite3.Error as error:  # nobody may be contacted, and the answer says why
        consent_error = f"consent cannot be read: {error}"
    ever, today = offer_counts(connection, offers, now, policy.default_time_zone)
    return CounterSnapshot(
        known=row is not None,
        time_zone=row[1] if row else None,
        household_id=household,
        language=row[2] if row else None,
        attributes=orjson.loads(row[3]) if row else {},
        consents=consents,
        consent_error=consent_error,
        contacts=contacts_of(connection, customer_id, since),
        household_contacts=() if household is None else contacts_of_household(connection, household, since),
        offer_totals=ever,
        offer_today=today,
        offer_per_customer=offers_of(connection, customer_id),
        total_contacts={
            cap.rule: contacts_of_everyone(connection, cap, now) for cap in policy.caps if cap.scope == "total"
        },
    )
