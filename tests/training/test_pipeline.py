"""Training end to end on a small made-up shop: features, MLflow, bundle, promotion, rollback, refusal."""

import json
import os
import pickletools
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import lightgbm as mlflow_lightgbm
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

from foretouch.core.bundle import read_aliases, read_bundle, write_aliases
from foretouch.core.cli import build_app
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.models import ModelName
from foretouch.core.state.db import connect as connect_state
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_history
from foretouch.features.store import apply
from foretouch.training import churn as churn_module
from foretouch.training import lead as lead_module
from foretouch.training import registry
from foretouch.training.each import for_each
from foretouch.training.pipeline import Trained, check_bundle, train, training_run
from foretouch.training.probability import score_rows
from foretouch.training.promotion import PromotionRefusedError, promote, rollback
from foretouch.training.refit import judged_store

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 230
CONFIG = """
schema_version = 1
[workspace]
name = "shop"
[clock]
kind = "manual"
[goals.churn]
window_days = 21
active_days = 42
[goals.lead]
goal_event = "conversion"
window_days = 21
hot_from = 10
[goals.lead.points]
page_view = 5
[training]
threads = 1
"""


def make_workspace(root: Path, *, customers: int = 260, days: int = DAYS) -> Workspace:
    """Customers with a pace of their own and a moment of leaving; goals follow page views with a delay."""
    rng = np.random.default_rng(7)
    (root / "data").mkdir(parents=True)
    (root / "foretouch.toml").write_text(CONFIG, encoding="utf-8")
    now = (START + timedelta(days=days)).isoformat()
    (root / "clock.json").write_text(json.dumps({"now": now}), encoding="utf-8")
    events: list[tuple[str, str, float, float]] = []
    for index in range(customers):
        gap = float(rng.gamma(2.0, 5.0)) + 1.0
        leaves = days if rng.uniform() < 0.5 else float(rng.uniform(30, days))
        day = float(rng.uniform(0, 10))
        while day < leaves:
            events.append((f"c{index}", "purchase", day, float(rng.gamma(2.0, 10.0))))
            day += float(rng.gamma(3.0, gap / 3.0))
        warm = float(rng.uniform(20, days * 1.3))
        views = warm - rng.uniform(0, 12, int(rng.integers(2, 8)))
        events += [(f"c{index}", "page_view", float(day), 0.0) for day in views]
        events.append((f"c{index}", "conversion", warm + float(rng.uniform(1, 8)), 0.0))
    rows = [event for event in events if 0 <= event[2] < days]
    frame = pd.DataFrame(rows, columns=["customer_id", "event", "day", "value"]).sort_values("day", ignore_index=True)
    frame["event_id"] = [f"e{index}" for index in range(len(frame))]
    frame["occurred_at"] = pd.to_datetime([START + timedelta(days=day) for day in frame.pop("day")], utc=True)
    frame["received_at"] = frame["occurred_at"]
    frame.to_parquet(root / "data" / "events.parquet")
    people = pd.DataFrame({"customer_id": [f"c{index}" for index in range(customers)]})
    people["created_at"] = pd.Timestamp(START)
    people.to_parquet(root / "data" / "customers.parquet")
    workspace = Workspace.open(root)
    build_history(workspace)
    apply(workspace)
    return workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def trained(workspace: Workspace) -> Trained:
    return train(training_run(workspace, trials=1), "churn")


def test_the_bundle_gives_its_golden_rows_and_names_its_run(workspace: Workspace, trained: Trained) -> None:
    bundle = read_bundle(workspace.bundles, "churn", trained.card.version)
    check_bundle(workspace.bundles, "churn", trained.card.version)
    assert len(bundle.golden.inputs) > 30
    assert read_aliases(workspace.bundles, "churn")["challenger"] == trained.card.version
    card = bundle.card
    assert card.feature_service == "churn_v1"
    assert {band.name for band in card.bands} == {"low", "medium", "high"}
    assert set(card.baselines) == {"days_since_last", "bg_nbd"}
    assert card.trained_through <= START + timedelta(days=DAYS)
    assert sorted(path.name for path in trained.reports.iterdir()) == [
        "calibration.png",
        "card.md",
        "gain.png",
        "shap.png",
    ]
    client = registry.connect(workspace)
    run = client.get_run(str(card.mlflow_run_id))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc"] == pytest.approx(card.metrics["auc"])
    assert run.data.tags["data_sha256"] == card.data_sha256
    assert run.data.tags["feature_service"] == "churn_v1"
    found = client.get_model_version_by_alias("foretouch-churn", "challenger")
    assert str(found.version) == card.version
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {"bundle", "reports"}


