"""A caller's deadline holds for the whole answer, from the moment at which the request came in."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from foretouch.core.clock import monotonic
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime.dataplane import Dataplane
from tests.serving.service.world import Service, count, treated

SLACK = 1.5
"""Seconds allowed on top on a busy machine; without a deadline the log is waited for two seconds, and then longer."""


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Another process holds the log's write lock."""
    holder = sqlite3.connect(workspace.state_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_deadline_that_passes_gives_a_labelled_fallback_in_time(service: Service) -> None:
    someone = treated(service.workspace)[0]
    service.decide(someone)
    before = count(service.workspace, "decisions")
    body = {"customer_id": someone, "channels": ["email"], "request_id": "late", "options": {"language": "en"}}
    with locked(service.workspace):
        started = time.monotonic()
        reply = service.call("POST", "/v1/decisions", body, headers={"X-Deadline-Ms": "100"})
        assert time.monotonic() - started < 0.1 + SLACK
    assert (reply.status, reply.json["status"], reply.json["logged"]) == (200, "fallback", False)
    assert "in time" in reply.json["status_reason"]
    assert reply.json["status_reason"] in reply.json["warnings"]
    assert not any(action["reservation_id"] for action in reply.json["action"])
    again = service.call("POST", "/v1/decisions", body)
    assert again.json["logged"], "what was not logged is not remembered either: the same key decides anew"
    assert count(service.workspace, "decisions") == before + 1, "what was given up is never logged"
    assert service.call("POST", "/v1/decisions", body, headers={"X-Deadline-Ms": "soon"}).status == 422


def test_time_spent_before_counts(fresh: Workspace) -> None:
    someone = treated(fresh)[0]
    with Dataplane(fresh) as plane:
        plane.decide_one(DecisionRequest(customer_id=someone))
        given = plane.decide_one(DecisionRequest(customer_id=someone), deadline_ms=200.0, arrived=monotonic() - 1.0)
        assert (given.decision.status, given.decision.logged) == ("fallback", False)
        assert plane.decide_one(DecisionRequest(customer_id=someone), deadline_ms=60_000.0).decision.logged


def test_a_hung_feature_store_leaves_time_for_the_log(fresh: Workspace) -> None:
    class Hung:
        def read(self, customer_id: str) -> FeatureSnapshot:
            time.sleep(3.0)
            raise TimeoutError(customer_id)

        def refresh(self, customer_ids: object, now: object) -> None:
            raise AssertionError(f"nothing is refreshed here: {customer_ids} at {now}")

    someone = treated(fresh)[0]
    with Dataplane(fresh, features=Hung()) as plane:
        started = time.monotonic()
        given = plane.decide_one(DecisionRequest(customer_id=someone), deadline_ms=1000.0)
        assert time.monotonic() - started < 1.0 + SLACK
        assert given.decision.logged
        assert given.decision.status in {"degraded", "fallback"}
