"""Customers, their consents, and the counters that the contact rules look at, as one transaction sees them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import orjson

from foretouch.core.canonical import canonical_json
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot, PastOutcome
from foretouch.core.events import Consent
from foretouch.core.state.caps import SeenCaps, edges_of, local_day
from foretouch.core.state.connection import DATABASE_ERRORS, EPOCH, Connection, from_micros, marks, to_micros
from foretouch.core.state.contacts import contacts_of, contacts_of_household, offers_of, window_start
from foretouch.core.state.counts import Overdue, contacts_after, offers_between, offers_ever, overdue
from foretouch.core.state.suppressions import lists_with


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


def upsert_customers(connection: Connection, people: Iterable[Person]) -> None:
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


def add_consents(connection: Connection, consents: Iterable[Consent]) -> None:
    """Appends statements of consent; of two about the same instant the withdrawal holds."""
    connection.executemany(
        "INSERT INTO consents (customer_id, channel, purpose, at, granted, source) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (customer_id, channel, purpose, at) DO UPDATE SET"
        " granted = CASE WHEN excluded.granted < consents.granted THEN excluded.granted ELSE consents.granted END,"
        " source = excluded.source",
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


def read_consents(connection: Connection, customer_id: str, now: datetime) -> dict[str, bool]:
    """The newest statement per ``channel/purpose``.

    A grant counts from its date on; a withdrawal counts as soon as it is on record, whatever its date.
    """
    rows = connection.execute(
        "SELECT channel, purpose, granted FROM consents WHERE customer_id = ? AND (at <= ? OR granted = 0)"
        " ORDER BY channel, purpose, at",  # the order of the key: nothing is sorted
        (customer_id, to_micros(now)),
    )
    return {f"{channel}/{purpose}": bool(granted) for channel, purpose, granted in rows}


NONE_LATE = Overdue(())
HARD = ("unsubscribe", "complaint")
"""Outcomes that hold also when a scanner may have caused them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a contact policy and a catalogue look at; a table that no rule asks is not read.

    Attributes:
        window: How far back contacts are looked at.
        answers: Whether a cool-down asks which contacts were answered.
        household: Whether a cap counts a household's contacts.
        totals: Whether a cap counts everyone's.
        own_offers: Whether an offer has a limit per customer.
        outcomes: The query for the outcomes that cool-downs look at, and its parameters after customer and start; empty
            where none does.
        kinds: Those parameters.
        outcome_window: How far back outcomes are looked at.
    """

    window: timedelta
    answers: bool
    household: bool
    totals: bool
    own_offers: bool
    outcomes: str
    kinds: tuple[str, ...]
    outcome_window: timedelta

    @classmethod
    def by(cls, policy: ContactPolicy, *, own_offers: bool = True) -> Self:
        """What a policy asks; worked out once for as long as it is in force."""
        kinds = sorted({kind for rule in policy.cool_downs for kind in rule.after if kind != "unanswered"})
        query = (
            "SELECT occurred_at, type, channel, offer_id, category FROM outcomes"  # noqa: S608 - question marks only
            f" WHERE customer_id = ? AND occurred_at >= ? AND type IN ({marks(len(kinds))})"
            f" AND (is_bot = 0 OR type IN ({marks(len(HARD))})) ORDER BY occurred_at DESC, sequence DESC"
        )
        return cls(
            window=EPOCH - window_start(policy, EPOCH),
            answers=any("unanswered" in rule.after for rule in policy.cool_downs),
            household=any(cap.scope == "household" for cap in policy.caps),
            totals=any(cap.scope == "total" for cap in policy.caps),
            own_offers=own_offers,
            outcomes=query if kinds else "",
            kinds=(*kinds, *HARD),
            outcome_window=timedelta(days=max((rule.longest_days for rule in policy.cool_downs), default=0.0)),
        )


def read_person(connection: Connection, customer_id: str) -> Person | None:
    """A customer as registered."""
    row = connection.execute(
        "SELECT household_id, time_zone, language, attributes FROM customers WHERE customer_id = ?", (customer_id,)
    ).fetchone()
    if row is None:
        return None
    return Person(
        customer_id=customer_id,
        household_id=row[0],
        time_zone=row[1],
        language=row[2],
        attributes=orjson.loads(row[3]),
    )


def counter_snapshot(
    connection: Connection,
    customer_id: str,
    household_id: str | None,
    now: datetime,
    policy: ContactPolicy,
    *,
    offers: Iterable[str] = (),
    evidence: Iterable[str] = (),
    seen: SeenCaps | None = None,
    caps_error: str | None = None,
    asked: Asked | None = None,
    settled: bool = False,
) -> CounterSnapshot:
    """Everything mutable that the contact rules look at, by a few indexed reads.

    Args:
        connection: The one of the transaction that logs the decision.
        customer_id: The customer.
        household_id: The caller's, which wins over the one on record.
        now: The decision's time.
        policy: Says how far back to look and in which zone a day begins.
        offers: Offers with a total or daily cap; only these are counted over everyone.
        evidence: Offers whose contacts ever are told to the policy, which believes the model as they grow.
        seen: What a store of caps knows of contacts; None counts those in the log.
        caps_error: Why that store cannot be read; then nothing that a cap might stop is allowed.
        asked: What the policy asks, worked out beforehand; None works it out.
        settled: Every reservation whose time has passed was taken out in this very transaction, so that none is left.
    """
    asked = asked or Asked.by(policy)
    person = read_person(connection, customer_id)
    household = household_id or (person.household_id if person else None)
    consents: dict[str, bool] = {}
    consent_error = None
    try:
        consents = read_consents(connection, customer_id, now)
    except DATABASE_ERRORS as error:  # nobody may be contacted, and the answer says why
        consent_error = f"consent cannot be read: {error}"
    capped, counted = tuple(offers), tuple(evidence)
    late = NONE_LATE if settled or (seen is not None and not capped and not counted) else overdue(connection, now)
    if seen is None:
        contacts = _from_log(connection, customer_id, household, now, policy, asked=asked, offers=capped, late=late)
    else:
        contacts = _from_store(seen, asked)
    return CounterSnapshot.trusted(  # what we wrote ourselves needs no second validation
        time_zone=person.time_zone if person else None,
        household_id=household,
        language=person.language if person else None,
        known=person is not None,
        attributes=dict(person.attributes) if person else {},
        consents=consents,
        consent_error=consent_error,
        caps_error=caps_error,
        **contacts,
        outcomes=_outcomes(connection, customer_id, now, asked) if asked.outcomes else (),
        suppressions=lists_with(connection, customer_id, now),
        offer_contacts=offers_ever(connection, counted, late),
    )


def household_of(connection: Connection, customer_id: str, given: str | None) -> str | None:
    """The household whose caps count: the caller's, else the one on record."""
    if given is not None:
        return given
    person = read_person(connection, customer_id)
    return None if person is None else person.household_id


