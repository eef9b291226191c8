"""The uplift model in force is judged by itself on the people of a holdout, on decisions later than its data."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import (
    Calibration,
    GoldenRows,
    ModelCard,
    ModelInput,
    write_aliases,
    write_bundle,
)
from foretouch.core.cli import build_app
from foretouch.core.errors import ConfigError, NotReadyError
from foretouch.experiments.analysis.table import SERVED
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.uplift.judge import Worth
from foretouch.experiments.uplift.of_experiment import judge_experiment


def write_uplift_model(planted: Any, *, trained_days: float, version: str = "v1", identified: bool = True) -> None:
    """A model that says: who spent more gains more; that is how the world was planted."""
    rng = np.random.default_rng(0)
    vectors = rng.uniform(0.0, 80.0, size=(500, 1))
    options = {"objective": "regression", "min_data_in_leaf": 20, "verbose": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(vectors, vectors[:, 0] / 100.0), num_boost_round=20)
    raw = tuple(float(value) for value in np.asarray(booster.predict(vectors[:5], num_threads=1)))
    start = min(planted.exposed.values())
    card = ModelCard(
        model="uplift",
        version=version,
        target="difference",
        feature_service="uplift_v1",
        inputs=(ModelInput(name="monetary_28d", view="customer_purchases"),),
        calibration=Calibration(),
        trained_through=start + timedelta(days=trained_days),
        created_at=start,
        data_sha256="0" * 64,
        extras={"identified": identified, "uplift_reason": None if identified else "contacts were not drawn by lot"},
    )
    golden = GoldenRows(inputs=tuple((float(row[0]),) for row in vectors[:5]), raw=raw, calibrated=raw)
    write_bundle(planted.workspace.bundles, card, booster.model_to_string(), golden)
    write_aliases(planted.workspace.bundles, "uplift", {"champion": version})


@pytest.fixture(scope="module")
def modelled(plant: Any) -> Any:
    made = plant(customers=1000, effect=0.4, seed=5)
    write_uplift_model(made, trained_days=5.0)
    return made


def test_the_report_picks_the_served_model_up_and_leaves_out_what_it_learnt_from(modelled: Any) -> None:
    results = analyze_experiment(modelled.workspace, "spring", now=modelled.now)
    found = results.uplift["mailing"]
    until = min(modelled.exposed.values()) + timedelta(days=5.0)
    later = sum(at > until for at in modelled.exposed.values())
    assert (found.score, found.n) == (SERVED, later)
    assert 0 < later < len(modelled.exposed)
    assert found.money is not None
    assert found.money.currency == "EUR"
    assert found.qini.value > 0.0
    # scored with a feature of the log it is the same order, and everybody counts
    logged = judge_experiment(modelled.workspace, "spring", score="monetary_28d", now=modelled.now)
    assert logged.n == results.n
    same = judge_experiment(modelled.workspace, "spring", score=SERVED, now=modelled.now)
    assert same.qini == found.qini
    assert f"--experiment spring --score {SERVED} " in same.command


def test_prices_are_tried_and_the_command_gives_the_same(modelled: Any, tmp_path: Path) -> None:
    worth = Worth(value=2.0, cost=3.0)
    found = judge_experiment(modelled.workspace, "spring", score="monetary_28d", worth=worth, now=modelled.now)
    assert found.money is not None
    assert (found.money.value_per_outcome, found.money.cost_per_contact, found.money.currency) == (2.0, 3.0, "EUR")
    said = found.command.split()[1:]
    said[said.index("--workspace") + 1] = str(modelled.workspace.root)
    said[said.index("--out") + 1] = str(tmp_path)
    done = CliRunner().invoke(build_app(), [*said, "--json"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "uplift.json").read_text("utf-8").count(f'"value": {found.qini.value!r}') == 1


def test_what_cannot_tell_is_not_shown(plant: Any) -> None:
    made = plant(customers=600, seed=6)
    write_uplift_model(made, trained_days=27.0)  # nobody is later
    assert analyze_experiment(made.workspace, "spring", now=made.now).uplift == {}
    with pytest.raises(NotReadyError, match="the uplift model in force has no score for 100 people"):
        judge_experiment(made.workspace, "spring", now=made.now)
    with pytest.raises(NotReadyError, match="'shoe_size' was not known of the people of spring"):
        judge_experiment(made.workspace, "spring", score="shoe_size", now=made.now)
    write_uplift_model(made, trained_days=1.0, version="v2", identified=False)
    assert analyze_experiment(made.workspace, "spring", now=made.now).uplift == {}
    path = made.workspace.root / "experiments" / "spring.toml"
    path.write_text('assignment = "observational"\n' + path.read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigError, match="not drawn by lot"):
        judge_experiment(made.workspace, "spring", score="monetary_28d", now=made.now)
