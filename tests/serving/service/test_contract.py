"""The contract of the HTTP interface, the same with the front on and off: answers, refusals, idempotency."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from foretouch.core.workspace import Workspace
from foretouch.serving.web.routes import ROUTES
from tests.serving.service.world import Reply, Service, count, held_out, make_key, set_serving, wait_for

TABLES = ("decisions", "outcomes", "events", "contacts", "quarantine", "consents", "idempotency")


@pytest.fixture(scope="module", params=[True, False], ids=["front", "plain"])
def either(request: pytest.FixtureRequest, service: Service) -> Iterator[Service]:
    """The service, answering before BentoML's layers and behind them; BentoML says so in a header of its own."""
    set_serving(service.workspace, front=request.param)

    def switched() -> bool:
        reply = service.call("POST", "/v1/scores/lead", {"customer_id": "nobody"})
        return ("bentoml" in reply.headers.get("server", "").lower()) is not request.param

    wait_for(switched, seconds=10.0, what=f"front == {request.param}")
    yield service
    set_serving(service.workspace, front=True)


@pytest.fixture(scope="module")
def someone(world: Workspace) -> str:
    """A customer whom every rule lets be contacted, time and again, because an experiment never does."""
    return held_out(world)[0]


def logged(service: Service) -> dict[str, int]:
    return {table: count(service.workspace, table) for table in TABLES}


def problem(reply: Reply, status: int, code: str) -> Any:
    assert reply.status == status, reply.raw
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json
    assert set(document) == {"type", "title", "status", "code", "detail", "errors", "trace_id"}
    assert (document["status"], document["code"]) == (status, code)
    assert len(document["trace_id"]) == 32
    return document


