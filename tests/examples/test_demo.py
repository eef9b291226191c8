"""The demo itself: an interruption is no traceback, and the decisions that it shows are telling ones."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("demo_service", "demo_steps", "demo_summary"):
        monkeypatch.delitem(sys.modules, name)
    return module


def decision(name: str, *, contact: bool, explored: bool = False) -> dict[str, Any]:
    return {"customer_id": name, "contact": contact, "action": [{"explored": explored}] if contact else []}


def test_three_telling_decisions_are_chosen(demo: ModuleType) -> None:
    asked = [
        decision("a", contact=False),
        decision("b", contact=True, explored=True),
        decision("c", contact=True),
        decision("d", contact=True),
    ]
    assert [item["customer_id"] for item in demo._telling(asked)] == ["c", "b", "a"]
    assert [item["customer_id"] for item in demo._telling(asked[:2])] == ["b", "a"]


def test_the_customers_of_the_readme_are_left_free(demo: ModuleType) -> None:
    assert not {"1", "7"} & set(demo.HOUSEHOLDS)
    assert len(set(demo.HOUSEHOLDS)) == len(demo.HOUSEHOLDS)


def test_an_interruption_is_said_in_a_sentence(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "demonstrate", interrupted)
    with pytest.raises(SystemExit) as stopped:
        demo.main()
    assert stopped.value.code == 130
    assert "Run it again" in capsys.readouterr().err


def test_what_rules_dropped_is_said_in_words(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    summary = importlib.import_module("demo_summary")
    monkeypatch.delitem(sys.modules, "demo_summary")
    ended = {"offer_id": "a", "channel": None, "stage": "dates", "rule": "ends_at", "text": "ended on Monday"}
    other = {"offer_id": "*", "channel": "sms", "stage": "channel", "rule": "not_requested", "text": ""}
    unknown = {"offer_id": "c", "channel": "email", "stage": "caps", "rule": "three_a_week", "text": "3 of 3 used"}
    assert summary._ruled_out([ended, {**ended, "offer_id": "b"}, other, unknown]) == [
        "2 x the offer has ended",
        "everything by sms: the request does not allow the channel",
        "1 x 3 of 3 used",
    ]
