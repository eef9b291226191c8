"""A/A on past data: sound metrics stay in the band, clusters are drawn whole, too little data is refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import DataError
from foretouch.experiments.analysis.aa import FAMILY, _drawn, rate, trial
from foretouch.experiments.log.past import past_units
from foretouch.experiments.specs import spec_of
from foretouch.features.ingest import ingest_tables
from tests.experiments.analysis.planted_table import spec, table

SPEC = spec({"covariates": ["x"]}, {"kind": "ratio", "numerator": "y", "denominator": "d", "role": "guardrail"})


def test_a_sound_analysis_stays_in_its_band_whatever_the_arms_were() -> None:
    rows = table(n=400, effect=5.0).drop(columns="arm")
    found = trial(rows, SPEC, splits=600)
    assert [item.name for item in found.metrics] == ["m0", "m1", FAMILY]
    assert {item.code for item in found.metrics} == {"ok"}
    assert all(item.splits == 600 for item in found.metrics)
    assert found.metrics[0].ci[0] < 0.05 < found.metrics[0].ci[1]
    assert trial(rows, SPEC, splits=600) == found


def test_clusters_are_drawn_whole_and_analysed_as_such() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 10)
    rows = pd.DataFrame({"customer_id": np.arange(600), "cluster": groups, "y": rng.normal(0, 1, 60)[groups]})
    rows["y"] += rng.normal(5, 0.5, 600)
    assert trial(rows, spec(cluster="cluster"), splits=300).metrics[0].code == "ok"
    alarms = 0
    for _ in range(300):
        codes = _drawn(groups, 0.5, rng)
        assert all(len(set(codes[groups == group])) == 1 for group in (0, 59))
        alarms += ttest_ind(rows["y"][codes == 1], rows["y"][codes == 0], equal_var=False).pvalue < 0.05
    assert rate("ignoring clusters", alarms, 300, 0.05).code == "too_many"


def test_the_band_and_the_interval_are_the_binomials() -> None:
    found = rate("m", 50, 1000, 0.05)
    assert (found.share, found.code) == (0.05, "ok")
    assert found.ci == pytest.approx((0.0373, 0.0654), abs=1e-4)  # R 4.4: binom.test(50, 1000)$conf.int
    assert found.band[0] < 0.03
    assert 0.07 < found.band[1] < 0.08
    assert rate("m", 90, 1000, 0.05).code == "too_many"
    assert rate("m", 15, 1000, 0.05).code == "too_few"
    assert rate(FAMILY, 15, 1000, 0.05).code == "ok"  # Holm promises at most


def test_too_little_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="99 past units are too few"):
        trial(table(n=99), SPEC, splits=100)
    rare = table(n=300).assign(y=[1.0] * 19 + [0.0] * 281)
    with pytest.raises(DataError, match="only 19 units have another value"):
        trial(rare, spec(), splits=100)
    found = trial(rare, spec({}, {"column": "x"}, {"column": "nowhere"}), splits=100)
    assert [item.name for item in found.metrics] == ["m1"]
    assert [(name, code) for name, code, _, _ in found.refused] == [
        ("m0", "too_few_different"),
        ("m2", "missing_column"),
    ]


def test_the_command_reads_a_file_or_the_past_of_a_workspace(tmp_path: Path, plant: Any) -> None:
    table(n=200).to_csv(tmp_path / "past.csv", index=False)
    (tmp_path / "spec.json").write_text(SPEC.model_dump_json(exclude_defaults=True))
    asked = ["experiment", "aa", "--rows", str(tmp_path / "past.csv"), "--spec", str(tmp_path / "spec.json")]
    ended = CliRunner().invoke(build_app(), [*asked, "--splits", "100", "--json"])
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.output)
    assert (told["units"], len(told["metrics"])) == (200, 3)
    shown = CliRunner().invoke(build_app(), [*asked, "--splits", "100"])
    assert "as it should" in shown.output
    world = plant(customers=300, seed=14)
    people = {"customer_id": sorted(world.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(world.workspace, {"customers": pd.DataFrame(people)})
    rows, ready = past_units(world.workspace, spec_of(world.workspace, "spring"), now=world.now)
    assert len(rows) == 300
    assert {str(metric.column) for metric in ready.metrics if metric.kind != "ratio"} <= set(rows.columns)
    ended = CliRunner().invoke(build_app(), ["experiment", "aa"])
    assert ended.exit_code == 2
