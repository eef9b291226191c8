"""What every place for the state must do with jobs in two stages: only those who take part in them can tell."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import State
from foretouch.core.state.group import Later
from foretouch.core.state.log import read_decisions
from foretouch.serving.runtime.log_write import Repeat
from tests.suites.state_desk import Desk, contacted, counted_from_scratch, counters_of

Job = Callable[[Connection], list[str] | Later[list[str]]]


@contextmanager
def one_group(state: State) -> Iterator[None]:
    """What is queued meanwhile is one group of the writer's."""
    begun, told = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        told.wait(10)

    held = state.submit(hold)
    begun.wait(10)
    try:
        yield
    finally:
        told.set()
        held.result()


def note(connection: Connection, name: str) -> None:
    connection.execute("INSERT INTO quarantine (kind, reason, at, body) VALUES ('k', ?, 0, ?)", (name, b""))


def notes(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT reason FROM quarantine ORDER BY sequence").fetchall()]


def in_two(name: str, *, fail: bool = False) -> Job:
    """A job that notes its name in each of its stages."""

    def finish(connection: Connection) -> list[str]:
        note(connection, f"{name}2")
        if fail:
            raise ValueError("no")
        return notes(connection)

    def job(connection: Connection) -> list[str] | Later[list[str]]:
        note(connection, f"{name}1")
        return Later(finish)

    return job


class StagesContract:
    """Give a fixture ``state``."""

    def test_second_stages_come_after_the_first_ones_and_before_jobs_of_another_kind(self, state: State) -> None:
        with one_group(state):
            staged = [state.submit(in_two(name), staged=True) for name in "ab"]
            other = state.submit(notes)
            alone, last = state.submit(in_two("c")), state.submit(in_two("d"), staged=True)
        seen = ["a1", "b1", "a2", "b2"]
        assert [job.result() for job in staged] == [seen[:3], seen]
        assert other.result() == seen
        assert alone.result() == [*seen, "c1", "c2"]
        assert last.result() == [*seen, "c1", "c2", "d1", "d2"] == notes(state.read())

    def test_a_failing_second_stage_undoes_both_and_nothing_else(self, state: State) -> None:
        with one_group(state):
            before = state.submit(notes)
            jobs = [state.submit(in_two(name, fail=name == "b"), staged=True) for name in "abc"]
        assert before.result() == []
        assert jobs[0].result() == ["a1", "a2"]
        with pytest.raises(ValueError, match="no"):
            jobs[1].result()
        assert jobs[2].result() == ["a1", "a2", "c1", "c2"] == notes(state.read())

    def test_a_failing_first_stage_leaves_the_second_stages_of_others(self, state: State) -> None:
        def fail(connection: Connection) -> list[str] | Later[list[str]]:
            note(connection, "x")
            raise ValueError("no")

        with one_group(state):
            first, failing = state.submit(in_two("a"), staged=True), state.submit(fail, staged=True)
        assert first.result() == ["a1", "a2"] == notes(state.read())
        with pytest.raises(ValueError, match="no"):
            failing.result()

    def test_a_job_waits_for_the_second_stage_of_one_with_its_key(self, state: State) -> None:
        with one_group(state):
            jobs = [state.submit(in_two(name), staged=True, key=key) for name, key in (("a", "k"), ("b", None))]
            jobs += [state.submit(in_two(name), staged=True, key=key) for name, key in (("c", "l"), ("d", "k"))]
        seen = ["a1", "b1", "c1", "a2", "b2", "c2", "d1", "d2"]
        assert [job.result() for job in jobs] == [seen[:4], seen[:5], seen[:6], seen]

    def test_a_repeat_in_the_same_group_gets_the_answer_of_the_first(self, state: State) -> None:
        desk = Desk(state, ContactPolicy())
        desk.register("ann", "ben")
        keys = ("r1", None, "r2", "r1", "r2", "r3")
        with one_group(state):
            waiting = [
                desk.submit(
                    "ann",
                    purpose="marketing",
                    repeat=None if key is None else Repeat(scope="k/decisions", key=key, body_sha256="0"),
                )
                for key in keys
            ]
        given = [pending.result() for pending in waiting]
        assert [logged.stored is None for logged in given] == [False, False, False, True, True, False]
        assert (given[3].body, given[4].body) == (given[0].body, given[2].body)
        assert len(list(read_decisions(state.read()))) == 4

    def test_decisions_of_one_group_see_what_those_before_them_reserved(self, state: State) -> None:
        cap = Cap(rule="two", limit=2, days=7)
        desk = Desk(state, ContactPolicy(caps=(cap,)))
        desk.register("ann")
        with one_group(state):
            waiting = [desk.submit("ann", purpose="marketing") for _ in range(6)]
        records = [logged.stored.record for pending in waiting if (logged := pending.result()).stored is not None]
        planned = list(itertools.accumulate((len(record.action) for record in records), initial=0))
        assert [len(record.counters.contacts) for record in records] == planned[:-1]
        assert planned[-1] == 2
        assert [record.decision_id for record in read_decisions(state.read())] == [r.decision_id for r in records]

    def test_a_decision_that_cannot_be_written_down_reserves_nothing(self, state: State) -> None:
        desk = Desk(state, ContactPolicy(), broken=frozenset({"dec_1"}))
        desk.register("ann")
        with one_group(state):
            waiting = [desk.submit("ann", purpose="marketing") for _ in range(3)]
        with pytest.raises(ValueError, match="dec_1"):
            waiting[1].result()
        records = [logged.stored.record for place in (0, 2) if (logged := waiting[place].result()).stored is not None]
        assert [record.decision_id for record in read_decisions(state.read())] == ["dec_0", "dec_2"]
        assert contacted(records) > 0
        assert len(desk.log_counters("ann").contacts) == contacted(records)
        assert counters_of(state) == counted_from_scratch(state)
