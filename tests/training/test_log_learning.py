"""From the service's own log: rows, labels, weights, skew, and a model that decides again. One simulated shop."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.bundle import read_bundle, write_aliases
from foretouch.core.cli import build_app
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import DataError
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.log import append_event, append_outcome
from foretouch.core.state.opening import open_state, read_state
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_history
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.features.simulation import Simulation
from foretouch.features.store import apply
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.training.drift.check import check_model
from foretouch.training.log.contacts import LOG, SOURCE, read_contacts
from foretouch.training.log.kinds import DRAWN
from foretouch.training.log.rows import LoggedRows, logged_rows
from foretouch.training.log.skew import Skew, measure_skew
from foretouch.training.log.skew_card import skew_of
from foretouch.training.log.snapshots import with_logged
from foretouch.training.offer import TASK
from foretouch.training.pipeline import train, training_run
from foretouch.training.refit import judged_store
from foretouch.training.schedule import BUSY, training_lock, whether_due
from foretouch.training.send_effect_rows import of_used_kinds
from foretouch.training.splits import SplitPlan
from tests.serving.service.world import OFFER_INPUTS, write_model
from tests.training.logged_world import Campaign, set_section

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """140 people, six weeks of decisions by a served model, answers within a week; purchases count as acceptance."""
    root = tmp_path_factory.mktemp("logged") / "w"
    workspace = initialise(root, "simulated", simulation=Simulation(customers=140, days=40)).workspace
    set_section(workspace, "goals.offer", ["window_days = 7", 'acceptance = { "*" = "purchase" }'])
    set_section(workspace, "reward", ["window_days = 7"])
    workspace = set_section(workspace, "training", ["threads = 1", "log_rows = 100", "trials = 0"])
    write_model(workspace, "offer", "v1", OFFER_INPUTS)
    Campaign(workspace).run(42, 8)
    build_history(workspace)
    apply(workspace)
    return workspace


@pytest.fixture
def fresh(shop: Workspace, tmp_path: Path) -> Workspace:
    """A copy that a test may change."""
    shutil.copytree(shop.root, tmp_path / "w")
    return Workspace.open(tmp_path / "w")


def counted(found: LoggedRows) -> dict[str, int]:
    """Rows by kind."""
    return {str(line["kind"]): int(line["rows"]) for line in found.counts.to_dict("records")}


def by_feature(found: Skew) -> dict[str, dict[str, Any]]:
    """Lines of the table by feature."""
    return {str(line["feature"]): dict(line) for line in found.features.to_dict("records")}  # type: ignore[arg-type]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def test_every_row_of_the_log_is_counted_once(shop: Workspace) -> None:
    with closing(open_state(shop)) as state:
        decisions = state.read().execute("SELECT count(*) FROM decisions").fetchone()[0]
    for learner in ("offer", "uplift", "churn"):
        found = logged_rows(shop, learner)
        assert found.counts["rows"].sum() == decisions  # one contact at most per decision here
        kept = found.counts.loc[found.counts["use"] != "drop", "rows"].sum()
        assert len(found.frame) == kept
        assert found.frame[["decision_id", "rank"]].duplicated().sum() == 0
    counts = counted(logged_rows(shop, "offer"))
    assert counts["holdout"] > 0
    assert counts["ordinary"] > 0
    assert counts["explored"] > 0


def test_the_row_is_what_the_service_saw(shop: Workspace) -> None:
    """Features, probability and arm are those of the record; the label is the rewards' own."""
    found = logged_rows(shop, "uplift")
    frame = found.frame
    assert set(frame["kind"]) >= {"holdout", "ordinary"}
    holdouts = frame[frame["kind"] == "holdout"]
    assert holdouts["holdout"].all()
    assert (holdouts["weight"] == 1.0).all()
    assert holdouts["label"].mean() > 0.0  # controls have goals, too
    with Dataplane(shop) as plane:
        for row in records(frame.sample(25, random_state=1)):
            record = plane.get_decision(row["decision_id"])
            assert record.decided_at == row["as_of"].to_pydatetime()
            for name in ("recency_days", "frequency_90d", "lifecycle_stage"):
                logged, kept = record.features.values.get(name), row[name]  # noqa: PD011 - no frame
                assert (logged is None and pd.isna(kept)) or logged == kept
            if row["rank"]:
                action = record.action[row["rank"] - 1]
                assert (action.offer_id, action.channel) == (row["offer_id"], row["channel"])
                assert action.selection_probability == row["selection_probability"]
    weighted = frame[frame["kind"].isin(["ordinary", "explored"])]
    for _, own in weighted.groupby("offer_id"):
        assert own["weight"].mean() == pytest.approx(1.0, abs=0.35)  # mean 1 with the offer's other weighted kinds
    assert (weighted["randomised"] == (weighted["selection_probability"] < 1.0 - 1e-12)).all()


