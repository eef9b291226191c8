"""Rules, warnings and statuses in the language of the answer: the request's, else the customer's, else English."""

import re
from datetime import timedelta
from string import Formatter
from typing import Any

import pytest

from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import DecisionRecord, FeatureSnapshot
from foretouch.core.policy import PolicySpec
from foretouch.serving.decide import decide
from foretouch.serving.words.translations import SENTENCES, in_chinese, translated
from tests.serving.decision.world import NOW, inputs, request

HAN = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b(the|is|are|not|was|of)\b")


def made(language: str | None, own: str | None = None, *, ask: Any = None, **given: Any) -> DecisionRecord:
    asked = request(**{**(ask or {}), "options": {"language": language}})
    known = inputs(**given)
    counters = known.counters.model_copy(update={"language": own})
    return decide(asked, inputs(**{**given, "counters": counters}))


def test_both_sides_of_the_table_hold_the_same_values() -> None:
    for english, chinese in SENTENCES:
        values = [sorted(field for _, field, _, _ in Formatter().parse(side) if field) for side in (english, chinese)]
        assert values[0] == values[1], english
        assert HAN.search(chinese) or english.startswith("{said}"), english
    assert len({english for english, _ in SENTENCES}) == len(SENTENCES)


def test_every_sentence_is_found_by_itself_with_its_values() -> None:
    for english, chinese in SENTENCES:
        names = [field for _, field, _, _ in Formatter().parse(english) if field]
        values = {name: f"v{number}" for number, name in enumerate(names)}
        nested = {name: "not in the catalogue" for name in names if name in {"said", "more"}}
        text = english.format(**{**values, **nested})
        assert in_chinese(text) == chinese.format(**{**values, **dict.fromkeys(nested, "不在优惠目录中")}), english


def test_the_language_is_the_requests_then_the_customers_then_english() -> None:
    warned = {"ask": {"channels": ["email", "fax"]}}
    for language, own, chinese in (
        ("zh", "en", True),
        ("en", "zh", False),
        (None, "zh-CN", True),
        (None, "de", False),
        (None, None, False),
    ):
        record = made(language, own, **warned)
        (said,) = [text for text in record.warnings if "fax" in text]
        assert bool(HAN.search(said)) == chinese
        assert bool(HAN.search(record.status_reason)) == chinese


@pytest.mark.parametrize(
    ("ask", "given"),
    [
        ({}, {"models": {}}),
        ({"personalised": False}, {}),
        ({}, {"features": FeatureSnapshot(error="the feature store did not answer within 60 ms")}),
        ({"channels": ["email", "fax"], "baseline_offer_id": "gone"}, {}),
        ({"candidates": [{"offer_id": "gone"}, {"offer_id": "jam"}]}, {}),
        ({"send_window": {"latest": (NOW - timedelta(hours=1)).isoformat()}}, {}),
        ({}, {"policies": {"default": PolicySpec(kind="thompson")}}),
        ({}, {"policies": {"default": PolicySpec(propensity="uplift")}}),
        ({}, {"contact_policy": ContactPolicy(default_time_zone="Asia/Shanghai", minimum_gap_hours=24.0)}),
    ],
    ids=[
        "no model",
        "not personalised",
        "no features",
        "unknown names",
        "unknown offer",
        "window",
        "thompson",
        "uplift",
        "zone",
    ],
)
def test_no_english_is_left_in_a_chinese_answer(ask: dict[str, Any], given: dict[str, Any]) -> None:
    english, chinese = made("en", ask=ask, **given), made("zh", ask=ask, **given)
    assert len(english.warnings) == len(chinese.warnings)
    texts = [
        chinese.status_reason,
        *chinese.warnings,
        *(drop.text for drop in chinese.suppressed),
        *(item.dropped_by.text for item in chinese.candidates if item.dropped_by is not None),
    ]
    assert [text for text in texts if ENGLISH.search(text)] == []
    assert [(drop.stage, drop.rule, drop.until) for drop in chinese.suppressed] == [
        (drop.stage, drop.rule, drop.until) for drop in english.suppressed
    ]


def test_what_the_table_does_not_have_stays_as_it_is() -> None:
    assert in_chinese("something that nobody says") is None
    assert translated("something that nobody says", "zh") == "something that nobody says"
    assert translated("not in the catalogue", "en") == "not in the catalogue"


def test_why_several_things_were_missing_is_said_whole() -> None:
    said = "the offer model is missing, nothing is known of the customer, and no rate is known for every offer"
    assert in_chinese(said) == "缺少优惠模型，对该客户一无所知，且并非每个优惠都有已知的接受率"
