"""A/A trials stay in the report of their experiment: by command and by page, oldest kept, nothing of a later time."""

import json
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.experiments.app.aside import aa
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.past_trials import FILE, past_trials
from foretouch.experiments.report.details import trials_block
from foretouch.experiments.report.page import render
from foretouch.features.ingest import ingest_tables


@pytest.fixture(scope="module")
def world(plant: Any) -> Any:
    made = plant(customers=300, seed=14)
    people = {"customer_id": sorted(made.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(made.workspace, {"customers": pd.DataFrame(people)})
    return made


def test_no_trial_no_history(world: Any) -> None:
    assert past_trials(world.workspace, "spring", until=world.now) == ()
    found = analyze_experiment(world.workspace, "spring", now=world.now)
    assert found.past_trials == ()
    assert "past_trials" not in found.definitions
    assert "A/A trials" not in render(found, "en")


def test_trials_of_the_command_and_of_the_page_stay_in_the_report(world: Any) -> None:
    root = str(world.workspace.root)
    asked = ["experiment", "aa", "spring", "--splits", "100", "--as-of", world.now.isoformat(), "-w", root, "--json"]
    told = json.loads(CliRunner().invoke(build_app(), asked).stdout)
    CliRunner().invoke(build_app(), asked)  # the same again counts once
    shown = aa(world.workspace, {"key": "spring"})
    now = max(world.now, world.workspace.clock.now())
    kept = past_trials(world.workspace, "spring", until=now)
    assert [(item.name, item.splits, item.false_alarms) for item in kept if item.splits <= 100] == [
        (item["name"], item["splits"], item["share"]) for item in told["metrics"]
    ]
    assert sum(item.splits > 100 for item in kept) == len(shown["metrics"])
    assert past_trials(world.workspace, "other", until=now) == ()
    found = analyze_experiment(world.workspace, "spring", now=now)
    assert found.past_trials == kept
    assert "past_trials" in found.definitions
    for language, title in (("en", "A/A trials on past customers"), ("zh", "历史客户上的 A/A 试验")):
        assert title in render(found, language)
        block = trials_block(found, language)
        assert block is not None
        assert len(block.rows) == len(kept)
        assert f"{100 * kept[0].false_alarms:.1f}%" in block.rows[-1][3]


def test_a_history_knows_nothing_later_and_survives_a_broken_line(world: Any) -> None:
    path = world.workspace.root / FILE
    asked = [
        "experiment",
        "aa",
        "spring",
        "--splits",
        "100",
        "--as-of",
        world.now.isoformat(),
        "-w",
        str(path.parents[1]),
    ]
    CliRunner().invoke(build_app(), asked)
    before = past_trials(world.workspace, "spring", until=world.now)
    assert before
    assert past_trials(world.workspace, "spring", until=world.now - timedelta(days=1)) == ()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "spring", "na\n')
    assert past_trials(world.workspace, "spring", until=world.now) == before


def test_a_trial_that_cannot_be_kept_is_told_all_the_same(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    path = world.workspace.root / FILE
    path.unlink(missing_ok=True)
    path.mkdir()
    try:
        shown = aa(world.workspace, {"key": "spring"})
    finally:
        path.rmdir()
    assert shown["metrics"]
    assert "the trial is not kept for the report" in caplog.text
    assert past_trials(world.workspace, "spring", until=world.now) == ()
