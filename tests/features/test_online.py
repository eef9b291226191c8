# ruff: noqa: PD011 - the values of a snapshot, not of a frame
"""The online snapshot: the same numbers as offline, the newest wins, fresh after an event."""

import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from feast import FeatureStore

from foretouch.core.errors import NotReadyError
from foretouch.core.events import CustomerEvent
from foretouch.core.state.db import State
from foretouch.core.state.log import append_event
from foretouch.core.workspace import Workspace
from foretouch.features import store
from foretouch.features.build import build_features, build_history, offline_file
from foretouch.features.catalogue import SERVICES, VIEWS, features_of, model_features, view_features
from foretouch.features.online import OnlineFeatures, online_file
from foretouch.features.packed import FeatureRow, open_packed, read_rows, write_rows
from tests.features.conftest import NOW, MakeWorkspace
from tests.features.test_as_of import fill, random_world


@pytest.fixture(scope="session")
def served(sample: Workspace) -> Workspace:
    """The sample, applied and materialised."""
    store.apply(sample)
    store.materialize(sample)
    return sample


def same(online: object, offline: object) -> bool:
    if isinstance(online, list):
        return list(offline) == online  # type: ignore[call-overload, no-any-return]
    if online is None:
        return bool(pd.isna(offline))  # type: ignore[call-overload]
    return online == offline


def test_online_equals_offline_for_a_thousand_households(served: Workspace) -> None:
    customers = sorted(build_spine(served)["customer_id"].sample(1000, random_state=3))
    online = OnlineFeatures(served)
    now = served.clock.now()
    spine = pd.DataFrame({"customer_id": customers, "as_of": pd.Timestamp(now)})
    compared = 0
    for model in SERVICES:
        offline = store.training_frame(served, model, spine)
        names = [spec.name for spec in model_features(model, served.config)]
        assert list(offline["customer_id"]) == customers
        for row in offline.to_dict("records"):
            snapshot = online.read(row["customer_id"], now)
            assert snapshot.known
            assert snapshot.stale == ()
            different = [name for name in names if not same(snapshot.values[name], row[name])]
            assert different == [], (row["customer_id"], different)
            compared += len(names)
    assert compared > 250_000


def build_spine(workspace: Workspace) -> pd.DataFrame:
    from foretouch.features.tables import read_table

    return read_table(workspace, "customers")


def test_our_read_and_feasts_agree(served: Workspace) -> None:
    customers = ["1", "900", "2500", "nobody"]
    online = OnlineFeatures(served)
    feast = store.open_store(served)
    response = feast.get_online_features(
        features=feast.get_feature_service("send_time_v1"), entity_rows=[{"customer_id": name} for name in customers]
    ).to_dict()
    for position, customer_id in enumerate(customers):
        values = online.read(customer_id).values
        for spec in model_features("send-time", served.config):
            found = response[spec.name][position]
            ours = values.get(spec.name)
            assert (found or None) == (ours or None) or found == ours, (customer_id, spec.name)


def test_history_at_a_touch_is_what_was_known_when_it_was_sent(served: Workspace) -> None:
    from foretouch.features.tables import read_table

    touches = read_table(served, "touches").sample(200, random_state=1)
    spine = touches[["customer_id", "sent_at"]].rename(columns={"sent_at": "as_of"}).reset_index(drop=True)
    offline = store.training_frame(served, "offer", spine)
    direct = build_features(served, spine)
    names = [spec.name for spec in model_features("offer", served.config) if spec.kind == "number"]
    pd.testing.assert_frame_equal(offline[names].astype(float), direct[names].astype(float))


def test_services_and_views_have_owners_and_a_ttl(served: Workspace) -> None:
    feast = store.open_store(served)
    assert {service.name for service in feast.list_feature_services()} == set(SERVICES.values())
    for view in feast.list_feature_views():
        assert view.owner, view.name
        assert view.ttl, view.name
        assert [field.name for field in view.features] == [
            spec.name for spec in view_features(served.config, view.name)
        ]


def test_one_customer_is_read_in_milliseconds(served: Workspace) -> None:
    online = OnlineFeatures(served)
    online.read("1")
    started = time.perf_counter()
    for _ in range(100):
        online.read("900")
    assert (time.perf_counter() - started) / 100 < 0.01


def row(at: datetime, value: float, created: datetime | None = None) -> FeatureRow:
    return FeatureRow(entity="c", view="v", event_at=at, created_at=created or at, features={"x": value})


def test_a_late_value_never_overwrites_a_newer_one(tmp_path: Path) -> None:
    connection = open_packed(tmp_path / "online.db")
    write_rows(connection, [row(NOW, 7.0)])
    write_rows(connection, [row(NOW - timedelta(days=5), 1.0)])
    assert read_rows(connection, "c")["v"].features == {"x": 7.0}
    write_rows(connection, [row(NOW, 8.0, created=NOW + timedelta(seconds=1))])
    assert read_rows(connection, "c")["v"].features == {"x": 8.0}, "a recomputation of the same instant counts"
    write_rows(connection, [row(NOW + timedelta(microseconds=1), float("nan"))])
    assert read_rows(connection, "c")["v"].features == {"x": None}


