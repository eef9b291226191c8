"""The bench commands through the public door: every job is listed, writes its file, and says what is wrong."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import DataError

JOBS = ("lead", "churn", "uplift", "send-time", "ope", "qini", "calibration", "experiment")


def invoke(*args: object) -> str:
    result = CliRunner().invoke(build_app(), ["bench", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_job_is_listed() -> None:
    shown = invoke("--help")
    assert all(f"  {job} " in shown for job in JOBS), shown


@pytest.fixture(name="rows")
def _rows(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    n = 600
    score, treated = rng.random(n), rng.integers(0, 2, n)
    label = (rng.random(n) < score).astype(int)
    policy = {"pi_0": 0.5, "pi_1": 0.5, "action": treated, "pscore": 0.5, "reward": label}
    pd.DataFrame({"p": score, "t": treated, "y": label, **policy}).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_numbers_are_written_and_printed_alike(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "folder" / "out.json"
    calls = {
        "calibration": ["--rows", rows, "--score", "p", "--label", "y"],
        "qini": ["--rows", rows, "--score", "p", "--treatment", "t", "--outcome", "y"],
        "ope": ["--log", rows],
    }
    for job, options in calls.items():
        printed = json.loads(invoke(job, *options, "--out", out, "--json"))
        assert printed == json.loads(out.read_text())
        assert "written to" in invoke(job, *options, "--out", out)


def test_a_refused_evaluation_still_writes_its_reasons(rows: Path, tmp_path: Path) -> None:
    pd.read_csv(rows).drop(columns="pscore").to_csv(tmp_path / "bare.csv", index=False)
    shown = invoke("ope", "--log", tmp_path / "bare.csv", "--out", tmp_path / "out.json")
    assert "propensity_missing" in shown
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["verdict"] == "refused"
    assert found["estimators"]["ips"] == {"value": None, "se": None, "ci": None}


def test_a_missing_column_names_the_option_and_writes_nothing(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with pytest.raises(DataError, match=r"no column 'q' \(--score\)"):
        invoke("calibration", "--rows", rows, "--score", "q", "--label", "y", "--out", out)
    assert not out.exists()


def test_a_place_that_no_table_can_be_written_to_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    gone, out = tmp_path / "gone.parquet", tmp_path / "out.xlsx"
    tables = ("--train", gone, "--test", gone, "--id", "id", "--out", out)
    times = ("--id", "id", "--time", "t", "--as-of", "2025-01-01", "--out", out)
    for call in (
        ("lead", *tables, "--label", "y"),
        ("uplift", *tables, "--treatment", "t", "--control", "c", "--outcome", "y"),
        ("churn", "--transactions", gone, *times, "--value", "v", "--horizon-days", 28),
        ("send-time", "--events", gone, *times, "--time-zone", "UTC"),
    ):
        with pytest.raises(DataError, match="must end in"):
            invoke(*call)
