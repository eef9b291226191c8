"""Every released line of every contract is read for ever, and means what it meant."""

import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from foretouch.core.config import ChannelSection, RewardSection
from foretouch.core.contact import Cap, ContactPolicy, CoolDown
from foretouch.core.decisions import DecisionRequest, SendWindow
from foretouch.core.events import CustomerEvent
from foretouch.core.offers import Offer
from foretouch.core.outcomes import Outcome
from foretouch.core.policy import ContextWeight, Lever, PolicySpec, ScoreWeight
from foretouch.core.schema import Contract

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LINES = sorted((GOLDEN / "contracts").glob("*.json"))


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_contracts", GOLDEN / "make_contracts.py")
    if spec is None or spec.loader is None:
        raise ImportError("make_contracts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLES: dict[str, Contract] = maker().examples()


def test_every_contract_has_a_golden_line() -> None:
    assert {path.name for path in LINES} >= {f"{name}.v1.json" for name in EXAMPLES}


@pytest.mark.parametrize("path", LINES, ids=lambda path: str(path.stem))
def test_a_released_line_is_still_read(path: Path) -> None:
    contract = type(EXAMPLES[path.name.split(".")[0]])
    line = path.read_text(encoding="utf-8").strip()
    value = contract.from_line(line)
    released: dict[str, Any] = json.loads(line)
    now: dict[str, Any] = json.loads(value.to_line())
    # Fields may be added, with defaults; none that was released may vanish or change.
    assert contains(now, released)
    assert contract.from_line(value.to_line()) == value


def contains(now: Any, released: Any) -> bool:
    if isinstance(released, dict):
        return isinstance(now, dict) and all(key in now and contains(now[key], item) for key, item in released.items())
    if isinstance(released, list):
        return isinstance(now, list) and len(now) == len(released) and all(map(contains, now, released))
    return bool(now == released)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_is_trusted_is_what_is_validated(name: str) -> None:
    example = EXAMPLES[name]
    made = type(example).trusted(**dict(example))
    assert made == example
    assert made.to_line() == example.to_line()
    assert made.model_copy() == example


def test_what_is_trusted_has_every_field_in_its_place() -> None:
    fields = dict(SendWindow())
    assert SendWindow.trusted(**fields) == SendWindow()
    for wrong in ({}, {**fields, "more": 1}, dict(reversed(fields.items()))):
        with pytest.raises(TypeError, match="SendWindow: the fields are"):
            SendWindow.trusted(**wrong)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_contract_refuses_an_unknown_field(name: str) -> None:
    raw = json.loads(EXAMPLES[name].to_line())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        type(EXAMPLES[name]).model_validate({**raw, "no_such_field": 1})


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_request_refuses_numbers_that_are_not_finite(bad: str) -> None:
    with pytest.raises(ValidationError):
        DecisionRequest.model_validate_json(f'{{"customer_id": "x", "context": {{"a": {bad}}}}}')


@pytest.mark.parametrize("bad", ["", "  ", "a\x00b", "\ud800", "x" * 257])
def test_an_id_is_a_bounded_text_without_control_characters(bad: str) -> None:
    with pytest.raises(ValidationError):
        DecisionRequest(customer_id=bad)


def test_two_spellings_of_one_id_are_one_id() -> None:
    assert DecisionRequest(customer_id="e\u0301").customer_id == DecisionRequest(customer_id="\u00e9").customer_id


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        DecisionRequest.model_validate({"customer_id": "x", "send_window": {"earliest": "2026-01-01T10:00:00"}})


@pytest.mark.parametrize(
    ("contract", "fields"),
    [
        (Offer, {"value": 1e13}),
        (Offer, {"value": -1e13}),
        (Offer, {"cost": 1e13}),
        (Offer, {"lever": 1e7}),
        (ContextWeight, {"percent": 1e7}),
        (Lever, {"percent": -1e7}),
        (ScoreWeight, {"percent": 1e7}),
        (PolicySpec, {"fatigue_cost": 1e13}),
        (ChannelSection, {"cost": 1e13}),
        (CustomerEvent, {"value": -1e308}),
        (Outcome, {"value": 1e308}),
        (RewardSection, {"default": -1e308}),
    ],
)
def test_an_amount_that_could_make_a_priority_or_a_sum_infinite_is_refused(
    contract: type[Contract], fields: dict[str, float]
) -> None:
    """One such offer would have left every request that names it without an answer."""
    known: dict[type[Contract], dict[str, Any]] = {
        Offer: {"offer_id": "o", "name": "o", "channels": ("email",)},
        ContextWeight: {"key": "page", "equals": "cancel"},
        ScoreWeight: {"model": "churn"},
        CustomerEvent: {
            "event_id": "e",
            "customer_id": "c",
            "event": "purchase",
            "occurred_at": "2026-03-01T12:00:00Z",
        },
        Outcome: {"outcome_id": "o", "decision_id": "d", "type": "revenue", "occurred_at": "2026-03-01T12:00:00Z"},
    }
    with pytest.raises(ValidationError, match=next(iter(fields))):
        contract.model_validate({**known.get(contract, {}), **fields})


@pytest.mark.parametrize(
    ("contract", "fields"),
    [
        (Cap, {"rule": "c", "limit": 1, "days": 1e300}),
        (CoolDown, {"rule": "c", "after": ["click"], "days": 1e300}),
        (CoolDown, {"rule": "c", "after": ["click"], "days": 1.0, "within_days": 1e6}),
        (ContactPolicy, {"minimum_gap_hours": 1e9}),
        (ContactPolicy, {"reservation_hours": 1e9}),
        (PolicySpec, {"expires_after_hours": 1e9}),
        (RewardSection, {"window_days": 1e9}),
    ],
)
def test_a_length_of_time_beyond_the_calendar_is_refused(contract: type[Contract], fields: dict[str, Any]) -> None:
    """It would have been added to a date in every decision, and no date is that late."""
    with pytest.raises(ValidationError, match=list(fields)[-1]):
        contract.model_validate(fields)


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9998-12-31T23:00:00-05:00",
        "2026-03-01T12:00:00+01:00",
    ],
)
def test_every_time_can_be_reckoned_with(text: str) -> None:
    """``for ever`` and ``not set``, as other systems write them, are times that days can be added to."""
    at = SendWindow(earliest=text).earliest
    assert at is not None
    for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
        for days in (-30, 0, 30):
            (at + timedelta(days=days)).astimezone(ZoneInfo(zone))
    assert SendWindow.from_line(SendWindow(earliest=text).to_line()).earliest == at
    if text.startswith("2026"):
        assert at == datetime(2026, 3, 1, 11, tzinfo=UTC)
