"""Caps in Redis: what moved is decided again; what is lost, late or gone forbids; the log makes the store again."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.counters import CounterSnapshot
from foretouch.core.offers import OfferCaps
from foretouch.core.state import redis_caps
from foretouch.core.state.caps import CapQuestion, CapsError, SeenCaps, read_generation, rebuild_caps
from foretouch.core.state.contacts import Contact, add_contacts, confirm_contact, reservation_id
from foretouch.core.state.db import State
from foretouch.core.state.log import read_decisions
from foretouch.core.state.redis_caps import RedisCaps
from tests.suites.state_desk import NOW, Desk, offer
from tests.suites.state_servers import RedisServer, redis_server

POLICY = ContactPolicy(caps=(Cap(rule="own", limit=3, days=7.0), Cap(rule="all", scope="total", limit=9, days=7.0)))


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that a test may stop."""
    with redis_server() as server:
        yield server


def contact(decision_id: str, **changes: str) -> Contact:
    fields: dict[str, Any] = {"customer_id": "a", "offer_id": "o1", "channel": "email", **changes}
    return Contact(
        contact_id=reservation_id(decision_id, 1),
        at=NOW,
        status="reserved",
        expires_at=NOW + timedelta(days=3),
        **fields,
    )


def question(customer: str = "a", household: str | None = None, **limits: int) -> CapQuestion:
    return CapQuestion.of(
        POLICY,
        customer_id=customer,
        household_id=household,
        now=NOW,
        since=NOW - timedelta(days=7),
        offers={"o1": OfferCaps(**limits)},
    )


@pytest.fixture
def caps(redis: RedisServer, tmp_path: Path) -> Iterator[RedisCaps]:
    store = RedisCaps(redis.url, name=tmp_path.name)
    store.rebuild([], "g")
    yield store
    store.close()


def look(store: RedisCaps, asked: CapQuestion) -> SeenCaps:
    return store.look(asked, f"{store._runs}:g")


def test_a_customer_who_moved_is_decided_again(caps: RedisCaps) -> None:
    first, second = look(caps, question()), look(caps, question())
    assert caps.reserve(first, [contact("d1")])
    assert caps.reserve(first, [contact("d1")]), "the same decision reserves once"
    assert not caps.reserve(second, [contact("d2")])
    assert len(look(caps, question()).contacts) == 1


def test_a_household_that_moved_is_decided_again(caps: RedisCaps) -> None:
    one, other = look(caps, question("a", "h")), look(caps, question("b", "h"))
    assert caps.reserve(one, [contact("d1", household_id="h")])
    assert not caps.reserve(other, [contact("d2", customer_id="b", household_id="h")])
    assert len(look(caps, question("b", "h")).household) == 1


def test_a_total_that_moved_matters_only_near_its_limit(caps: RedisCaps) -> None:
    people = [f"p{number}" for number in range(12)]
    seen = {name: look(caps, question(name, total=7)) for name in people}
    done = [caps.reserve(seen[name], [contact(f"d{name}", customer_id=name)]) for name in people]
    assert done == [True] * 7 + [False] * 5
    assert look(caps, question(total=7)).offers_ever == {"o1": 7}
    assert caps.reserve(look(caps, question("z", total=3)), [contact("dz", customer_id="z", offer_id="o2")])


def test_a_store_of_another_generation_is_refused(caps: RedisCaps, redis: RedisServer, tmp_path: Path) -> None:
    seen = look(caps, question())
    other = RedisCaps(redis.url, name=tmp_path.name)
    other.rebuild([], "other")
    other.close()
    with pytest.raises(CapsError, match="filled from another log"):
        look(caps, question())
    with pytest.raises(CapsError, match="emptied"):
        caps.reserve(seen, [contact("d1")])
    with pytest.raises(CapsError, match="emptied"):
        caps.apply([contact("d1")], seen.generation)


def workspace(server: RedisServer, folder: Path, name: str = "w") -> State:
    store = RedisCaps(server.url, name=name)
    state = State(folder / "state.db", caps=store)
    if read_generation(state.read()) is None:
        state.write(lambda connection: rebuild_caps(connection, store))
    return state


def test_what_is_flushed_forbids_until_it_is_made_again(own_server: RedisServer, tmp_path: Path) -> None:
    with workspace(own_server, tmp_path) as state:
        desk = Desk(state, POLICY)
        desk.register("a", "b")
        sent = sum(len(desk.decide("a").action) for _ in range(2))
        before = desk.counters("a")
        own_server.flush()
        record = desk.decide("a")
        assert record.status == "suppressed"
        assert {item.rule for item in record.suppressed} == {"unreadable"}
        assert "was emptied" in str(record.counters.caps_error)
        assert "caps could not be read" in record.suppressed[0].text
        assert state.caps is not None
        store = state.caps
        assert state.write(lambda connection: rebuild_caps(connection, store)) == sent
        assert desk.counters("a") == before
        assert desk.decide("b").action


def test_a_restarted_store_may_have_lost_its_last_second(own_server: RedisServer, tmp_path: Path) -> None:
    with workspace(own_server, tmp_path) as state:
        desk = Desk(state, POLICY)
        desk.register("a")
        desk.decide("a")
        own_server.stop(by=signal.SIGKILL)
        assert not desk.decide("a").action
        assert not desk.decide("a").action
        own_server.start()
        time.sleep(1.1)
        record = desk.decide("a")
        assert not record.action
        assert "restarted" in str(record.counters.caps_error)
        assert state.caps is not None
        store = state.caps
        state.write(lambda connection: rebuild_caps(connection, store))
        assert desk.decide("a").action


