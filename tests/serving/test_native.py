"""The short way to LightGBM gives the very bits of the long one, from any thread, or is not taken."""

import math
import threading
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from foretouch.core.bundle import Band, Calibration, ModelCard, ModelInput, ScoreIntervals
from foretouch.core.clock import utc_now
from foretouch.serving.models.native import NativeBooster, NativeError, native_or_none
from foretouch.serving.models.score_plan import ScorePlan
from foretouch.serving.models.scorers import TreeScorer
from foretouch.serving.models.scoring import calibrate, interval, level, predict_pairs, predict_raw, score, score_one

LEVELS = ("gold", "silver", "bronze")
INPUTS = (
    ModelInput(name="a", view="v"),
    ModelInput(name="tier", view="v", kind="category", levels=LEVELS),
    ModelInput(name="b", view="v"),
    ModelInput(name="offer_value", view="cross"),
    ModelInput(name="offer_category", view="cross", kind="category", levels=("x", "y")),
)


def booster(objective: str = "binary", **parameters: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(600, len(INPUTS)))
    rows[:, 1], rows[:, 4] = rng.integers(0, 3, 600), rng.integers(0, 2, 600)
    label: NDArray[np.float64] = (rows[:, 0] + rows[:, 2] * rows[:, 3] > 0).astype(float)
    if objective == "multiclass":
        label = rng.integers(0, 3, 600).astype(float)
    settings = {"objective": objective, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    fitted = lightgbm.train(settings, lightgbm.Dataset(rows, label, categorical_feature=[1, 4]), num_boost_round=40)
    return lightgbm.Booster(model_str=fitted.model_to_string())


def card(**changes: Any) -> ModelCard:
    given: dict[str, Any] = {
        "model": "offer",
        "version": "v1",
        "target": "probability",
        "feature_service": "offer_v1",
        "inputs": INPUTS,
        "calibration": Calibration(method="isotonic", x=(0.0, 0.2, 0.5, 0.9), y=(0.01, 0.1, 0.4, 0.95)),
        "intervals": ScoreIntervals(upper_edges=(0.1, 0.3, 1.0), low=(0.0, 0.05, 0.2), high=(0.2, 0.4, 0.99)),
        "bands": (Band(name="cold", at_least=0.0),),
        "trained_through": utc_now(),
        "created_at": utc_now(),
        "data_sha256": "0" * 64,
        **changes,
    }
    return ModelCard(**given)


def rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Feature rows with everything that a store may bring: text, whole numbers, nothing, infinities, levels unseen."""
    rng = np.random.default_rng(seed)
    odd: list[Any] = [None, math.nan, math.inf, 3, True, 0.25]
    return [
        {
            "a": float(rng.normal()) if index % 3 else odd[index % len(odd)],
            "tier": [*LEVELS, "unseen", None, 2.0][index % 6],
            "b": int(rng.integers(-3, 3)),
            "offer_value": float(rng.normal()),
            "offer_category": ["x", "y", "z", None][index % 4],
            "not_an_input": "ignored",
        }
        for index in range(n)
    ]


@pytest.mark.parametrize("objective", ["binary", "regression"])
def test_one_row_and_some_rows_have_the_bits_of_predict(objective: str) -> None:
    model = booster(objective)
    found, why = native_or_none(model, np.empty((0, len(INPUTS))))
    assert found is not None, why
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, len(INPUTS)))
    vectors[rng.random(vectors.shape) < 0.2] = np.nan
    expected = np.asarray(model.predict(vectors, num_threads=1))
    assert found.many(vectors).tobytes() == expected.tobytes()
    assert np.array([found.one(list(row)) for row in vectors]).tobytes() == expected.tobytes()
    assert found.many(np.asfortranarray(vectors)).tobytes() == expected.tobytes()
    assert found.many(vectors[:0]).shape == (0,)


def test_several_outputs_keep_their_shape() -> None:
    model = booster("multiclass", num_class=3)
    found = NativeBooster(model, len(INPUTS))
    vectors = np.random.default_rng(1).normal(size=(7, len(INPUTS)))
    assert found.many(vectors).tobytes() == np.asarray(model.predict(vectors, num_threads=1)).tobytes()
    assert found.many(vectors).shape == (7, 3)


def test_threads_do_not_disturb_each_other() -> None:
    model = booster()
    found = NativeBooster(model, len(INPUTS))
    vectors = np.random.default_rng(2).normal(size=(400, len(INPUTS)))
    expected = np.asarray(model.predict(vectors, num_threads=1)).tolist()
    wrong: list[int] = []

    def work(start: int) -> None:
        for turn in range(2000):
            index = (start + turn) % len(vectors)
            if found.one(vectors[index].tolist()) != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_wrong_lengths_are_refused_not_read_beyond() -> None:
    found = NativeBooster(booster(), len(INPUTS))
    with pytest.raises(ValueError, match="assign"):
        found.one([1.0])
    with pytest.raises(ValueError, match="must be"):
        found.many(np.zeros((3, 2)))


def test_a_way_that_differs_in_one_bit_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    right = NativeBooster.many
    monkeypatch.setattr(NativeBooster, "many", lambda self, vectors: np.nextafter(right(self, vectors), 9.0))
    model = booster()
    found, why = native_or_none(model, np.empty((0, len(INPUTS))))
    assert found is None
    assert "differ" in why
    scorer = TreeScorer(card(), model.model_to_string())
    assert scorer.slow_because == why
    assert scorer.predict_one([0.0] * 5) == np.asarray(model.predict(np.zeros((1, 5)), num_threads=1))[0]


def test_a_library_that_is_elsewhere_is_no_access(monkeypatch: pytest.MonkeyPatch) -> None:
    model = booster()
    with monkeypatch.context() as elsewhere:
        elsewhere.delattr("lightgbm.basic._LIB")
        with pytest.raises(NativeError, match="handle"):
            NativeBooster(model, len(INPUTS))


@pytest.mark.parametrize("target", ["probability", "amount", "difference"])
def test_the_plan_reads_a_card_as_the_card_does(target: str) -> None:
    percentiles = {"percentiles": [0.0, 0.1, 0.1, 0.4, 0.9]}
    given = card(target=target, extras=percentiles, calibration=Calibration(method="scale", x=(0.0,), y=(1.3,)))
    plan = ScorePlan(given)
    for row in rows(60):
        assert np.array(plan.vector(row)).tobytes() == np.array(given.encode(row)).tobytes()
    edges = [0.0, 0.1, 0.3, 1.0, 0.9, 0.4]
    for raw in [*np.random.default_rng(4).normal(0.3, 0.6, 300).tolist(), *edges]:
        value = plan.calibrated(raw)
        assert value == calibrate(given, raw)
        span = interval(given, value)
        assert span is not None
        assert plan.span(value) == (span.low, span.high)
        assert plan.level(value) == level(given, value)
    assert ScorePlan(card(intervals=None)).span(0.5) is None


def test_pairs_are_the_customers_row_with_the_offers_values() -> None:
    scorer = TreeScorer(card(), booster().model_to_string())
    customer, *others = rows(13, seed=5)
    offers = [{name: row[name] for name in ("offer_value", "offer_category")} for row in others]
    merged = [{**customer, **offer} for offer in offers]
    raw, vectors = predict_pairs(scorer, customer, offers)
    assert raw.tobytes() == predict_raw(scorer, merged).tobytes()
    assert vectors.tobytes() == np.array([scorer.card.encode(row) for row in merged]).tobytes()
    assert [score_one(scorer, row) for row in merged] == score(scorer, merged).tolist()
    assert predict_pairs(scorer, customer, [])[0].shape == (0,)