@pytest.mark.parametrize(("kind", "kept"), [("sqlite", 1.0), (store.ONLINE_STORE, 7.0)])
def test_late_push_through_feast(make_workspace: MakeWorkspace, kind: str, kept: float) -> None:
    """Feast 0.67's own SQLite store keeps the last write; ours keeps the newest value.

    When the first case fails after an upgrade of Feast, its guard may go.
    """
    workspace = make_workspace()
    fill(workspace, random_world(1))
    build_history(workspace)
    config = store.repo_config(workspace).model_copy(
        update={"online_config": {"type": kind, "path": str(workspace.root / "pushed.db")}}
    )
    feast = FeatureStore(config=config)
    feast.apply(store.feast_objects(workspace))
    for at, value in ((NOW, 7.0), (NOW - timedelta(days=5), 1.0)):
        values = {
            spec.name: [value if spec.kind == "number" else "x"]
            for spec in view_features(workspace.config, "customer_activity")
        }
        frame = pd.DataFrame({"customer_id": ["c1"], "event_timestamp": [at], "built_at": [at], **values})
        feast.write_to_online_store("customer_activity", df=frame)
    read = feast.get_online_features(features=["customer_activity:goal_total"], entity_rows=[{"customer_id": "c1"}])
    assert read.to_dict()["goal_total"] == [kept]


def test_a_copied_workspace_reads_its_own_history(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    """Feast's registry holds absolute paths: a copy must not go on reading where it came from."""
    workspace = make_workspace()
    fill(workspace, random_world(4))
    build_history(workspace)
    store.apply(workspace)
    shutil.copytree(workspace.root, tmp_path / "copy")
    copy = Workspace.open(tmp_path / "copy")
    history = offline_file(copy, "customer_activity")
    table = pd.read_parquet(history)
    table.assign(goal_total=table["goal_total"] + 1_000.0).to_parquet(history)
    spine = table[["customer_id", "event_timestamp"]].rename(columns={"event_timestamp": "as_of"})
    own, theirs = (store.training_frame(each, "lead", spine)["goal_total"] for each in (copy, workspace))
    assert len(own) > 0
    pd.testing.assert_series_equal(own, theirs + 1_000.0)


def test_a_posted_event_is_visible_at_once(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    fill(workspace, random_world(2))
    build_history(workspace)
    store.apply(workspace)
    store.materialize(workspace)
    online = OnlineFeatures(workspace)
    before = online.read("c1", NOW)
    later = NOW + timedelta(minutes=1)
    event = CustomerEvent(
        event_id="posted", customer_id="c1", event="purchase", occurred_at=NOW, received_at=NOW, value=12.5
    )
    with State(workspace.state_file) as state:
        assert state.write(lambda connection: append_event(connection, event, NOW))
    online.refresh(["c1"], later)
    after = online.read("c1", later)
    assert after.values["purchases_total"] == before.values["purchases_total"] + 1
    assert after.values["monetary_total"] == pytest.approx(before.values["monetary_total"] + 12.5)
    assert after.values["recency_days"] == pytest.approx(1 / 1440)
    assert after.as_of == dict.fromkeys(VIEWS, later)
    assert online.read("c2", later).values == online.read("c2", NOW).values

    online.refresh(["c1"], NOW - timedelta(days=3))
    assert online.read("c1", later) == after, "a late recomputation changes nothing"
    store.materialize(workspace, until=NOW)
    assert online.read("c1", later) == after, "materialising an older snapshot changes nothing"

    spine = pd.DataFrame({"customer_id": ["c1"], "as_of": [pd.Timestamp(later)]})
    rebuilt = build_features(workspace, spine).to_dict("records")[0]
    assert [name for name in features_of(workspace.config) if not same(after.values[name], rebuilt[name])] == []


def test_an_event_of_a_customer_nobody_knew(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    fill(workspace, random_world(2))
    event = CustomerEvent(event_id="n", customer_id="new", event="page_view", occurred_at=NOW, received_at=NOW)
    with State(workspace.state_file) as state:
        state.write(lambda connection: append_event(connection, event, NOW))
    online = OnlineFeatures(workspace)
    assert not online.read("new").known
    online.refresh(["new"], NOW + timedelta(seconds=1))
    snapshot = online.read("new")
    assert snapshot.known
    assert snapshot.values["recent_page_view"] == 1.0
    assert snapshot.values["lifecycle_stage"] == "prospect"


def test_old_values_are_named_stale(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    fill(workspace, random_world(2))
    online = OnlineFeatures(workspace)
    online.refresh(["c1"], NOW)
    assert online.read("c1", NOW + timedelta(hours=71)).stale == ()
    assert set(online.read("c1", NOW + timedelta(hours=73)).stale) == set(VIEWS)


def test_a_store_that_cannot_be_read_says_so(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    path = online_file(workspace)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, whatever its name says " * 50)
    snapshot = OnlineFeatures(workspace).read("c1")
    assert not snapshot.known
    assert snapshot.error is not None


def test_steps_out_of_order_name_the_next_command(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    with pytest.raises(NotReadyError) as nothing:
        build_history(workspace)
    assert nothing.value.hint is not None
    assert "foretouch ingest" in nothing.value.hint
    fill(workspace, random_world(1))
    for step in (store.apply, store.materialize):
        with pytest.raises(NotReadyError) as unbuilt:
            step(workspace)
        assert unbuilt.value.hint == "foretouch features build"
    build_history(workspace)
    with pytest.raises(NotReadyError) as unapplied:
        store.materialize(workspace)
    assert unapplied.value.hint == "foretouch features apply"
