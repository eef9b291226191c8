"""The same request many times at once, over workers and a restart: one decision, the same bytes."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from tests.serving.service.world import Service, consenting, count, make_key, serving

KEYS, TIMES = 4, 50


def ask(service: Service, customer: str, key: str, *, in_body: bool) -> bytes:
    body: dict[str, Any] = {"customer_id": customer, "channels": ["email"]}
    headers = {} if in_body else {"Idempotency-Key": key}
    reply = service.call("POST", "/v1/decisions", {**body, **({"request_id": key} if in_body else {})}, headers=headers)
    assert reply.status == 200, reply.raw
    return reply.raw


@pytest.mark.slow
def test_one_key_fifty_times_at_once_over_workers_and_a_restart_is_one_decision(fault_world: Workspace) -> None:
    people = consenting(fault_world)
    key = make_key(fault_world, "decide")
    first: dict[str, bytes] = {}
    for start in range(2):
        with serving(fault_world, workers=2, key=key) as service, ThreadPoolExecutor(16) as pool:
            for number in range(KEYS):
                name = f"k{number}"
                jobs = [pool.submit(ask, service, people[number], name, in_body=bool(number % 2)) for _ in range(TIMES)]
                answers = {job.result() for job in jobs}
                assert len(answers) == 1
                assert answers == {first.setdefault(name, answers.pop())} or not answers
            if start == 1:
                body = {"customer_id": "someone-else", "channels": ["email"]}
                reused = service.call("POST", "/v1/decisions", body, headers={"Idempotency-Key": "k0"})
                assert (reused.status, reused.json["code"]) == (422, "idempotency_key_reused")
                other = service.call(
                    "POST",
                    "/v1/decisions",
                    body,
                    key=make_key(fault_world, "decide"),
                    headers={"Idempotency-Key": "k0"},
                )
                assert other.status == 200, "keys of two callers never meet"
    assert count(fault_world, "decisions") == KEYS + 1
    with State(fault_world.state_file) as state:
        logged = {row[0] for row in state.read().execute("SELECT decision_id FROM decisions")}
    assert {json.loads(answer)["decision_id"] for answer in first.values()} <= logged
