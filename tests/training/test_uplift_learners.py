"""Uplift learners on planted truth: found where it is, not where it is not, for one and several arms."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.training.bench.uplift import fit_predict, run
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import evaluate_uplift
from foretouch.training.uplift.learners import LEARNERS, Settings, Trial, deal, fit_uplift

NAMES = ("a", "b", "c")


def world(seed: int, n: int, *, binary: bool = True, effect: float = 0.3) -> tuple[pd.DataFrame, dict[str, FloatArray]]:
    """Three arms: ``x`` works where a > 0, ``y`` works for everyone alike, ``none`` is the control."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    arm = rng.choice(["none", "x", "y"], n)
    truth = {"x": effect * (x[:, 0] > 0), "y": np.full(n, 0.1)}
    base = 0.2 + 0.1 * (x[:, 1] > 0)
    mean = base + np.where(arm == "x", truth["x"], 0.0) + np.where(arm == "y", truth["y"], 0.0)
    outcome = (rng.random(n) < mean).astype(float) if binary else mean * 10 + rng.normal(size=n)
    return pd.DataFrame({**{name: x[:, i] for i, name in enumerate(NAMES)}, "arm": arm, "out": outcome}), truth


@pytest.mark.parametrize("binary", [True, False])
def test_planted_uplift_is_found_on_other_rows(binary: bool) -> None:
    train, _ = world(1, 3000, binary=binary)
    test, truth = world(2, 2000, binary=binary)
    found, summary = fit_predict(train, test[list(NAMES)], treatment="arm", control="none", outcome="out")
    scale = 1.0 if binary else 10.0
    assert set(found) == {"x", "y"}
    assert np.corrcoef(found["x"], truth["x"])[0, 1] > 0.8
    assert found["x"].mean() == pytest.approx(truth["x"].mean() * scale, abs=0.05 * scale)
    assert found["y"].mean() == pytest.approx(0.1 * scale, abs=0.05 * scale)
    assert np.sqrt(np.mean(np.square(found["y"] - 0.1 * scale))) < 0.1 * scale
    assert summary["arms"]["x"]["better_than_random"]
    assert summary["arms"]["x"]["dr_loss_less_constant"][summary["arms"]["x"]["learner"]] < 0.0


def test_every_learner_ranks_held_out_rows() -> None:
    train, _ = world(3, 3000)
    trial = Trial(
        matrix=train[list(NAMES)].to_numpy(),
        inputs=tuple(ModelInput(name=name, view="bench") for name in NAMES),
        arm=np.array([{"none": 0, "x": 1, "y": 2}[name] for name in train["arm"]], dtype=np.int64),
        outcome=train["out"].to_numpy(),
    )
    arm = fit_uplift(trial, Settings.of(3000))[0]
    assert set(arm.losses) == {*LEARNERS, "mean"}
    assert all(loss < 0.0 for name, loss in arm.losses.items() if name != "t")
    rows = trial.arm <= 1
    found = evaluate_uplift(arm.out_of_fold[rows], (trial.arm[rows] == 1).astype(float), trial.outcome[rows], draws=50)
    assert found.better_than_random
    low, high = arm.average - 3 * arm.average_se, arm.average + 3 * arm.average_se
    assert low < 0.15 < high


def test_without_any_uplift_none_is_claimed() -> None:
    claimed = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        rows = pd.DataFrame(rng.normal(size=(1000, 3)), columns=list(NAMES))
        rows["arm"] = rng.choice(["none", "x"], 1000)
        rows["out"] = (rng.random(1000) < 0.3).astype(float)
        _, summary = fit_predict(rows, rows[list(NAMES)], treatment="arm", control="none", outcome="out")
        claimed += summary["arms"]["x"]["better_than_random"]
    assert claimed <= 2


def test_the_same_rows_and_seed_give_the_same_uplift() -> None:
    train, _ = world(4, 1200)
    test, _ = world(5, 100)
    first, _ = fit_predict(train, test[list(NAMES)], treatment="arm", control="none", outcome="out", seed=1)
    second, _ = fit_predict(train, test[list(NAMES)], treatment="arm", control="none", outcome="out", seed=1)
    assert np.array_equal(first["x"], second["x"])


def test_columns_that_the_test_table_lacks_are_no_inputs() -> None:
    """An outcome left in the training table would be a perfect predictor of itself."""
    train, _ = world(6, 1200)
    test, _ = world(7, 50)
    leaky = train.assign(other_outcome=train["out"] * 2)
    with_leak, summary = fit_predict(leaky, test[list(NAMES)], treatment="arm", control="none", outcome="out")
    without, _ = fit_predict(train, test[list(NAMES)], treatment="arm", control="none", outcome="out")
    assert summary["columns"] == 3
    assert np.array_equal(with_leak["x"], without["x"])


def test_folds_hold_each_arm_evenly() -> None:
    arm = np.repeat([0, 1, 2], [50, 30, 20])
    fold = deal(arm, 5, seed=0)
    for value, rows in ((0, 10), (1, 6), (2, 4)):
        assert (np.bincount(fold[arm == value]) == rows).all()


def test_files_in_and_out(tmp_path: Path) -> None:
    train, _ = world(8, 900)
    test, _ = world(9, 60)
    train.assign(id=np.arange(900)).to_csv(tmp_path / "train.csv", index=False)
    test[list(NAMES)].assign(id=[f"{i:04d}" for i in range(60)]).to_csv(tmp_path / "test.csv", index=False)
    run(tmp_path / "train.csv", tmp_path / "test.csv", "id", "arm", "none", "out", tmp_path / "out.parquet", 0)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found.columns) == ["id", "uplift_x", "uplift_y"]
    assert found["id"].iloc[7] == "0007"
    assert np.isfinite(found[["uplift_x", "uplift_y"]].to_numpy()).all()


@pytest.mark.parametrize(
    ("change", "control", "message"),
    [
        ({}, "nobody", "is no value of 'arm'"),
        ({"out": 1.0}, "none", "no uplift to learn"),
        ({"out": np.nan}, "none", "no finite numbers"),
        ({"arm": ["none"] * 890 + ["x"] * 10}, "none", "890, 10 rows"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(change: dict[str, object], control: str, message: str) -> None:
    train = world(10, 900)[0].assign(**change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        fit_predict(train, train[list(NAMES)], treatment="arm", control=control, outcome="out")
