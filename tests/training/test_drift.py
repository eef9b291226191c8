"""Drift: the index by its definition and by chance; a planted change is named, none is made up."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import ModelInput
from foretouch.core.cli import build_app
from foretouch.core.config import DriftSection
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_history
from foretouch.features.store import apply
from foretouch.training.drift.check import Column, alarms_of, check_model, compare_inputs, level_of
from foretouch.training.drift.contacts import latest
from foretouch.training.drift.decay import Decay, decay_of, effect_decay
from foretouch.training.drift.evidence import Evidence
from foretouch.training.drift.hours import described
from foretouch.training.drift.sentences import alarm_text
from foretouch.training.drift.stability import beyond_chance, category_stability, number_stability
from foretouch.training.pipeline import train, training_run
from foretouch.training.promotion import promote
from foretouch.training.send_time import Hours
from tests.training.logged_world import set_section
from tests.training.test_pipeline import START, make_workspace

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BOUNDS = DriftSection()


def test_the_index_is_the_sum_over_bins_worked_out_by_hand() -> None:
    reference = ["a"] * 600 + ["b"] * 400
    current = ["a"] * 300 + ["b"] * 600 + [None] * 100
    found = category_stability(reference, current, units=(1000, 1000))
    p = [(count + 0.5) / 1001.5 for count in (600, 400, 0)]
    q = [(count + 0.5) / 1001.5 for count in (300, 600, 100)]
    assert found.psi == pytest.approx(sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True)))
    assert found.missing == (0.0, 0.1)
    assert found.most_moved.label == "missing"


def test_bins_hold_every_row_once_and_the_same_rows_do_not_move() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.gamma(1.0, 3.0, 5_000))  # many ties
    values[rng.random(5_000) < 0.1] = np.nan
    found = number_stability(values, values, units=(5_000, 5_000))
    assert found.psi == 0.0
    assert sum(item.reference for item in found.bins) == pytest.approx(1.0)
    assert found.bins[-1].reference == pytest.approx(np.isnan(values).mean())


def test_without_a_change_chance_is_passed_in_five_of_a_hundred() -> None:
    rng = np.random.default_rng(2)
    passed = 0
    for _ in range(1_000):
        found = number_stability(rng.normal(size=2_000), rng.normal(size=700), units=(2_000, 700))
        passed += found.psi > found.by_chance
    assert (
        30 <= passed <= 75
    )  # 5 % of 1,000, four standard errors either way; half a count per bin is a little cautious


def test_a_column_that_is_all_missing_or_new_is_no_error() -> None:
    nothing = np.full(50, np.nan)
    assert number_stability(nothing, nothing, units=(50, 50)).psi == 0.0
    arrived = number_stability(nothing, np.arange(50.0), units=(50, 50))
    assert level_of(arrived, BOUNDS, beyond=arrived.p_value < 0.05) == "alarm"
    assert arrived.missing == (1.0, 0.0)


def test_predictions_that_come_true_raise_no_alarm_and_those_that_do_not_do() -> None:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.05, 0.6, 4_000)
    customer = np.array([f"c{index // 2}" for index in range(4_000)], dtype=object)
    held = decay_of(chance, (rng.random(4_000) < chance).astype(float), customer, target="probability", seed=1)
    assert held.low < 1.0 < held.high
    assert alarms_of([], None, held, BOUNDS) == []
    lost = decay_of(chance, (rng.random(4_000) < 0.6 * chance).astype(float), customer, target="probability", seed=1)
    (alarm,) = alarms_of([], None, lost, BOUNDS)
    assert alarm.kind == "calibration"
    assert alarm.bound == pytest.approx(0.8)
    assert alarm.figure == pytest.approx(0.6, abs=0.05)
    few = decay_of(chance[:60], np.ones(60), customer[:60], target="probability", seed=1)
    assert not few.enough
    assert alarms_of([], None, few, BOUNDS) == []


def test_alarms_name_predictions_first_then_scores_then_inputs_by_weight() -> None:
    rng = np.random.default_rng(4)
    moved = number_stability(rng.normal(size=3_000), rng.normal(1.0, size=3_000), units=(3_000, 3_000))
    gone = number_stability(rng.normal(size=3_000), np.full(3_000, np.nan), units=(3_000, 3_000))
    columns = [
        Column(feature=name, stability=item, importance=0.5, level=level_of(item, BOUNDS, beyond=True))
        for name, item in (("moved", moved), ("gone", gone))
    ]
    assert [(alarm.kind, alarm.feature) for alarm in alarms_of(columns, moved, None, BOUNDS, score_beyond=True)] == [
        ("score", ""),
        ("feature", "moved"),
        ("missing", "gone"),
    ]


def evidence(rng: np.random.Generator, *, customers: int, shift: float = 0.0) -> Evidence:
    """Forty inputs and a score of four contacts a customer, then and now; one input and the score move by ``shift``."""
    names = [f"x{index}" for index in range(40)]
    sides = []
    for moved in (0.0, shift):
        own = rng.normal(size=(customers, len(names)))
        rows = pd.DataFrame(np.repeat(own, 4, axis=0), columns=names)
        rows["x7"] += moved
        sides.append(rows.assign(customer_id=np.repeat(np.arange(customers).astype(str), 4)))
    before, now = sides
    return Evidence(
        before=before,
        now=now,
        inputs=[ModelInput(name=name, view="v") for name in names],
        importance={},
        scores=(before["x7"].to_numpy() + before["x8"].to_numpy(), now["x7"].to_numpy() + now["x8"].to_numpy()),
        decay=None,
    )


def alarmed(found: Evidence) -> list[str]:
    assert found.scores is not None
    customers = found.before["customer_id"].nunique()
    score = number_stability(*found.scores, units=(customers, customers))
    columns, beyond = compare_inputs(found, BOUNDS, score)
    return [alarm.feature or "score" for alarm in alarms_of(columns, score, None, BOUNDS, score_beyond=beyond)]


def test_without_drift_few_checks_alarm_and_planted_drift_is_named() -> None:
    rng = np.random.default_rng(8)
    false = sum(bool(alarmed(evidence(rng, customers=60))) for _ in range(60))
    assert false <= 8  # 5 % of 60 are 3, and three standard errors; a PSI of 0.25 is nothing with 60 customers
    alone = sum(  # asked of one input at a time, most checks of forty would find something
        any(number_stability(*rng.normal(size=(2, 60)), units=(60, 60)).p_value < 0.05 for _ in range(40))
        for _ in range(20)
    )
    assert alone > 12
    found = [alarmed(evidence(rng, customers=300, shift=1.0)) for _ in range(10)]
    assert all("x7" in names for names in found)
    assert sum(len(names) > 2 for names in found) <= 2  # x7, the score that holds it, and hardly anything else


def test_the_step_up_rule_by_hand() -> None:
    assert beyond_chance([0.001, 0.04, 0.03, 0.2], 0.05) == [True, False, False, False]
    assert beyond_chance([0.01, 0.02, 0.03, 0.04], 0.05) == [True] * 4
    assert beyond_chance([], 0.05) == []


def test_what_grows_with_young_data_is_watched_and_offers_are_counted_as_offers() -> None:
    rng = np.random.default_rng(9)
    moved = evidence(rng, customers=300, shift=1.0)
    assert "x7" not in alarmed(replace(moved, filling=frozenset({"x7"})))
    offers = [f"o{index % 5}" for index in range(len(moved.before))]
    by_offer = replace(
        moved,
        before=moved.before.assign(offer_id=offers),
        now=moved.now.assign(offer_id=offers),
        units={"x7": "offer_id"},
    )
    assert "x7" not in alarmed(by_offer)  # five offers on either side tell nothing
    at = pd.to_datetime(["2025-01-01", "2025-02-20", "2025-03-01", "2025-03-05", "2025-03-20"], utc=True)
    learned, later = np.array([True, True, True, False, False]), np.array([False, False, False, True, True])
    assert latest(pd.DataFrame({"as_of": at}), learned, later)[:3].tolist() == [False, True, True]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Champions made on day 150; from day 165 on two customers of three stay away, and the others buy at night."""
    root = tmp_path_factory.mktemp("shop")
    make_workspace(root)
    _at(root, 150)
    workspace = set_section(Workspace.open(root), "goals.send_time", ['engagement_event = "purchase"'])
    build_history(workspace)
    apply(workspace)
    train(training_run(workspace, trials=0), "churn")
    promote(workspace, "churn", force=True)
    train(training_run(workspace, trials=0), "send-time")
    promote(workspace, "send-time", force=True)
    events = pd.read_parquet(root / "data" / "events.parquet")
    late = events["occurred_at"] >= pd.Timestamp(START + timedelta(days=165))
    gone = events["customer_id"].str[1:].astype(int) % 3 != 0
    events.loc[late, "occurred_at"] = events.loc[late, "occurred_at"].dt.floor("D") + timedelta(hours=3)
    events[~(late & gone)].to_parquet(root / "data" / "events.parquet")
    _at(root, 230)
    moved = Workspace.open(root)
    build_history(moved)
    apply(moved)
    return moved


