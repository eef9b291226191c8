"""The gate: figures by hand and by simulation, rows that pass and fail, and a real damaged model that is refused."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import read_aliases, read_bundle, write_bundle
from foretouch.core.cli import build_app
from foretouch.core.config import Config, PromotionSection
from foretouch.core.state.db import connect as connect_state
from foretouch.core.workspace import Workspace
from foretouch.training import probability, registry
from foretouch.training.gate import Check, Gate
from foretouch.training.gate.calibrated import Figure, Spread, error_beyond_chance, mean_ratio, slope
from foretouch.training.gate.groups import MISSING, fairness_report, groups_of, segment_features
from foretouch.training.gate.latency import median_milliseconds
from foretouch.training.gate.later import beside_champion
from foretouch.training.gate.scoring import fitted_of
from foretouch.training.gate.words import chinese
from foretouch.training.pipeline import Trained, load_task, train, training_run
from foretouch.training.promotion import PromotionRefusedError, promote, rollback
from foretouch.training.task import Dataset, Fitted, FloatArray, Split, TrainingRun
from tests.training.test_pipeline import make_workspace

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def drawn(seed: int, customers: int = 400, each: int = 4) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Calibrated probabilities, labels that a customer's rows share in part, and whose rows they are."""
    rng = np.random.default_rng(seed)
    chance = np.repeat(rng.beta(2.0, 8.0, customers), each)
    shared = np.repeat(rng.random(customers), each)
    own = rng.random(customers * each)
    draw = np.where(np.repeat(rng.random(customers) < 0.5, each), shared, own)
    names = np.repeat([f"c{index}" for index in range(customers)], each).astype(object)
    return (draw < chance).astype(float), chance, names


def test_intervals_of_calibration_hold_the_truth_though_rows_of_a_customer_agree() -> None:
    """200 draws; 95 % intervals that hold as they say miss 20 or more with a chance of 0.3 %."""
    held = {"slope": 0, "ratio": 0}
    for seed in range(200):
        label, score, cluster = drawn(seed)
        line, ratio = slope(label, score, cluster), mean_ratio(label, score, cluster)
        assert line is not None
        assert ratio is not None
        held["slope"] += line.low <= 1.0 <= line.high
        held["ratio"] += ratio.low <= 1.0 <= ratio.high
    assert min(held.values()) >= 181, held


def test_calibration_error_of_right_scores_is_what_chance_makes_of_it() -> None:
    pairs = [error_beyond_chance(*drawn(seed)) for seed in range(60)]
    error, chance = np.mean(pairs, axis=0)
    assert error == pytest.approx(chance, rel=0.1)
    label, score, cluster = drawn(1)
    worse, same = error_beyond_chance(label, np.clip(score + 0.15, 0.0, 1.0), cluster)
    assert worse - same > 0.1


def test_mean_ratio_by_hand() -> None:
    """Labels 1, 0, 1, 0 on scores of 1/4: ratio 2; residuals by customer 1/2 - ... sum to (1/2, -1/2)."""
    label, score = np.array([1.0, 0.0, 1.0, 0.0]), np.full(4, 0.25)
    figure = mean_ratio(label, score, np.array(["a", "b", "a", "b"], dtype=object))
    assert figure is not None
    # residuals of a: 2 x (1 - 0.5) = 1, of b: -1; se = sqrt(2 x 2/1) / 1 = 2
    assert figure.value == 2.0
    assert figure.high - figure.value == pytest.approx(1.959964 * 2.0, rel=1e-6)
    assert mean_ratio(label, np.zeros(4), np.array(list("abab"), dtype=object)) is None


def test_a_group_of_few_customers_is_not_taken_for_certain() -> None:
    """Nothing happened to six customers of whom one in five would: residuals alone would call that impossible."""
    label, score, cluster = drawn(3)
    spread = Spread.of(label, score, cluster, amount=False)
    assert 1.0 < spread.factor < 4.0
    few = np.full(24, 0.2), np.repeat([f"x{index}" for index in range(6)], 4).astype(object)
    alone, wide = mean_ratio(np.zeros(24), *few), spread.mean_ratio(np.zeros(24), *few)
    assert alone is not None
    assert wide is not None
    assert not alone.reaches(0.8, 1.25)
    assert wide.reaches(0.8, 1.25)
    assert wide.among(20).high > wide.high


def part_of(values: dict[str, object], label: FloatArray) -> Dataset:
    frame = pd.DataFrame({"customer_id": [f"c{index}" for index in range(len(label))], **values})
    return Dataset(frame=frame, label=label)