BODY = b'{"customer_id":"a","touchpoint":"t","channels":["email"]'
REFUSED: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "nan": (BODY + b',"context":{"a":NaN}}', {}, 400, "bad_json"),
    "infinity": (BODY + b',"context":{"a":Infinity}}', {}, 400, "bad_json"),
    "beyond a double": (BODY + b',"context":{"a":1e999}}', {}, 400, "bad_json"),
    "cut off": (BODY, {}, 400, "bad_json"),
    "empty": (b"", {}, 400, "bad_json"),
    "too deep": (b'{"a":' * 100 + b"1" + b"}" * 100, {}, 400, "bad_json"),
    "abysmal": (b"[" * 5000 + b"]" * 5000, {}, 400, "bad_json"),
    "lone surrogate": (b'{"customer_id":"\\ud800"}', {}, 400, "bad_json"),
    "no utf-8": (b'{"customer_id":"\xff"}', {}, 400, "bad_json"),
    "too large": (b'{"customer_id":"' + b"x" * 1_000_001 + b'"}', {}, 413, "body_too_large"),
    "a list": (b"[]", {}, 422, "validation"),
    "a number": (b"7", {}, 422, "validation"),
    "extra field": (BODY + b',"colour":"red"}', {}, 422, "validation"),
    "control character": (b'{"customer_id":"a\\u0000b"}', {}, 422, "validation"),
    "naive time": (BODY + b',"send_window":{"latest":"2025-01-01T00:00:00"}}', {}, 422, "validation"),
    "unknown zone": (BODY + b',"send_window":{"time_zone":"Mars/Olympus"}}', {}, 422, "validation"),
    "pickle": (BODY + b"}", {"Content-Type": "application/vnd.bentoml+pickle"}, 415, "content_type"),
    "xml": (BODY + b"}", {"Content-Type": "text/xml"}, 415, "content_type"),
    "form": (BODY + b"}", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "content_type"),
    "long idempotency key": (BODY + b"}", {"Idempotency-Key": "k" * 257}, 422, "validation"),
    "deadline in words": (BODY + b"}", {"X-Deadline-Ms": "soon"}, 422, "validation"),
    "deadline of nothing": (BODY + b"}", {"X-Deadline-Ms": "0"}, 422, "validation"),
    "candidate as a text": (BODY + b',"candidates":["coffee"]}', {}, 422, "validation"),
    "no channel at all": (BODY.replace(b'["email"]', b"[]") + b"}", {}, 422, "validation"),
}
SAID = {  # in the words of JSON, never of Python
    "extra field": {"field": "colour", "message": "There is no such field"},
    "candidate as a text": {"field": "candidates.0", "message": "Input should be an object"},
    "no channel at all": {"field": "channels", "message": "Array should have at least 1 item, not 0"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_a_problem_and_leaves_no_trace(either: Service, name: str) -> None:
    raw, headers, status, code = REFUSED[name]
    before = logged(either)
    reply = either.call("POST", "/v1/decisions", raw=raw, headers=headers)
    document = problem(reply, status, code)
    if name in SAID:
        assert document["errors"] == [SAID[name]]
    assert logged(either) == before


def test_a_large_body_is_refused_although_it_declares_no_length(either: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"customer_id":"'
        for _ in range(60):
            yield b"x" * 50_000
        yield b'"}'

    before = logged(either)
    problem(either.call("POST", "/v1/decisions", raw=chunks()), 413, "body_too_large")
    assert logged(either) == before


def test_sixty_megabytes_get_a_clear_answer(either: Service) -> None:
    raw = b'{"customer_id":"' + b"x" * 60_000_000 + b'"}'
    problem(either.call("POST", "/v1/decisions", raw=raw), 413, "body_too_large")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scopes], ids=lambda route: route.name)
def test_every_route_needs_a_key_with_its_scope(either: Service, route: Any) -> None:
    path = route.template
    for name in route.placeholders:
        path = path.replace("{" + name + "}", "x")
    body: dict[str, Any] | None = None if route.method == "GET" else {}
    elsewhere = {"X-Forwarded-For": "10.0.0.1"}  # a proxy speaks for somebody who is not on this machine
    problem(either.call(route.method, path, body, key=None, headers=elsewhere), 401, "no_key")
    for wrong in ("ftk_x_y", "é", either.key[:-1] + ("0" if either.key[-1] != "0" else "1"), "a b"):
        problem(either.call(route.method, path, body, key=wrong, headers=elsewhere), 401, "bad_key")
    other = "report:read" if "report:read" not in route.scopes else "events"
    powerless = make_key(either.workspace, other)
    problem(either.call(route.method, path, body, key=powerless), 403, "scope")


def test_a_key_works_in_both_headers(either: Service) -> None:
    reply = either.call("POST", "/v1/scores/lead", {"customer_id": "a"}, key=None, headers={"X-API-Key": either.key})
    assert reply.status == 200


def test_unknown_paths_and_methods(either: Service) -> None:
    problem(either.call("GET", "/v1/nothing"), 404, "no_route")
    reply = either.call("GET", "/v1/decisions")
    problem(reply, 405, "method")
    assert reply.headers["allow"] == "OPTIONS, POST"
    problem(either.call("GET", "/v1/decisions/dec_none"), 404, "not_found")
    problem(either.call("POST", "/v1/decisions/dec_none/replay", {}), 404, "not_found")


def test_a_decision_its_record_and_its_replay(either: Service, someone: str) -> None:
    decision = either.decide(someone, touchpoint="weekly-email")
    assert decision["status"] in {"decided", "control"}
    assert {"decision_id", "decided_at", "action", "suppressed", "experiments", "models", "warnings"} <= set(decision)
    record = either.call("GET", f"/v1/decisions/{decision['decision_id']}").json
    assert {**record, **decision} == record
    chances = [item["selection_probability"] for item in record["candidates"] if item["dropped_by"] is None]
    assert sum(chances) == pytest.approx(1.0, abs=1e-9)
    assert any(item["offer_id"] is None for item in record["candidates"])
    body: Any
    for body in ({}, None):
        replayed = either.call("POST", f"/v1/decisions/{decision['decision_id']}/replay", body)
        assert (replayed.status, replayed.json["identical"], replayed.json["differences"]) == (200, True, [])


def test_an_unknown_customer_is_suppressed_for_want_of_consent(either: Service) -> None:
    decision = either.decide("nobody-at-all")
    assert (decision["status"], decision["contact"], decision["action"]) == ("suppressed", False, [])
    assert {item["stage"] for item in decision["suppressed"]} >= {"consent"}


def test_a_transactional_touchpoint_of_an_unknown_customer_has_a_usable_fallback(either: Service) -> None:
    decision = either.decide("nobody-at-all", purpose="transactional")
    assert decision["status"] == "fallback"
    assert decision["contact"]
    assert decision["action"][0]["channel"] == "email"


def test_a_repeated_request_is_answered_byte_for_byte(either: Service, someone: str) -> None:
    for headers, fields in (({"Idempotency-Key": f"h{id(either)}"}, {}), ({}, {"request_id": f"r{id(either)}"})):
        body = {"customer_id": someone, "channels": ["email"], "touchpoint": str(either.base) + str(fields), **fields}
        first = either.call("POST", "/v1/decisions", body, headers=headers)
        before = logged(either)
        again = either.call("POST", "/v1/decisions", dict(reversed(body.items())), headers=headers)
        assert (first.status, again.status, again.raw == first.raw) == (200, 200, True)
        if "idempotent-replayed" not in first.headers:
            assert json.loads(again.headers["idempotent-replayed"])
        problem(
            either.call("POST", "/v1/decisions", {**body, "touchpoint": "other"}, headers=headers),
            422,
            "idempotency_key_reused",
        )
        assert logged(either) == before


def test_fifty_at_once_are_one_decision(either: Service, someone: str, request: pytest.FixtureRequest) -> None:
    body = {"customer_id": someone, "channels": ["email"], "request_id": f"fifty-{request.node.name}"}
    before = count(either.workspace, "decisions")
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: either.call("POST", "/v1/decisions", body), range(50)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.raw for reply in replies}) == 1
    assert count(either.workspace, "decisions") == before + 1