def test_an_undelivered_contact_and_a_machines_open_teach_nothing(fresh: Workspace) -> None:
    frame = logged_rows(fresh, "offer").frame
    undelivered = counted(logged_rows(fresh, "offer"))["undelivered"]
    victim = records(frame)[0]
    with closing(open_state(fresh)) as state:
        state.write(
            lambda connection: connection.execute(
                "DELETE FROM outcomes WHERE decision_id = ?", (victim["decision_id"],)
            )
        )
    counts = counted(logged_rows(fresh, "offer"))
    assert counts["undelivered"] == undelivered + 1
    opened = Outcome(
        outcome_id="by-a-machine",
        decision_id=victim["decision_id"],
        type="machine_open",
        occurred_at=victim["as_of"].to_pydatetime() + timedelta(hours=1),
    )
    with closing(open_state(fresh)) as state:
        now = fresh.clock.now()
        state.write(lambda connection: append_outcome(connection, opened, now))
    counts = counted(logged_rows(fresh, "offer"))
    assert (counts["undelivered"], counts["bot"]) == (undelivered, 1)
    assert victim["decision_id"] not in set(logged_rows(fresh, "offer").frame["decision_id"])


def test_the_log_is_read_as_it_was_known(shop: Workspace) -> None:
    """Asked with an earlier time, rows that matured by then are the same, and none is later."""
    now = logged_rows(shop, "offer")
    then = logged_rows(shop, "offer", as_of=now.known_until - timedelta(days=14))
    assert 0 < len(then.frame) < len(now.frame)
    assert (then.frame["closes_at"] <= then.known_until).all()
    with pytest.raises(DataError, match="must not be later than now"):
        logged_rows(shop, "offer", as_of=shop.clock.now() + timedelta(days=1))
    with pytest.raises(DataError, match="must be one of offer, uplift"):
        logged_rows(shop, "segments")  # type: ignore[arg-type]


LABELS: dict[str, Callable[[Any], tuple[str, float]]] = {
    "offer": lambda config: ("purchase", config.reward.window_days),
    "uplift": lambda config: ("purchase", config.reward.window_days),
    "lead": lambda config: (config.goals.lead.goal_event, config.goals.lead.window_days),
    "churn": lambda config: (config.goals.churn.activity_event, config.goals.churn.window_days),
    "value": lambda config: (config.goals.value.value_event, config.goals.value.window_days),
}


@pytest.mark.parametrize("learner", sorted(LABELS))
def test_no_label_leaks(shop: Workspace, tmp_path: Path, learner: str) -> None:
    """What happens after a label's window changes neither label nor inputs; what happens within it changes the label
    alone; what happened before the decision and is told late changes neither."""
    event, days = LABELS[learner](shop.config)
    before = logged_rows(shop, learner)  # type: ignore[arg-type]
    frame = before.frame[before.frame["kind"] != "several"]
    silent = frame[frame["label"] == (1.0 if learner == "churn" else 0.0)]
    rows = records(silent.sort_values("as_of").drop_duplicates("customer_id"))
    happened = dict(zip(("after", "before", "within"), rows, strict=False))
    offsets = {"after": timedelta(days=days, hours=1), "before": timedelta(hours=-2), "within": timedelta(hours=30)}
    shutil.copytree(shop.root, tmp_path / "w")
    told = Workspace.open(tmp_path / "w")
    with closing(open_state(told)) as state:
        now = told.clock.now() - timedelta(minutes=1)
        for when, row in happened.items():
            late = CustomerEvent(
                event_id=f"told-{when}",
                customer_id=row["customer_id"],
                event=event,
                occurred_at=row["as_of"].to_pydatetime() + offsets[when],
                value=12.5,
            )
            state.write(partial(append_event, event=late, received_at=now))
    again = {row["decision_id"]: row for row in records(logged_rows(told, learner).frame)}  # type: ignore[arg-type]
    for when, row in happened.items():
        if when == "before" and learner == "lead":
            assert row["decision_id"] not in again  # no lead any more: out of the model's scope, as it truly was
            continue
        after = again[row["decision_id"]]
        features = before.features
        assert all(after[name] == row[name] or (pd.isna(after[name]) and pd.isna(row[name])) for name in features)
        assert (after["label"] != row["label"]) == (when == "within"), when


