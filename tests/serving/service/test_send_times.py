"""``/v1/send-times``: the effect of sending where it is identified, kept apart from activity, in a decision's order."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.workspace import Workspace
from foretouch.features.initialise import initialise
from foretouch.serving.models.rhythm import HOURS, send_effect
from foretouch.serving.models.send_effect import SendEffect
from foretouch.serving.runtime.answers import Answers
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.web.models import SendTimesAnswer, SendTimesBody
from tests.serving.test_send_effect import Loaded, evening

KOLKATA = ZoneInfo("Asia/Kolkata")
COUNTS = np.zeros(HOURS)
COUNTS[9::24] = 3.0  # active at nine in the morning, every day


class Store:
    """One customer, who is active in the morning."""

    def read(self, _customer_id: str) -> FeatureSnapshot:
        """The same for everybody."""
        return FeatureSnapshot(known=True, values={"purchase_hours": COUNTS.tolist()})

    def refresh(self, *_: object) -> None:
        """Nothing to compute again."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataplane]:
    root = tmp_path_factory.mktemp("times") / "shop"
    initialise(root)
    with Dataplane(Workspace.open(root), features=Store()) as made:
        yield made


def asked(
    plane: Dataplane, monkeypatch: pytest.MonkeyPatch, effect: SendEffect | None, channel: str | None = "email"
) -> tuple[SendTimesAnswer, Any]:
    model = Loaded(effect)
    monkeypatch.setattr(plane, "bundles", SimpleNamespace(champions=SimpleNamespace(scorers={"send-time": model})))
    now = plane.clock.now()
    window = {"latest": now + timedelta(days=3), "time_zone": "Asia/Kolkata"}
    body = SendTimesBody.model_validate({"customer_id": "ann", "channel": channel, "n": 168, "send_window": window})
    return Answers(plane).send_times(body), model


def test_an_identified_effect_is_given_and_puts_the_slots_in_order(
    plane: Dataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, model = asked(plane, monkeypatch, evening())
    assert (answer.basis, answer.identified, answer.identification) == ("effect", True, "planted")
    effects, _ = send_effect(cast("Any", model), {"purchase_hours": COUNTS.tolist()})
    for slot in answer.slots:
        local = slot.send_at.astimezone(KOLKATA)
        assert slot.effect == pytest.approx(effects["email"][local.weekday() * 24 + local.hour])
    order = [(slot.effect or 0.0, slot.score) for slot in answer.slots]
    assert order == sorted(order, reverse=True)
    assert max(answer.slots, key=lambda slot: slot.score) is not answer.slots[0], "the busiest hour is not the best one"


@pytest.mark.parametrize(
    ("effect", "channel", "why"),
    [
        (SendEffect(identified=False, why="all sends at 10:00"), "email", "all sends at 10:00"),
        (None, "email", "the model was made before effects were"),
        (evening(), "sms", "planted"),  # nothing was learnt on this channel
        (evening(), None, "planted"),
    ],
)
def test_without_an_identified_effect_activity_alone_orders_and_none_is_claimed(
    plane: Dataplane, monkeypatch: pytest.MonkeyPatch, effect: SendEffect | None, channel: str | None, why: str
) -> None:
    answer, _ = asked(plane, monkeypatch, effect, channel)
    assert (answer.basis, answer.identified, answer.identification) == ("activity", False, why)
    assert {slot.effect for slot in answer.slots} == {None}
    scores = [slot.score for slot in answer.slots]
    assert scores == sorted(scores, reverse=True)
