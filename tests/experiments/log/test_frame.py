"""From the decision log to one row per unit: against a brute-force count in plain Python."""

from datetime import timedelta
from functools import partial
from typing import Any

import pandas as pd
import pytest

from foretouch.core.decisions import DecisionRecord
from foretouch.core.errors import NotFoundError
from foretouch.core.state.db import State, connect
from foretouch.core.state.log import append_decision, read_decisions
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.log.frame import build_frame
from foretouch.experiments.report.numbers import day
from foretouch.experiments.report.steps import steps_of


def test_goals_equal_a_plain_count(planted: Any) -> None:
    frame = build_frame(planted.workspace, planted.spec, now=planted.now)
    rows = frame.rows.set_index("customer_id")
    window = timedelta(days=14)
    assert len(rows) == sum(at + window <= planted.now for at in planted.exposed.values())
    for customer, first in planted.exposed.items():
        if first + window > planted.now:
            assert customer not in rows.index
            continue
        # the log keeps microseconds
        inside = [value for at, value in planted.purchases[customer] if first <= at < first + window]
        row = rows.loc[customer]
        assert row["revenue: revenue"] == pytest.approx(sum(inside))
        assert row["buyers: buyers"] == float(bool(inside))
        assert row["basket: purchase:count"] == len(inside)
        before = [value for at, value in planted.purchases[customer] if first - window <= at < first]
        assert row["purchase:value in the 14 days before"] == pytest.approx(sum(before))


def test_the_first_exposure_counts_and_arms_are_the_specs(planted: Any) -> None:
    frame = build_frame(planted.workspace, planted.spec, now=planted.now)
    assert frame.enrolment.entered == len(planted.exposed)
    assert frame.enrolment.assignment_mismatches == 0
    assert frame.enrolment.contacted == {"holdout": 0.0, "mailing": 1.0}
    exposed = pd.Series(planted.exposed)
    found = frame.rows.set_index("customer_id")["first_exposed_at"]
    assert (found == exposed.reindex(found.index).astype(found.dtype)).all()


def test_an_open_window_is_counted_and_left_out(planted: Any) -> None:
    early = planted.now - timedelta(days=28)
    frame = build_frame(planted.workspace, planted.spec, now=early)
    entered = sum(at <= early for at in planted.exposed.values())
    mature = sum(at + timedelta(days=14) <= early for at in planted.exposed.values())
    assert 0 < mature < entered
    assert (frame.enrolment.entered, frame.enrolment.mature) == (entered, mature)
    assert frame.enrolment.not_mature == entered - mature
    assert frame.running


def test_shorter_windows_hold_for_every_metric_and_arm(planted: Any) -> None:
    frame = build_frame(planted.workspace, planted.spec, now=planted.now, shorten_to_days=3)
    assert set(frame.enrolment.window_days.values()) == {3.0}
    row = frame.rows.iloc[0]
    first = planted.exposed[row["customer_id"]]
    inside = [v for at, v in planted.purchases[row["customer_id"]] if first <= at < first + timedelta(days=3)]
    assert row["revenue: revenue"] == pytest.approx(sum(inside))


def test_before_anyone_is_mature_there_is_a_date_and_no_number(planted: Any) -> None:
    first = min(planted.exposed.values())
    results = analyze_experiment(planted.workspace, "spring", now=first + timedelta(days=2))
    assert "none_mature" in {item.code for item in results.refusals}
    assert results.verdict.code == "unclear"
    told = day((first + timedelta(days=14)).date())
    assert told["en"] in results.verdict.text_en
    assert told["zh"] in results.verdict.text_zh
    assert not results.metrics


def test_the_planted_effect_is_found_with_its_covariate(planted: Any) -> None:
    results = analyze_experiment(planted.workspace, "spring", now=planted.now)
    row = next(item for item in results.metrics if item.name == "revenue")
    assert row.lift_ci is not None
    assert row.lift_ci[0] <= 0.25 <= row.lift_ci[1]
    assert row.p < 1e-4
    assert row.variance_explained is not None
    assert row.variance_explained > 0.05
    assert row.money is not None
    assert (row.money.kind, row.money.currency) == ("revenue", "EUR")
    assert row.money.per_1000 == pytest.approx(1000 * row.difference)
    assert results.basis == "fixed"
    assert {check.code for check in results.checks if check.light != "green"} == {"exposure_unknown"}
    unsubscribed = next(item for item in results.metrics if item.name == "unsubscribed")
    assert unsubscribed.ci[0] <= 0.0 <= unsubscribed.ci[1]