def test_skew_finds_what_is_planted_and_explains_the_rest(shop: Workspace, fresh: Workspace) -> None:
    clean = measure_skew(shop, most=200)
    assert clean.decisions > 100
    assert not clean.faults
    table = by_feature(clean)
    assert table["recency_days"]["older"] > 0.2  # the history's snapshot is some days old
    assert table["sends_365d"]["differs"] < 0.5
    with closing(open_state(fresh)) as state:
        rows = state.read().execute("SELECT decision_id, record FROM decisions").fetchall()
        spoilt = []
        for decision_id, line in rows:
            record = json.loads(line)
            values = record.get("features", {}).get("values", {})
            if "frequency_90d" in values:
                values["frequency_90d"] = float(values["frequency_90d"] or 0.0) * 7.0 + 1.0
                spoilt.append((json.dumps(record).encode(), decision_id))
        state.write(
            lambda connection: connection.executemany("UPDATE decisions SET record = ? WHERE decision_id = ?", spoilt)
        )
    found = measure_skew(fresh, most=200)
    assert "frequency_90d" in found.faults
    line = by_feature(found)["frequency_90d"]
    assert line["different"] > 0.95
    assert line["max_difference"] >= 1.0
    run = training_run(fresh, trials=0)
    split = TASK.load(run)
    kept, warned = skew_of(run, "offer", split)
    assert "frequency_90d" in kept["skew"]["different"]
    assert "frequency_90d" in warned[0]
    assert skew_of(run, "offer", replace(split, description={"source": "touches"})) == ({}, ())
    told = CliRunner().invoke(build_app(), ["skew", "-w", str(fresh.root), "--most", "100", "--json"])
    assert told.exit_code == 1
    assert "frequency_90d" in json.loads(told.stdout)["different"]


def test_a_late_event_is_named(fresh: Workspace) -> None:
    """A file ingested after the decision, with what happened before it: the history knows it, the service could not."""
    rows = records(logged_rows(fresh, "uplift").frame)
    begin = min(row["as_of"] for row in rows) + timedelta(days=1)
    row = next(  # asked again when the history holds what came late; the files before lie too far back
        row
        for row in rows
        if row["as_of"] >= begin
        and any(
            other["customer_id"] == row["customer_id"]
            and timedelta(days=8) <= other["as_of"] - row["as_of"] <= timedelta(days=14)
            for other in rows
        )
    )
    customer, at = str(row["customer_id"]), row["as_of"].to_pydatetime()
    frame = pd.DataFrame([{"event_id": "late", "customer_id": customer, "event": "purchase", "value": 900.0}])
    frame["occurred_at"] = frame["received_at"] = pd.Timestamp(at - timedelta(hours=2))
    ingest_tables(fresh, {"events": frame.assign(currency="USD")})
    build_history(fresh)
    lines = by_feature(measure_skew(fresh, most=10_000))
    assert lines["monetary_total"]["late_event"] > 0.0
    assert lines["sends_365d"]["late_event"] == lines["sends_365d"]["different"] == 0.0


