"""Contacts that count against caps: earlier sends, and contacts reserved by the decision that proposed them.

A contact is ``reserved`` in the transaction that logs its decision, ``sent`` once its delivery is known (or when it was
ingested from history), ``released`` when the channel reports that it never went out, and ``expired`` when nobody has
confirmed it ``reservation_hours`` after its send time. Reserved and sent ones count.

Reports come late, twice and in any order. The end is the same in every order: whatever was ever confirmed is sent, and
counts, also after it had expired or been released; what was only released is released.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, TypeVar

from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import PastContact
from foretouch.core.state.connection import Connection, from_micros, marks, to_micros
from foretouch.core.state.counts import COUNTS, Counted, add_counts

T = TypeVar("T")

ContactStatus = Literal["reserved", "sent", "released", "expired"]

RECENT_DAYS = 7.0
"""The policy's fatigue price looks this far back, whatever the caps say."""
CALENDAR_DAYS = 1.0
"""A calendar window may begin earlier than its number of days ago: clocks change."""
CHUNK = 500
_COLUMNS = (
    "contact_id, customer_id, household_id, offer_id, channel, at, status, decision_id, expires_at, placement,"
    " category, answered"
)


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One contact of one customer with one offer on one channel, at the time it is (to be) sent.

    Attributes:
        contact_id: Unique; of a reservation ``reservation_id(decision_id, rank)``.
        customer_id: Whom.
        offer_id: With what.
        channel: Where.
        at: When it is (to be) sent.
        household_id: Whose caps it counts against as well.
        status: See the module.
        decision_id: What proposed it; None for history.
        expires_at: When an unconfirmed reservation stops counting; None is never.
        placement: Where the offer is shown.
        category: The offer's.
        answered: Whether the customer opened, clicked or converted; None where nobody can know.
    """

    contact_id: str
    customer_id: str
    offer_id: str
    channel: str
    at: datetime
    household_id: str | None = None
    status: ContactStatus = "sent"
    decision_id: str | None = None
    expires_at: datetime | None = None
    placement: str | None = None
    category: str | None = None
    answered: bool | None = None

    def _row(self) -> tuple[Any, ...]:
        return (
            self.contact_id,
            self.customer_id,
            self.household_id,
            self.offer_id,
            self.channel,
            to_micros(self.at),
            self.status,
            self.decision_id,
            None if self.expires_at is None else to_micros(self.expires_at),
            self.placement,
            self.category,
            None if self.answered is None else int(self.answered),
        )


def reservation_id(decision_id: str, rank: int) -> str:
    """The id of the contact reserved for one action of a decision."""
    return f"{decision_id}.{rank}"


def add_contacts(connection: Connection, contacts: Iterable[Contact], *, mirrored: bool = False) -> int:
    """Adds contacts once by id, and returns how many were new; one that is there already is left as it is.

    Args:
        connection: Inside a transaction.
        contacts: To add.
        mirrored: They stand in the store of caps already, if there is one.
    """
    new = 0
    rows = iter(contacts)
    while chunk := list(islice(rows, CHUNK)):
        values = ", ".join(["(" + marks(12) + ")"] * len(chunk))
        inserted = connection.execute(
            f"INSERT INTO contacts ({_COLUMNS}) VALUES {values} ON CONFLICT (contact_id) DO NOTHING"  # noqa: S608
            " RETURNING contact_id, offer_id, channel, at, status",
            [value for contact in chunk for value in contact._row()],
        ).fetchall()
        add_counts(connection, [Counted(*row[1:4]) for row in inserted if row[4] in {"reserved", "sent"}], 1)
        if not mirrored:
            _note_changes(connection, [row[0] for row in inserted])
        new += len(inserted)
    return new


def find_contact(connection: Connection, contact_id: str, now: datetime) -> Contact | None:
    """A contact by its id, as it stands at ``now``: a reservation whose time has passed is expired."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM contacts WHERE contact_id = ?", (contact_id,)).fetchone()  # noqa: S608
    if row is None:
        return None
    found = _contact(row)
    late = found.status == "reserved" and found.expires_at is not None and found.expires_at <= now
    return Contact(**{**vars(found), "status": "expired"}) if late else found


def contacts_of_decision(connection: Connection, decision_id: str, ranks: Iterable[int]) -> list[Contact]:
    """The contacts of a decision's actions, where they were reserved, by rank."""
    wanted = [reservation_id(decision_id, rank) for rank in ranks]
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contacts WHERE contact_id IN ({marks(len(wanted))})",  # noqa: S608
        wanted,
    )
    found = {row[0]: _contact(row) for row in rows}
    return [found[contact_id] for contact_id in wanted if contact_id in found]


def counted_contacts(rows: Iterable[Sequence[Any]]) -> Iterator[Contact]:
    """Contacts from rows of ``contact_rows``."""
    return map(_contact, rows)


def contact_rows(where: str) -> str:
    """A query for whole contacts."""
    return f"SELECT {_COLUMNS} FROM contacts WHERE {where}"  # noqa: S608 - the callers' own words


