"""A large history: built in parts it is the same; above its bound it is a sample's past and everyone's present."""

import pandas as pd
import pytest

from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace
from foretouch.features import build
from foretouch.features.build import EVENT_TIMESTAMP, build_history, offline_file
from foretouch.features.catalogue import VIEWS
from foretouch.features.history_sample import SALT, HistorySample, plan_sample, read_sample
from foretouch.features.initialise import initialise
from foretouch.features.simulation import Simulation
from foretouch.features.tables import connect
from foretouch.training.targets import spine

CUSTOMERS, DAYS = 150, 45
KEYS = ["customer_id", EVENT_TIMESTAMP]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    simulation = Simulation(customers=CUSTOMERS, days=DAYS, register=False)
    made = initialise(tmp_path_factory.mktemp("history") / "w", "simulated", simulation=simulation).workspace
    build_history(made)
    return made


def history(workspace: Workspace) -> dict[str, pd.DataFrame]:
    return {view: pd.read_parquet(offline_file(workspace, view)) for view in VIEWS}


def test_a_history_built_in_parts_is_the_one_built_at_once(world: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = history(world)
    monkeypatch.setattr(build, "CHUNK_ROWS", 197)
    told: list[str] = []
    build_history(world, say=told.append)
    assert any("part 4 of" in line for line in told)
    for view, rows in history(world).items():
        pd.testing.assert_frame_equal(rows, whole[view])
    assert read_sample(world) == HistorySample()
    assert not [path for path in offline_file(world, "customer_profile").parent.iterdir() if path.suffix == ".tmp"]


def test_above_its_bound_the_past_is_that_of_a_sample(world: Workspace) -> None:
    whole = history(world)
    path = world.root / "foretouch.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("[features]", "[features]\nhistory_rows = 1000", 1), encoding="utf-8")
    try:
        told: list[str] = []
        build_history(Workspace.open(world.root), say=told.append)
        small, share = history(world), read_sample(world)
    finally:
        path.write_text(text, encoding="utf-8")
        build_history(Workspace.open(world.root))
    assert share.sends < 1.0
    assert any("the present of all" in line for line in told)
    for view, rows in small.items():
        everyone, own = whole[view].set_index(KEYS), rows.set_index(KEYS)
        pd.testing.assert_frame_equal(own, everyone.loc[own.index])  # no value depends on who else is built
        newest = rows[rows[EVENT_TIMESTAMP] == rows[EVENT_TIMESTAMP].max()]
        assert set(newest["customer_id"]) == set(whole[view]["customer_id"])
        sent = rows[rows[EVENT_TIMESTAMP].dt.minute.ne(0) | ~rows[EVENT_TIMESTAMP].dt.hour.isin([0, 6])]
        assert 0 < len(sent) < 500
        assert all(bucket(SALT, who) < share.sends for who in sent["customer_id"])


def test_training_draws_nobody_whose_past_is_not_there(world: Workspace) -> None:
    at = world.clock.now() - pd.Timedelta(days=20)
    with connect(world) as connection:
        everyone = set(spine(connection, [at])["customer_id"])
        kept = set(spine(connection, [at], kept=0.4)["customer_id"])
    assert kept == {who for who in everyone if bucket(SALT, who) < 0.4}
    assert 0 < len(kept) < len(everyone)


def test_the_plan_keeps_within_the_bound() -> None:
    assert plan_sample(snapshots=500, sends=100, most=1_000) == HistorySample()
    plan = plan_sample(snapshots=4_000, sends=1_000, most=1_000)
    assert plan == HistorySample(snapshots=0.25, sends=0.25)
