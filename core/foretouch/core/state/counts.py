"""Contacts of everybody, counted as they are written: limits on offers and on the whole are read in a few steps.

``counters`` holds, by scope and name: contacts of an offer ever, and per quarter of an hour; contacts of a channel
(``*`` is every channel) per quarter of an hour and per UTC day. Every zone's midnight falls on a quarter of an hour, so
a local day is a sum of quarters, whatever zone the policy names. The counters change in the transaction that changes
the contact, and equal a count from scratch (``recount``) at every commit.

A contact counts while it is sent, or reserved and not yet expired. A reservation whose time has passed is taken out by
the next writer (``expire_contacts``); until then readers subtract it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from foretouch.core.contact import ANY
from foretouch.core.state.connection import Connection, marks, to_micros

QUARTER = 15 * 60 * 1_000_000
"""Microseconds."""
QUARTERS_PER_DAY = 96

COUNTS = "(status = 'sent' OR (status = 'reserved' AND (expires_at IS NULL OR expires_at > ?)))"
"""Whether a contact counts at a time."""

_UPSERT = (
    "INSERT INTO counters (scope, name, bucket, contacts) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (scope, name, bucket) DO UPDATE SET contacts = counters.contacts + excluded.contacts"
)
_BUCKETS = (
    ("offer", "offer_id", "0"),
    ("offer_quarter", "offer_id", f"at / {QUARTER}"),
    ("channel_quarter", "channel", f"at / {QUARTER}"),
    ("channel_quarter", f"'{ANY}'", f"at / {QUARTER}"),
    ("channel_day", "channel", f"at / {QUARTER * QUARTERS_PER_DAY}"),
    ("channel_day", f"'{ANY}'", f"at / {QUARTER * QUARTERS_PER_DAY}"),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A contact as the counters see it; ``at`` in microseconds."""

    offer_id: str
    channel: str
    at: int


def add_counts(connection: Connection, contacts: Iterable[Counted], sign: int) -> None:
    """Adds (1) or takes away (-1) contacts."""
    tally: Counter[tuple[str, str, int]] = Counter()
    for contact in contacts:
        quarter, day = contact.at // QUARTER, contact.at // (QUARTER * QUARTERS_PER_DAY)
        tally["offer", contact.offer_id, 0] += sign
        tally["offer_quarter", contact.offer_id, quarter] += sign
        for name in (contact.channel, ANY):
            tally["channel_quarter", name, quarter] += sign
            tally["channel_day", name, day] += sign
    if tally:
        connection.executemany(_UPSERT, [(*key, change) for key, change in sorted(tally.items())])


def recount(connection: Connection) -> None:
    """Counts every contact again from scratch."""
    connection.execute("DELETE FROM counters")
    _add_all(connection, "status IN ('sent', 'reserved')", (), sign=1)


def expire_contacts(connection: Connection, now: datetime) -> int:
    """Marks reservations whose time has passed as expired, and takes them out of the counters.

    Returns:
        How many there were: mostly none, found by one look at an index.
    """
    due, at = "status = 'reserved' AND expires_at <= ?", (to_micros(now),)
    if connection.execute(f"SELECT 1 FROM contacts WHERE {due} LIMIT 1", at).fetchone() is None:  # noqa: S608
        return 0
    _add_all(connection, due, at, sign=-1)
    return connection.execute(f"UPDATE contacts SET status = 'expired' WHERE {due}", at).rowcount  # noqa: S608


def _add_all(connection: Connection, where: str, parameters: Sequence[int], *, sign: int) -> None:
    for scope, name, bucket in _BUCKETS:
        groups = ", ".join(column for column in (name, bucket) if column[0] not in "'0")  # no constants: Postgres
        connection.execute(
            "INSERT INTO counters (scope, name, bucket, contacts)"  # noqa: S608 - this module's own words
            f" SELECT '{scope}', {name}, {bucket}, {'' if sign > 0 else '-'}COUNT(*) FROM contacts"
            f" WHERE {where} GROUP BY {groups}"
            " ON CONFLICT (scope, name, bucket) DO UPDATE SET contacts = counters.contacts + excluded.contacts",
            parameters,
        )


