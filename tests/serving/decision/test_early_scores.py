"""Scores worked out before a decision's turn, with other decisions', change nothing but the work."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foretouch.core.bundle import Calibration, ModelCard, ModelInput, ScoreIntervals
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.offers import Catalogue
from foretouch.core.policy import PolicySpec, ScoreWeight
from foretouch.serving.decide import DecisionInputs, decide
from foretouch.serving.decision import early_scores
from foretouch.serving.decision.early_scores import EarlyScores, Expected, likely_offers, score_early
from foretouch.serving.models.joint_plan import JointPlan
from foretouch.serving.models.score_plan import ScorePlan
from foretouch.serving.models.scorers import TreeScorer
from foretouch.serving.runtime.scoring_turn import Turn, Turns
from tests.serving.decision.world import NOW, OFFER_MODEL, card, inputs, request
from tests.serving.decision.worlds import worlds

FloatArray = NDArray[np.float64]


class Counting:
    """A scorer that adds up each row by itself, and remembers how many rows it was asked for.

    Args:
        own: Its card.
        fails_from: A first input from which on its score is no number.
    """

    row_by_row = True

    def __init__(self, own: ModelCard, fails_from: float = float("inf")) -> None:
        self.card = own
        self.asked: list[int] = []
        self._fails_from = fails_from

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        self.asked.append(len(vectors))
        margin = np.zeros(len(vectors))
        for column in np.nan_to_num(vectors, nan=0.5).T:
            margin = margin * 0.7 + 0.05 * column
        return np.where(vectors[:, 0] >= self._fails_from, np.nan, 1.0 / (1.0 + np.exp(0.3 - margin)))


OFFER_CARD = OFFER_MODEL.card.model_copy(
    update={
        "inputs": card("offer", ("recency_days", "offer_value", "score_churn", "offer_remaining_days")).inputs,
        "intervals": ScoreIntervals(upper_edges=(0.3, 0.5, 1.0), low=(0.0, 0.3, 0.4), high=(0.3, 0.5, 0.99)),
    }
)


def models(**changes: Any) -> dict[str, Any]:
    return {
        "offer": Counting(OFFER_CARD),
        "churn": Counting(card("churn", ("recency_days",))),
        "value": Counting(card("value", ("recency_days", "monetary"), extras={"percentiles": [0.0, 0.4, 0.6, 1.0]})),
        **changes,
    }


def expected(asked: DecisionRequest, given_inputs: DecisionInputs) -> Expected:
    return Expected(
        request=asked,
        features=given_inputs.features,
        models=given_inputs.models,
        previous=given_inputs.previous,
        catalogue=given_inputs.catalogue,
        config=given_inputs.config,
        plans=given_inputs.plans,
        at=given_inputs.decided_at,
    )


def early(asked: Sequence[tuple[DecisionRequest, DecisionInputs]]) -> list[EarlyScores | None]:
    return score_early([expected(*one) for one in asked])


def people(given_inputs: DecisionInputs, days: Sequence[float]) -> list[DecisionInputs]:
    """The same world for several customers, some of whom are decided on later."""
    own = given_inputs.features
    return [
        replace(
            given_inputs,
            features=own.model_copy(update={"values": {**own.values, "recency_days": day, "monetary": 3.0 * day}}),
            decided_at=given_inputs.decided_at + timedelta(seconds=index),
        )
        for index, day in enumerate(days)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.lists(st.floats(0.0, 60.0), min_size=1, max_size=4), st.booleans(), st.sampled_from((30.0, 1e9)))
def test_a_decision_is_the_same_with_early_scores(
    world: tuple[dict[str, Any], DecisionInputs], days: list[float], uplift: bool, fails_from: float
) -> None:
    asked, given_inputs = world
    spec = given_inputs.policies["default"]
    weights = (ScoreWeight(model="churn", percent=40.0), ScoreWeight(model="value", percent=-20.0))
    whose = models(offer=Counting(OFFER_CARD, fails_from))
    if uplift:
        whose["uplift"] = Counting(card("uplift", ("recency_days", "offer_value"), target="difference"))
    given_inputs = replace(
        given_inputs,
        models=whose,
        policies={"default": spec.replace(score_weights=weights)},
        previous={"offer": Counting(OFFER_CARD.model_copy(update={"version": "6"}))},
    )
    wanted = request(**asked)
    cases = people(given_inputs, days)
    alone = [decide(wanted, one) for one in cases]
    found = early([(wanted, one) for one in cases])
    assert [decide(wanted, replace(one, early=scores)) for one, scores in zip(cases, found, strict=True)] == alone


def test_a_group_asks_each_model_once() -> None:
    whose = models()
    cases = people(inputs(models=whose), [1.0, 5.0, 9.0])
    found = early([(request(), one) for one in cases])
    assert {name: scorer.asked for name, scorer in whose.items()} == {"offer": [9], "churn": [3], "value": [3]}
    for one, scores in zip(cases, found, strict=True):
        assert scores is not None
        decide(request(), replace(one, early=scores))
    assert {name: len(scorer.asked) for name, scorer in whose.items()} == {"offer": 1, "churn": 1, "value": 1}


def test_offers_are_scored_early_only_while_most_decisions_use_them() -> None:
    turns, whose = Turns(), models()
    cases = people(inputs(models=whose), [1.0, 5.0])

    def take() -> list[int]:
        some = [Turn(expected(request(), one)) for one in cases]
        turns.take(some)
        return [len(turn.scores.pairs) for turn in some if turn.scores is not None]

    assert take() == [1, 1]
    for _ in range(60):
        turns.note(used=False)
    assert take() == [0, 0]
    assert whose["churn"].asked == [2, 2]
    for _ in range(60):
        turns.note(used=True)
    assert take() == [1, 1]


def test_a_large_group_is_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_scores, "MOST_ROWS", 7)
    whose = models()
    cases = people(inputs(models=whose), [1.0, 5.0, 9.0])
    found = early([(request(), one) for one in cases])
    assert whose["offer"].asked == [6, 3]
    alone = [decide(request(), one) for one in cases]
    assert [decide(request(), replace(one, early=scores)) for one, scores in zip(cases, found, strict=True)] == alone


@pytest.mark.parametrize("stale", ["features", "models", "previous", "decided_at", "catalogue"])
def test_scores_of_anything_else_are_not_taken(stale: str) -> None:
    one = inputs(models=models(), policies={"default": PolicySpec(kind="greedy")})
    changed: dict[str, Any] = {
        "features": FeatureSnapshot(known=True, values={"recency_days": 50.0}, as_of=one.features.as_of),
        "models": models(offer=Counting(OFFER_CARD.model_copy(update={"version": "8", "calibration": Calibration()}))),
        "previous": {"churn": Counting(card("churn", ("recency_days",)))},
        "decided_at": NOW + timedelta(days=3),
        "catalogue": Catalogue(offers=tuple(offer.model_copy(update={"value": 1.0}) for offer in one.catalogue.offers)),
    }
    (scores,) = early([(request(), one)])
    other = replace(one, **{stale: changed[stale]})
    assert scores is not None
    assert decide(request(), replace(other, early=scores)) == decide(request(), other)


def test_a_model_whose_rows_depend_on_each_other_is_not_asked_early() -> None:
    whose = models(offer=OFFER_MODEL)
    (scores,) = early([(request(), inputs(models=whose))])
    assert scores is not None
    assert scores.pairs == ()
    assert whose["churn"].asked == [1]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"features": FeatureSnapshot(known=False)}, {}),
        ({"features": FeatureSnapshot(known=True, values={"recency_days": 1.0}, error="no store")}, {}),
        ({}, {"personalised": False}),
    ],
)
def test_what_needs_no_scores_gets_none(changes: dict[str, Any], asked: dict[str, Any]) -> None:
    whose = models()
    assert early([(request(**asked), inputs(models=whose, **changes))]) == [None]
    assert whose["offer"].asked == []


def test_offers_that_cannot_be_asked_about_are_not_scored() -> None:
    plain = inputs()
    tea, jam, rye = plain.catalogue.offers
    gone = jam.model_copy(update={"ends_at": NOW - timedelta(hours=1)})
    service = rye.model_copy(update={"purposes": ("service",)})
    some = replace(plain, catalogue=Catalogue(offers=(tea, gone, service)))
    assert list(likely_offers(expected(request(), plain))) == ["jam", "rye", "tea"]
    assert list(likely_offers(expected(request(), some))) == ["tea"]
    assert list(likely_offers(expected(request(channels=["push"]), plain))) == ["rye"]
    assert list(likely_offers(expected(request(candidates=[{"offer_id": "jam"}]), plain))) == ["jam"]
    assert list(likely_offers(expected(request(exclude=["tea"]), plain))) == ["jam", "rye"]


def test_trees_give_the_same_bits_together() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(800, 4)) * 20.0
    label = (rng.random(800) < 1.0 / (1.0 + np.exp(-vectors[:, 0] / 20.0))).astype(float)
    fitted = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(vectors, label), 30
    )
    trees = TreeScorer(OFFER_CARD, fitted.model_to_string())
    one = inputs(models={**models(), "offer": trees})
    cases = people(one, rng.gamma(2.0, 8.0, 40).tolist())
    found = early([(request(), case) for case in cases])
    for case, scores in zip(cases, found, strict=True):
        assert scores is not None
        assert len(scores.pairs) == 1
        assert decide(request(), replace(case, early=scores)) == decide(request(), case)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | st.floats() | st.just(3)), min_size=1, max_size=4))
def test_the_inputs_of_several_models_are_those_of_each(customers: list[dict[str, Any]]) -> None:
    tiers = ("gold", "tin", None, 3.0)
    customers = [{**one, "tier": tier} for one, tier in zip(customers, tiers, strict=False)]

    def plan(*inputs_of: ModelInput) -> ScorePlan:
        return ScorePlan(card("offer", ("a",)).model_copy(update={"inputs": inputs_of}))

    def tier(*levels: str) -> ModelInput:
        return ModelInput(name="tier", view="v", kind="category", levels=levels)

    a, b, c = (ModelInput(name=name, view="v") for name in "abc")
    plans = {
        "offer": plan(a, tier("gold", "tin", "gold"), c),
        "churn": plan(c, b),
        "value": plan(tier("3.0", "tin"), b),
    }
    joint = JointPlan(plans)
    matrix = joint.matrix(customers)
    assert matrix.shape == (len(customers), 5)
    for name, one in plans.items():
        alone = np.array([one.vector(values) for values in customers], dtype=np.float64)
        assert joint.of(name, matrix).tobytes() == alone.tobytes()


@given(
    st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=20),
    st.lists(st.floats(0.0, 1.0), min_size=0, max_size=8),
    st.sampled_from(("probability", "difference", "amount")),
)
def test_all_scores_are_calibrated_as_each_is(raw: list[float], knots: list[float], target: str) -> None:
    x = tuple(sorted(knots))
    calibration = Calibration(method="isotonic", x=x, y=tuple(sorted(value * 1.3 - 0.1 for value in x)))
    own = card(
        "offer",
        ("recency_days",),
        target=target,
        calibration=calibration if x else Calibration(),
        intervals=ScoreIntervals(upper_edges=(0.2, 0.5, 0.9), low=(0.0, 0.3, 0.4), high=(0.3, 0.4, 0.8)),
    )
    plan = ScorePlan(own)
    values = np.array([*raw, *x])
    found = plan.all_calibrated(values)
    assert found.tobytes() == np.array([plan.calibrated(value) for value in values.tolist()]).tobytes()
    assert plan.all_spans(found) == [plan.span(score) for score in found.tolist()]
