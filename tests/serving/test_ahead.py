"""Reasons worked out ahead: those of the request itself, kept with the rows they are from, gone when one changes."""

from datetime import timedelta
from pathlib import Path

import pytest

from foretouch.core.decisions import DecisionRequest, RequestOptions
from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import VIEWS
from foretouch.features.online import OnlineFeatures, online_file
from foretouch.features.packed import FeatureRow, entities, open_packed, read_packed, read_rows, write_rows
from foretouch.serving.history.replay_log import replay_logged
from foretouch.serving.jobs.ahead import MOST, explain_ahead
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.words.reasons import model_reasons
from tests.serving.service.world import LEAD_INPUTS, build_world, copy_world, treated, write_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return build_world(tmp_path_factory.mktemp("ahead") / "base")


@pytest.fixture
def workspace(base: Workspace, tmp_path: Path) -> Workspace:
    return copy_world(base, tmp_path / "w")


def test_they_are_the_strongest_of_what_a_request_would_find(workspace: Workspace) -> None:
    done: list[tuple[int, int]] = []
    found = explain_ahead(workspace, "lead", chunk=7, progress=lambda at, total: done.append((at, total)))
    customers = entities(open_packed(online_file(workspace)))
    assert found == len(customers) == 60
    assert done[-1] == (60, 60)
    online, scorer = OnlineFeatures(workspace), load_scorer(workspace.bundles, "lead", "v1")
    some = 0
    for name in customers:
        snapshot = online.read(name)
        said = {(item.feature, item.direction, item.contribution) for item in snapshot.reasons["lead/v1"]}
        asked = model_reasons(scorer, snapshot.values, workspace.config)
        assert said <= {(item.feature, item.direction, item.contribution) for item in asked}
        assert len(said) == min(MOST, len(LEAD_INPUTS), len(asked))
        some += len(said)
    assert some > 60


def test_a_changed_feature_passes_them_over_until_the_next_run(workspace: Workspace) -> None:
    explain_ahead(workspace, "lead")
    online, now = OnlineFeatures(workspace), workspace.clock.now() + timedelta(minutes=1)
    connection = open_packed(online_file(workspace))
    name, other = entities(connection)[:2]
    before = online.read(name)
    row = read_rows(connection, name)["customer_activity"]
    changed = FeatureRow(entity=name, view=row.view, event_at=now, created_at=now, features=row.features)
    write_rows(connection, [changed])
    assert online.read(name).reasons == {}
    assert online.read(name).values == before.values
    assert set(online.read(other).reasons) == {"lead/v1"}
    explain_ahead(workspace, "lead")
    assert set(online.read(name).reasons) == {"lead/v1"}


def test_another_champion_replaces_them_and_leaves_other_models_alone(workspace: Workspace) -> None:
    write_model(workspace, "churn", "v1", LEAD_INPUTS, seed=3)
    explain_ahead(workspace, "lead")
    explain_ahead(workspace, "churn")
    write_model(workspace, "lead", "v2", LEAD_INPUTS, seed=5)
    explain_ahead(workspace, "lead")
    name = entities(open_packed(online_file(workspace)))[0]
    assert set(OnlineFeatures(workspace).read(name).reasons) == {"lead/v2", "churn/v1"}


def test_one_read_finds_what_reading_rows_finds(workspace: Workspace) -> None:
    connection = open_packed(online_file(workspace))
    for name in entities(connection):
        rows, packed = read_rows(connection, name), read_packed(connection, name, VIEWS)
        assert set(packed.times) == set(rows)
        assert packed.values == {key: value for row in rows.values() for key, value in row.features.items()}
    assert read_packed(connection, "nobody", VIEWS).times == {}


def test_a_brief_answer_tells_them_and_its_replay_is_identical(workspace: Workspace) -> None:
    explain_ahead(workspace, "lead")
    told = 0
    with Dataplane(workspace) as plane:
        for name in treated(workspace)[:10]:
            request = DecisionRequest(
                customer_id=name, channels=("email",), options=RequestOptions(reserve_caps=False, explain="brief")
            )
            record = plane.decide_one(request).record
            assert record is not None
            told += sum(reason.code.startswith("lead_") for action in record.action for reason in action.reason_codes)
            again = replay_logged(plane.state, workspace.bundles, plane.bundles.champions.scorers, record.decision_id)
            assert again.identical, again.differences
    assert told > 0


def test_a_model_without_champion_names_the_next_command(workspace: Workspace) -> None:
    with pytest.raises(NotReadyError) as error:
        explain_ahead(workspace, "value")
    assert error.value.hint == "foretouch train value && foretouch promote value"
