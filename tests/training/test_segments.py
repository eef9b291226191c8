"""Clusters: planted ones are found, none is made up, and a customer's is the same in history, online and in rules."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score  # type: ignore[import-untyped]
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.clusters import read_clusters
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.offers import Catalogue
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features, build_history, offline_file
from foretouch.features.catalogue import CLUSTER, features_of, model_features
from foretouch.features.online import OnlineFeatures
from foretouch.features.store import apply, materialize, training_frame
from foretouch.serving.jobs.score_file import read_audience
from foretouch.serving.rules.rule_check import check_catalogue
from foretouch.training.segments.fit import choose, fit_clusters, stability_of
from tests.serving.decision.world import OFFERS, decided
from tests.training.test_pipeline import CONFIG, make_workspace

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_as_many_clusters_as_were_planted_are_stable() -> None:
    rng = np.random.default_rng(1)
    centres = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0], [-4.0, -4.0, -4.0]])
    points = np.concatenate([rng.normal(centre, 0.6, size=(150, 3)) for centre in centres])
    stability = {number: stability_of(points, number, seed=3) for number in range(2, 8)}
    assert choose(stability, 0.9) == 4, stability


def test_where_there_is_no_structure_no_number_is_stable() -> None:
    points = np.random.default_rng(2).normal(size=(600, 5))
    stability = {number: stability_of(points, number, seed=3) for number in range(2, 6)}
    assert choose(stability, 0.8) is None, stability


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("shop")
    make_workspace(root)
    section = '[segments]\nclusters = true\nfeatures = ["frequency_90d", "monetary_90d", "recency_days"]\nmost = 4\n'
    (root / "foretouch.toml").write_text(CONFIG + section, encoding="utf-8")
    workspace = Workspace.open(root)
    result = CliRunner().invoke(
        build_app(), ["segments", "-w", str(root), "--out", str(root / "clusters.csv"), "--json"]
    )
    assert result.exit_code == 0, result.output
    build_history(workspace)
    apply(workspace)
    materialize(workspace)
    return workspace


def test_a_cluster_says_in_both_languages_what_sets_it_apart(shop: Workspace) -> None:
    model = read_clusters(shop.segments_folder)
    assert model is not None
    assert sum(cluster.share for cluster in model.clusters) == pytest.approx(1.0)
    assert any("purchases in the last 90 days" in cluster.text_en for cluster in model.clusters)
    assert any("近 90 天购买次数" in cluster.text_zh for cluster in model.clusters)


def test_history_the_online_store_and_the_file_agree(shop: Workspace) -> None:
    told = pd.read_csv(shop.root / "clusters.csv", dtype=str).set_index("customer_id")["cluster"]
    assert told.nunique() >= 2
    now = pd.Timestamp(shop.clock.now())
    spine = pd.DataFrame({"customer_id": told.index, "as_of": now})
    built = build_features(shop, spine).set_index("customer_id")[CLUSTER]
    assert built.equals(told.astype(built.dtype))
    history = pd.read_parquet(offline_file(shop, "customer_profile"))
    latest = history[history["event_timestamp"] == history["event_timestamp"].max()].set_index("customer_id")[CLUSTER]
    assert adjusted_rand_score(latest.loc[told.index], told) == 1.0
    online = OnlineFeatures(shop)
    found = online.read_many(told.index[:20])
    read = {name: snapshot.values for name, snapshot in found.items()}  # noqa: PD011 - no frame
    assert {name: values[CLUSTER] for name, values in read.items()} == told.iloc[:20].to_dict()
    online.refresh(["c1"], shop.clock.now())
    assert online.read_many(["c1"])["c1"].values[CLUSTER] == told["c1"]  # noqa: PD011 - no frame


def test_a_cluster_is_a_rule_an_audience_and_a_segment_of_reports(shop: Workspace) -> None:
    """A customer of the cluster and one of another: an offer for the cluster, an audience of it, and the log's row."""
    told = pd.read_csv(shop.root / "clusters.csv", dtype=str)
    names = {str(row.cluster): str(row.customer_id) for row in told.itertuples()}
    one, other = sorted(names)[:2]
    catalogue = Catalogue(offers=(OFFERS[1].replace(eligibility=f"feature.{CLUSTER} == '{one}'"),))
    check_catalogue(catalogue, features_of(shop.config))
    records = {}
    for cluster in (one, other):
        snapshot = OnlineFeatures(shop).read_many([names[cluster]])[names[cluster]]
        records[cluster] = decided(catalogue=catalogue, features=snapshot.replace(known=True))
    assert not records[one].suppressed
    assert [item.rule for item in records[other].suppressed] == ["eligibility"]
    assert f'not met: feature.{CLUSTER} == "{other}"' in records[other].suppressed[0].text
    for cluster, record in records.items():  # what an experiment's report takes its segments from
        assert record.features.values[CLUSTER] == cluster  # noqa: PD011 - no frame
    audience = shop.root / "audience.csv"
    told[told["cluster"] == one].to_csv(audience, index=False)
    assert read_audience(audience) == told.loc[told["cluster"] == one, "customer_id"].tolist()


def test_no_model_learns_from_a_cluster(shop: Workspace) -> None:
    assert CLUSTER not in {spec.name for spec in model_features("churn", shop.config)}
    row = pd.DataFrame({"customer_id": ["c1"], "as_of": [pd.Timestamp(shop.clock.now())]})
    assert CLUSTER not in training_frame(shop, "churn", row).columns


def test_a_file_that_cannot_be_written_is_refused_before_the_clusters_change(shop: Workspace) -> None:
    before = (shop.segments_folder / "clusters.json").stat().st_mtime_ns
    wrong = CliRunner().invoke(build_app(), ["segments", "-w", str(shop.root), "--out", str(shop.root / "x.xlsx")])
    assert wrong.exit_code != 0
    assert (shop.segments_folder / "clusters.json").stat().st_mtime_ns == before


def test_what_cannot_be_clustered_is_refused(shop: Workspace, tmp_path: Path) -> None:
    text = CONFIG + '[segments]\nfeatures = ["rfm_tier"]\n'
    (tmp_path / "foretouch.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="rfm_tier"):
        fit_clusters(Workspace.open(tmp_path))
    few = make_workspace(tmp_path / "few", customers=40, days=90)
    with pytest.raises(DataError, match="40 customers, need 100"):
        fit_clusters(few)