def test_the_offer_model_learns_from_the_log_and_decides_again(fresh: Workspace) -> None:
    """Trained from logged rows alone, twice the same bytes; served after promotion; the decision names the version."""
    workspace = set_section(fresh, "training", ['source = "log"'])
    write_aliases(workspace.bundles, "offer", {})  # the model of before was no registry's
    run = training_run(workspace)
    contacts = read_contacts(run)
    assert set(contacts.frame[SOURCE]) == {LOG}
    assert contacts.weight is not None
    logged = contacts.logged
    assert logged is not None
    assert len(contacts.frame) == len(logged.frame)
    kept = contacts.frame.sort_values(["as_of", "customer_id"]).reset_index(drop=True)
    own = logged.frame.sort_values(["as_of", "customer_id"]).reset_index(drop=True)
    np.testing.assert_array_equal(kept["recency_days"].astype(float), own["recency_days"].astype(float))
    first = train(run, "offer")
    second = train(run, "offer")
    texts = [read_bundle(workspace.bundles, "offer", item.card.version) for item in (first, second)]
    assert texts[0].model_text == texts[1].model_text
    skew = first.card.extras["skew"]
    assert skew["measured"]
    assert skew["decisions"] > 100
    assert (skew["different"], second.card.extras["skew"]) == ([], skew)
    page = (first.reports / "card.md").read_text(encoding="utf-8")
    assert "## Skew: the log's features beside the history's" in page
    assert "Without a cause: none." in page
    assert texts[0].members_text == texts[1].members_text
    assert first.card.data_sha256 == second.card.data_sha256
    split = first.card.extras["split"]
    assert split["source"] == LOG
    assert split["log_kinds"]["holdout"]["use"] == "drop"
    assert split["log_kinds"]["explored"]["use"] == "weight"
    assert "Rows of the log" in (first.reports / "card.md").read_text("utf-8")
    judged = read_bundle(judged_store(workspace, "offer", first.card.version), "offer", first.card.version)
    assert judged.card.trained_through < first.card.trained_through <= logged.known_until
    assert whether_due(workspace, "offer", None).new_rows == 0
    write_aliases(workspace.bundles, "offer", {"champion": first.card.version})
    person = str(logged.frame.iloc[0]["customer_id"])
    with Dataplane(workspace) as plane:
        given = plane.decide_one(DecisionRequest(customer_id=person, channels=("email", "sms")))
        record = plane.get_decision(json.loads(given.body)["decision_id"])
    assert {model.version for model in record.models if model.name == "offer"} == {first.card.version}


def test_past_touches_and_the_log_are_fitted_together(shop: Workspace) -> None:
    contacts = read_contacts(training_run(shop))
    assert contacts.description["source"] == "touches and log"
    assert set(contacts.frame[SOURCE]) == {"touches", LOG}
    assert contacts.sends["as_of"].is_monotonic_increasing
    assert (contacts.sends.loc[contacts.sends[SOURCE] == "touches", "weight"] == 1.0).all()
    split = TASK.load(training_run(shop))
    assert split.fit.weight is not None
    assert len(split.fit.weight) == len(split.fit)


@pytest.mark.parametrize("apart_by", ["gap", "customers"])
def test_decisions_are_further_snapshots_of_their_customers(shop: Workspace, apart_by: str) -> None:
    """One per customer and period, in parts that share no open label; later rows stay snapshots of everyone."""
    first = logged_rows(shop, "value").frame["as_of"].min().to_pydatetime()
    plan = SplitPlan(
        fit=(first,),
        calibrate=(first + timedelta(days=7 if apart_by == "customers" else 33),),
        test=(first + timedelta(days=40 if apart_by == "customers" else 70),),
        window=timedelta(days=28),
        apart_by=apart_by,  # type: ignore[arg-type]
    )
    frame = pd.DataFrame({"customer_id": ["x"], "as_of": [pd.Timestamp(first)], "label": [1.0], "part": ["test"]})
    frame["recency_days"] = 3.0
    joined, said = with_logged(shop, "value", frame, plan)
    own = joined.iloc[1:]
    assert said["source"] == "snapshots and log"
    assert list(joined.columns) == list(frame.columns)
    assert set(own["part"]) <= {"fit", "calibrate"}
    assert (own["part"] == "fit").sum() > 50
    closes = own["as_of"] + plan.window
    assert (closes <= plan.test[0]).all()
    if apart_by == "gap":
        assert (closes[own["part"] == "fit"] <= plan.calibrate[0]).all()
    else:
        people = {part: set(own.loc[own["part"] == part, "customer_id"]) for part in ("fit", "calibrate")}
        assert not people["fit"] & people["calibrate"]
    period = (own["as_of"] - first) // timedelta(days=shop.config.features.snapshot_days)
    assert not pd.DataFrame({"customer": own["customer_id"], "period": period}).duplicated().any()
    weighing, said = with_logged(set_section(shop, "training", ['weighted = ["value"]']), "value", frame, plan)
    of_log = weighing.iloc[1:]
    assert weighing["weight"].iloc[0] == 1.0
    assert of_log["weight"].nunique() > 10
    assert of_log["customer_id"].tolist() == own["customer_id"].tolist()
    assert "weighted, worth" in said["rows_from_log"]
    assert {line["use"] for kind, line in said["log_kinds"].items() if kind in DRAWN} == {"weight"}
    set_section(shop, "training", ["weighted = []"])
    short, why = with_logged(set_section(shop, "training", ["log_rows = 9999"]), "value", frame, plan)
    set_section(shop, "training", ["log_rows = 100"])
    assert len(short) == 1
    assert "training.log_rows asks for 9999" in why["log_not_used"]


