"""What a running service answers, on every route, is what its OpenAPI document says."""

from typing import Any

import pytest

from foretouch.serving.web.call import JSON
from foretouch.serving.web.problems import PROBLEM_JSON
from foretouch.serving.web.routes import ROUTES
from tests.serving.service.json_schema import faults
from tests.serving.service.world import OWED_OFFER, Reply, Service, contacted, make_key, treated

SPEC_ROUTES = {(route.method, route.template) for route in ROUTES}


class Witness:
    """Calls routes and holds every answer against the document.

    Args:
        service: The running one.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.document = service.call("GET", "/openapi.json", key=None).json
        self.seen: set[tuple[str, str]] = set()
        self.key = make_key(service.workspace, "decide", "events", "admin", "report:read")

    def call(self, method: str, template: str, body: Any = None, *, query: str = "", **path: str) -> Reply:
        self.seen.add((method, template))
        where = template
        for name, value in path.items():
            where = where.replace("{" + name + "}", value)
        raw = b"" if body is None and method != "GET" else None
        reply = self.service.call(method, where + query, body, key=self.key, raw=raw)
        assert reply.status < 500, reply.raw
        operation = self.document["paths"][template][method.lower()]
        assert str(reply.status) in operation["responses"], (template, reply.status, reply.raw)
        content = operation["responses"][str(reply.status)]["content"]
        sent = reply.headers["content-type"].partition(";")[0]
        assert sent in content, (template, sent)
        if sent in {JSON, PROBLEM_JSON}:
            assert faults(reply.json, content[sent]["schema"], self.document) == [], template
        return reply


@pytest.fixture(scope="module")
def witness(service: Service) -> Witness:
    """One for all tests, so that the last can tell which routes were never called."""
    return Witness(service)


def test_decisions_and_what_comes_after_them(service: Service, witness: Witness) -> None:
    person = treated(service.workspace)[0]
    owed = contacted(service, person)
    ask = {"customer_id": person, "channels": ["email"], "purpose": "transactional", "options": {"explain": "full"}}
    decided = witness.call("POST", "/v1/decisions", ask).json
    for more in (
        {"options": {"explain": "none", "language": "zh"}},
        {"customer_id": "nobody", "purpose": "marketing"},
        {"purpose": "marketing", "n": 3, "placements": ["hero", "footer"], "baseline_offer_id": "gone"},
        {"personalised": False},
        {"options": {"dry_run": True}},
        {"options": {"defer_activation": True}},
        {"candidates": [{"offer_id": OWED_OFFER}, {"offer_id": "gone"}]},
        {"exclude": [OWED_OFFER], "collection": "gone"},
    ):
        assert witness.call("POST", "/v1/decisions", {**ask, **more}).status == 200
    batch = {"requests": [ask, {"customer_id": ""}, {**ask, "n": 0}, 7]}
    assert len(witness.call("POST", "/v1/decisions:batch", batch).json["results"]) == 4
    get = f"?customer_id={person}&channels=email&purpose=transactional&language=zh"
    witness.call("GET", "/v1/touchpoints/{name}/decision", name="home", query=get)
    for query in ("", "?explain=full", "?language=zh"):
        witness.call("GET", "/v1/decisions/{decision_id}", decision_id=decided["decision_id"], query=query)
    for body in (None, {"policy": "policy"}):
        witness.call("POST", "/v1/decisions/{decision_id}/replay", body, decision_id=decided["decision_id"])
    witness.call("POST", "/v1/simulate", {"policy": "policy"})
    at = {"decision_id": owed["decision_id"], "occurred_at": owed["decided_at"]}
    outcome = {**at, "outcome_id": "o1", "type": "click"}
    assert witness.call("POST", "/v1/outcomes", outcome).status == 202
    listed = {"outcomes": [outcome, {**outcome, "outcome_id": "o2", "decision_id": "gone"}, {}]}
    assert witness.call("POST", "/v1/outcomes", listed).json["counts"]["refused"] == 2
    taken = owed["action"][0]["reservation_id"]
    witness.call("POST", "/v1/reservations/{reservation_id}:confirm", reservation_id=taken)
    assert witness.call("POST", "/v1/reservations/{reservation_id}:release", reservation_id=taken).status == 409
    other = contacted(service, treated(service.workspace)[1])["action"][0]["reservation_id"]
    assert witness.call("POST", "/v1/reservations/{reservation_id}:release", reservation_id=other).status == 200


def test_customers_offers_and_scores(service: Service, witness: Witness) -> None:
    person = treated(service.workspace)[2]
    now = service.workspace.clock.now().isoformat()
    event = {"event_id": "e1", "customer_id": person, "event": "page_view", "occurred_at": now}
    witness.call("POST", "/v1/events", event)
    witness.call("POST", "/v1/events", {"events": [event, {**event, "event_id": "e2"}, {"event_id": "e3"}]})
    consent = {"consents": [{"channel": "email", "purpose": "marketing", "granted": True}]}
    witness.call("PUT", "/v1/customers/{customer_id}/consents", consent, customer_id=person)
    known = {"household_id": "h", "time_zone": "Asia/Shanghai", "language": "zh", "attributes": {"club": True}}
    witness.call("PUT", "/v1/customers/{customer_id}", known, customer_id=person)
    witness.call("PUT", "/v1/customers/{customer_id}/suppressions", {}, customer_id=person)
    for status in (200, 404):
        gone = witness.call("DELETE", "/v1/customers/{customer_id}/suppressions", customer_id=person)
        assert gone.status == status
    offer = {"name": "Tea", "channels": ["email"], "value": 2.0, "category": "tea"}
    witness.call("PUT", "/v1/offers/{offer_id}", offer, offer_id="tea")
    for model in ("lead", "churn", "value"):
        for body in ({"customer_id": person}, {"customer_ids": [person, "nobody"]}):
            witness.call("POST", f"/v1/scores/{model}", body)
    assert witness.call("POST", "/v1/offers/rank", {"customer_id": person}).status == 200
    witness.call("POST", "/v1/send-times", {"customer_id": person})


def test_refusals_and_the_routes_of_whoever_runs_it(witness: Witness) -> None:
    assert witness.call("POST", "/v1/decisions", {"customer_id": ""}).status == 422
    assert witness.call("GET", "/v1/decisions/{decision_id}", decision_id="gone").status == 404
    assert witness.call("POST", "/v1/outcomes", {"outcome_id": 7}).status == 422
    for template in ("/livez", "/readyz", "/openapi.json", "/metrics"):
        witness.call("GET", template)
    assert witness.seen == SPEC_ROUTES, "a route that nobody called here"


def test_the_judge_sees_what_does_not_fit() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "b": {"enum": ["x"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert faults({"a": 1, "b": "x"}, schema, {}) == []
    assert faults({"a": None}, schema, {}) == []
    unfit: list[Any] = [{}, {"a": 0}, {"a": True}, {"a": "1"}, {"a": 1, "b": "y"}, {"a": 1, "c": 1}, [], None]
    for value in unfit:
        assert faults(value, schema, {}), value
    with pytest.raises(NotImplementedError, match="keyword not"):
        faults(1, {"not": {}}, {})
