"""Shares of scores in a blend, and steps of a linear model."""

import numpy as np
import pandas as pd
import pytest

from foretouch.training.bench.blend import best_of, calibrated_loss, choose, platt, sigmoid
from foretouch.training.bench.design import Design, linear_score, ridge_logistic
from foretouch.training.bench.steps import MAX_COLUMNS, MIN_STEP_ROWS, StepDesign


def test_two_half_truths_are_both_used_and_the_noise_is_not() -> None:
    rng = np.random.default_rng(3)
    one, other, noise = rng.normal(size=(3, 6000))
    label = (rng.random(6000) < sigmoid(1.2 * one + 1.2 * other - 1.0)).astype(float)
    found = choose(label, {"one": one, "other": other, "noise": noise})
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.shares["one"] == pytest.approx(0.5, abs=0.16)
    assert found.shares["other"] == pytest.approx(0.5, abs=0.16)
    assert found.shares["noise"] == 0.0
    assert found.loss < min(calibrated_loss(label, one), calibrated_loss(label, other))
    probability = found.apply({"one": one, "other": other, "noise": noise})
    assert probability.mean() == pytest.approx(label.mean(), abs=1e-6)


def test_a_score_is_judged_by_its_order_not_by_its_modesty() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(size=4000)
    label = (rng.random(4000) < sigmoid(truth)).astype(float)
    modest, rough = 0.1 * truth, truth + rng.normal(size=4000)
    assert best_of(label, [rough, modest]) == 1
    assert choose(label, {"rough": rough, "modest": modest}).shares["modest"] >= 0.85


def test_even_shares_stand_unless_chosen_ones_are_surely_better() -> None:
    """Where both are good, whatever chance makes of 40 positives; not where one of them is noise and rows are many."""
    rng = np.random.default_rng(5)
    one, other = rng.normal(size=(2, 600))
    label = (rng.random(600) < sigmoid(one + other - 3.5)).astype(float)
    scores = {"one": one, "other": 0.05 * other, "third": rng.normal(size=600)}
    found = choose(label, scores, even=("one", "other"))
    assert found.shares == {"one": 0.5, "other": 0.5, "third": 0.0}
    assert found.lines["other"][0] > 5.0 * found.lines["one"][0]  # as modest as it comes, it counts as much
    probability = found.apply({"one": one, "other": 0.05 * other})  # what has no share need not be there
    assert probability.mean() == pytest.approx(label.mean(), abs=1e-6)
    assert choose(label, scores, even=("one", "absent")) == choose(label, scores)
    many, noise = rng.normal(size=(2, 20_000))
    seen = (rng.random(20_000) < sigmoid(2.0 * many)).astype(float)
    assert choose(seen, {"many": many, "noise": noise}, even=("many", "noise")).shares["many"] >= 0.85


def test_a_line_that_would_turn_the_order_round_is_not_used() -> None:
    label = np.repeat([0.0, 1.0], 50)
    assert platt(label, np.linspace(1.0, -1.0, 100)) == (1.0, 0.0)


def test_steps_follow_a_threshold_that_no_line_can() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.uniform(0, 10, 4000), "town": rng.choice(["a", "b", "c"], 4000)})
    middle = ((frame["x"] > 3) & (frame["x"] < 6)).to_numpy()
    label = (rng.random(4000) < np.where(middle, 0.6, 0.1)).astype(float)
    design = Design.learn(frame, without=())
    matrix = design.encode(frame)
    steps = StepDesign.learn(design, matrix)
    assert steps is not None
    score = linear_score(steps.apply(matrix), ridge_logistic(steps.apply(matrix), label, penalty=30.0))
    assert sigmoid(score)[middle].mean() > 0.5
    assert sigmoid(score)[~middle].mean() < 0.2


def test_steps_have_rows_on_both_sides_and_are_not_too_many() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({f"n{index}": rng.normal(size=500) for index in range(40)} | {"rare": [1.0] * 5 + [0.0] * 495})
    design = Design.learn(frame, without=())
    matrix = design.encode(frame)
    steps = StepDesign.learn(design, matrix)
    assert steps is not None
    assert steps.steps[-1] == ()
    made = steps.apply(matrix)
    assert made.shape[1] <= MAX_COLUMNS
    above = (made > 0).sum(axis=0)
    assert above.min() >= MIN_STEP_ROWS
    assert above.max() <= 500 - MIN_STEP_ROWS
    assert made.mean(axis=0) == pytest.approx(0.0, abs=1e-9)


def test_without_a_step_there_is_no_design() -> None:
    frame = pd.DataFrame({"x": [1.0] + [0.0] * 99})
    design = Design.learn(frame, without=())
    assert StepDesign.learn(design, design.encode(frame)) is None
