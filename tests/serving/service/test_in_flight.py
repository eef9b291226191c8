"""A call that comes again while it is under way: it waits, and is told to come again where it waits in vain."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foretouch.core.decisions import DecisionRequest
from foretouch.core.state.access import verify_key
from foretouch.core.state.db import State
from foretouch.core.state.flights import Flights
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.decider import InFlightError
from tests.serving.service.test_deadline import locked
from tests.serving.service.world import Service, count, treated, wait_for

KEY = ("caller/decisions", "k")


def test_one_call_at_a_time_over_processes_and_never_for_long(tmp_path: Path) -> None:
    here, there = Flights(tmp_path / "flights"), Flights(tmp_path / "flights")
    assert here.enter(KEY)
    assert not here.enter(KEY)
    assert not there.enter(KEY)
    assert there.busy(KEY)
    assert not there.busy(("caller/decisions", "other"))
    assert there.enter(("other caller/decisions", "k"))
    there.leave(KEY)
    assert here.busy(KEY), "who did not enter does not end it"
    here.leave(KEY)
    assert not there.busy(KEY)
    assert there.enter(KEY)
    there.close()
    assert not here.busy(KEY), "a process that is gone has nothing under way"
    here.close()


def test_a_repeat_of_a_call_under_way_waits_and_is_then_told_to_come_again(
    fresh: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foretouch.serving.runtime.dataplane.LOG_SECONDS", 30.0)  # on a busy machine the first has time
    request = DecisionRequest(customer_id=treated(fresh)[0], request_id="k")
    with Dataplane(fresh) as first, Dataplane(fresh) as other, ThreadPoolExecutor(2) as pool:
        first.decide_one(DecisionRequest(customer_id=request.customer_id))
        with locked(fresh):
            under_way = pool.submit(first.decide_one, request)
            wait_for(lambda: other._flights.busy(("cli/decisions", "k")), seconds=5.0, what="the first call")
            for plane in (first, other):
                started = time.monotonic()
                with pytest.raises(InFlightError, match="under way"):
                    plane.decide_one(request, deadline_ms=100.0)
                assert time.monotonic() - started < 1.5
            patient = pool.submit(other.decide_one, request)
            time.sleep(0.05)
        assert under_way.result().body == patient.result().body
        assert sorted([under_way.result().replayed, patient.result().replayed]) == [False, True]
        assert not first._flights.busy(("cli/decisions", "k"))
    assert count(fresh, "decisions") == 2


def test_a_call_that_was_answered_without_the_log_is_no_longer_under_way(fresh: Workspace) -> None:
    request = DecisionRequest(customer_id=treated(fresh)[0], request_id="k")
    with Dataplane(fresh) as plane:
        plane.decide_one(DecisionRequest(customer_id=request.customer_id))
        with locked(fresh):
            for _ in range(2):
                assert not plane.decide_one(request, deadline_ms=100.0).decision.logged
        assert plane.decide_one(request).decision.logged


def test_over_http_it_is_a_409_with_the_time_to_come_again(service: Service) -> None:
    someone = treated(service.workspace)[0]
    service.decide(someone)
    body = {"customer_id": someone, "channels": ["email"]}
    again = {"Idempotency-Key": "twice"}
    with State(service.workspace.state_file) as state:
        caller = verify_key(state.read(), service.key, service.workspace.clock.now())
    assert caller is not None
    elsewhere = Flights(service.workspace.root / "state.db-flights")
    assert elsewhere.enter((f"{caller.id}/decisions", "twice"))
    with locked(service.workspace):
        reply = service.call("POST", "/v1/decisions", body, headers={**again, "X-Deadline-Ms": "100"})
        batch = service.call("POST", "/v1/decisions:batch", {"requests": [{**body, "request_id": "twice"}, body]})
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (409, "in_flight", "1")
    assert batch.json["results"][0]["problem"]["code"] == "in_flight"
    assert batch.json["results"][1]["decision"]["status"] == "fallback"
    elsewhere.close()
    assert service.call("POST", "/v1/decisions", body, headers=again).json["logged"]
