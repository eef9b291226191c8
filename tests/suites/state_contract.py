"""What every place for the state must do, run on each of them: caps, reservations, outcomes, consent, lists."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from foretouch.core.contact import Cap, ContactPolicy, CoolDown, SuppressionEntry
from foretouch.core.errors import ConflictError, NotFoundError, StateError
from foretouch.core.events import Consent, CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.access import (
    append_audit,
    create_key,
    find_answer,
    keep_answer,
    revoke_key,
    verify_audit,
    verify_key,
)
from foretouch.core.state.connection import Connection, stream
from foretouch.core.state.contacts import (
    Contact,
    add_contacts,
    confirm_contact,
    find_contact,
    release_contact,
    reservation_id,
)
from foretouch.core.state.counts import expire_contacts
from foretouch.core.state.db import State
from foretouch.core.state.file_history import note_edit, read_edits, read_version
from foretouch.core.state.log import append_event, append_outcome, read_decision, read_decisions, read_events
from foretouch.core.state.people import add_consents, read_consents
from foretouch.core.state.sessions import SESSION_HOURS, end_session, open_session, read_session
from foretouch.core.state.suppressions import add_suppressions, list_suppressions, remove_suppression
from foretouch.serving.runtime.log_write import Repeat
from tests.suites.state_desk import NOW, Desk, contacted, counted_from_scratch, counters_of, offer
from tests.suites.state_stages import StagesContract
from tests.suites.state_stores import Store

DAY = timedelta(days=1)
Settle = Literal["confirm", "release"]


class StateContract(StagesContract):
    """Give a fixture ``store``."""

    @pytest.fixture
    def state(self, store: Store) -> State:
        return store.open()

    # ------------------------------------------------------------------------------------------------ writing

    def test_a_failing_job_undoes_only_its_own_writes(self, state: State) -> None:
        def add(connection: Connection) -> int:
            connection.execute("INSERT INTO quarantine (kind, reason, at, body) VALUES ('k', 'r', 0, ?)", (b"{}",))
            return int(connection.execute("SELECT COUNT(*) FROM quarantine").fetchone()[0])

        def fail(connection: Connection) -> None:
            add(connection)
            raise ValueError("no")

        first, failing, last = state.submit(add), state.submit(fail), state.submit(add)
        assert first.result() == 1
        with pytest.raises(ValueError, match="no"):
            failing.result()
        assert last.result() == 2
        assert state.read().execute("SELECT COUNT(*) FROM quarantine").fetchone()[0] == 2

    def test_a_wrong_statement_does_not_take_others_down(self, state: State) -> None:
        wrong = state.submit(lambda connection: connection.execute("SELECT 1 FROM nowhere"))
        right = state.submit(lambda connection: connection.execute("SELECT 7").fetchone()[0])
        with pytest.raises(Exception, match="nowhere"):
            wrong.result()
        assert right.result() == 7

    def test_two_processes_write_one_after_the_other(self, store: Store) -> None:
        states = [store.open() for _ in range(4)]

        def add(connection: Connection) -> None:
            before = connection.execute("SELECT COUNT(*) FROM quarantine").fetchone()[0]
            connection.execute(
                "INSERT INTO quarantine (kind, reason, at, body) VALUES ('k', ?, 0, ?)", (str(before), b"")
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: states[number % 4].write(add), range(80)))
        rows = states[0].read().execute("SELECT reason FROM quarantine ORDER BY sequence").fetchall()
        assert [int(row[0]) for row in rows] == list(range(80))

    def test_what_is_long_is_read_in_batches(self, state: State) -> None:
        events = [CustomerEvent(event_id=f"e{n}", customer_id="a", event="x", occurred_at=NOW) for n in range(1203)]
        state.write(lambda connection: [append_event(connection, event, NOW) for event in events])
        found = read_events(state.read())
        assert next(found).event_id == "e0"
        assert [event.event_id for event in found] == [f"e{n}" for n in range(1, 1203)]
        two = (stream(state.read(), "SELECT event_id FROM events ORDER BY sequence") for _ in range(2))
        assert all(left == right for left, right in zip(*two, strict=True))

    def test_the_audit_chain_has_no_gap_after_a_failed_job(self, state: State) -> None:
        def failing(connection: Connection) -> None:
            append_audit(connection, actor="t", action="x", detail={}, now=NOW)
            raise ValueError("no")

        for _ in range(2):
            state.write(lambda c: append_audit(c, actor="t", action="x", detail={"%": "?"}, now=NOW))
            with pytest.raises(ValueError, match="no"):
                state.write(failing)
        assert verify_audit(state.read()) is None
        state.write(lambda connection: connection.execute("UPDATE audit SET actor = 'm' WHERE sequence = 2"))
        assert verify_audit(state.read()) == 2

    def test_a_session_ends_by_itself_by_hand_and_with_its_key(self, state: State) -> None:
        made = state.write(lambda c: create_key(c, ["report:read"], NOW))
        key = verify_key(state.read(), made["key"], NOW)
        assert key is not None
        first, second, third = (
            state.write(lambda c: open_session(c, key, now=NOW, workspace_now=NOW)) for _ in range(3)
        )

        def holds(token: str, at: datetime = NOW) -> bool:
            found = read_session(state.read(), token, now=at, workspace_now=NOW)
            return found is not None and found.key.id == made["id"]

        assert [holds(token) for token in (first, second, third, "x" * 64, "")] == [True, True, True, False, False]
        assert not holds(first, NOW + timedelta(hours=SESSION_HOURS))
        assert state.write(lambda c: end_session(c, second))
        assert not state.write(lambda c: end_session(c, second))
        assert [holds(token) for token in (first, second, third)] == [True, False, True]
        stored = state.read().execute("SELECT token_sha256 FROM sessions").fetchall()
        assert not {first, third} & {row[0] for row in stored}
        state.write(lambda c: revoke_key(c, made["id"], NOW))
        assert [holds(token) for token in (first, second, third)] == [False, False, False]
        assert verify_audit(state.read()) is None

    def test_edits_of_a_file_are_remembered_with_their_texts(self, state: State) -> None:
        texts = ["floor = 0.1\n", "floor = 0.2  # 夏\n"]
        change = [{"path": "floor", "before": 0.1, "after": 0.2}]

        def job(connection: Connection) -> None:
            note_edit(connection, file="p.toml", before=texts[0], after=texts[1], changes=change, actor="k1", now=NOW)
            note_edit(connection, file="q.toml", before=None, after="", changes=[], actor="k2", now=NOW)

        state.write(job)
        connection = state.read()
        (edit,) = read_edits(connection, "p.toml", most=5)
        assert (edit.actor, edit.at, list(edit.changes)) == ("k1", NOW, change)
        assert [read_version(connection, "p.toml", digest) for digest in (edit.before, edit.after)] == texts
        assert [item.file for item in read_edits(connection, most=5)] == ["q.toml", "p.toml"]
        with pytest.raises(NotFoundError, match=r"no earlier version .* of q\.toml"):
            read_version(connection, "q.toml", edit.before)
        assert verify_audit(connection) is None

    def test_an_answer_is_found_again(self, state: State) -> None:
        state.write(
            lambda c: keep_answer(
                c, scope="k", key="r%?", body_sha256="0", decision_id="d", response=b"\x00answer", now=NOW
            )
        )
        assert find_answer(state.read(), "k", "r%?", "0") == b"\x00answer"

    # ---------------------------------------------------------------------------------------------------- caps

    @pytest.mark.parametrize(
        ("cap", "people", "asked", "allowed"),
        [
            (Cap(rule="c", limit=2, days=7.0), 2, {}, 4),
            (Cap(rule="c", scope="household", limit=3, days=7.0), 2, {}, 3),
            (Cap(rule="c", scope="channel", limit=1, days=7.0), 1, {"channels": ("sms",)}, 1),
            (Cap(rule="c", scope="channel", limit=2, days=7.0), 1, {}, 4),
            (Cap(rule="c", scope="offer", limit=1, days=7.0), 2, {}, 4),
            (Cap(rule="c", scope="total", limit=5, days=7.0), 3, {}, 5),
            (Cap(rule="c", scope="total", limit=4, channels=("email",), days=7.0), 3, {"channels": ("email",)}, 4),
            (Cap(rule="c", limit=1, calendar="month"), 2, {}, 2),
            (Cap(rule="c", scope="total", limit=3, calendar="week"), 2, {}, 3),
            (Cap(rule="c", scope="household", limit=2, calendar="day"), 2, {}, 2),
        ],
        ids=lambda value: f"{value.scope}-{value.calendar or value.days}" if isinstance(value, Cap) else "",
    )
    def test_no_cap_is_exceeded_and_each_is_used_up(
        self, state: State, cap: Cap, people: int, asked: dict[str, Any], allowed: int
    ) -> None:
        window: dict[str, Any] = {"send_window": {"latest": NOW + timedelta(hours=6)}}
        desk = Desk(state, ContactPolicy(caps=(cap,)))
        names = [f"p{number}" for number in range(people)]
        desk.register(*names, household="h")
        records = [desk.decide(name, **asked, **window) for _ in range(6) for name in names]
        assert contacted(records) == allowed

    def test_a_placement_has_its_own_cap(self, state: State) -> None:
        desk = Desk(
            state,
            ContactPolicy(caps=(Cap(rule="c", scope="placement", limit=1, days=7.0),)),
            offers=(offer("hero", placement="hero"), offer("footer", placement="footer")),
        )
        desk.register("a")
        records = [desk.decide("a", placements=("hero", "footer")) for _ in range(12)]
        shown = [action.placement for record in records for action in record.action]
        assert sorted(filter(None, shown)) == ["footer", "hero"]
        assert {contact.placement for contact in desk.counters("a").contacts} == {"hero", "footer"}

    def test_issue_limits_of_an_offer_hold_over_everyone(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(), offers=(offer("o1", total=3, per_customer=2), offer("o2", per_day=1)))
        desk.register("a", "b", "c")
        records = [desk.decide(name, n=2) for _ in range(4) for name in ("a", "b", "c")]
        sent = [(record.customer_id, action.offer_id) for record in records for action in record.action]
        assert sum(name == "o1" for _, name in sent) == 3
        assert sum(name == "o2" for _, name in sent) == 1
        assert max(sent.count(("a", "o1")), sent.count(("b", "o1")), sent.count(("c", "o1"))) <= 2
        later = desk.decide("a", NOW + DAY, n=2)
        assert [action.offer_id for action in later.action] == ["o2"]

    def test_a_calendar_month_begins_at_local_midnight(self, state: State) -> None:
        zone = "America/New_York"
        policy = ContactPolicy(caps=(Cap(rule="m", scope="total", limit=9, calendar="month"),), default_time_zone=zone)
        desk = Desk(state, policy)
        first = datetime(2026, 3, 1, 5, tzinfo=UTC)  # midnight in New York
        times = [first - timedelta(microseconds=1), first, first + timedelta(hours=5, minutes=7), first + 40 * DAY]
        state.write(
            lambda c: add_contacts(
                c,
                [
                    Contact(contact_id=f"t{n}", customer_id="a", offer_id="o1", channel="email", at=at)
                    for n, at in enumerate(times)
                ],
            )
        )
        assert desk.counters("b", datetime(2026, 3, 31, 23, tzinfo=UTC)).total_contacts == {"m": 3}
        assert desk.counters("b", datetime(2026, 4, 1, 3, 59, tzinfo=UTC)).total_contacts == {"m": 3}
        assert desk.counters("b", datetime(2026, 4, 1, 4, tzinfo=UTC)).total_contacts == {"m": 1}

    def test_of_later_periods_too_it_is_known_what_everyone_was_sent(self, state: State) -> None:
        zone = "America/New_York"
        caps = [Cap(rule=period, scope="total", limit=9, calendar=period) for period in ("day", "week", "month")]
        desk = Desk(state, ContactPolicy(caps=tuple(caps), default_time_zone=zone))
        midnight = datetime(2026, 3, 7, 5, tzinfo=UTC)  # a Saturday; the clocks change on the 8th, at two
        hours = (-1, 0, 23, 24, 46, 47, 71, 72, 95, 119, 600, 1400)
        state.write(
            lambda c: add_contacts(
                c,
                [
                    Contact(
                        contact_id=f"t{n}",
                        customer_id="a",
                        offer_id="o1",
                        channel="email",
                        at=midnight + timedelta(hours=hour),
                    )
                    for n, hour in enumerate(hours)
                ],
            )
        )
        found = desk.counters("b", midnight + timedelta(hours=9))
        assert found.total_contacts == {"day": 11, "week": 12, "month": 12}
        assert found.total_later == {"day": (9, 7, 6, 4), "week": (7, 2), "month": (2, 1)}

    def test_a_day_that_is_full_leaves_the_next_one(self, state: State) -> None:
        policy = ContactPolicy(caps=(Cap(rule="d", scope="total", limit=2, calendar="day"),))
        desk = Desk(state, policy)
        desk.register("a", "b", "c")
        late = datetime(2026, 5, 6, 20, tzinfo=UTC)
        for hour in (1, 2):
            state.write(
                lambda c, hour=hour: add_contacts(  # type: ignore[misc]
                    c,
                    [
                        Contact(
                            contact_id=f"t{hour}",
                            customer_id="x",
                            offer_id="o1",
                            channel="email",
                            at=late - timedelta(hours=hour),
                        )
                    ],
                )
            )
        tomorrow = datetime(2026, 5, 7, tzinfo=UTC)
        sent = [action.send_at for name in ("a", "b", "c") for action in desk.decide(name, late).action]
        assert len(sent) == 2, "two go out tomorrow, and then that day is full too"
        assert all(tomorrow <= at < tomorrow + DAY for at in sent)

    def test_a_rolling_window_counts_to_the_microsecond(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="r", scope="total", limit=9, days=2.0),)))
        at = NOW - 2 * DAY
        state.write(
            lambda c: add_contacts(
                c,
                [
                    Contact(contact_id=f"t{n}", customer_id="a", offer_id="o1", channel="email", at=moment)
                    for n, moment in enumerate([at, at + timedelta(microseconds=1), NOW, NOW + 30 * DAY])
                ],
            )
        )
        assert desk.counters("b").total_contacts == {"r": 3}

    def test_concurrent_reservations_never_exceed_a_cap(self, store: Store) -> None:
        policy = ContactPolicy(
            caps=(
                Cap(rule="own", limit=2, days=7.0),
                Cap(rule="house", scope="household", limit=3, days=7.0),
                Cap(rule="all", scope="total", limit=17, days=7.0),
            )
        )
        desks = [Desk(store.open(), policy, prefix=f"d{number}") for number in range(4)]
        for house in range(4):
            desks[0].register(*(f"p{house}{number}" for number in range(3)), household=f"h{house}")
        names = [f"p{house}{number}" for house in range(4) for number in range(3)] * 8
        with ThreadPoolExecutor(16) as pool:
            records = list(pool.map(lambda item: desks[item[0] % 4].decide(item[1]), enumerate(names)))
        sent = [(record.customer_id, record.customer_id[1]) for record in records for _ in record.action]
        assert max(sum(name == one for name, _ in sent) for one in set(names)) <= 2
        assert max(sum(house == one for _, house in sent) for one in "0123") <= 3
        assert len(sent) == 12  # four households of three: the household's cap is the tightest
        logged = list(read_decisions(desks[0].state.read()))
        assert sorted(record.decision_id for record in logged) == sorted(record.decision_id for record in records)
        assert all(
            abs(sum(c.selection_probability or 0.0 for c in record.candidates) - 1.0) < 1e-9 for record in logged
        )
        assert counters_of(desks[0].state) == counted_from_scratch(desks[0].state)

    # -------------------------------------------------------------------------------------------- reservations

    def test_a_reservation_expires_by_itself(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),), reservation_hours=5.0))
        desk.register("a")
        (action,) = desk.decide("a").action
        key = action.reservation_id
        assert key is not None
        assert not desk.decide("a", action.send_at).action
        before, after = (action.send_at + timedelta(hours=5, microseconds=shift) for shift in (-1, 0))
        found = [find_contact(state.read(), key, at) for at in (before, after)]
        assert [contact.status for contact in found if contact is not None] == ["reserved", "expired"]
        assert len(desk.counters("a", before).contacts) == 1
        assert desk.counters("a", after).contacts == ()
        assert desk.decide("a", after).action
        assert counters_of(state) == counted_from_scratch(state)

    def test_without_an_end_a_reservation_counts_for_ever(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=900.0),), reservation_hours=None))
        desk.register("a")
        assert desk.decide("a").action
        assert not desk.decide("a", NOW + 300 * DAY).action

    def test_an_expired_reservation_frees_the_limits_of_everyone(self, state: State) -> None:
        policy = ContactPolicy(caps=(Cap(rule="all", scope="total", limit=1, days=90.0),), reservation_hours=1.0)
        desk = Desk(state, policy, offers=(offer("o1", total=1),))
        desk.register("a", "b")
        assert desk.decide("a").action
        assert not desk.decide("b", NOW + timedelta(hours=1)).action
        later = NOW + 3 * DAY
        counters = desk.counters("b", later)  # nobody has written since: the readers know by themselves
        assert (counters.offer_totals, counters.total_contacts) == ({"o1": 0}, {"all": 0})
        assert desk.decide("b", later).action

    @pytest.mark.parametrize("order", sorted(set(itertools.permutations(("confirm", "release", "confirm", "release")))))
    def test_reports_end_alike_in_any_order(self, state: State, order: Sequence[Settle]) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),), reservation_hours=5.0))
        desk.register("a")
        key = str(desk.decide("a").action[0].reservation_id)
        settle = {"confirm": confirm_contact, "release": release_contact}
        for step in order:
            state.write(lambda connection, step=step: settle[step](connection, key))  # type: ignore[misc]
        later = NOW + 20 * DAY
        found = find_contact(state.read(), key, later)
        assert found is not None
        assert found.status == "sent"
        assert len(desk.counters("a", later).contacts) == 1
        assert not desk.decide("a", later).action
        assert counters_of(state) == counted_from_scratch(state)

    def test_a_release_frees_the_place_at_once(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),)), offers=(offer("o1", total=1),))
        desk.register("a")
        key = str(desk.decide("a").action[0].reservation_id)
        assert not desk.decide("a").action
        for _ in range(2):
            assert state.write(lambda connection: release_contact(connection, key)) == "released"
        assert desk.counters("a").offer_totals == {"o1": 0}
        assert desk.decide("a").action

    def test_a_confirmation_after_expiry_counts_again(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),), reservation_hours=1.0))
        desk.register("a")
        key = str(desk.decide("a").action[0].reservation_id)
        later = NOW + 3 * DAY
        state.write(lambda connection: expire_contacts(connection, later))
        assert desk.counters("a", later).contacts == ()
        assert state.write(lambda connection: confirm_contact(connection, key)) == "sent"
        assert len(desk.counters("a", later).contacts) == 1
        assert not desk.decide("a", later).action

    def test_nothing_is_known_of_other_ids(self, state: State) -> None:
        assert find_contact(state.read(), "none.1", NOW) is None
        assert state.write(lambda connection: confirm_contact(connection, "none.1")) is None
        assert state.write(lambda connection: release_contact(connection, "none.1")) is None

    def test_nothing_is_reserved_where_the_caller_does_not_want_it(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),)))
        desk.register("a")
        for option in ("defer_activation", "reserve_caps"):
            asked: dict[str, Any] = {"options": {option: option == "defer_activation"}}
            assert desk.decide("a", **asked).action
        assert desk.counters("a").contacts == ()

    def test_a_decision_whose_commit_fails_leaves_nothing(self, store: Store) -> None:
        state = store.open()
        desk = Desk(state, ContactPolicy(caps=(Cap(rule="c", limit=1, days=30.0),), reservation_hours=2.0))
        desk.register("a")
        desk.numbers = iter([0, 0, 1])
        assert desk.decide("a", options={"reserve_caps": False}).action
        with pytest.raises(Exception, match="decision_id"):
            desk.decide("a")  # the same id again: the log refuses it after everything else was written
        assert len(list(read_decisions(state.read()))) == 1
        assert desk.log_counters("a").contacts == ()
        assert desk.decide("a", NOW + 2 * DAY).action  # at the latest when the lost reservation has expired

    def test_a_decision_is_repeated_and_reserves_once(self, store: Store) -> None:
        first, second = (Desk(store.open(), ContactPolicy(), prefix=name) for name in ("x", "y"))
        first.register("a")
        repeat = Repeat(scope="k/decisions", key="r1", body_sha256="0")
        with ThreadPoolExecutor(8) as pool:
            bodies = set(pool.map(lambda n: (first, second)[n % 2].submit("a", repeat=repeat).result().body, range(24)))
        assert len(bodies) == 1
        assert len(list(read_decisions(first.state.read()))) == 1
        assert len(second.counters("a").contacts) == 1
        with pytest.raises(ConflictError, match="another body"):
            first.submit("a", repeat=Repeat(scope="k/decisions", key="r1", body_sha256="1")).result()

    def test_contacts_are_added_once(self, state: State) -> None:
        rows = [
            Contact(contact_id=reservation_id("d", number % 40), customer_id="a", offer_id="o1", channel="sms", at=NOW)
            for number in range(1100)
        ]
        assert state.write(lambda connection: add_contacts(connection, rows)) == 40
        assert state.write(lambda connection: add_contacts(connection, rows)) == 0
        assert len(Desk(state, ContactPolicy()).counters("a").contacts) == 40

    def test_the_counters_equal_a_count_from_scratch_after_anything(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(reservation_hours=3.0), offers=(offer("o1", total=99), offer("o2")))
        desk.register("a", "b")
        keys: list[str] = []
        for step in range(60):
            at = NOW + timedelta(minutes=37 * step)
            record = desk.decide("ab"[step % 2], at)
            keys += [str(action.reservation_id) for action in record.action]
            target = keys[(step * 7) % len(keys)]
            settle = (confirm_contact, release_contact, lambda connection, key: None)[step % 3]
            state.write(lambda connection, settle=settle, target=target: settle(connection, target))  # type: ignore[misc]
        assert counters_of(state) == counted_from_scratch(state)
        end = NOW + 9 * DAY
        expected = desk.log_counters("a", end)
        assert desk.counters("a", end) == expected
        state.write(lambda connection: expire_contacts(connection, end))
        assert counters_of(state) == counted_from_scratch(state)
        assert desk.counters("a", end) == expected

    # ---------------------------------------------------------------------- outcomes, consent, suppression lists

    def test_outcomes_are_told_as_far_back_as_cool_downs_look(self, state: State) -> None:
        pause = CoolDown(rule="p", after=("unsubscribe", "click"), within_days=10.0, days=20.0)
        silence = CoolDown(rule="s", after=("unanswered",), count=2, within_days=10.0, days=5.0)
        desk = Desk(state, ContactPolicy(cool_downs=(pause, silence)), offers=(offer("o1", category="food"),))
        desk.register("a")
        record = desk.decide("a", NOW)
        asked: list[tuple[str, timedelta, bool]] = [
            ("click", 2 * DAY, False),
            ("click", 3 * DAY, True),
            ("unsubscribe", 4 * DAY, True),
            ("open", 4 * DAY, False),
        ]
        for number, (kind, shift, bot) in enumerate(asked):
            outcome = Outcome.model_validate(
                {
                    "outcome_id": f"x{number}",
                    "decision_id": record.decision_id,
                    "type": kind,
                    "occurred_at": NOW + shift,
                    "is_bot": bot,
                }
            )
            assert state.write(lambda c, outcome=outcome: append_outcome(c, outcome, NOW + 5 * DAY))  # type: ignore[misc]
            assert not state.write(lambda c, outcome=outcome: append_outcome(c, outcome, NOW + 5 * DAY))  # type: ignore[misc]
        counters = desk.counters("a", NOW + 6 * DAY)
        assert [(item.type, item.at - NOW) for item in counters.outcomes] == [
            ("unsubscribe", 4 * DAY),
            ("click", 2 * DAY),
        ]
        assert {(item.channel, item.offer_id, item.category) for item in counters.outcomes} == {
            (record.action[0].channel, "o1", "food")
        }
        assert desk.counters("a", NOW + 33 * DAY).outcomes[0].type == "unsubscribe"
        assert desk.counters("a", NOW + 35 * DAY).outcomes == ()
        with pytest.raises(NotFoundError, match="no decision"):
            state.write(
                lambda c: append_outcome(
                    c, Outcome(outcome_id="y", decision_id="none", type="open", occurred_at=NOW), NOW
                )
            )

    def test_contacts_say_whether_they_were_answered_where_a_cool_down_asks(self, state: State) -> None:
        silence = CoolDown(rule="s", after=("unanswered",), count=9, within_days=40.0, days=5.0)
        desk = Desk(state, ContactPolicy(cool_downs=(silence,), reservation_hours=None))
        desk.register("a")
        records = [desk.decide("a", NOW + shift * DAY) for shift in range(3)]
        for number, kind in enumerate(("open", "machine_open", "delivered")):
            outcome = Outcome.model_validate(
                {
                    "outcome_id": f"o{number}",
                    "decision_id": records[number].decision_id,
                    "type": kind,
                    "occurred_at": NOW + 4 * DAY,
                }
            )
            state.write(lambda c, outcome=outcome: append_outcome(c, outcome, NOW + 5 * DAY))  # type: ignore[misc]
        history = Contact(contact_id="t", customer_id="a", offer_id="o1", channel="sms", at=NOW - 30 * DAY)
        state.write(lambda connection: add_contacts(connection, [history]))
        counters = desk.counters("a", NOW + 6 * DAY)
        assert [contact.answered for contact in counters.contacts] == [False, False, True, None]
        desk.settings = Desk(state, ContactPolicy()).settings
        assert {contact.answered for contact in desk.counters("a", NOW + 4 * DAY).contacts} <= {None, True, False}

    def test_the_newest_consent_holds(self, state: State) -> None:
        for granted, shift in ((True, 1), (False, 3), (True, 2), (True, 3)):
            statement = Consent(
                customer_id="a", channel="sms", purpose="marketing", granted=granted, at=NOW + shift * DAY
            )
            state.write(lambda c, statement=statement: add_consents(c, [statement]))  # type: ignore[misc]
        assert read_consents(state.read(), "a", NOW + 5 * DAY) == {"sms/marketing": False}

    def test_suppression_lists_are_added_to_replaced_and_ended(self, state: State) -> None:
        desk = Desk(state, ContactPolicy())
        desk.register("a", "b")
        entry = SuppressionEntry(customer_id="a", reason="complaint", until=NOW + DAY)
        assert state.write(lambda connection: add_suppressions(connection, [entry, entry], NOW)) == 2
        assert [item.reason for item in desk.counters("a").suppressions] == ["complaint"]
        assert not desk.decide("a").action
        assert desk.decide("b").action
        assert desk.counters("a", NOW + DAY).suppressions == ()
        sms = SuppressionEntry(customer_id="a", channel="sms", purpose="marketing")
        state.write(lambda connection: add_suppressions(connection, [entry.replace(until=None), sms], NOW))
        assert [item.until for item in desk.counters("a", NOW + DAY).suppressions] == [None, None]
        assert [item.channel for item in list_suppressions(state.read(), "a")] == ["*", "sms"]
        assert list_suppressions(state.read(), "b") == []
        assert state.write(lambda connection: remove_suppression(connection, "a"))
        assert not state.write(lambda connection: remove_suppression(connection, "a"))
        assert list_suppressions(state.read()) == [sms]

    def test_evidence_is_what_was_ever_sent_of_an_offer(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(), offers=(offer("o1"), offer("o2")))
        desk.register("a")
        sent = [action.offer_id for _ in range(5) for action in desk.decide("a").action]
        assert desk.counters("a").offer_contacts == {name: sent.count(name) for name in ("o1", "o2")}

    def test_a_logged_decision_reads_back(self, state: State) -> None:
        desk = Desk(state, ContactPolicy())
        desk.register("a")
        record = desk.decide("a")
        assert read_decision(state.read(), record.decision_id) == record
        with pytest.raises(StateError):
            State.write(state, lambda connection: (_ for _ in ()).throw(StateError("stopped")))