def test_a_planted_harm_is_found(plant: Any) -> None:
    harmed = plant(customers=1200, harm=0.08, seed=8)
    results = analyze_experiment(harmed.workspace, "spring", now=harmed.now)
    assert results.verdict.code == "harm"
    assert "unsubscribe rate rose by" in results.verdict.text_en


def test_a_unit_seen_in_two_arms_is_left_out_and_a_wrong_log_takes_the_verdict(plant: Any) -> None:
    world = plant(customers=200, seed=9)
    with connect(world.workspace.state_file) as connection:
        records = list(read_decisions(connection))
    connection.close()
    other = {"holdout": "mailing", "mailing": "holdout"}

    def again(record: DecisionRecord, number: int) -> DecisionRecord:
        arm = record.experiments[0]
        return record.replace(
            decision_id=f"again-{number}",
            decided_at=record.decided_at + timedelta(days=1),
            experiments=(arm.replace(arm=other[arm.arm]),),
        )

    with State(world.workspace.state_file) as state:
        for number, record in enumerate(records[:5]):
            state.write(partial(append_decision, record=again(record, number)))
    frame = build_frame(world.workspace, world.spec, now=world.now)
    assert frame.enrolment.in_two_arms == len({record.customer_id for record in records[:5]})
    assert frame.enrolment.entered == 200

    mislabelled = plant(customers=200, seed=9)
    changed = mislabelled.spec.replace(salt="another deal")
    frame = build_frame(mislabelled.workspace, changed, now=mislabelled.now)
    assert frame.enrolment.assignment_mismatches
    assert "assignment_mismatch" in {item.code for item in frame.refused}


def test_a_dry_run_is_no_exposure(plant: Any) -> None:
    world = plant(customers=50, seed=10)
    with connect(world.workspace.state_file) as connection:
        record = next(read_decisions(connection))
    connection.close()
    dry = record.replace(decision_id="dry", customer_id="nobody-else", logged=False)
    with State(world.workspace.state_file) as state:
        state.write(lambda connection: append_decision(connection, dry))
    assert build_frame(world.workspace, world.spec, now=world.now).enrolment.entered == 50


def test_errors_name_the_next_command(planted: Any, tmp_path: Any) -> None:
    with pytest.raises(NotFoundError, match=r"no experiment 'autumn'.*there: spring"):
        analyze_experiment(planted.workspace, "autumn", now=planted.now)
    (tmp_path / "foretouch.toml").write_text("")
    (tmp_path / "experiments").mkdir()
    source = planted.workspace.experiments_folder / "spring.toml"
    (tmp_path / "experiments" / "spring.toml").write_text(source.read_text())
    results = analyze_experiment(Workspace.open(tmp_path), "spring", now=planted.now)
    assert [item.code for item in results.refusals] == ["no_log"]
    assert "foretouch serve" in steps_of(results)[0]["en"]


def test_the_split_is_judged_on_everyone_who_entered(plant: Any) -> None:
    """Half of one arm never reaches the log: the alarm does not wait until windows are over."""
    world = plant(customers=900, seed=13)
    early = world.now - timedelta(days=25)
    assert analyze_experiment(world.workspace, "spring", now=early).srm.ok
    with connect(world.workspace.state_file) as connection:
        held = sorted({item.customer_id for item in read_decisions(connection) if item.status == "control"})[::2]
        connection.executemany("DELETE FROM decisions WHERE customer_id = ?", [(item,) for item in held])
    connection.close()
    first = min(world.exposed.values())
    young = analyze_experiment(world.workspace, "spring", now=first + timedelta(days=13))
    assert young.enrolment is not None
    assert young.enrolment.mature == 0
    assert young.srm.observed == young.enrolment.entered_by_arm
    assert sum(young.srm.observed.values()) == young.enrolment.entered > 300
    assert young.verdict.code == "broken"
    later = analyze_experiment(world.workspace, "spring", now=early)
    assert later.enrolment is not None
    assert 0 < later.n < later.enrolment.entered == sum(later.srm.observed.values())
    assert later.verdict.code == "broken"


def test_an_arm_that_the_spec_does_not_name_is_seen_before_windows_are_over(planted: Any) -> None:
    renamed = planted.spec.replace(control="nobody", weights={"nobody": 0.5, "mailing": 0.5}, arms={})
    frame = build_frame(planted.workspace, renamed, now=min(planted.exposed.values()) + timedelta(days=5))
    assert "unknown_arm" in {item.code for item in frame.refused}
