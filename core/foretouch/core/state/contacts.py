"""Contacts that count against caps: earlier sends, and contacts reserved by the decision that proposed them.

A contact is ``reserved`` in the transaction that logs its decision, ``sent`` once its delivery is known (or when it
was ingested from history), and ``released`` when the channel reports that it never went out. Released ones do not
count. A reservation that nobody confirms goes on counting: the engine may have sent it and not told us.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from foretouch.core.contact import ANY, Cap, ContactPolicy
from foretouch.core.decisions import PastContact
from foretouch.core.state.db import from_micros, to_micros

ContactStatus = Literal["reserved", "sent", "released"]

RECENT_DAYS = 7.0
"""The policy's fatigue price looks this far back, whatever the caps say."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One contact of one customer with one offer on one channel, at the time it is (to be) sent."""

    contact_id: str
    customer_id: str
    offer_id: str
    channel: str
    at: datetime
    household_id: str | None = None
    status: ContactStatus = "sent"
    decision_id: str | None = None
    expires_at: datetime | None = None


def add_contacts(connection: sqlite3.Connection, contacts: Iterable[Contact]) -> int:
    """Adds contacts once by id, and returns how many were new; one that is there already is left as it is."""
    before = connection.total_changes
    connection.executemany(
        "INSERT OR IGNORE INTO contacts"
        " (contact_id, customer_id, household_id, offer_id, channel, at, status, decision_id, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                contact.contact_id,
                contact.customer_id,
                contact.household_id,
                contact.offer_id,
                contact.channel,
                to_micros(contact.at),
                contact.status,
                contact.decision_id,
                None if contact.expires_at is None else to_micros(contact.expires_at),
            )
            for contact in contacts
        ),
    )
    return connection.total_changes - before


def reservation_id(decision_id: str, rank: int) -> str:
    """The id of the contact reserved for one action of a decision."""
    return f"{decision_id}.{rank}"


def settle_contact(connection: sqlite3.Connection, contact_id: str, status: ContactStatus) -> bool:
    """Confirms or releases a reservation; False when there is none of that id.

    A contact known as ``sent`` stays sent: a later bounce report does not undo that it went out.
    """
    changed = connection.execute(
        "UPDATE contacts SET status = ? WHERE contact_id = ? AND status != 'sent'", (status, contact_id)
    ).rowcount
    return changed > 0


def window_start(policy: ContactPolicy, now: datetime) -> datetime:
    """The earliest time whose contacts any rule of the policy looks at."""
    days = [RECENT_DAYS, policy.minimum_gap_hours / 24.0, *(cap.longest_days for cap in policy.caps)]
    return now - timedelta(days=max(days))


def contacts_of(connection: sqlite3.Connection, customer_id: str, since: datetime) -> tuple[PastContact, ...]:
    """A customer's contacts at or after ``since``, newest first; contacts due in the future are among them."""
    rows = connection.execute(
        "SELECT at, channel, offer_id FROM contacts"
        " WHERE customer_id = ? AND at >= ? AND status != 'released' ORDER BY at DESC, contact_id",
        (customer_id, to_micros(since)),
    )
    return tuple(PastContact(at=from_micros(at), channel=channel, offer_id=offer_id) for at, channel, offer_id in rows)


def contacts_of_household(
    connection: sqlite3.Connection, household_id: str, since: datetime
) -> tuple[PastContact, ...]:
    """A household's contacts at or after ``since``, newest first, its members' together."""
    rows = connection.execute(
        "SELECT at, channel, offer_id FROM contacts"
        " WHERE household_id = ? AND at >= ? AND status != 'released' ORDER BY at DESC, contact_id",
        (household_id, to_micros(since)),
    )
    return tuple(PastContact(at=from_micros(at), channel=channel, offer_id=offer_id) for at, channel, offer_id in rows)


def contacts_of_everyone(connection: sqlite3.Connection, cap: Cap, now: datetime) -> int:
    """How many contacts of anybody, on the cap's channels, are later than its window's start; planned ones count."""
    channels = () if ANY in cap.channels else cap.channels
    among = f" AND channel IN ({', '.join('?' * len(channels))})" if channels else ""
    row = connection.execute(
        f"SELECT COUNT(*) FROM contacts WHERE at > ? AND status != 'released'{among}",  # noqa: S608 - only "?" is put in
        (to_micros(now - timedelta(days=cap.longest_days)), *channels),
    ).fetchone()
    return int(row[0])


def offers_of(connection: sqlite3.Connection, customer_id: str) -> dict[str, int]:
    """How often each offer was ever issued to a customer."""
    rows = connection.execute(
        "SELECT offer_id, COUNT(*) FROM contacts WHERE customer_id = ? AND status != 'released'"
        " GROUP BY offer_id ORDER BY offer_id",
        (customer_id,),
    )
    return dict(rows.fetchall())


def offer_counts(
    connection: sqlite3.Connection, offers: Iterable[str], now: datetime, time_zone: str
) -> tuple[dict[str, int], dict[str, int]]:
    """How often each of these offers was issued to anybody: ever, and on today's local date.

    Args:
        connection: Where to read.
        offers: Offers to count; only those with a total or daily cap need it.
        now: The moment whose date is "today".
        time_zone: The IANA zone in which a day begins and ends.
    """
    zone = ZoneInfo(time_zone)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = (midnight + timedelta(days=1)).astimezone(UTC)  # wall-clock arithmetic: also right on a DST day
    ever, today = {}, {}
    for offer_id in offers:
        ever[offer_id], in_day = connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(at >= ? AND at < ?), 0) FROM contacts"
            " WHERE offer_id = ? AND status != 'released'",
            (to_micros(midnight), to_micros(tomorrow), offer_id),
        ).fetchone()
        today[offer_id] = int(in_day)
    return ever, today