def _from_log(
    connection: Connection,
    customer_id: str,
    household: str | None,
    now: datetime,
    policy: ContactPolicy,
    *,
    asked: Asked,
    offers: Sequence[str],
    late: Overdue,
) -> dict[str, Any]:
    since = now - asked.window
    shared = household is not None and asked.household
    return {
        "contacts": contacts_of(connection, customer_id, since, now, answers=asked.answers),
        "household_contacts": contacts_of_household(connection, household, since, now) if shared and household else (),
        "offer_totals": offers_ever(connection, offers, late),
        "offer_today": (
            offers_between(connection, offers, *local_day(now, policy.default_time_zone), late) if offers else {}
        ),
        "offer_per_customer": offers_of(connection, customer_id, now) if asked.own_offers else {},
        **_of_everyone(_totals(connection, now, policy, late) if asked.totals else {}),
    }


def _totals(connection: Connection, now: datetime, policy: ContactPolicy, late: Overdue) -> dict[str, tuple[int, ...]]:
    return {
        cap.rule: tuple(
            contacts_after(connection, cap.channels, edge, now, late)
            for edge in edges_of(cap, now, policy.default_time_zone)
        )
        for cap in policy.caps
        if cap.scope == "total"
    }


def _of_everyone(totals: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Counts after each edge of each cap over everyone, as a snapshot has them."""
    return {
        "total_contacts": {rule: counts[0] for rule, counts in totals.items()},
        "total_later": {rule: counts[1:] for rule, counts in totals.items() if len(counts) > 1},
    }


def _from_store(seen: SeenCaps, asked: Asked) -> dict[str, Any]:
    """The same as the log would say, nothing more."""
    return {
        "contacts": seen.contacts,
        "household_contacts": seen.household if asked.household else (),
        "offer_totals": dict(seen.offers_ever),
        "offer_today": dict(seen.offers_today),
        "offer_per_customer": dict(seen.own_offers) if asked.own_offers else {},
        **_of_everyone(seen.totals),
    }


def _outcomes(connection: Connection, customer_id: str, now: datetime, asked: Asked) -> tuple[PastOutcome, ...]:
    """The outcomes that cool-downs look at, newest first."""
    rows = connection.execute(
        asked.outcomes, (customer_id, to_micros(now - asked.outcome_window), *asked.kinds)
    ).fetchall()
    return tuple(
        PastOutcome.trusted(at=from_micros(at), type=kind, channel=channel, offer_id=offer_id, category=category)
        for at, kind, channel, offer_id, category in rows
    )