def test_the_score_of_a_frame_is_the_score_of_the_card(workspace: Workspace, trained: Trained) -> None:
    run = training_run(workspace, trials=1)
    split = churn_module.TASK.load(run)
    fitted = churn_module.TASK.fit(run, split)
    scores = score_rows(fitted, split.test)
    judged = read_bundle(judged_store(workspace, "churn", trained.card.version), "churn", trained.card.version).card
    rows = split.test.frame.head(20).astype(object).where(split.test.frame.head(20).notna(), None)
    encoded = [judged.encode(dict(zip(rows.columns, row, strict=True))) for row in rows.itertuples(index=False)]
    again = read_bundle(judged_store(workspace, "churn", trained.card.version), "churn", trained.card.version)
    assert fitted.model_text == again.model_text
    from foretouch.training.booster import predict_text

    raw = predict_text(again.model_text, np.array(encoded))
    assert [again.card.calibration.apply(float(value)) for value in raw] == list(scores[:20])


def test_the_served_model_is_fitted_again_with_the_rows_that_judged_it(workspace: Workspace, trained: Trained) -> None:
    """Its own bundle, trained later, with the figures of the judged one, and the card says so."""
    judged = read_bundle(judged_store(workspace, "churn", trained.card.version), "churn", trained.card.version)
    served = read_bundle(workspace.bundles, "churn", trained.card.version)
    split = churn_module.TASK.load(training_run(workspace, trials=1))
    assert judged.card.trained_through == split.trained_through < served.card.trained_through == split.newest_through
    assert judged.model_text != served.model_text
    assert judged.card.metrics == served.card.metrics
    assert served.card.extras["refit"]["judged_through"] == split.trained_through.isoformat()
    assert any("no row is left to judge it by" in note for note in served.card.notes)
    tuned = {name: judged.card.parameters[name] for name in ("num_leaves", "learning_rate", "min_data_in_leaf")}
    assert tuned.items() <= served.card.parameters.items()


def test_the_model_learns_what_was_planted(trained: Trained) -> None:
    assert trained.card.metrics["auc"] > 0.7
    assert {item.baseline for item in trained.comparisons} == {"days_since_last", "bg_nbd"}


def test_no_artifact_is_a_pickle(workspace: Workspace, trained: Trained) -> None:
    files = [path for path in workspace.mlflow_folder.rglob("*") if path.is_file() and path.suffix != ".db"]
    assert any(path.name == "model.lgb" for path in files)
    assert any(path.name == "card.json" for path in files)
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".skops"}
        assert not zipfile.is_zipfile(path)
        assert not _is_pickle(path.read_bytes()), path.name


def _is_pickle(content: bytes) -> bool:
    """Whether the bytes are one pickle from end to end (protocols 2 and later begin with 0x80)."""
    if content[:1] != b"\x80":
        return False
    try:
        return all(True for _ in pickletools.genops(content))
    except ValueError:
        return False


def test_the_scan_knows_a_pickle() -> None:
    assert _is_pickle(b"\x80\x04K\x01.")
    assert not _is_pickle(b"tree\nversion=v4")


def test_promotion_moves_both_stores_and_rollback_puts_back(workspace: Workspace, trained: Trained) -> None:
    with pytest.raises(NotReadyError, match="no previous champion"):
        rollback(workspace, "churn")
    first = promote(workspace, "churn", force=True)
    assert (first.version, first.replaced, first.gate) == (trained.card.version, None, "no_log")
    assert "challenger" not in read_aliases(workspace.bundles, "churn")
    second = train(training_run(workspace, trials=1), "churn")
    assert second.card.data_sha256 == trained.card.data_sha256
    promote(workspace, "churn", force=True)
    wanted = {"champion": second.card.version, "previous": trained.card.version}
    assert read_aliases(workspace.bundles, "churn") == wanted
    client: MlflowClient = registry.connect(workspace)
    held = client.get_registered_model("foretouch-churn").aliases
    assert {alias: str(version) for alias, version in held.items()} == wanted
    assert rollback(workspace, "churn").version == trained.card.version
    assert read_aliases(workspace.bundles, "churn") == {
        "champion": trained.card.version,
        "previous": second.card.version,
    }
    with closing(connect_state(workspace.state_file, read_only=True)) as state:
        actions = [row[0] for row in state.execute("SELECT action FROM audit ORDER BY sequence")]
    assert actions == ["model.promote", "model.promote", "model.rollback"]


