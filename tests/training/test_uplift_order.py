"""The order of scored rows against a stable argsort, on scores that leave no bits free and on scores that do."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.training.task import FloatArray
from foretouch.training.uplift import curve as curve_module
from foretouch.training.uplift.curve import Randomised
from foretouch.training.uplift.once import PIECE, counted_once
from foretouch.training.uplift.order import descending

LARGEST, SMALLEST = float(np.finfo(np.float64).max), 5e-324


def assert_ordered(score: FloatArray) -> None:
    order, ends = descending(score)
    plain = np.argsort(-score, kind="stable")
    assert order.tolist() == plain.tolist()
    ranked = score[plain]
    assert ends.tolist() == [*np.flatnonzero(ranked[1:] != ranked[:-1]).tolist(), len(score) - 1]


def neighbours(n: int) -> FloatArray:
    """Scores over the whole range of doubles, each beside the next double: the sort alone cannot tell them apart."""
    rng = np.random.default_rng(1)
    far = np.sign(rng.normal(size=n)) * 10.0 ** rng.uniform(-300, 300, n)
    near = np.nextafter(far, rng.choice([-np.inf, np.inf], n))
    every = np.concatenate([far, near, np.nextafter(near, np.inf), far[: n // 2], [0.0, -0.0, SMALLEST, -SMALLEST]])
    return rng.permutation(every)


RNG = np.random.default_rng(2)
TABLES = {
    "one row": np.array([0.3]),
    "constant": np.full(50, -2.5),
    "all zero, of both signs": np.array([0.0, -0.0, 0.0, -0.0]),
    "shares": RNG.random(5000),
    "shares, half of them tied": np.concatenate([RNG.random(3000), RNG.random(3000).round(2)]),
    "of both signs, tied": RNG.normal(size=5000).round(2),
    "below zero": -RNG.gamma(2.0, 5.0, 4000),
    "money": RNG.lognormal(8.0, 3.0, 4000) - 500.0,
    "single precision": RNG.normal(size=4000).astype(np.float32).astype(np.float64),
    "ends of the range": np.array([LARGEST, -LARGEST, SMALLEST, -SMALLEST, 0.0, 1.0, LARGEST, -LARGEST]),
    "neighbours over the whole range": neighbours(4000),
    "sums that differ in the last bit": np.array([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 1e-300, -1e300] * 40),
}


@pytest.mark.parametrize("score", TABLES.values(), ids=TABLES)
def test_the_order_is_that_of_a_stable_sort(score: FloatArray) -> None:
    assert_ordered(score)
    assert_ordered(-score)
    assert_ordered(np.sort(score))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 0.1, -1.0]), min_size=1))
def test_any_scores(score: list[float]) -> None:
    assert_ordered(np.array(score))


def plain_areas(score: FloatArray, treatment: FloatArray, outcome: FloatArray) -> tuple[float, float]:
    """Both areas row by row in plain Python, blocks of equal scores taken at once."""
    rows = sorted(zip(score.tolist(), treatment.tolist(), outcome.tolist(), strict=True), key=lambda row: -row[0])
    n, n_t, y_t, n_c, y_c = len(rows), 0.0, 0.0, 0.0, 0.0
    at, qini, gain, areas = 0, 0.0, 0.0, [0.0, 0.0]
    for index, (value, arm, gained) in enumerate(rows):
        n_t, n_c = n_t + arm, n_c + 1.0 - arm
        y_t, y_c = y_t + arm * gained, y_c + (1.0 - arm) * gained
        if index + 1 < n and rows[index + 1][0] == value:
            continue
        per_t, per_c = y_t / n_t if n_t else 0.0, y_c / n_c if n_c else 0.0
        next_qini, next_gain = y_t - per_c * n_t, (per_t - per_c) * (index + 1)
        width = index + 1 - at
        areas = [areas[0] + width * (qini + next_qini) / 2.0, areas[1] + width * (gain + next_gain) / 2.0]
        at, qini, gain = index + 1, next_qini, next_gain
    return (areas[0] - n * qini / 2.0) / n**2, areas[1] / n**2


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("name", [name for name in TABLES if len(TABLES[name]) > 100])
def test_areas_are_those_of_a_plain_walk_through_the_rows(name: str, binary: bool) -> None:
    score = TABLES[name]
    rng = np.random.default_rng(3)
    treatment = rng.integers(0, 2, len(score)).astype(float)
    outcome = rng.normal(size=len(score)) + treatment
    if binary:
        outcome = (outcome > 0.0).astype(float)
    curve = Randomised(score, treatment, outcome).curve()
    wanted = plain_areas(score, treatment, outcome)
    assert (curve.qini_coefficient, curve.auuc) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def both_ways(score: FloatArray, treatment: Any, outcome: Any) -> tuple[list[FloatArray], list[FloatArray] | None]:
    """The columns of the curve by way of the order, and those that are counted once."""
    ordered = Randomised(score, treatment, outcome)
    assert len(ordered.order) == len(score)  # from here on the order is there and is used
    curve = ordered.curve()
    columns = [curve.targeted, curve.treated, curve.treated_outcome, curve.control, curve.control_outcome]
    counted = counted_once(score, treatment, outcome)
    return columns, None if counted is None else list(counted)


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("name", [name for name in TABLES if len(TABLES[name]) > 100])
def test_counted_once_is_the_same_to_the_last_bit(name: str, kind: type[Any]) -> None:
    score = TABLES[name]
    rng = np.random.default_rng(4)
    treatment, outcome = (rng.integers(0, 2, len(score)).astype(kind) for _ in range(2))
    columns, counted = both_ways(score, treatment, outcome)
    if counted is None:
        assert name in {"neighbours over the whole range", "sums that differ in the last bit", "money"}
        assert score.min() < 0.0 < score.max()
        return
    assert [column.tobytes() for column in counted] == [column.tobytes() for column in columns]


def test_counting_goes_on_from_piece_to_piece() -> None:
    rng = np.random.default_rng(5)
    rows = 3 * PIECE + 7
    score = np.concatenate([rng.random(rows - 2 * PIECE), np.full(2 * PIECE, 0.5)])  # a block longer than a piece
    treatment, outcome = rng.integers(0, 2, (2, rows))
    columns, counted = both_ways(score, treatment, outcome)
    assert counted is not None
    assert [column.tobytes() for column in counted] == [column.tobytes() for column in columns]


def test_only_rows_that_count_once_are_counted_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def watched(score: FloatArray, treatment: Any, outcome: Any) -> Any:
        asked.append(len(score))
        return counted_once(score, treatment, outcome)

    monkeypatch.setattr(curve_module, "counted_once", watched)
    rng = np.random.default_rng(6)
    score, treatment, outcome = rng.random(400), rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    Randomised(score, treatment, outcome).curve()
    assert asked == [400]
    Randomised(score, treatment, 2 * outcome).curve()
    Randomised(score, treatment, outcome, np.ones(400)).curve()
    Randomised(score, treatment, outcome).curve(np.ones(400))
    assert asked == [400]