def test_groups_and_the_fairness_report() -> None:
    label = np.tile([1.0, 0.0], 200)
    city = np.array(["north"] * 100 + ["south"] * 290 + [None] * 10, dtype=object)
    part = part_of({"attribute_city": city, "recency_days": np.arange(400.0)}, label)
    assert [group.name for group in groups_of(part, "attribute_city", least=1)] == [MISSING, "north", "south"]
    assert [group.name for group in groups_of(part, "attribute_city", least=50)] == ["north", "south"]
    assert [len(group) for group in groups_of(part, "recency_days", least=50)] == [100] * 4
    config = Config()
    assert segment_features(config, part.frame) == ()
    chosen = config.replace(promotion=PromotionSection(segments=("attribute_city", "absent")))
    assert segment_features(chosen, part.frame) == ("attribute_city",)
    score = np.where(city == "north", 0.9, 0.1)
    spread = Spread.of(label, score, part.customer_id, amount=False)
    north, south = fairness_report(part, score, ("attribute_city",), spread, least=50)
    assert (north["group"], north["selected_share"], south["selected_share"]) == ("north", 0.8, 0.0)
    assert (north["selection_ratio"], south["selection_ratio"]) == (1.0, 0.0)
    assert north["true_positive_rate"] == 0.8
    assert north["label_over_score"][0] == pytest.approx(0.5 / 0.9)


def test_a_figure_reaches_a_range_with_any_point_of_its_interval() -> None:
    figure = Figure(value=1.5, low=1.1, high=1.9)
    assert figure.reaches(0.8, 1.2)
    assert not figure.reaches(0.8, 1.0)
    assert not Figure(value=float("nan"), low=0.0, high=2.0).reaches(0.8, 1.2)


def test_the_table_as_a_page_and_as_json() -> None:
    rows = (
        Check(check="baseline", what="auc", passed=True, figure="0.8", bound="0.7"),
        Check(check="policy", what="log", passed=None, figure="no_log", bound="+0%"),
        Check(check="latency", what="time", passed=False, figure="9 ms", bound="5 ms", why="slow"),
    )
    gate = Gate(model="churn", version="3", champion="2", basis="no_log", rows=rows)
    assert (gate.passed, [row.check for row in gate.failed]) == (False, ["latency"])
    assert "| latency | time | NO | 9 ms | 5 ms | slow |" in gate.page()
    assert json.loads(json.dumps(gate.document()))["checks"][1]["passed"] is None
    assert Gate(model="churn", version="3", champion=None, basis="no_log", rows=rows[:2]).passed


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("gate"), customers=200)


@pytest.fixture(scope="module")
def champion(workspace: Workspace) -> Trained:
    made = train(training_run(workspace, trials=0), "churn")
    assert made.card.extras["gate"]["champion"] is None
    moved = promote(workspace, "churn", force=True)
    assert moved.table is not None
    assert "champion" not in {row.check for row in moved.table.rows}
    return made


def test_the_same_model_again_is_no_worse_than_the_champion(workspace: Workspace, champion: Trained) -> None:
    again = train(training_run(workspace, trials=0), "churn")
    found = again.card.extras["gate"]
    assert (found["champion"], found["as_judged"]) == (champion.card.version, True)
    assert {line["metric"]: line["difference"] for line in found["comparisons"]} == {"log_loss": 0.0, "auc": 0.0}
    back = found["backtest"]
    assert back["version"] == champion.card.version
    assert back["rows"] == found["rows_later_than_champion"]
    assert back["ratio"] == pytest.approx(back["observed"] / back["predicted"])
    assert back["low"] < back["ratio"] < back["high"]
    assert back["metrics"]["log_loss"] == pytest.approx(found["comparisons"][0]["reference"])
    assert back["then"]["log_loss"] == champion.card.metrics["log_loss"]
    page = (again.reports / "card.md").read_text("utf-8")
    assert f"What champion {champion.card.version} foretold" in page
    moved = promote(workspace, "churn", force=True)
    assert moved.table is not None
    beside = [row for row in moved.table.rows if row.check == "champion"]
    assert [row.passed for row in beside] == [True, True]
    (told,) = [row for row in moved.table.rows if row.check == "backtest"]
    assert told.passed is None
    assert chinese(told.figure).startswith("预测 ")
    assert {row.check for row in moved.table.rows} >= {"baseline", "calibration", "segment", "latency"}
    assert rollback(workspace, "churn").version == champion.card.version


