"""A store that counts contacts against caps for many writers that do not wait for one another.

The log stays the truth: every contact stands in it, and ``rebuild_caps`` makes the store again from it. A decision asks
the store for a snapshot, is made, and then reserves; the store refuses if a counter that the decision depends on has
moved in between, and the decision is made again. What cannot be read or has been lost forbids: caps fail closed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol, Self
from zoneinfo import ZoneInfo

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.counters import PastContact
from foretouch.core.errors import StateError
from foretouch.core.ids import new_id
from foretouch.core.offers import OfferCaps
from foretouch.core.state.connection import Connection, marks, stream
from foretouch.core.state.contacts import Contact, contact_rows, counted_contacts

GENERATION = "caps_generation"
"""Row of ``meta``: the generation of the store that was made from this log."""
MIRROR_SIZE = 5000
LATER_DAYS = 4
"""Midnights from the next one on between which contacts of everyone are told apart; later nothing is known."""


class CapsError(StateError):
    """The store of caps cannot be used: nothing that a cap might stop is sent."""

    code = "caps"


@dataclass(frozen=True, kw_only=True)
class CapQuestion:
    """What a decision needs to know of earlier contacts.

    Attributes:
        customer_id: Whose.
        household_id: Whose caps they share.
        now: The decision's time.
        since: The earliest contact of theirs that any rule looks at.
        offers: Limits of the offers that are counted over everyone.
        day: Start and end of the day that daily limits count.
        totals: By the rule of a cap over everyone: its channels, the times after which it counts (``edges_of``),
            and its limit.
    """

    customer_id: str
    household_id: str | None
    now: datetime
    since: datetime
    offers: Mapping[str, OfferCaps]
    day: tuple[datetime, datetime]
    totals: Mapping[str, tuple[Collection[str], tuple[datetime, ...], int]]

    @classmethod
    def of(
        cls,
        policy: ContactPolicy,
        *,
        customer_id: str,
        household_id: str | None,
        now: datetime,
        since: datetime,
        offers: Mapping[str, OfferCaps],
    ) -> Self:
        """What a contact policy needs to know."""
        zone = policy.default_time_zone
        return cls(
            customer_id=customer_id,
            household_id=household_id,
            now=now,
            since=since,
            offers=offers,
            day=local_day(now, zone),
            totals={
                cap.rule: (cap.channels, edges_of(cap, now, zone), cap.limit)
                for cap in policy.caps
                if cap.scope == "total"
            },
        )


@dataclass(frozen=True, kw_only=True)
class SeenCaps:
    """What the store knew, and the stamps by which it tells whether that still holds.

    Attributes:
        question: What was asked.
        generation: Of the store.
        stamps: Versions of the customer's and of the household's contacts.
        contacts: The customer's, newest first.
        household: The household's, newest first.
        offers_ever: Contacts of anybody by offer.
        offers_today: Those of the day.
        own_offers: How often each offer was ever issued to the customer.
        totals: By the rule of a cap over everyone: contacts later than each of its edges.
    """

    question: CapQuestion
    generation: str
    stamps: tuple[str, str]
    contacts: tuple[PastContact, ...]
    household: tuple[PastContact, ...]
    offers_ever: Mapping[str, int]
    offers_today: Mapping[str, int]
    own_offers: Mapping[str, int]
    totals: Mapping[str, tuple[int, ...]]


class CapStore(Protocol):
    """Counts contacts against caps, apart from the log."""

    label: str
    """Names it in errors, without a password."""

    def look(self, question: CapQuestion, generation: str) -> SeenCaps:
        """The counters as of now.

        Raises:
            CapsError: The store cannot be reached, or is not of that generation.
        """

    def reserve(self, seen: SeenCaps, contacts: Sequence[Contact]) -> bool:
        """Reserves contacts if every counter that was seen still says the same; False if one has moved.

        Contacts that are reserved already stay as they are: the same decision reserves once.

        Raises:
            CapsError: The store cannot be reached, or is not of the generation that was seen.
        """

    def apply(self, contacts: Iterable[Contact], generation: str) -> None:
        """Makes the store say of contacts what the log says.

        Raises:
            CapsError: The store cannot be reached, or is not of that generation.
        """

    def rebuild(self, contacts: Iterable[Contact], generation: str) -> str:
        """Forgets everything, counts these contacts, and returns the name of the new generation.

        Raises:
            CapsError: The store cannot be reached.
        """

    def close(self) -> None:
        """Lets go of it."""


def local_day(now: datetime, time_zone: str) -> tuple[datetime, datetime]:
    """The local midnights round a moment, in UTC; wall-clock arithmetic, so also right on a DST day."""
    midnight = now.astimezone(ZoneInfo(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC)


def window_of(days: float | None, calendar: str | None, now: datetime, time_zone: str) -> datetime:
    """The time after which (exclusive) a window counts: rolling days, or a period that began at local midnight."""
    if days is not None:
        return now - timedelta(days=days)
    midnight = now.astimezone(ZoneInfo(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if calendar == "week":
        midnight -= timedelta(days=midnight.weekday())
    elif calendar == "month":
        midnight = midnight.replace(day=1)
    return midnight.astimezone(UTC) - timedelta(microseconds=1)


def edges_of(cap: Cap, now: datetime, time_zone: str) -> tuple[datetime, ...]:
    """The times after which (exclusive) the contacts of everyone are counted for a cap.

    Of a rolling window only the one that ends now, with all that is planned: that can stand for every later window. Of
    a calendar the beginning of the present period and of some that follow, so that each period's own count is known.

    Args:
        cap: Of scope ``total``.
        now: The decision's time.
        time_zone: Whose midnights begin a period.
    """
    first = window_of(cap.days, cap.calendar, now, time_zone)
    if cap.calendar is None:
        return (first,)
    day = now.astimezone(ZoneInfo(time_zone)).date()
    if cap.calendar == "day":
        later = [day + timedelta(days=ahead) for ahead in range(1, LATER_DAYS + 1)]
    elif cap.calendar == "week":
        monday = day - timedelta(days=day.weekday())
        later = [monday + timedelta(days=7), monday + timedelta(days=14)]
    else:
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        later = [following, (following + timedelta(days=32)).replace(day=1)]
    zone = ZoneInfo(time_zone)
    begin = (datetime.combine(one, time(), zone).astimezone(UTC) for one in later)
    return (first, *(at - timedelta(microseconds=1) for at in begin))


def read_generation(connection: Connection) -> str | None:
    """The generation of the store that was made from this log; None before there was one."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (GENERATION,)).fetchone()
    return None if row is None else str(row[0])


