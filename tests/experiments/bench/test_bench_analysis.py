"""The watch counts the work alone; answers that differ are an error and no figure; peers not to be had are named."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foretouch.core.errors import DataError, NotReadyError
from foretouch.experiments.bench import analysis, environments, tables
from foretouch.experiments.bench.analysis import CAUSALML, CHECKED, LAZY, OURS, SKLIFT, TEA, WHOLE, Json
from foretouch.experiments.bench.environments import peer_python

WORK = """
import sys, time
from foretouch.experiments.bench.peer import stand_by
time.sleep(0.5)
kept = []
stand_by(lambda: kept.append(bytearray(64 << 20)) or sum(range(2_000_000)), lambda found: {"sum": found})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bench")
    tables.write_experiment(made, 20_000)
    tables.write_wide(made, 5_000)
    tables.write_scored(made / "scored.parquet", 5_000)
    return made


def test_the_watch_runs_while_the_job_works(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK)
    found = analysis.run_job([sys.executable, str(script)])
    assert found["answer"] == {"sum": sum(range(2_000_000))}
    assert 0.0 < found["cpu_seconds"] <= found["seconds"] + 0.2
    assert found["peak_mib"] > 64.0
    script.write_text("raise SystemExit('no such thing')")
    with pytest.raises(NotReadyError, match="no such thing"):
        analysis.run_job([sys.executable, str(script)])


def test_the_bare_estimate_is_the_commands(folder: Path) -> None:
    bare, whole = (analysis.run_job(analysis._own(job, folder)) for job in ("estimate", "experiment"))
    assert bare["answer"]["ci"] == whole["answer"]["ci"]
    assert whole["answer"]["refusals"] == []


def test_five_metrics_and_twenty_segments_are_what_is_measured(folder: Path) -> None:
    answer = analysis.run_job(analysis._own("wide", folder))["answer"]
    assert (answer["metrics"], answer["segments"], answer["refusals"]) == (5, 100, [])


def parties(seconds: float, peak: float = 100.0, **answer: object) -> Json:
    return {"seconds": seconds, "cpu_seconds": seconds, "peak_mib": peak, "answer": answer}


def test_targets_hold_or_fall_short_or_were_not_measured() -> None:
    experiment = {OURS: parties(1.0, 40.0), WHOLE: parties(2.0), TEA: parties(1.5, 90.0), LAZY: parties(1.3, 100.0)}
    scored = {OURS: parties(1.0), SKLIFT: parties(2.0)}
    alone = [parties(1.0), parties(0.01), parties(1.0, bytes=10), parties(3.0), parties(1.6)]
    found = {line["target"]: line for line in analysis.targets([experiment, scored], alone)}
    assert (
        found["experiment: the best peer's seconds to ours"] | {"found": 1.3, "met": True}
        == found["experiment: the best peer's seconds to ours"]
    )
    assert found["experiment: our memory to the best peer's"]["found"] == pytest.approx(0.44)
    assert found[f"Qini: {SKLIFT}'s CPU to ours"]["met"] is False
    assert found[f"Qini: {CAUSALML}'s CPU to ours"]["met"] is None
    assert found["import of the statistics core: CPU seconds"]["met"] is False
    assert CHECKED not in experiment
    assert found["experiment with units checked: the peer's CPU to our whole command"]["found"] is None


def test_answers_that_differ_are_an_error() -> None:
    ours = parties(1.0, difference=1.0, ci=[0.5, 1.5])
    analysis.compare({OURS: ours, TEA: ours}, {OURS: parties(1.0, house=0.1), SKLIFT: parties(1.0, house=0.1)})
    with pytest.raises(DataError, match=TEA):
        analysis.compare({OURS: ours, TEA: parties(1.0, difference=1.0, ci=[0.5, 1.501])}, {})
    with pytest.raises(DataError, match=SKLIFT):
        analysis.compare({OURS: ours}, {OURS: parties(1.0, house=0.1), SKLIFT: parties(1.0, house=0.1001)})


def test_a_peer_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PACKAGES", {"none": ("/nowhere/such-a-package.whl",)})
    with pytest.raises(NotReadyError, match="environment of none"):
        peer_python("none", tmp_path)
    skipped: dict[str, str] = {}
    plan = analysis.Plan(environments=tmp_path)
    assert analysis._environment("none", plan, skipped, lambda _: None) is None
    assert "could not be made" in skipped["none"]


def test_the_command_is_there_and_refuses_tables_that_are_too_small() -> None:
    from foretouch.core.cli import build_app

    ended = CliRunner().invoke(build_app(), ["bench", "analysis", "--rows", "10"])
    assert ended.exit_code == 2
