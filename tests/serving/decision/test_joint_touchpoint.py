"""A touchpoint's defaults: they fill in what a request leaves out, and a replay finds the same request."""

from typing import Any

import pytest

from foretouch.core.config import Config, TouchpointSection
from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision.touchpoint import effective_request
from foretouch.serving.history.replay import replay
from tests.serving.decision.world import counters, decided, inputs, request

SECTION = {
    "purpose": "service",
    "channels": ("sms", "email"),
    "collection": "a",
    "placements": ("hero", "side"),
    "n": 2,
}


def config(**section: Any) -> Config:
    return inputs().config.replace(touchpoints={"weekly": TouchpointSection.model_validate(section)})


def test_what_a_request_leaves_out_is_filled_in() -> None:
    found = effective_request(request(), config(**SECTION))
    assert {name: getattr(found, name) for name in SECTION} == SECTION
    assert effective_request(found, config(**SECTION)) is found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("purpose", "marketing"),
        ("n", 1),
        ("channels", ("push",)),
        ("collection", "b"),
        ("placements", ("top",)),
    ],
)
def test_what_a_request_says_wins_also_where_it_says_the_general_default(name: str, said: Any) -> None:
    found = effective_request(request(**{name: said}), config(**SECTION))
    assert getattr(found, name) == said
    others = {other: getattr(found, other) for other in SECTION if other != name}
    assert others == {other: value for other, value in SECTION.items() if other != name}


def test_nothing_is_filled_in_for_another_touchpoint_or_by_an_empty_section() -> None:
    asked = request(touchpoint="other")
    assert effective_request(asked, config(**SECTION)) is asked
    assert effective_request(request(), config()) == request()


def test_named_candidates_are_not_narrowed_by_a_collection() -> None:
    found = effective_request(request(candidates=[{"offer_id": "jam"}]), config(**SECTION))
    assert (found.collection, found.n) == (None, 2)


@pytest.mark.parametrize("said", [{}, {"purpose": "marketing"}, {"n": 1}, {"purpose": "marketing", "n": 1}])
def test_a_request_reads_back_as_it_was_asked(said: dict[str, Any]) -> None:
    asked = request(**said)
    back = DecisionRequest.from_line(asked.to_line())
    assert back == asked
    assert {"purpose", "n"} & back.model_fields_set == set(said)
    assert effective_request(back, config(**SECTION)) == effective_request(asked, config(**SECTION))


def test_the_schema_still_names_every_field() -> None:
    for schema in (
        DecisionRequest.model_json_schema(mode="validation"),
        DecisionRequest.model_json_schema(mode="serialization"),
    ):
        assert {"purpose", "n", "placements"} <= schema["properties"].keys()


@pytest.mark.parametrize("said", [{}, {"purpose": "marketing"}, {"n": 1}])
def test_the_record_keeps_what_was_asked_and_replays(said: dict[str, Any]) -> None:
    consents = {f"{channel}/{purpose}": True for channel in ("email", "sms") for purpose in ("marketing", "service")}
    given = {
        "config": config(purpose="service", channels=["email", "sms"], n=2),
        "counters": counters(consents=consents),
        "policies": {"default": PolicySpec(kind="greedy")},
    }
    record = decided(said, **given)
    assert record.purpose == said.get("purpose", "service")
    assert len(record.action) == said.get("n", 2)
    assert record.request.model_fields_set & {"purpose", "n"} == set(said)
    logged = DecisionRecord.from_line(record.to_line())
    found = replay(logged, inputs(**given))
    assert found.identical, found.differences