@dataclass(frozen=True)
class Overdue:
    """Reservations that have expired and are still in the counters; mostly none."""

    contacts: tuple[Counted, ...]

    def of_offer(self, offer_id: str, start: int | None = None, end: int | None = None) -> int:
        """How many are of an offer, with ``start <= at < end`` where given."""
        return sum(
            contact.offer_id == offer_id
            and (start is None or contact.at >= start)
            and (end is None or contact.at < end)
            for contact in self.contacts
        )

    def of_channels(self, channels: Collection[str], start: int) -> int:
        """How many are on these channels at or after ``start``; ``*`` is every channel."""
        return sum(
            contact.at >= start and (ANY in channels or contact.channel in channels) for contact in self.contacts
        )


def overdue(connection: Connection, now: datetime) -> Overdue:
    """Reservations that no writer has taken out yet."""
    rows = connection.execute(
        "SELECT offer_id, channel, at FROM contacts WHERE status = 'reserved' AND expires_at <= ?", (to_micros(now),)
    )
    return Overdue(tuple(Counted(*row) for row in rows))


@lru_cache(maxsize=64)
def _offers_query(count: int) -> str:
    """Reads so many offers' counters of contacts ever."""
    return f"SELECT name, contacts FROM counters WHERE scope = 'offer' AND bucket = 0 AND name IN ({marks(count)})"  # noqa: S608 - question marks only


def offers_ever(connection: Connection, offers: Sequence[str], late: Overdue) -> dict[str, int]:
    """Contacts of anybody with each of these offers, ever."""
    if not offers:
        return {}
    found = dict.fromkeys(offers, 0)
    found.update(connection.execute(_offers_query(len(offers)), tuple(offers)).fetchall())
    if late.contacts:
        found = {offer_id: contacts - late.of_offer(offer_id) for offer_id, contacts in found.items()}
    return found


def offers_between(
    connection: Connection, offers: Sequence[str], start: datetime, end: datetime, late: Overdue
) -> dict[str, int]:
    """Contacts of anybody with each of these offers at ``start <= at < end``, both on a quarter of an hour."""
    if not offers:
        return {}
    first, last = to_micros(start), to_micros(end)
    rows = connection.execute(
        "SELECT name, SUM(contacts) FROM counters WHERE scope = 'offer_quarter' AND bucket >= ? AND bucket < ?"  # noqa: S608
        f" AND name IN ({marks(len(offers))}) GROUP BY name",
        (first // QUARTER, last // QUARTER, *offers),
    )
    found = dict(rows.fetchall())
    return {offer_id: int(found.get(offer_id, 0)) - late.of_offer(offer_id, first, last) for offer_id in offers}


def contacts_after(
    connection: Connection, channels: Collection[str], after: datetime, now: datetime, late: Overdue
) -> int:
    """Contacts of anybody on these channels later than ``after``; planned ones count.

    The first, broken quarter of an hour is counted one by one, then whole quarters to the end of the UTC day, then
    days.
    """
    since = to_micros(after)
    quarter = since // QUARTER + 1
    day = -(-quarter // QUARTERS_PER_DAY)
    names = (ANY,) if ANY in channels else tuple(sorted(channels))
    among = marks(len(names))
    total = connection.execute(
        "SELECT COALESCE(SUM(contacts), 0) FROM counters WHERE "  # noqa: S608 - question marks only
        f"(scope = 'channel_quarter' AND name IN ({among}) AND bucket >= ? AND bucket < ?)"
        f" OR (scope = 'channel_day' AND name IN ({among}) AND bucket >= ?)",
        (*names, quarter, day * QUARTERS_PER_DAY, *names, day),
    ).fetchone()[0]
    edge = 0
    if since + 1 < quarter * QUARTER:
        on_channels = "" if ANY in channels else f" AND channel IN ({among})"
        edge = connection.execute(
            f"SELECT COUNT(*) FROM contacts WHERE at > ? AND at < ? AND {COUNTS}{on_channels}",  # noqa: S608
            (since, quarter * QUARTER, to_micros(now), *(() if ANY in channels else names)),
        ).fetchone()[0]
    return int(total) + int(edge) - late.of_channels(channels, quarter * QUARTER)
