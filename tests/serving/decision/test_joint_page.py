"""The page about arbitration: its settings are accepted, and its example comes out as written."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import PastContact
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import PolicySpec
from foretouch.serving import decide as decide_module
from foretouch.serving.decide import decide
from foretouch.serving.decision.send_time import Rhythm
from tests.serving.decision.world import NOW, counters, inputs, request

PAGE = (Path(__file__).parents[3] / "docs" / "arbitration.md").read_text("utf-8")


def block(name: str) -> dict[str, Any]:
    found = re.search(rf"```toml {name}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return tomllib.loads(found.group(1))


def test_the_settings_are_accepted() -> None:
    spec = PolicySpec.model_validate(block("policy"))
    assert spec.levers[0].percent == 25.0
    config = Config.model_validate({**block("channels"), **block("touchpoints")})
    assert config.touchpoints["home_page"].placements == ("hero", "sidebar")


def test_the_example_by_hand_is_what_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    effect = np.ones(168)
    noon = NOW.replace(hour=12, minute=0)
    hour = noon.weekday() * 24 + noon.hour
    effect[hour], effect[hour + 2] = 0.9, 1.2
    rhythm = Rhythm(shares=np.full(168, 1 / 168), effects={"*": effect}, identified=True)
    monkeypatch.setattr(decide_module, "rhythm_of", lambda *_: (rhythm, ()))
    coupon = Offer(
        offer_id="save10",
        name="Save 10",
        issue="retention",
        category="coupon",
        channels=("sms",),
        value=6.0,
        cost=1.0,
        attributes={"prior_propensity": 0.08},
    )
    spec = PolicySpec.model_validate({**block("policy"), "kind": "greedy", "slot_exploration": 0.0})
    contacts = tuple(
        PastContact(at=noon - timedelta(days=days), channel=channel, offer_id="x")
        for days, channel in ((1, "email"), (3, "sms"))
    )
    record = decide(
        request(context={"page": "cancel"}, send_window={"latest": noon + timedelta(hours=4)}),
        inputs(
            decided_at=noon,
            models={},
            catalogue=Catalogue(offers=(coupon,)),
            policies={"default": spec},
            config=Config.model_validate(block("channels")),
            contact_policy=ContactPolicy(),
            counters=counters(time_zone="UTC", contacts=contacts),
        ),
    )
    action = record.action[0]
    assert action.send is not None
    assert action.send_at == noon + timedelta(hours=2)
    assert action.propensity == 0.08
    written = [float(number) for number in re.findall(r"= (0\.\d+)\n", PAGE.split("**By hand.**")[1])]
    assert written == [0.16, 0.375, 0.5545]
    assert action.price == pytest.approx(written[0])
    assert action.priority == pytest.approx(written[2], abs=5e-5)
    assert action.send.gain_over_first == pytest.approx(written[2] - written[1], abs=1e-4)
    assert f"`send.gain_over_first` is {action.send.gain_over_first:.4f}" in PAGE
    assert f"is {action.send.waiting_cost:.4f}." in PAGE
    assert action.weights == pytest.approx(
        {"context": 1.3, "score": 1.0, "lever": 1.25, "offer_cost": 1.0, "timing": 1.2, "patience": 0.99**2}
    )
