"""Customers, consents, contacts and the counter snapshot."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from foretouch.core.contact import Cap, ContactPolicy, CoolDown, QuietHours
from foretouch.core.events import Consent
from foretouch.core.state.contacts import Contact, add_contacts, reservation_id, settle_contact
from foretouch.core.state.db import State, connect
from foretouch.core.state.people import Asked, Person, add_consents, counter_snapshot, upsert_customers

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
POLICY = ContactPolicy(
    caps=(Cap(rule="weekly", limit=3, days=30.0), Cap(rule="house", scope="household", limit=9, days=30.0)),
    quiet_hours=(QuietHours(start=time(21), end=time(8)),),
    default_time_zone="America/New_York",
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


def consent(at: datetime, *, granted: bool) -> Consent:
    return Consent(customer_id="a", channel="email", purpose="marketing", granted=granted, at=at, source="test")


def contact(number: int, at: datetime, **changes: str) -> Contact:
    fields = {"customer_id": "a", "offer_id": "o1", "channel": "email", "household_id": "h"} | changes
    return Contact(contact_id=f"c{number}", at=at, **fields)  # type: ignore[arg-type]


def test_nobody_is_known_and_nothing_allowed_at_first(state: State) -> None:
    snapshot = counter_snapshot(state.read(), "a", None, NOW, POLICY)
    assert not snapshot.known
    assert snapshot.consents == {}
    assert snapshot.contacts == ()


def test_a_customer_is_replaced_whole(state: State) -> None:
    state.write(lambda c: upsert_customers(c, [Person(customer_id="a", household_id="h", attributes={"tier": 1})]))
    state.write(lambda c: upsert_customers(c, [Person(customer_id="a", time_zone="Asia/Shanghai")]))
    snapshot = counter_snapshot(state.read(), "a", None, NOW, POLICY)
    assert (snapshot.known, snapshot.household_id, snapshot.time_zone) == (True, None, "Asia/Shanghai")
    assert snapshot.attributes == {}


def test_the_newest_consent_holds_whatever_the_order_of_arrival(state: State) -> None:
    granted, withdrawn = consent(NOW - timedelta(days=2), granted=True), consent(NOW - timedelta(days=1), granted=False)
    for order in ([granted, withdrawn], [withdrawn, granted]):
        state.write(lambda c: c.execute("DELETE FROM consents"))
        state.write(lambda c, order=order: add_consents(c, order))  # type: ignore[misc]
        assert counter_snapshot(state.read(), "a", None, NOW, POLICY).consents == {"email/marketing": False}


def test_a_future_grant_does_not_count_and_a_future_withdrawal_does(state: State) -> None:
    state.write(lambda c: add_consents(c, [consent(NOW + timedelta(days=1), granted=True)]))
    assert counter_snapshot(state.read(), "a", None, NOW, POLICY).consents == {}
    state.write(lambda c: add_consents(c, [consent(NOW - timedelta(days=1), granted=True)]))
    assert counter_snapshot(state.read(), "a", None, NOW, POLICY).consents == {"email/marketing": True}
    state.write(lambda c: add_consents(c, [consent(NOW + timedelta(days=2), granted=False)]))
    assert counter_snapshot(state.read(), "a", None, NOW, POLICY).consents == {"email/marketing": False}


def test_at_the_same_instant_the_withdrawal_holds(state: State) -> None:
    for granted in (True, False, True):
        state.write(lambda c, granted=granted: add_consents(c, [consent(NOW, granted=granted)]))  # type: ignore[misc]
    assert counter_snapshot(state.read(), "a", None, NOW, POLICY).consents == {"email/marketing": False}


def test_contacts_are_counted_once_within_the_longest_window(state: State) -> None:
    rows = [
        contact(1, NOW - timedelta(days=30)),
        contact(2, NOW - timedelta(days=30, microseconds=1)),
        contact(3, NOW + timedelta(hours=3), offer_id="o2"),
        contact(4, NOW - timedelta(days=1), customer_id="b"),
    ]
    assert state.write(lambda c: add_contacts(c, rows)) == 4
    assert state.write(lambda c: add_contacts(c, rows)) == 0
    snapshot = counter_snapshot(state.read(), "a", "h", NOW, POLICY, offers=["o1", "o9"])
    assert [item.offer_id for item in snapshot.contacts] == ["o2", "o1"]
    assert len(snapshot.household_contacts) == 3
    assert snapshot.offer_per_customer == {"o1": 2, "o2": 1}
    assert snapshot.offer_totals == {"o1": 3, "o9": 0}


def test_today_is_the_policys_date_also_when_the_clock_changes(state: State) -> None:
    now = datetime(2025, 3, 9, 18, tzinfo=UTC)  # a day of 23 hours in New York: 05:00Z until 04:00Z
    first, last = datetime(2025, 3, 9, 5, tzinfo=UTC), datetime(2025, 3, 10, 3, 59, tzinfo=UTC)
    rows = [
        contact(1, first),
        contact(2, last),
        contact(3, first - timedelta(seconds=1)),
        contact(4, last + timedelta(minutes=1)),
    ]
    state.write(lambda c: add_contacts(c, rows))
    assert counter_snapshot(state.read(), "a", None, now, POLICY, offers=["o1"]).offer_today == {"o1": 2}


def test_a_released_reservation_does_not_count_and_a_sent_one_stays(state: State) -> None:
    key = reservation_id("dec_1", 1)
    reserved = Contact(
        contact_id=key, customer_id="a", offer_id="o1", channel="email", at=NOW, status="reserved", decision_id="dec_1"
    )
    state.write(lambda c: add_contacts(c, [reserved]))
    assert len(counter_snapshot(state.read(), "a", None, NOW, POLICY).contacts) == 1
    assert state.write(lambda c: settle_contact(c, key, "released"))
    assert counter_snapshot(state.read(), "a", None, NOW, POLICY).contacts == ()
    assert state.write(lambda c: settle_contact(c, key, "sent"))
    assert not state.write(lambda c: settle_contact(c, key, "released"))
    assert len(counter_snapshot(state.read(), "a", None, NOW, POLICY).contacts) == 1


def test_unreadable_consent_is_said_and_not_guessed(state: State) -> None:
    state.write(lambda c: add_consents(c, [consent(NOW, granted=True)]))
    state.write(lambda c: c.execute("ALTER TABLE consents RENAME TO gone"))
    snapshot = counter_snapshot(state.read(), "a", None, NOW, POLICY)
    assert snapshot.consents == {}
    assert snapshot.consent_error is not None


def test_a_table_that_no_rule_asks_is_not_read(state: State) -> None:
    rows = [contact(1, NOW - timedelta(days=1)), contact(2, NOW - timedelta(days=2), customer_id="b")]
    state.write(lambda c: add_contacts(c, rows))
    alone = ContactPolicy(caps=(Cap(rule="weekly", limit=3, days=30.0),))
    said: list[str] = []
    connection = connect(state.path, read_only=True)
    connection.set_trace_callback(said.append)
    asked = Asked.by(alone, own_offers=False)
    snapshot = counter_snapshot(connection, "a", "h", NOW, alone, asked=asked, settled=True)
    assert (len(snapshot.contacts), snapshot.household_contacts, snapshot.offer_per_customer) == (1, (), {})
    tables = [statement.partition(" FROM ")[2].split()[0] for statement in said]
    assert sorted(tables) == ["consents", "contacts", "customers", "suppressions"]
    pause = CoolDown(rule="p", after=("complaint",), days=9.0)
    every = ContactPolicy(caps=POLICY.caps, cool_downs=(pause,))
    said.clear()
    counter_snapshot(connection, "a", "h", NOW, every)
    tables = [statement.partition(" FROM ")[2].split()[0] for statement in said]
    assert sorted(tables) == ["consents", *["contacts"] * 4, "customers", "outcomes", "suppressions"]
    connection.close()
