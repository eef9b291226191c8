"""bench lead: finds what is planted, is calibrated, reads no label of the test table, and says what is missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.bench.lead import capture, fit_lead, run, stratified_folds
from foretouch.training.metrics import AUC
from foretouch.training.task import FloatArray


def planted(seed: int, n: int) -> tuple[pd.DataFrame, FloatArray]:
    """Rows whose label depends on a number and on a category, and their true probabilities."""
    rng = np.random.default_rng(seed)
    x, town = rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    truth = 1 / (1 + np.exp(-(1.2 * x + 1.0 * (town == "a") - 2.0)))
    label = (rng.random(n) < truth).astype(int)
    return pd.DataFrame({"id": np.arange(n), "x": x, "noise": rng.normal(size=n), "town": town, "y": label}), truth


@pytest.fixture(name="tables", scope="module")
def _tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("lead")
    planted(1, 1500)[0].to_parquet(folder / "train.parquet")
    planted(2, 800)[0].drop(columns="y").to_csv(folder / "test.csv", index=False)
    run(folder / "train.parquet", folder / "test.csv", "id", "y", folder / "out.parquet", 0, 3)
    return folder / "train.parquet", folder / "test.csv", folder / "out.parquet"


def test_one_calibrated_probability_per_row_that_finds_the_signal(tables: tuple[Path, Path, Path]) -> None:
    found = pd.read_parquet(tables[2])
    rows, truth = planted(2, 800)
    assert list(found.columns) == ["id", "probability"]
    assert found["id"].astype(int).tolist() == rows["id"].tolist()
    score = found["probability"].to_numpy()
    assert AUC(rows["y"].to_numpy(), score) > AUC(rows["y"].to_numpy(), truth) - 0.03
    assert np.abs(score - truth).mean() < 0.05


def test_the_same_seed_gives_the_same_file(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    run(tables[0], tables[1], "id", "y", tmp_path / "again.parquet", 0, 3)
    assert (tmp_path / "again.parquet").read_bytes() == tables[2].read_bytes()


def test_labels_of_the_test_table_are_not_read(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    pd.read_csv(tables[1], float_precision="round_trip").assign(y=1).to_csv(tmp_path / "labelled.csv", index=False)
    run(tables[0], tmp_path / "labelled.csv", "id", "y", tmp_path / "again.parquet", 0, 3)
    assert (tmp_path / "again.parquet").read_bytes() == tables[2].read_bytes()


def test_noise_gets_everyone_nearly_the_same_probability() -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(rng.normal(size=(800, 4)), columns=list("abcd"))
    label = (rng.random(800) < 0.2).astype(float)
    model = fit_lead(rows, label, without=(), trials=0)
    fresh = model.predict(pd.DataFrame(rng.normal(size=(500, 4)), columns=list("abcd")))
    assert fresh.std() < 0.05
    assert fresh.mean() == pytest.approx(label.mean(), abs=0.03)


def test_folds_hold_each_class_evenly() -> None:
    label = (np.arange(103) < 13).astype(float)
    fold = stratified_folds(label, 5, seed=1)
    assert sorted(np.bincount(fold[label == 1])) == [2, 2, 3, 3, 3]
    assert np.ptp(np.bincount(fold)) <= 2
    assert not np.array_equal(fold, stratified_folds(label, 5, seed=2))


def test_capture_counts_the_top_rows() -> None:
    assert capture(np.array([1.0, 0, 1, 0, 1]), np.array([5.0, 4, 3, 2, 1]), share=0.4) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": 2}, "must hold 0 and 1"),
        ({"y": 0}, "both 0 and 1"),
        ({"y": [1] * 5 + [0] * 1495}, "need 20"),
        ({"y": [np.nan] + [0, 1] * 749 + [1]}, "no finite numbers"),
    ],
)
def test_bad_labels_are_named(
    tables: tuple[Path, Path, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    pd.read_parquet(tables[0]).assign(**change).to_parquet(tmp_path / "bad.parquet")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        run(tmp_path / "bad.parquet", tables[1], "id", "y", tmp_path / "out.parquet", 0, 0)


def test_missing_files_and_columns_are_named(tables: tuple[Path, Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        run(tmp_path / "no.parquet", tables[1], "id", "y", tmp_path / "out.parquet", 0, 0)
    with pytest.raises(DataError, match="no column 'label' \\(--label\\)"):
        run(tables[0], tables[1], "id", "label", tmp_path / "out.parquet", 0, 0)
    with pytest.raises(DataError, match="must end in"):
        run(tables[0], tables[1], "id", "y", tmp_path / "out.xlsx", 0, 0)
    pd.read_csv(tables[1]).drop(columns=["x", "town"]).to_csv(tmp_path / "thin.csv", index=False)
    with pytest.raises(DataError, match=r"thin\.csv lacks 2 columns of train\.parquet: x, town"):
        run(tables[0], tmp_path / "thin.csv", "id", "y", tmp_path / "out.parquet", 0, 0)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        run(tables[0], tables[1], "id", "y", tmp_path / "folder.csv", 0, 0)
