"""``/v1/scores``: the customer's own rate, else the segment's and said to be that, else no number."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretouch.core.bundle import Band, ModelCard, ModelInput
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.workspace import Workspace
from foretouch.features.initialise import initialise
from foretouch.serving.models.support import SUPPORT
from foretouch.serving.runtime.answers import Answers
from foretouch.serving.runtime.dataplane import Dataplane

NOW = datetime(2025, 6, 1, tzinfo=UTC)
RATE = {"rate": 0.2, "low": 0.1, "high": 0.3, "level": 0.95, "customers": 77}
SUPPORTED = {"customers": {"active": 77, "new": 3}, "min_customers": 10, "least_known": 2, "rates": {"active": RATE}}
CARD = ModelCard(
    model="lead", version="v1", target="probability", feature_service="lead_v1", trained_through=NOW, created_at=NOW,
    inputs=(ModelInput(name="events_28d", view="v"), ModelInput(name="recency_days", view="v")),
    bands=(Band(name="cold", at_least=0.0), Band(name="warm", at_least=0.15)), data_sha256="0" * 64,
    extras={SUPPORT: SUPPORTED},
)  # fmt: skip
PEOPLE: dict[str, dict[str, Any]] = {
    "known": {"events_28d": 3.0, "recency_days": 4.0, "lifecycle_stage": "active"},
    "thin": {"events_28d": 3.0, "recency_days": None, "lifecycle_stage": "active"},
    "rare": {"events_28d": 3.0, "recency_days": 4.0, "lifecycle_stage": "new"},
    "stranger": {"events_28d": 3.0},
}


class Half:
    """A model that says one half of everybody."""

    card = CARD

    def predict(self, vectors: NDArray[np.float64], /) -> NDArray[np.float64]:
        """One half, shape (n,)."""
        return np.full(len(vectors), 0.5)


class Store:
    """Four customers."""

    def read(self, customer_id: str) -> FeatureSnapshot:
        """What is known of one."""
        return FeatureSnapshot(known=True, values=PEOPLE[customer_id])

    def refresh(self, *_: object) -> None:
        """Nothing to compute again."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataplane]:
    root = tmp_path_factory.mktemp("basis") / "shop"
    initialise(root)
    with Dataplane(Workspace.open(root), features=Store()) as made:
        yield made


@pytest.fixture
def answers(plane: Dataplane, monkeypatch: pytest.MonkeyPatch) -> Answers:
    champions = SimpleNamespace(scorers={"lead": Half()}, refused={})
    monkeypatch.setattr(plane, "bundles", SimpleNamespace(champions=champions))
    return Answers(plane)


def test_a_customers_own_rate(answers: Answers) -> None:
    told = answers.score("lead", "known")
    assert (told.score, told.basis, told.reason) == (0.5, "customer", None)


def test_the_segments_rate_with_its_interval_and_why(answers: Answers) -> None:
    told = answers.score("lead", "thin")
    assert (told.score, told.basis, told.band, told.reason_codes) == (0.2, "segment", "warm", ())
    assert told.interval is not None
    assert (told.interval.low, told.interval.high, told.interval.level) == (0.1, 0.3, 0.95)
    assert "1 of 2 inputs are known of this customer" in str(told.reason)


@pytest.mark.parametrize(("customer", "why"), [("rare", "trained on 3 customers"), ("stranger", "no segment")])
def test_no_number_where_the_segment_has_too_little_as_well(answers: Answers, customer: str, why: str) -> None:
    told = answers.score("lead", customer)
    assert (told.score, told.basis, told.interval) == (None, None, None)
    assert str(told.reason).startswith("too little data")
    assert why in str(told.reason)


def test_points_and_no_probability_where_there_is_no_lead_model_yet(
    answers: Answers, plane: Dataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = SimpleNamespace(champions=SimpleNamespace(scorers={}, refused={}))
    monkeypatch.setattr(plane, "bundles", nobody)
    goal = plane.settings.current.config.goals.lead
    seen = {f"recent_{event}": 2.0 for event in goal.points}
    monkeypatch.setitem(PEOPLE, "keen", {**PEOPLE["known"], **seen, "goal_total": 0.0})
    told = answers.score("lead", "keen")
    assert (told.points, told.basis, told.score) == (2.0 * sum(goal.points.values()), "points_rule", None)
    assert told.band == ("hot" if told.points is not None and told.points >= goal.hot_from else "cold")
    assert "no lead model yet" in str(told.reason)
    assert "foretouch train lead" in str(told.reason)
    assert answers.score("lead", "known").points == 0.0
    monkeypatch.setitem(PEOPLE, "done", {**PEOPLE["keen"], "goal_total": 1.0})
    assert "no lead any more" in str(answers.score("lead", "done").reason)
    assert answers.score("churn", "keen").basis is None