def test_the_same_key_of_another_caller_is_another_request(either: Service, someone: str) -> None:
    other = make_key(either.workspace, "decide")
    body = {"customer_id": someone, "channels": ["email"], "request_id": "shared-text"}
    mine = either.call("POST", "/v1/decisions", body)
    theirs = either.call("POST", "/v1/decisions", body, key=other)
    assert mine.json["decision_id"] != theirs.json["decision_id"]


def test_an_engine_that_can_only_get(either: Service, someone: str) -> None:
    path = f"/v1/touchpoints/home%20page/decision?customer_id={someone}&channels=email,sms&request_id=get-{id(either)}"
    first, again = either.call("GET", path), either.call("GET", path)
    assert (first.status, first.raw == again.raw) == (200, True)
    record = either.call("GET", f"/v1/decisions/{first.json['decision_id']}").json
    assert record["touchpoint"] == "home page"
    assert record["request"]["channels"] == ["email", "sms"]
    problem(either.call("GET", "/v1/touchpoints/home/decision?channels=email"), 422, "validation")
    problem(either.call("GET", f"{path}&colour=red"), 422, "validation")


def test_a_batch_answers_each_item_on_its_own(either: Service, someone: str) -> None:
    items = [
        {"customer_id": someone, "channels": ["email"], "request_id": f"batch-{id(either)}"},
        {"customer": "a"},
        {"customer_id": "nobody-at-all", "channels": ["email"]},
        {"customer_id": someone, "channels": ["email"], "request_id": f"batch-{id(either)}"},
        "no object",
        None,
    ]
    results = either.call("POST", "/v1/decisions:batch", {"requests": items}).json["results"]
    assert [item["index"] for item in results] == [0, 1, 2, 3, 4, 5]
    assert {results[index]["problem"]["code"] for index in (4, 5)} == {"validation"}
    assert results[0]["decision"]["customer_id"] == someone
    assert results[1]["problem"]["code"] == "validation"
    assert results[2]["decision"]["status"] == "suppressed"
    assert results[3]["decision"] == results[0]["decision"]
    problem(either.call("POST", "/v1/decisions:batch", {"requests": [items[2]] * 501}), 422, "validation")