def _at(root: Path, day: int) -> None:
    (root / "clock.json").write_text(json.dumps({"now": (START + timedelta(days=day)).isoformat()}), encoding="utf-8")


def test_a_world_that_changed_is_seen_in_inputs_and_in_predictions(shop: Workspace) -> None:
    health = check_model(shop, "churn")
    assert health.level == "alarm"
    assert health.alarms[0].kind == "calibration"
    assert health.decay is not None
    assert health.decay.observed > 1.25 * health.decay.predicted
    assert "rfm_recency" in [alarm.feature for alarm in health.alarms]
    assert sum(column.importance for column in health.columns) == pytest.approx(1.0)


def test_the_command_writes_pages_in_both_languages_and_can_fail(shop: Workspace, tmp_path: Path) -> None:
    call = ["drift", "churn", "lead", "--workspace", str(shop.root), "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(build_app(), call)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [item["model"] for item in found["models"]] == ["churn"]
    assert found["not_checked"][0]["model"] == "lead"
    assert all(note["text_en"] and note["text_zh"] for note in found["models"][0]["notes"])
    alarm = found["models"][0]["alarms"][0]
    english, chinese = (tmp_path / f"drift.{code}.html" for code in ("en", "zh"))
    assert alarm["text_en"] in english.read_text("utf-8")
    assert alarm["text_zh"] in chinese.read_text("utf-8")
    assert json.loads((tmp_path / "drift.json").read_text("utf-8"))["models"] == found["models"]
    assert CliRunner().invoke(build_app(), [*call, "--fail-on-alarm"]).exit_code == 1


def test_a_model_without_a_champion_or_of_another_kind_says_so(shop: Workspace) -> None:
    without = CliRunner().invoke(build_app(), ["drift", "value", "--workspace", str(shop.root)])
    assert without.exit_code == 1
    other = CliRunner().invoke(build_app(), ["drift", "weather", "--workspace", str(shop.root)])
    assert other.exit_code == 2
    assert "weather" in other.output


def test_hours_that_moved_are_seen_in_activity_and_in_predictions(shop: Workspace) -> None:
    """Since day 165 everybody buys at three in the morning; before, at any hour."""
    health = check_model(shop, "send-time")
    assert "busiest_hour" in [alarm.feature for alarm in health.alarms]
    text = next(alarm_text(item, health, shop.config, "zh") for item in health.alarms if item.feature == "busiest_hour")
    assert "活跃度最高的当地钟点" in text
    assert health.decay is not None
    assert health.decay.low > 1.25  # what happened at night was not foretold
    assert health.decay.customers < 100  # and yet so few customers that nothing is claimed
    assert "too_few_matured" in health.notes


def test_a_week_in_numbers_by_hand() -> None:
    own = np.zeros((1, 168))
    own[0, [9, 24 + 9, 5 * 24 + 20]] = 1.0, 2.0, 1.0  # Monday and Tuesday at nine, Saturday at eight in the evening
    part = Hours(own=own, later=np.zeros((1, 168)), frame=pd.DataFrame({"customer_id": ["a"]}))
    (row,) = described(part).to_dict("records")
    assert row == {"customer_id": "a", "busiest_hour": 9.0, "share_on_weekends": 0.25, "active_hours": 3.0}


def test_an_effect_that_halved_is_an_alarm_and_one_that_held_is_none() -> None:
    rng = np.random.default_rng(6)
    n = 24_000
    foretold = rng.uniform(0.05, 0.25, n)
    treated = rng.random(n) < 0.5
    customer = np.array([f"c{index // 4}" for index in range(n)], dtype=object)

    def found(factor: float) -> Decay:
        happened = (rng.random(n) < 0.1 + treated * factor * foretold).astype(float)
        return effect_decay(foretold, happened, customer, treated=treated, count=np.ones(n), seed=1)

    held, halved = found(1.0), found(0.5)
    assert held.low < 1.0 < held.high
    assert alarms_of([], None, held, BOUNDS) == []
    (alarm,) = alarms_of([], None, halved, BOUNDS)
    assert alarm.figure == pytest.approx(0.5, abs=0.08)
    nobody = effect_decay(-foretold, np.zeros(n), customer, treated=treated, count=np.ones(n), seed=1)
    assert not nobody.enough