def test_what_the_champion_learnt_after_its_judgement_is_not_held_against_a_retrain(
    workspace: Workspace, champion: Trained, tmp_path: Path
) -> None:
    """The served champion knows rows that the challenger is judged without: the two are compared as each was judged."""
    root = tmp_path / "shop"
    shutil.copytree(workspace.root, root)
    here = Workspace.open(root)
    run, task = training_run(here, trials=0), load_task("churn")
    split = task.load(run)
    version = champion.card.version
    served, judged = (read_bundle(store, "churn", version) for store in (here.bundles, here.reports / "judged"))
    assert judged.card.trained_through == split.trained_through < served.card.trained_through
    found = {}
    for name, through in (
        ("newer", split.test.as_of.sort_values().iloc[len(split.test) // 2].to_pydatetime()),
        ("older", split.trained_through),
    ):
        shutil.rmtree(here.bundles / "churn" / version)
        card = served.card.replace(trained_through=through)
        write_bundle(here.bundles, card, served.model_text, served.golden)
        found[name] = beside_champion(run, task, split, fitted_of(judged), None)
    assert split.trained_through < split.test.as_of.median()
    newer, older = found["newer"], found["older"]
    assert (newer["as_judged"], older["as_judged"]) == (True, False)
    assert newer["rows_later_than_champion"] == older["rows_later_than_champion"] == len(split.test)
    assert {line["metric"]: line["difference"] for line in newer["comparisons"]} == {"log_loss": 0.0, "auc": 0.0}
    assert all(line["difference"] != 0.0 for line in older["comparisons"])
    assert here.config.promotion.min_rows <= newer["backtest"]["rows"] < len(split.test)  # of the one that serves


def test_a_damaged_model_is_refused_with_its_table_in_json_audit_and_mlflow(
    workspace: Workspace, champion: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real road, but the labels that the trees see belong to other customers."""
    real = probability.fit_probability

    def damaged(run: TrainingRun, split: Split, *rest: object, **named: object) -> Fitted:
        rng = np.random.default_rng(1)
        fit = Dataset(frame=split.fit.frame, label=rng.permutation(split.fit.label), weight=split.fit.weight)
        parts = Split(**{**vars(split), "fit": fit})
        return real(run, parts, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("foretouch.training.churn.fit_probability", damaged)
    worse = train(training_run(workspace, trials=0), "churn")
    result = CliRunner().invoke(build_app(), ["promote", "churn", "-w", str(workspace.root), "--json"])
    assert result.exit_code == 1
    (line,) = json.loads(result.stdout)
    assert line["error"]["code"] == "promotion_refused"
    failed = {row["what"] for row in line["table"]["checks"] if row["passed"] is False}
    assert f"log_loss beside champion {champion.card.version}, both as judged" in failed
    assert f"auc beside champion {champion.card.version}, both as judged" in failed
    assert read_aliases(workspace.bundles, "churn")["champion"] == champion.card.version
    with closing(connect_state(workspace.state_file, read_only=True)) as state:
        action, detail = state.execute("SELECT action, detail FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    assert action == "model.promote_refused"
    assert {row["what"] for row in json.loads(detail)["checks"] if row["passed"] is False} == failed
    client = registry.connect(workspace)
    run_id = str(worse.card.mlflow_run_id)
    assert {item.path for item in client.list_artifacts(run_id, "gate")} == {"gate/gate.json", "gate/gate.md"}
    tags = client.get_model_version("foretouch-churn", worse.card.version).tags
    assert (tags["gate"], tags["gate_verdict"], tags["gate_overruled"]) == ("no_log", "refused", "false")


def test_a_challenger_of_another_champions_time_is_trained_again(workspace: Workspace, champion: Trained) -> None:
    """It was compared with the champion that was there; another one now stands in its place."""
    versions = sorted((path.name for path in (workspace.bundles / "churn").iterdir() if path.is_dir()), key=int)
    newest = versions[-1]
    assert read_bundle(workspace.bundles, "churn", newest).card.extras["gate"]["champion"] == champion.card.version
    promote(workspace, "churn", version=versions[1], force=True)
    with pytest.raises(PromotionRefusedError, match=f"it was trained beside {champion.card.version}: train it again"):
        promote(workspace, "churn", version=newest)
    rollback(workspace, "churn")


def test_one_score_is_timed_as_the_service_makes_it(workspace: Workspace, champion: Trained) -> None:
    taken = median_milliseconds(workspace.bundles, "churn", champion.card.version)
    assert taken is not None
    assert 0.0 < taken < 5.0


def test_bounds_are_the_workspaces_own(workspace: Workspace, champion: Trained) -> None:
    path = workspace.root / "foretouch.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n[promotion]\nmax_latency_ms = 0.0000001\nslope = [5.0, 6.0]\n", encoding="utf-8")
    try:
        with pytest.raises(PromotionRefusedError) as refused:
            promote(Workspace.open(workspace.root), "churn", version=champion.card.version)
    finally:
        path.write_text(before, encoding="utf-8")
    failed = {row.what for row in refused.value.gate.failed}
    assert {"median time of one score", "slope of what happened on the score"} <= failed


def test_a_folder_of_the_gate_imports_nothing_of_uplift_at_once() -> None:
    """A workspace without an uplift model never loads its learners for the gate."""
    folder = Path(__file__).parents[2] / "training/foretouch/training/gate"
    for path in folder.glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.startswith("from foretouch.training.uplift")], path.name