def _contact(row: Sequence[Any]) -> Contact:
    return Contact(
        contact_id=row[0],
        customer_id=row[1],
        household_id=row[2],
        offer_id=row[3],
        channel=row[4],
        at=from_micros(row[5]),
        status=row[6],
        decision_id=row[7],
        expires_at=None if row[8] is None else from_micros(row[8]),
        placement=row[9],
        category=row[10],
        answered=None if row[11] is None else bool(row[11]),
    )


def confirm_contact(connection: Connection, contact_id: str) -> ContactStatus | None:
    """Notes that a contact went out: it is ``sent`` from now on, also if it had expired or been released.

    Returns:
        ``sent``; None when there is no contact of that id.
    """
    return _settle(connection, contact_id, "sent", unless={"sent"})


def release_contact(connection: Connection, contact_id: str) -> ContactStatus | None:
    """Notes that a contact never went out; one that was confirmed stays sent.

    Returns:
        The status that it has now; None when there is no contact of that id.
    """
    return _settle(connection, contact_id, "released", unless={"sent", "released"})


def settle_contact(connection: Connection, contact_id: str, status: Literal["sent", "released"]) -> bool:
    """Confirms or releases; False when there is no such contact or it had been confirmed before."""
    row = connection.execute("SELECT status FROM contacts WHERE contact_id = ?", (contact_id,)).fetchone()
    if row is None or row[0] == "sent":
        return False
    _settle(connection, contact_id, status, unless={"sent", status})
    return True


def mark_answered(connection: Connection, contact_id: str, *, answered: bool = True) -> None:
    """Notes whether a person opened, clicked or converted."""
    changed = connection.execute(
        "UPDATE contacts SET answered = ? WHERE contact_id = ? AND (answered IS NULL OR answered <> ?)",
        (int(answered), contact_id, int(answered)),
    ).rowcount
    if changed:
        _note_changes(connection, [contact_id])


def _settle(
    connection: Connection, contact_id: str, status: ContactStatus, *, unless: set[str]
) -> ContactStatus | None:
    row = connection.execute(
        "SELECT status, offer_id, channel, at FROM contacts WHERE contact_id = ?", (contact_id,)
    ).fetchone()
    if row is None:
        return None
    before: ContactStatus = row[0]
    if before in unless:
        return before
    connection.execute("UPDATE contacts SET status = ? WHERE contact_id = ?", (status, contact_id))
    change = (status in {"sent", "reserved"}) - (before in {"sent", "reserved"})
    if change:
        add_counts(connection, [Counted(*row[1:])], change)
    _note_changes(connection, [contact_id])
    return status


def _note_changes(connection: Connection, contact_ids: Sequence[str]) -> None:
    """Where caps are kept in a store of their own, remembers what that store must still be told."""
    if getattr(connection, "mirrors_caps", False):
        connection.executemany(
            "INSERT INTO cap_changes (contact_id) VALUES (?) ON CONFLICT (contact_id) DO NOTHING",
            [(contact_id,) for contact_id in contact_ids],
        )


def window_start(policy: ContactPolicy, now: datetime) -> datetime:
    """The earliest time whose contacts any rule of the policy looks at."""
    days = [RECENT_DAYS, policy.minimum_gap_hours / 24.0]
    days += [cap.longest_days + (0.0 if cap.calendar is None else CALENDAR_DAYS) for cap in policy.caps]
    days += [rule.within_days + rule.days for rule in policy.cool_downs if "unanswered" in rule.after]
    return now - timedelta(days=max(days))


def contacts_of(
    connection: Connection, customer_id: str, since: datetime, now: datetime, *, answers: bool = False
) -> tuple[PastContact, ...]:
    """A customer's contacts at or after ``since``, newest first; contacts due in the future are among them.

    Args:
        connection: Where to read.
        customer_id: Whose.
        since: From when.
        now: At which reservations are expired or not.
        answers: Say which were answered; only cool-downs ask.
    """
    return _past(connection, "customer_id", customer_id, since, now, answers=answers)


def contacts_of_household(
    connection: Connection, household_id: str, since: datetime, now: datetime
) -> tuple[PastContact, ...]:
    """A household's contacts at or after ``since``, newest first, its members' together."""
    return _past(connection, "household_id", household_id, since, now, answers=False)


def _past(
    connection: Connection, column: str, value: str, since: datetime, now: datetime, *, answers: bool
) -> tuple[PastContact, ...]:
    rows = connection.execute(
        "SELECT at, channel, offer_id, placement, category, answered FROM contacts"  # noqa: S608 - a column's name
        f" WHERE {column} = ? AND at >= ? AND {COUNTS} ORDER BY at DESC, contact_id",
        (value, to_micros(since), to_micros(now)),
    ).fetchall()
    return tuple(
        PastContact.trusted(
            at=from_micros(at),
            channel=channel,
            offer_id=offer_id,
            placement=placement,
            category=category,
            answered=bool(answered) if answers and answered is not None else None,
        )
        for at, channel, offer_id, placement, category, answered in rows
    )


def offers_of(connection: Connection, customer_id: str, now: datetime) -> dict[str, int]:
    """How often each offer was ever issued to a customer."""
    rows = connection.execute(
        f"SELECT offer_id, COUNT(*) FROM contacts WHERE customer_id = ? AND {COUNTS}"  # noqa: S608
        " GROUP BY offer_id ORDER BY offer_id",
        (customer_id, to_micros(now)),
    )
    return dict(rows.fetchall())
