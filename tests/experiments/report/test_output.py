"""The report in other forms: a sheet that spreadsheets open safely, PDFs where there is a browser, any results JSON."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import NotReadyError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.files import write_results
from foretouch.experiments.report import pdf
from foretouch.experiments.report.sheet import COLUMNS, write_sheet
from foretouch.experiments.results import Results
from tests.experiments.report.chromium import find_chromium


@pytest.fixture(scope="module")
def results() -> Results:
    rng = np.random.default_rng(5)
    n = 1200
    arm = np.where(np.arange(n) % 2, "B", "A")
    rows = pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "arm": arm,
            "y": rng.gamma(2.0, 2.0, n) + 0.6 * (arm == "B"),
            "land": np.where(rng.random(n) < 0.5, "=1+1", "法国"),
        }
    )
    metric: dict[str, Any] = {"name": "spend", "kind": "mean", "column": "y", "role": "primary", "value_per_unit": 0.3}
    spec = {"key": "t", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "segments": ["land"], "metrics": [metric]}
    return analyze(rows, ExperimentSpec.model_validate(spec))


def test_the_sheet_holds_the_very_numbers(results: Results, tmp_path: Path) -> None:
    path = write_sheet(results, tmp_path / "new" / "t.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["row"] for row in rows] == ["metric", "segment", "segment"]
    (metric,) = results.metrics
    assert float(rows[0]["difference"]) == metric.difference
    assert (float(rows[0]["difference_low"]), float(rows[0]["difference_high"])) == metric.ci
    assert metric.anytime_one_sided is not None
    assert float(rows[0]["anytime_at_least"]) == metric.anytime_one_sided.bound
    assert float(rows[0]["anytime_better_p"]) == metric.anytime_one_sided.p
    assert (rows[0]["anytime_at_most"], rows[0]["anytime_within_margin_p"]) == ("", "")
    assert metric.money is not None
    assert float(rows[0]["money_per_1000"]) == metric.money.per_1000
    assert rows[0]["money_kind"] == "margin"
    assert sorted(row["segment_value"] for row in rows[1:]) == ["'=1+1", "法国"], "no cell is run as a formula"


def test_a_broken_experiment_has_no_row(results: Results, tmp_path: Path) -> None:
    broken = results.replace(verdict=results.verdict.replace(code="broken"))
    path = write_sheet(broken, tmp_path / "t.csv")
    assert path.read_text(encoding="utf-8-sig").splitlines() == [",".join(COLUMNS)]


def test_a_report_is_made_of_any_results(results: Results, tmp_path: Path) -> None:
    written = tmp_path / "results.json"
    write_results(results, written)
    command = ["experiment", "report", "--results", str(written), "--csv", "--lang", "zh", "--json"]
    run = CliRunner().invoke(build_app(), command)
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert Path(told["reports"]["zh"]).is_file()
    assert Path(told["sheet"]).name == "experiment-t.csv"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "name an experiment"),
        (["--results", "none.json"], 1, "is not there"),
        (["k", "--results", "x"], 2, "name"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(options: list[str], code: int, message: str) -> None:
    run = CliRunner().invoke(build_app(), ["experiment", "report", *options])
    assert run.exit_code == code
    assert message in (run.output if code == 2 else str(run.exception))


def test_without_a_browser_the_package_is_named_and_nothing_is_written(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReadyError, match="there is none on this machine") as caught:
        pdf.find_chromium()
    assert "apt-get install chromium" in str(caught.value.hint)
    data = tmp_path / "results.json"
    write_results(results, data)
    run = CliRunner().invoke(build_app(), ["experiment", "report", "--results", str(data), "--pdf"])
    assert run.exit_code == 1
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
def test_a_pdf_is_printed(results: Results, tmp_path: Path) -> None:
    data = tmp_path / "results.json"
    write_results(results, data)
    run = CliRunner().invoke(build_app(), ["experiment", "report", "--results", str(data), "--pdf", "--lang", "en"])
    assert run.exit_code == 0, run.output
    made = (tmp_path / "experiment-t.en.pdf").read_bytes()
    assert made.startswith(b"%PDF")
    assert len(made) > 10_000
