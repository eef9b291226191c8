"""The GET form: every field of a request as a parameter, and the very answer of the POST form."""

from typing import Any
from urllib.parse import urlencode

import pytest

from foretouch.core.decisions import DecisionRequest
from foretouch.serving.web.query import PARAMETERS, request_fields
from tests.serving.service.world import Service, treated


def test_every_field_of_a_request_can_be_said() -> None:
    query = {
        "customer_id": "c",
        "household_id": "h",
        "request_id": "r",
        "purpose": "retention",
        "channels": "email, sms",
        "collection": "food",
        "candidates": "a,b",
        "exclude": "x,y",
        "placements": "hero,footer",
        "n": "3",
        "earliest": "2026-03-02T09:00:00 01:00",  # a "+" that was not escaped
        "latest": "2026-03-03T09:00:00+01:00",
        "time_zone": "Asia/Shanghai",
        "baseline_offer_id": "base",
        "default_offer_id": "d",
        "default_treatment_id": "dt",
        "default_channel": "email",
        "personalised": "false",
        "explain": "full",
        "language": "zh",
        "dry_run": "true",
        "defer_activation": "true",
        "reserve_caps": "false",
        "context.club": "true",
        "context.basket": "12.5",
        "context.code": '"007"',
        "context.name": "spring sale",
        "consent.email": "true",
        "consent.sms": "false",
    }
    asked = DecisionRequest.model_validate(request_fields(query, "weekly"))
    expected = {
        "customer_id": "c",
        "household_id": "h",
        "request_id": "r",
        "touchpoint": "weekly",
        "purpose": "retention",
        "channels": ["email", "sms"],
        "collection": "food",
        "candidates": [{"offer_id": "a"}, {"offer_id": "b"}],
        "exclude": ["x", "y"],
        "placements": ["hero", "footer"],
        "n": 3,
        "send_window": {
            "earliest": "2026-03-02T09:00:00+01:00",
            "latest": "2026-03-03T09:00:00+01:00",
            "time_zone": "Asia/Shanghai",
        },
        "baseline_offer_id": "base",
        "default_action": {"offer_id": "d", "treatment_id": "dt", "channel": "email"},
        "personalised": False,
        "options": {
            "explain": "full",
            "language": "zh",
            "dry_run": True,
            "defer_activation": True,
            "reserve_caps": False,
        },
        "context": {"club": True, "basket": 12.5, "code": "007", "name": "spring sale"},
        "consent": {"email": True, "sms": False},
    }
    assert asked == DecisionRequest.model_validate(expected)
    assert asked.model_fields_set == set(DecisionRequest.model_fields) - {"schema_version"}, "a field cannot be said"
    named = {name.partition("<")[0] for name in PARAMETERS}
    assert {name.partition(".")[0] + "." if "." in name else name for name in query} == named


def test_what_is_not_said_is_not_set() -> None:
    asked = DecisionRequest.model_validate(request_fields({"customer_id": "c"}, "weekly"))
    assert asked.model_fields_set == {"customer_id", "touchpoint"}, "the touchpoint's own defaults hold"


def test_get_and_post_answer_alike(service: Service) -> None:
    someone = treated(service.workspace)[0]
    query = urlencode({"customer_id": someone, "channels": "email", "dry_run": "true", "context.club": "true"})
    got = service.call("GET", f"/v1/touchpoints/weekly/decision?{query}")
    assert got.status == 200, got.raw
    posted = service.decide(
        someone, touchpoint="weekly", options={"dry_run": True}, context={"club": True}, channels=["email"]
    )
    changing = {"decision_id", "decided_at", "expires_at", "action", "contact", "feature_ages", "status_reason"}
    alike = {name for name in posted if name not in changing}
    assert {name: got.json[name] for name in alike} == {name: posted[name] for name in alike}
    query = urlencode({"customer_id": someone, "request_id": "g1", "channels": "email"})
    first = service.call("GET", f"/v1/touchpoints/weekly/decision?{query}")
    again = service.call("GET", f"/v1/touchpoints/weekly/decision?{query}")
    assert first.raw == again.raw
    body = {"customer_id": someone, "request_id": "g1", "channels": ["email"], "touchpoint": "weekly"}
    assert service.call("POST", "/v1/decisions", body).raw == first.raw, "one request, whichever form"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "customer_id"),
        ("customer_id=a&colour=red", "colour"),
        ("customer_id=a&n=many", "n"),
        ("customer_id=a&n=21", "n"),
        ("customer_id=a&purpose=spam", "purpose"),
        ("customer_id=a&latest=2026-01-01T00:00:00", "send_window.latest"),
        ("customer_id=a&dry_run=perhaps", "options.dry_run"),
        ("customer_id=a&default_channel=email", "default_action.offer_id"),
        ("customer_id=a&time_zone=Mars", "send_window.time_zone"),
    ],
)
def test_a_wrong_parameter_is_named(service: Service, query: str, field: str) -> None:
    refused = service.call("GET", f"/v1/touchpoints/weekly/decision?{query}")
    assert refused.status == 422
    assert field in {item["field"] for item in refused.json["errors"]}


def test_a_parameter_that_comes_twice_is_refused(service: Service) -> None:
    """``channels=email&channels=sms`` is how others write lists: taking the last in silence would lose a channel."""
    for query, name in (
        ("customer_id=a&channels=email&channels=sms", "channels"),
        ("customer_id=a&customer_id=b", "customer_id"),
    ):
        refused = service.call("GET", f"/v1/touchpoints/weekly/decision?{query}")
        assert (refused.status, refused.json["code"]) == (400, "bad_query")
        assert refused.json["detail"].startswith(f"{name} comes more than once")


def test_head_decides_nothing(service: Service) -> None:
    path = f"/v1/touchpoints/weekly/decision?customer_id={treated(service.workspace)[0]}"
    refused = service.call("HEAD", path)
    assert (refused.status, "HEAD" in refused.headers["allow"]) == (405, False)


def test_the_description_lists_every_parameter(service: Service) -> None:
    document: dict[str, Any] = service.call("GET", "/openapi.json", key=None).json
    operation = document["paths"]["/v1/touchpoints/{name}/decision"]["get"]
    assert set(PARAMETERS) <= {item["name"] for item in operation["parameters"]}