def test_a_log_that_is_too_short_is_not_learned_from(fresh: Workspace) -> None:
    workspace = set_section(fresh, "training", ["log_rows = 100000"])
    assert "log_not_used" in read_contacts(training_run(workspace)).description
    workspace = set_section(workspace, "training", ['source = "log"'])
    with pytest.raises(DataError, match=r"training\.log_rows asks for 100000"):
        read_contacts(training_run(workspace))


def test_training_on_a_schedule(fresh: Workspace) -> None:
    """Nothing due exits 0 and says how many rows there are; one at work makes the next exit 75; nonsense exits 2."""
    app, root = build_app(), str(fresh.root)
    set_section(fresh, "training", ["new_rows = 100000"])
    nothing = CliRunner().invoke(app, ["train", "offer", "--since", "7d", "--json", "-w", root])
    assert nothing.exit_code == 0, nothing.output
    [line] = json.loads(nothing.stdout)
    assert (line["model"], line["trained"], line["needed"]) == ("offer", False, 100000)
    since_ever = CliRunner().invoke(app, ["train", "offer", "--since", "last", "--json", "-w", root])
    assert json.loads(since_ever.stdout)[0]["new_rows"] > line["new_rows"] > 0
    wrong = CliRunner().invoke(app, ["train", "offer", "--since", "soon", "-w", root])
    assert wrong.exit_code == 2
    with training_lock(Workspace.open(root)):
        busy = CliRunner().invoke(app, ["train", "offer", "--since", "7d", "--json", "-w", root])
    assert busy.exit_code == BUSY
    assert json.loads(busy.stdout)[0]["error"]["code"] == "busy"


def test_send_times_are_learned_from_the_kinds_of_the_table(shop: Workspace) -> None:
    """The service's own contacts among past sends are those that the table lets send-time use, and no others."""
    used = {f"{row['decision_id']}.{row['rank']}" for row in records(logged_rows(shop, "send-time").frame)}
    state = read_state(shop)
    assert state is not None
    with closing(state):
        made = [f"{name}.1" for (name,) in state.execute("SELECT decision_id FROM decisions").fetchall()]
    kept = set(of_used_kinds(shop, pd.DataFrame({"touch_id": [*made, "an-ingested-one"]}))["touch_id"])
    assert kept == (used & set(made)) | {"an-ingested-one"}
    assert 1 < len(kept) < len(made)


def test_an_offer_models_contacts_are_watched(shop: Workspace) -> None:
    """Past touches are what it may have learnt from; the log's contacts came after it and have closed."""
    card = read_bundle(shop.bundles, "offer", "v1").card
    sends = read_contacts(training_run(shop, trials=0)).sends
    later = sends[sends["as_of"] >= card.trained_through]
    health = check_model(shop, "offer")
    assert health.decay is not None
    assert (health.current_rows, health.decay.rows) == (len(later), len(later))
    assert health.decay.observed == pytest.approx(later["label"].mean())
    assert health.reference_rows == int((sends["closes_at"] <= card.trained_through).sum())
    assert {column.feature for column in health.columns} <= {item.name for item in card.inputs}
