"""Every released line of every contract is read for ever, and means what it meant."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from foretouch.core.config import ChannelSection
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import Offer
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
    ],
)
def test_an_amount_that_could_make_a_priority_infinite_is_refused(
    contract: type[Contract], fields: dict[str, float]
) -> None:
    """One such offer would have left every request that names it without an answer."""
    known: dict[type[Contract], dict[str, Any]] = {
        Offer: {"offer_id": "o", "name": "o", "channels": ("email",)},
        ContextWeight: {"key": "page", "equals": "cancel"},
        ScoreWeight: {"model": "churn"},
    }
    with pytest.raises(ValidationError, match=next(iter(fields))):
        contract.model_validate({**known.get(contract, {}), **fields})
