"""Deterministic trees, golden rows, tuning that resumes, calibration and paired intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression  # type: ignore[import-untyped]

from foretouch.core.bundle import Calibration, ModelInput
from foretouch.core.errors import BundleError, ConfigError
from foretouch.core.workspace import Workspace
from foretouch.training import tuning
from foretouch.training.booster import column_names, fit_booster, golden_rows, predict_text
from foretouch.training.calibration import (
    amount_intervals,
    apply,
    calibrate_probability,
    fit_isotonic,
    probability_intervals,
    scale_amount,
)
from foretouch.training.data import category_input, dataset_hash, encode
from foretouch.training.evaluation import compare
from foretouch.training.metrics import AUC, LOG_LOSS
from foretouch.training.tabular import customer_folds, lookback_days
from foretouch.training.task import Dataset, FloatArray, TrainingRun
from foretouch.training.tuning import Attempt, SearchSpace, tune
from tests.training.golden import check_golden

INPUTS = (
    ModelInput(name="a", view="v"),
    ModelInput(name="b b", view="v"),
    ModelInput(name="kind", view="v", kind="category", levels=("x", "y")),
)
PARAMETERS = {
    "objective": "binary",
    "metric": "binary_logloss",
    "num_leaves": 8,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
}


def _matrix(n: int = 800) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(1)
    matrix = np.column_stack([rng.normal(size=n), rng.normal(size=n), rng.integers(0, 2, n).astype(float)])
    matrix[rng.uniform(size=n) < 0.1, 1] = np.nan
    label = (rng.uniform(size=n) < 1 / (1 + np.exp(-2 * matrix[:, 0] - matrix[:, 2]))).astype(float)
    return matrix, label


def _text(seed: int = 3) -> str:
    matrix, label = _matrix()
    booster = fit_booster(matrix, label, inputs=INPUTS, parameters=PARAMETERS, rounds=20, seed=seed, threads=2)
    text: str = booster.model_to_string()
    return text


def test_same_rows_and_seed_give_the_same_text() -> None:
    first = _text()
    assert first == _text()
    assert first != _text(seed=4)
    assert column_names(INPUTS) == ["a", "b_b", "kind"]


def test_golden_rows_catch_one_altered_bit() -> None:
    matrix, _ = _matrix()
    text, platt = _text(), Calibration(method="platt", x=(0.9,), y=(0.1,))
    golden = golden_rows(text, matrix, platt)
    check_golden(text, golden, platt)
    bent = golden.replace(raw=(np.nextafter(golden.raw[0], 1.0), *golden.raw[1:]))
    with pytest.raises(BundleError, match="golden row 0"):
        check_golden(text, bent, platt)
    with pytest.raises(BundleError):
        check_golden(_text(seed=4), golden, platt)


def test_frames_are_encoded_as_the_card_encodes_values() -> None:
    frame = pd.DataFrame({"a": [1.0, np.inf, None], "b b": [1, 2, 3], "kind": ["y", None, "unseen"]})
    expected = [[1.0, 1.0, 1.0], [np.nan, 2.0, np.nan], [np.nan, 3.0, np.nan]]
    np.testing.assert_array_equal(encode(frame, INPUTS), expected)
    assert category_input("kind", "v", pd.Series(["y", None, "x", "y"])).levels == ("x", "y")


def test_the_data_hash_sees_every_cell() -> None:
    times = pd.to_datetime(["2024-01-01", "2024-01-08"], utc=True)
    frame = pd.DataFrame({"customer_id": ["a", "b"], "as_of": times, "a": [1.0, 2.0], "b b": 0.0, "kind": "x"})
    base = Dataset(frame=frame, label=np.array([0.0, 1.0]))
    seen = {dataset_hash(base, inputs=INPUTS)}
    for changed in (
        replace(base, label=np.array([1.0, 1.0])),
        replace(base, frame=frame.assign(a=[1.0, 2.5])),
        replace(base, frame=frame.assign(customer_id=["a", "c"])),
        replace(base, frame=frame.assign(as_of=times + pd.Timedelta(seconds=1))),
    ):
        seen.add(dataset_hash(changed, inputs=INPUTS))
    assert len(seen) == 5


def test_features_that_outlast_the_data_are_known_by_name() -> None:
    assert lookback_days("frequency_90d") == 90
    assert lookback_days("tenure_days") == lookback_days("purchases_total") == 365
    assert lookback_days("recency_days") == lookback_days("basket_mean_365d") == 0


def _run(tmp_path: Path, trials: int) -> TrainingRun:
    return TrainingRun(workspace=Workspace(tmp_path), seed=11, trials=trials, threads=1)


SPACE = SearchSpace(
    fixed={"c": 1}, defaults={"x": 4.0, "n": 2}, ranges={"x": {"low": -5.0, "high": 5.0}, "n": {"low": 1, "high": 9}}
)


def _bowl(attempt: Attempt) -> float:
    value = float((attempt.parameters["x"] - 1.0) ** 2 + attempt.parameters["n"])
    attempt.report(1, value)
    attempt.notes["rounds"] = attempt.parameters["n"] * 10
    return value


def test_the_defaults_come_first_and_the_rest_only_betters_them(tmp_path: Path) -> None:
    tuned = tune(_bowl, run=_run(tmp_path, 10), model="bowl", space=SPACE, data_sha256="d")
    assert tuned.default_value == pytest.approx(11.0)
    assert tuned.value < tuned.default_value
    assert tuned.parameters["c"] == 1
    assert tuned.notes["rounds"] == tuned.parameters["n"] * 10
    alone = tune(_bowl, run=_run(tmp_path, 0), model="other", space=SPACE, data_sha256="d")
    assert alone.parameters == {"c": 1, "x": 4.0, "n": 2}


def test_an_interrupted_search_ends_like_one_that_was_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = tune(_bowl, run=_run(tmp_path / "a", 9), model="bowl", space=SPACE, data_sha256="d")
    tune(_bowl, run=_run(tmp_path / "b", 4), model="bowl", space=SPACE, data_sha256="d")
    resumed = tune(_bowl, run=_run(tmp_path / "b", 9), model="bowl", space=SPACE, data_sha256="d")
    assert resumed == whole

    def never(_: Attempt) -> float:
        raise AssertionError

    assert tune(never, run=_run(tmp_path / "b", 9), model="bowl", space=SPACE, data_sha256="d") == whole
    with pytest.raises(AssertionError):
        tune(never, run=_run(tmp_path / "b", 9), model="bowl", space=SPACE, data_sha256="other rows")


def test_every_search_space_is_readable_and_an_unknown_one_refused() -> None:
    for model in ("lead", "churn", "value", "offer", "send-time"):
        assert tuning.read_space(model).defaults
    with pytest.raises(ConfigError, match="no search space for wedding"):
        tuning.read_space("wedding")


def test_isotonic_follows_scikit_learn_and_never_falls() -> None:
    rng = np.random.default_rng(2)
    raw = rng.uniform(size=900)
    label = (rng.uniform(size=900) < raw**2).astype(float)
    calibration = fit_isotonic(raw, label)
    at = np.linspace(0.0, 1.0, 200)
    found = apply(calibration, at)
    assert (np.diff(found) >= 0).all()
    assert found.min() > 0.0
    assert found.max() < 1.0
    reference = IsotonicRegression(out_of_bounds="clip").fit(raw, label).predict(at)
    assert np.abs(found - reference).mean() < 0.03


def test_calibration_mends_overconfidence() -> None:
    rng = np.random.default_rng(4)
    truth = rng.uniform(0.05, 0.6, 4000)
    label = (rng.uniform(size=4000) < truth).astype(float)
    logit = np.log(truth / (1 - truth))
    raw = 1 / (1 + np.exp(-2.0 * logit))
    customers = np.array([f"c{index // 4}" for index in range(4000)], dtype=object)
    calibration = calibrate_probability(raw, label, customers)
    assert calibration.method in {"platt", "isotonic"}
    assert LOG_LOSS(label, apply(calibration, raw)) < LOG_LOSS(label, raw) - 0.01
    same = calibrate_probability(raw, np.zeros(4000), customers)
    assert same.method == "none"


def test_intervals_hold_their_score_and_the_rate() -> None:
    rng = np.random.default_rng(8)
    score = rng.uniform(0.01, 0.9, 3000)
    label = (rng.uniform(size=3000) < score).astype(float)
    for intervals in (probability_intervals(score, label), amount_intervals(score, label)):
        for value in score[:300]:
            low, high = intervals.at(float(value))
            assert low <= value <= high
        assert list(intervals.low) == sorted(intervals.low)
        assert list(intervals.high) == sorted(intervals.high)


def test_rows_of_one_customer_do_not_make_an_interval_narrow() -> None:
    rng = np.random.default_rng(10)
    inside = {True: 0, False: 0}
    for _ in range(150):
        rates = rng.beta(2.0, 6.0, 80)  # a customer's own rate; the same score for all, ten rows each
        cluster = np.repeat([f"c{number}" for number in range(80)], 10).astype(object)
        label = np.repeat(rng.random(80) < rates, 10).astype(float)
        score = np.full(800, 0.25)
        for known in (True, False):
            made = probability_intervals(score, label, cluster=cluster if known else None)
            inside[known] += made.low[0] <= 0.25 <= made.high[0] and not (made.low[0] == 0.25 or made.high[0] == 0.25)
    assert 0.90 <= inside[True] / 150 <= 0.99
    assert inside[False] / 150 < 0.7  # rows taken for customers: far too sure


def test_an_amount_is_scaled_only_when_the_rows_show_that_it_is_off() -> None:
    rng = np.random.default_rng(9)
    score = rng.gamma(2.0, 50.0, 2000)
    customers = np.array([f"c{index}" for index in range(2000)], dtype=object)
    right = score * rng.gamma(5.0, 0.2, 2000)
    right *= score.mean() / right.mean()
    assert scale_amount(score, right, customers, seed=1).method == "none"
    twice = scale_amount(score, 2.0 * right, customers, seed=1)
    assert twice.apply(1.0) == pytest.approx(2.0)


def test_a_paired_interval_finds_a_difference_and_none() -> None:
    rng = np.random.default_rng(10)
    signal = rng.normal(size=1500)
    label = (signal + rng.normal(size=1500) > 0).astype(float)
    customers = np.array([f"c{index // 5}" for index in range(1500)], dtype=object)
    noise = rng.normal(size=1500)

    def against(reference: FloatArray) -> tuple[bool, float, float]:
        found = compare(
            AUC, label=label, model=signal, reference=reference, cluster=customers, baseline="b", seed=1, draws=300
        )
        return found.wins, found.low, found.high

    assert against(noise)[0]
    assert against(signal) == (False, 0.0, 0.0)
    lost = compare(AUC, label=label, model=noise, reference=signal, cluster=customers, baseline="b", seed=1, draws=300)
    assert not lost.wins
    assert lost.high < 0.0


def test_repeating_every_row_does_not_narrow_a_cluster_interval() -> None:
    rng = np.random.default_rng(12)
    signal = rng.normal(size=300)
    label = (signal + rng.normal(size=300) > 0).astype(float)
    noise = rng.normal(size=300)
    once = np.array([f"c{index}" for index in range(300)], dtype=object)
    widths = []
    for times in (1, 5):
        found = compare(
            AUC,
            label=np.tile(label, times),
            model=np.tile(signal, times),
            reference=np.tile(noise, times),
            cluster=np.tile(once, times),
            baseline="b",
            seed=2,
            draws=200,
        )
        widths.append(found.high - found.low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-9)


def test_folds_keep_a_customer_together() -> None:
    customers = np.array([f"c{index % 90}" for index in range(500)], dtype=object)
    fold = customer_folds(customers)
    assert set(fold) == {0, 1, 2}
    for customer in set(customers):
        assert len(set(fold[customers == customer])) == 1


def test_text_read_back_scores_like_the_booster_in_memory() -> None:
    matrix, label = _matrix()
    booster = fit_booster(matrix, label, inputs=INPUTS, parameters=PARAMETERS, rounds=20, seed=3, threads=2)
    np.testing.assert_array_equal(
        predict_text(booster.model_to_string(), matrix), np.asarray(booster.predict(matrix, num_threads=1))
    )