def test_a_hung_store_costs_a_decision_no_more_than_its_deadline(own_server: RedisServer, tmp_path: Path) -> None:
    with workspace(own_server, tmp_path) as state:
        desk = Desk(state, POLICY)
        desk.register("a")
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            records = [desk.decide("a") for _ in range(10)]
            assert time.monotonic() - began < 1.0
            assert not any(record.action for record in records)
        finally:
            own_server.process.send_signal(signal.SIGCONT)


def test_what_needs_no_cap_goes_out_without_the_store(own_server: RedisServer, tmp_path: Path) -> None:
    with workspace(own_server, tmp_path) as state:
        desk = Desk(state, POLICY, offers=(offer("o1"), offer("capped", total=5)))
        desk.register("a")
        own_server.stop()
        record = desk.decide("a", purpose="transactional")
        assert {item.offer_id for item in record.suppressed if item.rule == "unreadable"} == {"capped"}
        assert all(action.offer_id == "o1" for action in record.action)


def test_history_and_late_confirmations_reach_the_store(redis: RedisServer, tmp_path: Path) -> None:
    with workspace(redis, tmp_path, tmp_path.name) as state:
        desk = Desk(state, ContactPolicy(caps=POLICY.caps, reservation_hours=1.0))
        desk.register("a")
        rows = [Contact(contact_id=f"t{n}", customer_id="a", offer_id="o1", channel="sms", at=NOW) for n in range(2)]
        state.write(lambda connection: add_contacts(connection, rows))
        assert len(desk.counters("a").contacts) == 2
        (action,) = desk.decide("a").action
        later = NOW + timedelta(days=2)
        assert len(desk.counters("a", later).contacts) == 2
        state.write(lambda connection: confirm_contact(connection, str(action.reservation_id)))
        assert len(desk.counters("a", later).contacts) == 3
        assert not desk.decide("a", later).action


def test_writers_with_logs_of_their_own_never_exceed_a_cap_together(redis: RedisServer, tmp_path: Path) -> None:
    """Nothing but the script keeps these apart: each writes to its own file, so none waits for another's lock."""
    policy = ContactPolicy(
        caps=(
            Cap(rule="own", limit=2, days=7.0),
            Cap(rule="house", scope="household", limit=5, days=7.0),
            Cap(rule="all", scope="total", limit=31, days=7.0),
        )
    )
    names = [f"p{house}{number}" for house in range(8) for number in range(3)]
    folders = [tmp_path / str(number) for number in range(4)]
    states: list[State] = []
    for folder in folders:
        folder.mkdir()
        caps = RedisCaps(redis.url, name=tmp_path.name, call_seconds=5.0)  # the caps are judged here, not the deadline
        states.append(State(folder / "state.db", caps=caps))
    store = states[0].caps
    assert store is not None
    generation = store.rebuild([], "shared")
    desks = [Desk(state, policy, prefix=f"d{number}") for number, state in enumerate(states)]
    tries: list[CounterSnapshot] = []
    for desk in desks:
        desk.state.write(
            lambda c: c.execute("INSERT INTO meta (name, value) VALUES ('caps_generation', ?)", (generation,))
        )
        for house in range(8):
            desk.register(*names[3 * house : 3 * house + 3], household=f"h{house}")
    with ThreadPoolExecutor(16) as pool:
        records = list(pool.map(lambda item: desks[item[0] % 4].decide(item[1]), enumerate(names * 8)))
    logged = [record for state in states for record in read_decisions(state.read())]
    tries += [record.counters for record in logged]
    assert len(logged) == len(records) == len(tries) == 192
    sent = [record.customer_id for record in logged for _ in record.action]
    assert max(sent.count(name) for name in names) <= 2
    assert max(sum(name[1] == house for name in sent) for house in "01234567") <= 5
    assert len(sent) == 31
    for state in states:
        state.close()


def test_one_late_answer_costs_a_moment_and_a_lost_server_is_asked_once_a_second(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a call that failed nobody calls for 50 ms, then 100, … up to a second; an answer begins anew."""
    clock, calls = [100.0], 0
    monkeypatch.setattr(redis_caps, "monotonic", lambda: clock[0])
    store = RedisCaps(redis.url, name=tmp_path.name)
    store.rebuild([], "g")
    answers: Any = store._look

    def look(**given: Any) -> Any:
        nonlocal calls
        calls += 1
        if failing:
            raise TimeoutError("late")
        return answers(**given)

    def asked_at(seconds: float) -> bool:
        """Whether the server was asked at a time."""
        clock[0], before = 100.0 + seconds, calls
        with suppress(CapsError):
            store.look(question(), generation)
        return calls > before

    generation = f"{store._runs}:g"
    monkeypatch.setattr(store, "_look", look)
    failing = True
    asked = [step / 100.0 for step in range(500) if asked_at(step / 100.0)]
    pauses = [round(later - earlier, 2) for earlier, later in pairwise(asked)]
    assert pauses[:4] == pytest.approx([0.06, 0.11, 0.21, 0.41], abs=0.011)
    assert max(pauses) <= 1.01
    failing = False
    assert asked_at(6.0)
    failing = True
    assert asked_at(6.01)
    assert not asked_at(6.05)
    assert asked_at(6.07), "after an answer the first pause is short again"
    store.close()
