"""What outcomes, events, consents and people's data are answered with, in the customer's language."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from foretouch.core.decisions import DecisionRequest
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from foretouch.serving.runtime.register import Register
from foretouch.serving.web.models import ConsentsBody, CustomerBody, SuppressionsBody

HAN = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b(the|is|are|not|was|of|it|has)\b")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataplane]:
    root = tmp_path_factory.mktemp("languages") / "shop"
    initialise(root)
    workspace = Workspace.open(root)
    people = [
        {"customer_id": name, "created_at": "2026-01-01T00:00:00Z", "language": language}
        for name, language in (("li", "zh-CN"), ("ann", "en"), ("kim", "ko"))
    ]
    offers = [{"offer_id": "a", "name": "A", "channels": "email"}]
    ingest_tables(workspace, {"customers": pd.DataFrame(people), "offers": pd.DataFrame(offers)})
    with Dataplane(workspace) as made:
        yield made


def everything_said(plane: Dataplane, customer: str, language: str | None = None) -> list[str]:
    """Warnings and reasons of every kind of thing that can come back about a customer."""
    intake, now = Intake(plane), plane.clock.now()
    late = now + timedelta(hours=1)
    asked: dict[str, Any] = {"customer_id": customer, "options": {"language": language}}
    decision = plane.decide_one(DecisionRequest.model_validate(asked)).decision.decision_id
    said: list[str] = []
    for number, (kind, at) in enumerate(
        [("open", now), ("open", now - timedelta(days=9)), ("unsubscribe", now), ("click", late), ("complaint", late)]
    ):
        fields = {"outcome_id": f"{decision}-{number}", "decision_id": decision, "type": kind, "occurred_at": at}
        answer = intake.outcome(Outcome.model_validate(fields))
        said += [*answer.warnings, *filter(None, [answer.reason])]
    if language is not None:
        return said
    event = {"customer_id": customer, "event": "purchase", "value": 1.0}
    moments: list[dict[str, Any]] = [{"occurred_at": late}, {"occurred_at": now, "currency": "XTS"}]
    for number, more in enumerate(moments):
        answer = intake.event(CustomerEvent.model_validate({**event, "event_id": f"{customer}-{number}", **more}))
        said += filter(None, [answer.reason])
    lines = [
        {"channel": "fax", "purpose": "marketing", "granted": True},
        {"channel": "email", "purpose": "marketing", "granted": False, "at": late},
    ]
    said += intake.consents(customer, ConsentsBody.model_validate({"consents": lines})).warnings
    register = Register(plane)
    own = {"li": "zh-CN", "ann": "en", "kim": "ko"}[customer]
    said += register.customer(customer, CustomerBody.model_validate({"language": own})).warnings
    listed = {"suppressions": [{"channel": "fax", "purpose": "*", "reason": "r"}]}
    said += register.suppress(customer, SuppressionsBody.model_validate(listed)).warnings
    return said


def test_a_customer_who_reads_chinese_is_told_about_in_chinese(plane: Dataplane) -> None:
    said = everything_said(plane, "li")
    assert len(said) == 12
    assert [text for text in said if not HAN.search(text) or ENGLISH.search(text)] == []
    assert "该决策没有序号为 1 的触达：此结果不产生任何影响" in said
    assert "同意仍自即刻起撤回（email）" in " ".join(said)


@pytest.mark.parametrize("customer", ["ann", "kim"])
def test_every_other_customer_in_english(plane: Dataplane, customer: str) -> None:
    said = everything_said(plane, customer)
    assert len(said) == 12
    assert [text for text in said if HAN.search(text)] == []


def test_what_comes_back_to_a_decision_is_told_in_the_language_of_its_answer(plane: Dataplane) -> None:
    assert all(HAN.search(text) for text in everything_said(plane, "ann", language="zh"))
    assert not any(HAN.search(text) for text in everything_said(plane, "li", language="en"))