def test_a_dry_run_leaves_no_trace(either: Service, someone: str) -> None:
    before = logged(either)
    decision = either.decide(someone, options={"dry_run": True}, request_id="dry")
    assert not decision["logged"]
    assert logged(either) == before


def test_scores_rankings_and_hours(either: Service, someone: str) -> None:
    one = either.call("POST", "/v1/scores/lead", {"customer_id": someone}).json
    assert (one["model"], one["version"]) == ("lead", "v1")
    assert (one["score"] is None) != (one["reason"] is None)
    many = either.call("POST", "/v1/scores/lead", {"customer_ids": [someone, "nobody-at-all"]}).json["scores"]
    assert many[0] == one
    assert (many[1]["score"], many[1]["reason"]) == (None, "unknown customer")
    missing = either.call("POST", "/v1/scores/churn", {"customer_id": someone}).json
    assert missing["score"] is None
    assert "foretouch train churn" in missing["reason"]
    problem(either.call("POST", "/v1/scores/lead", {"customer_id": "a", "customer_ids": ["a"]}), 422, "validation")
    before = logged(either)
    ranked = either.call("POST", "/v1/offers/rank", {"customer_id": someone, "channels": ["email"]}).json
    priorities = [item["priority"] for item in ranked["offers"] if item["priority"] is not None]
    assert priorities == sorted(priorities, reverse=True)
    hours = either.call("POST", "/v1/send-times", {"customer_id": someone, "channel": "email"}).json
    assert (hours["basis"], hours["version"]) == ("none", None)
    assert all(8 <= int(slot["local"][11:13]) < 21 for slot in hours["slots"])
    assert logged(either) == before


def test_metrics_are_by_route_template_and_few(either: Service) -> None:
    for number in range(30):
        either.call("GET", f"/nope/{number}")
        either.call("GET", f"/v1/decisions/dec_{number}")
    text = either.call("GET", "/metrics", key=None).raw.decode()
    assert 'route="/v1/decisions/{decision_id}",status="404"' in text
    assert 'route="unmatched",status="404"' in text
    assert "/nope" not in text
    assert "dec_1" not in text
    assert len(text.splitlines()) < 500
    stranger = {"X-Forwarded-For": "10.0.0.1"}
    problem(either.call("GET", "/metrics", key=None, headers=stranger), 401, "no_key")
    assert either.call("GET", "/metrics", headers=stranger).status == 200


def test_the_description_names_every_route(either: Service) -> None:
    document = either.call("GET", "/openapi.json", key=None).json
    assert document["openapi"] == "3.1.0"
    named = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert named == {(route.method, route.template) for route in ROUTES}
    referenced = json.dumps(document).count("#/components/schemas/")
    schemas = document["components"]["schemas"]
    assert referenced > 50
    for part in json.dumps(document).split('"#/components/schemas/')[1:]:
        assert part.split('"', 1)[0] in schemas


def test_readiness_needs_no_key_and_names_what_is_missing(either: Service) -> None:
    ready = either.call("GET", "/readyz", key=None)
    assert ready.status == 200
    assert ready.json["missing"] == ["churn", "value", "send-time"]
    assert ready.json["models"]["offer"]["version"] == "v1"
    assert either.call("GET", "/livez", key=None).status == 200


def test_the_key_is_nowhere_in_the_log_or_the_state(either: Service) -> None:
    secret = either.key.rsplit("_", 1)[1].encode()
    for path in either.workspace.root.rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            assert secret not in path.read_bytes(), path
