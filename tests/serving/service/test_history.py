"""The log as it is used afterwards: shadows, what-ifs, reasons on demand, the export; on a real workspace."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.moments import moment_of
from foretouch.core.state.log import count_decisions, read_decision, read_decisions, sample_decisions
from foretouch.core.workspace import Workspace
from foretouch.serving.history.export import CANDIDATE_SCHEMA, DECISION_SCHEMA, export_decisions
from foretouch.serving.history.replay_log import Replayer
from foretouch.serving.history.what_if_log import policy_of, what_if
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.training.bench.ope import evaluate
from tests.serving.service.world import consenting, treated

BOLD = 'name = "bold"\nkind = "greedy"\nslot_exploration = 0.0\n'


@pytest.fixture(scope="module")
def plane(world: Workspace) -> Iterator[Dataplane]:
    """Decisions of a week with a shadow policy beside them."""
    (world.root / "policies").mkdir(exist_ok=True)
    (world.root / "policies" / "bold.toml").write_text(BOLD, encoding="utf-8")
    path = world.root / "foretouch.toml"
    path.write_text(path.read_text(encoding="utf-8") + '\n[shadow]\npolicy = "bold"\n', encoding="utf-8")
    with Dataplane(Workspace.open(world.root)) as opened:
        for index, name in enumerate((*treated(world)[:15], *consenting(world)[:5], "nobody")):
            ask = DecisionRequest.model_validate(
                {"customer_id": name, "request_id": f"r{index}", "touchpoint": f"t{index % 2}", "channels": ["email"]}
            )
            opened.decide_one(ask)
        yield opened


def shadows_of(plane: Dataplane) -> int:
    """Shadows in the log, once those that wait are written."""
    plane._decider.close()
    return int(plane.state.read().execute("SELECT COUNT(*) FROM shadows").fetchone()[0])


def test_shadows_are_logged_beside_the_decision_and_never_answered(plane: Dataplane) -> None:
    assert shadows_of(plane) > 5
    records = list(read_decisions(plane.state.read()))
    with_shadow = [record for record in records if record.shadow]
    assert len(with_shadow) == shadows_of(plane)
    for record in with_shadow:
        (choice,) = record.shadow
        assert (choice.policy, choice.step) == ("bold", record.fallback_step)
        assert 0.0 <= choice.probability_of_champion <= 1.0
        assert "shadow" not in json.loads(record.answer().to_line())
        assert plane.replay(record.decision_id).identical
    assert {record.status for record in records if not record.shadow} >= {"suppressed"}
    body = plane.telemetry.exposition()[0].decode()
    assert 'foretouch_shadow_decisions_total{result="' in body


def test_a_shadow_that_fails_costs_no_answer(fresh: Workspace) -> None:
    path = fresh.root / "foretouch.toml"
    (fresh.root / "policies").mkdir(exist_ok=True)
    (fresh.root / "policies" / "bold.toml").write_text(BOLD, encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8") + '\n[shadow]\npolicy = "bold"\n', encoding="utf-8")
    with Dataplane(Workspace.open(fresh.root)) as plane:
        policies = plane.settings.current.policies.policies
        policies["bold"] = policies["bold"].model_copy(update={"kind": "broken"})
        started = time.monotonic()
        given = plane.decide_one(DecisionRequest(customer_id=treated(fresh)[0], channels=("email",)))
        assert given.decision.logged
        assert time.monotonic() - started < 5.0
        assert shadows_of(plane) == 0
        assert b'result="failed"' in plane.telemetry.exposition()[0]


def test_the_record_says_how_long_its_parts_took(plane: Dataplane) -> None:
    record = next(iter(read_decisions(plane.state.read())))
    assert set(record.latency_ms) == {"features", "queue", "decide"}
    assert all(ms >= 0.0 for ms in record.latency_ms.values())


def test_what_if_on_the_log_says_what_models_and_what_outcomes_say_apart(plane: Dataplane, world: Workspace) -> None:
    replayer = Replayer(plane.state, world.bundles, plane.bundles.champions.scorers)
    policy = world.policy("bold")
    found = what_if(plane.state, replayer, world, policy, sample=500, segments=("tier",))
    assert found.sampled == found.in_range == 21
    assert found.model_based.totals.decisions + sum(found.left_out.values()) == 21
    assert "does not come out as it was logged" not in found.left_out
    assert found.model_based.totals.value.changed >= found.model_based.totals.value.base - 1e-9
    assert (found.model_based.label, found.evidence.label) == ("model-based", "logged-evidence")
    assert not found.evidence.available
    assert "closed window" in found.evidence.reason or "not available" in found.evidence.reason
    few = what_if(plane.state, replayer, world, policy, sample=4, evidence=False)
    assert (few.sampled, few.in_range) == (4, 21)


def test_evidence_comes_from_outcomes_once_their_window_is_closed(
    fresh: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foretouch.serving.history.what_if_log.load_estimators", lambda: evaluate)
    (fresh.root / "policies").mkdir(exist_ok=True)
    (fresh.root / "policies" / "bold.toml").write_text(BOLD, encoding="utf-8")
    with Dataplane(Workspace.open(fresh.root)) as plane:
        for name in treated(fresh)[:20]:
            plane.decide_one(DecisionRequest(customer_id=name, channels=("email",)))
        later = fresh.clock.now() + timedelta(days=200)
        (fresh.root / "clock.json").write_text(json.dumps({"now": later.isoformat()}), encoding="utf-8")
        moved = Workspace.open(fresh.root)
        replayer = Replayer(plane.state, moved.bundles, plane.bundles.champions.scorers)
        found = what_if(plane.state, replayer, moved, moved.policy("bold"), sample=100)
    evidence = found.evidence
    assert evidence.available, evidence.reason
    assert evidence.decisions > 10
    assert evidence.verdict == "refused", "twenty decisions carry no verdict"
    assert {refusal["code"] for refusal in evidence.refusals} >= {"ess_below_200"}
    assert evidence.ips is not None
    assert set(evidence.ips) >= {"value", "se", "ci"}


def test_a_policy_is_given_by_value_or_by_name(world: Workspace) -> None:
    assert policy_of(world, None, "policy") == world.policy()
    with pytest.raises(ConfigError, match="one of the two"):
        policy_of(world, None, None)
    with pytest.raises(ConfigError, match="no policy 'absent'"):
        policy_of(world, None, "absent")


def test_the_sample_is_even_and_the_same_every_time(plane: Dataplane) -> None:
    connection = plane.state.read()
    names = sample_decisions(connection, 1000)
    assert len(names) == count_decisions(connection) == 21
    assert sample_decisions(connection, 7) == [names[index * 21 // 7] for index in range(7)]
    assert sample_decisions(connection, 7, since=plane.clock.now() + timedelta(days=1)) == []


def test_the_export_is_typed_partitioned_and_goes_on_where_it_stopped(plane: Dataplane, tmp_path: Path) -> None:
    shadows_of(plane)
    out, connection = tmp_path / "log", plane.state.read()
    done = export_decisions(connection, out)
    records = list(read_decisions(connection))
    assert done.decisions == len(records)
    assert done.candidates == sum(len(record.candidates) for record in records)
    again = export_decisions(connection, out)
    assert again == done, "nothing new, nothing twice"

    with duckdb.connect() as engine:
        query = f"SELECT * FROM read_parquet('{out}/decisions/**/*.parquet') ORDER BY sequence"
        decisions = engine.execute(query).df()
    assert list(decisions["decision_id"]) == [record.decision_id for record in records]
    assert set(DECISION_SCHEMA.names) <= set(decisions.columns)
    for row, record in zip(decisions.to_dict("records"), records, strict=True):
        assert row["decided_at"].to_pydatetime() == record.decided_at
        assert row["day"].strftime("%Y-%m-%d") == f"{record.decided_at:%Y-%m-%d}"
        assert row["offer_id"] == (record.action[0].offer_id if record.action else None)
        assert json.loads(row["features"]) == json.loads(json.dumps(record.features.values))
    candidates = pd.read_parquet(out / "candidates")
    assert set(CANDIDATE_SCHEMA.names) <= set(candidates.columns)
    shares = candidates[candidates["dropped_rule"].isna()].groupby("decision_id")["selection_probability"].sum()
    assert (shares - 1.0).abs().max() < 1e-12
    chosen = candidates[candidates["chosen"]].set_index("decision_id")["selection_probability"]
    for record in records:
        logged = record.action[0] if record.action else record.candidates[0]
        assert chosen[record.decision_id] == logged.selection_probability
    with pytest.raises(DataError, match="holds an export of"):
        export_decisions(connection, out, since=plane.clock.now())


def test_an_export_that_was_cut_off_is_finished_without_gap_or_double(
    plane: Dataplane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foretouch.serving.history.export.BATCH", 4)
    out, connection = tmp_path / "log", plane.state.read()

    def stop(written: int) -> None:
        if written >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_decisions(connection, out, progress=stop)
    progress = out / "export.json"
    kept = json.loads(progress.read_text(encoding="utf-8"))
    progress.write_text(json.dumps({**kept, "last_sequence": kept["last_sequence"] - 4, "decisions": 4}), "utf-8")
    export_decisions(connection, out)
    found = pd.read_parquet(out / "decisions")
    assert found["decision_id"].is_unique
    assert len(found) == count_decisions(connection)


def test_reasons_in_full_and_in_chinese_on_demand(plane: Dataplane, world: Workspace) -> None:
    record = next(item for item in read_decisions(plane.state.read()) if item.contact)
    full = plane.explain(record)
    features = [reason for reason in full.action[0].reason_codes if reason.feature]
    assert features
    assert all(reason.contribution is not None for reason in features)
    assert not [reason for reason in record.action[0].reason_codes if reason.feature]
    chinese = plane.explain(read_decision(plane.state.read(), record.decision_id), language="zh")
    english = plane.explain(record, language="en")
    assert chinese.action[0].reason_codes[0].text != english.action[0].reason_codes[0].text
    assert english.status_reason.isascii()


def test_the_commands_print_what_was_found(plane: Dataplane, world: Workspace, tmp_path: Path) -> None:
    shadows_of(plane)
    app, runner, where = build_app(), CliRunner(), ["--workspace", str(world.root)]
    found = runner.invoke(app, ["what-if", "--policy", "bold", "--sample", "10", "--segment", "rfm_tier", *where])
    assert found.exit_code == 0, found.output
    assert "model-based" in found.output
    assert "logged-evidence" in found.output
    as_json = runner.invoke(
        app, ["what-if", "--policy", "bold", "--sample", "10", "--segment", "teir", "--json", *where]
    )
    assert json.loads(as_json.stdout)["sampled"] == 10
    assert any("'teir' is no attribute" in warning for warning in json.loads(as_json.stdout)["warnings"])
    assert "is no attribute" not in found.output
    shadow = runner.invoke(app, ["shadow", *where])
    assert "shadow policy bold" in shadow.output
    assert json.loads(runner.invoke(app, ["shadow", "--json", *where]).stdout)["shadows"][0]["policy"] == "bold"
    written = runner.invoke(app, ["decisions", "export", "--out", str(tmp_path / "x"), *where])
    assert "21 decisions" in " ".join(written.output.split()), written.output


def test_a_moment_is_a_day_or_a_time_with_an_offset() -> None:
    day = moment_of("--since", "2026-03-01")
    assert day is not None
    assert day.isoformat() == "2026-03-01T00:00:00+00:00"
    assert moment_of("--since", None) is None
    for bad, why in (("yesterday", "must be a day"), ("2026-03-01T10:00", "must have an offset")):
        with pytest.raises(ConfigError, match=why):
            moment_of("--since", bad)