def test_a_model_worse_than_its_baseline_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lead_module, "score_rows", lambda _, part: np.full(len(part), 0.5))
    capfd.readouterr()
    worse = train(training_run(workspace, trials=1), "lead")
    assert capfd.readouterr() == ("", "")  # the first of its name: MLflow, Feast and LightGBM keep to themselves
    assert not worse.wins
    with pytest.raises(PromotionRefusedError, match="average_precision beside points_rule") as refused:
        promote(workspace, "lead")
    assert "--force" in str(refused.value.hint)
    assert "champion" not in read_aliases(workspace.bundles, "lead")
    forced = promote(workspace, "lead", force=True)
    assert forced.forced
    assert read_aliases(workspace.bundles, "lead")["champion"] == worse.card.version


def test_a_process_started_later_does_not_take_one_workspaces_store_for_a_server(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    other = Workspace(tmp_path)
    for each in (workspace, other, workspace):
        registry.connect(each)
        assert mlflow.get_tracking_uri().endswith(str(each.mlflow_folder / "mlflow.db"))
        assert [os.environ.get(name) for name in names] == [None, None]
    named = f"sqlite:///{tmp_path / 'named.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    registry.connect(workspace)
    assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == named
    assert "MLFLOW_REGISTRY_URI" not in os.environ


def test_what_mlflow_logged_predicts_like_the_bundle(workspace: Workspace, trained: Trained) -> None:
    registry.connect(workspace)
    bundle = read_bundle(workspace.bundles, "churn", trained.card.version)
    rows = [[np.nan if cell is None else cell for cell in row] for row in bundle.golden.inputs]
    loaded = mlflow_lightgbm.load_model(f"models:/foretouch-churn/{trained.card.version}")
    raw = np.asarray(loaded.predict(np.array(rows), num_threads=1))
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert raw.tobytes() == np.array(bundle.golden.raw).tobytes()


def test_what_one_model_lacks_does_not_stop_the_others() -> None:
    def work(model: ModelName) -> str:
        if model == "churn":
            raise DataError("too little")
        return model.upper()

    done, refused = for_each(("lead", "churn", "value"), work)
    assert done == ["LEAD", "VALUE"]
    assert [(item.model, item.error.message) for item in refused] == [("churn", "too little")]
    with pytest.raises(DataError, match="too little"):
        for_each(("churn",), work)


def test_promote_all_goes_on_and_says_what_it_could_not_do(workspace: Workspace, trained: Trained) -> None:
    aliases = read_aliases(workspace.bundles, "churn")
    again = {**aliases, "challenger": trained.card.version}
    registry.set_aliases(registry.connect(workspace), "churn", again)
    write_aliases(workspace.bundles, "churn", again)
    result = CliRunner().invoke(build_app(), ["promote", "all", "--force", "-w", str(workspace.root), "--json"])
    assert result.exit_code == 1
    lines = {line["model"]: line for line in json.loads(result.stdout)}
    assert lines["churn"]["version"] == trained.card.version
    assert lines["value"]["error"]["code"] == "not_ready"
    assert read_aliases(workspace.bundles, "churn")["champion"] == trained.card.version


def test_models_lists_versions_with_aliases(workspace: Workspace, trained: Trained) -> None:
    result = CliRunner().invoke(build_app(), ["models", "--workspace", str(workspace.root), "--json"])
    assert result.exit_code == 0, result.output
    lines = json.loads(result.stdout)
    mine = next(line for line in lines if line["model"] == "churn" and line["version"] == trained.card.version)
    assert mine["primary"] == "auc"
    assert mine["metrics"]["auc"] == pytest.approx(trained.card.metrics["auc"])


def test_too_short_a_history_says_so(tmp_path: Path) -> None:
    small = make_workspace(tmp_path / "small", customers=20, days=70)
    with pytest.raises(DataError, match="need"):
        train(training_run(small, trials=1), "churn")


def test_without_features_the_next_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "foretouch.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "clock.json").write_text(json.dumps({"now": START.isoformat()}), encoding="utf-8")
    with pytest.raises((NotReadyError, DataError)) as found:
        train(training_run(Workspace.open(tmp_path), trials=1), "value")
    assert str(found.value.hint).startswith("foretouch ")