def rebuild_caps(connection: Connection, store: CapStore) -> int:
    """Makes the store again from the log: after it was lost, flushed or restarted, or for the first time.

    Runs in a transaction of the log's writer, so nothing is reserved meanwhile.

    Returns:
        How many contacts it counts.

    Raises:
        CapsError: The store cannot be reached.
    """
    counted = 0

    def contacts() -> Iterable[Contact]:
        nonlocal counted
        for contact in counted_contacts(stream(connection, contact_rows("status IN ('sent', 'reserved')"))):
            counted += 1
            yield contact

    generation = store.rebuild(contacts(), new_id("caps"))
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (GENERATION, generation),
    )
    connection.execute("DELETE FROM cap_changes")
    return counted


def tell_additions(connection: Connection, store: CapStore, generation: str) -> None:
    """Tells the store of contacts that stand in the log and not yet there, so that it never counts too few.

    Raises:
        CapsError: The store cannot be reached: nothing may be decided on what it says.
    """
    if connection.execute("SELECT 1 FROM cap_changes LIMIT 1").fetchone() is not None:
        query = contact_rows("contact_id IN (SELECT contact_id FROM cap_changes) AND status IN ('sent', 'reserved')")
        store.apply(counted_contacts(stream(connection, query)), generation)


def mirror_changes(connection: Connection, store: CapStore, begin: Callable[[], None]) -> int:
    """Tells the store what confirmations, releases and ingested contacts have changed in the log.

    Returns:
        How many contacts it was told of.

    Raises:
        CapsError: The store cannot be reached; the changes stay to be told.
    """
    if connection.execute("SELECT 1 FROM cap_changes LIMIT 1").fetchone() is None:
        return 0
    begin()
    generation = read_generation(connection)
    ids = [row[0] for row in connection.execute("SELECT contact_id FROM cap_changes LIMIT ?", (MIRROR_SIZE,))]
    rows = connection.execute(contact_rows(f"contact_id IN ({marks(len(ids))})"), ids).fetchall()
    if generation is not None:
        store.apply(counted_contacts(rows), generation)
        connection.execute(f"DELETE FROM cap_changes WHERE contact_id IN ({marks(len(ids))})", ids)  # noqa: S608
    connection.execute("COMMIT")
    return len(ids) if generation is not None else 0
