"""Uplift from a log of real decisions: trained, judged beside the truth, promoted, served, refused where it must."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foretouch.core.bundle import Calibration, ModelCard, ModelInput, read_bundle, write_aliases, write_bundle
from foretouch.core.clock import ManualClock
from foretouch.core.decisions import DecisionRequest, SendWindow
from foretouch.core.errors import ForetouchError
from foretouch.core.workspace import Workspace
from foretouch.features.initialise import initialise
from foretouch.features.online import OnlineFeatures
from foretouch.features.simulation import Simulation
from foretouch.features.simulation_replies import Replies
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.training.booster import fit_booster, golden_rows, model_text
from foretouch.training.drift.check import check_model
from foretouch.training.gate.scoring import fitted_of, score_part
from foretouch.training.pipeline import Trained, train, training_run
from foretouch.training.promotion import promote, rollback
from foretouch.training.task import Split
from foretouch.training.uplift.identification import NotIdentifiedError
from foretouch.training.uplift.logged import COUNT, RANDOMISED, TREATED, read_population
from foretouch.training.uplift.task import TASK
from tests.training.logged_world import Campaign, set_section

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PULL = 5.0
"""Offers of this world pull so many times as hard as usual, so that few decisions show it."""
CUSTOMERS, DAYS = 600, 14


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("uplift")
    simulation = Simulation(customers=CUSTOMERS, days=60)
    workspace = initialise(folder / "shop", "simulated", simulation=simulation).workspace
    for section in ("goals.offer", "reward"):
        workspace = set_section(workspace, section, ["window_days = 3"])
    truth = pd.read_parquet(workspace.root / "truth" / "offers.parquet")
    truth.assign(pull=truth["pull"] * PULL).to_parquet(workspace.root / "truth" / "offers.parquet", index=False)
    Campaign(workspace).run(DAYS, 4)
    return workspace


@pytest.fixture(scope="module")
def trained(world: Workspace) -> Trained:
    return train(training_run(world, trials=0), "uplift")


@pytest.fixture(scope="module")
def again(world: Workspace, trained: Trained) -> Trained:
    assert trained.bundle.is_dir()
    return train(training_run(world, trials=0), "uplift")


def response_model(world: Workspace) -> None:
    """A champion of the offer model, so that decisions are scored: more is bought by whom bought lately."""
    rng = np.random.default_rng(1)
    inputs = (ModelInput(name="recency_days", view="customer_purchases"), ModelInput(name="offer_value", view="cross"))
    matrix = np.column_stack([rng.gamma(2.0, 10.0, 800), rng.choice([9.0, 12.0, 14.0, 18.0], 800)])
    label = (rng.random(800) < 1.0 / (1.0 + np.exp(1.0 + 0.05 * matrix[:, 0]))).astype(np.float64)
    shape = {"objective": "binary", "num_leaves": 4, "min_data_in_leaf": 40}
    booster = fit_booster(matrix, label, inputs=inputs, parameters=shape, rounds=10, seed=1, threads=1)
    text, now = model_text(booster), world.clock.now()
    card = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=inputs,
        trained_through=now,
        created_at=now,
        data_sha256="0" * 64,
    )
    write_bundle(world.bundles, card, text, golden_rows(text, matrix, Calibration()))
    write_aliases(world.bundles, "offer", {"champion": "1"})


def true_uplift(world: Workspace, split: Split) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of every later row: its customer, offer and channel at midday, from what was planted."""
    replies = Replies(world.root / "truth")
    frame = split.test.frame
    offers = pd.read_parquet(world.root / "truth" / "offers.parquet").set_index("offer_id")
    people = {str(name): row for row, name in enumerate(replies.people.customer_id)}
    rows = np.array([people[str(name)] for name in frame["customer_id"]])
    own = replies.people.take(rows)
    days = np.array([replies.day_of(at.to_pydatetime()) for at in frame["as_of"]])
    strength = np.array([{"email": 1.0, "sms": 1.25}[str(name)] for name in frame["channel"]])
    planted = offers.loc[[str(name) for name in frame["offer_id"]]]
    treated = own.treated(
        days,
        pull=planted["pull"].to_numpy(dtype=np.float64),
        category=planted["category"].to_numpy(dtype=np.int64),
        strength=strength,
        hour=np.full(len(frame), 12),
    )
    return treated - own.untreated(days)


def test_rows_are_contacts_and_holdouts_of_one_population(world: Workspace) -> None:
    split = TASK.load(training_run(world, trials=0))
    for part in (split.fit, split.calibrate, split.test):
        assert part.frame[RANDOMISED].all()
        assert not {"label", "reward", "revenue", "goal_value", "accepted"} & set(part.frame.columns)
        weight, treated = part.frame[COUNT], part.frame[TREATED] == 1.0
        assert weight[treated].sum() == pytest.approx(weight[~treated].sum(), rel=0.35)
    kinds = split.description["log_kinds"]
    assert kinds["holdout"]["rows"] > 300
    assert split.fit.as_of.max() <= split.calibrate.as_of.min() < split.test.as_of.min()
    assert split.trained_through <= split.test.as_of.min().to_pydatetime()


def test_what_was_planted_is_found(world: Workspace, trained: Trained) -> None:
    card = trained.card
    assert card.target == "difference"
    assert card.extras["identified"] is True
    split = TASK.load(training_run(world, trials=0))
    truth = true_uplift(world, split)
    figures = card.metrics
    assert figures["average_uplift_low"] < float(np.average(truth, weights=split.test.frame[COUNT])) + 0.01
    assert float(np.average(truth, weights=split.test.frame[COUNT])) - 0.01 < figures["average_uplift_high"]
    bundle = read_bundle(world.bundles, "uplift", card.version)
    score = score_part("uplift", fitted_of(bundle), split.test)
    assert stats.spearmanr(score, truth).statistic > 0.1
    assert figures["tenths_within_interval"] >= 7
    assert len(card.extras["uplift_by_tenth"]) == 10
    assert {name for name in (column.name for column in card.inputs) if "send" in name or "response" in name} == set()
    page = (trained.reports / "card.md").read_text(encoding="utf-8")
    assert "A contact raises the chance of the goal by" in page
    channels = card.extras["uplift_by_channel"]
    assert set(channels["effective_rows"]) == {"email", "sms"}
    assert (channels["per"], channels["identified"]) == ("offer", False)  # too few contacts whose channel was a draw
    assert f"- Uplift is per offer, whatever the channel; per channel it is not identified: {channels['why']}." in page


def test_training_again_gives_the_same_bytes(trained: Trained, again: Trained) -> None:
    texts = [(folder / "model.txt").read_bytes() for folder in (trained.bundle, again.bundle)]
    assert texts[0] == texts[1]
    assert trained.card.data_sha256 == again.card.data_sha256
    assert trained.card.extras["shifts"] == again.card.extras["shifts"]


def test_a_promoted_model_is_served_with_its_interval_and_a_policy_may_weigh_it(
    world: Workspace, trained: Trained, again: Trained
) -> None:
    response_model(world)
    promote(world, "uplift", force=True, version=trained.card.version)
    records = decide_some(world, "response")
    contacts = [item for record in records for item in record["candidates"] if item.get("propensity") is not None]
    assert contacts
    for item in contacts:
        assert item["uplift"] is not None
    acted = [action for record in records for action in record["action"] if action["propensity"] is not None]
    assert acted
    for action in acted:
        assert action["uplift_interval"]["low"] <= action["uplift"] <= action["uplift_interval"]["high"]
    assert any(model["name"] == "uplift" for record in records for model in record["models"])
    weighed = 0
    for record in decide_some(world, "uplift"):
        assert "uplift, which is not known" not in record["status_reason"]
        for item in record["candidates"]:
            if item.get("priority") is not None and item["offer_id"] and (item["uplift"] or 0.0) > 0.0:
                assert item["priority"] <= item["uplift"] * item["value"] + 1e-9  # less the costs
                weighed += 1
    assert weighed > 20
    promote(world, "uplift", force=True, version=again.card.version)
    assert rollback(world, "uplift").version == trained.card.version


def decide_some(world: Workspace, propensity: str) -> list[dict[str, Any]]:
    """Decisions for customers whom the experiment does not hold out."""
    policy = world.root / "policy.toml"
    text = "".join(line for line in policy.read_text(encoding="utf-8").splitlines(True) if "propensity =" not in line)
    policy.write_text(f'{text}propensity = "{propensity}"\n', encoding="utf-8")
    clock = ManualClock(world.clock_file)
    clock.set(clock.now() + timedelta(days=7))
    now = clock.now()
    due = [f"S{number:07d}" for number in range(60)]
    OnlineFeatures(world).refresh(due, now)
    window = SendWindow(earliest=now, latest=now + timedelta(hours=23))
    requests = [
        DecisionRequest(
            request_id=f"{propensity}-{name}",
            customer_id=name,
            touchpoint="t",
            channels=("email", "sms"),
            send_window=window,
        )
        for name in due
    ]
    with Dataplane(world) as plane:
        given = plane.decide_many(requests)
        bodies = [json.loads(item.body) for item in given if not isinstance(item, Exception)]
        found = [plane.get_decision(body["decision_id"]) for body in bodies if body["status"] == "decided"]
    return [json.loads(record.to_line()) for record in found]


def test_without_controls_there_is_no_model_and_the_reason_is_named(tmp_path: Path) -> None:
    workspace = initialise(tmp_path / "shop", "simulated", simulation=Simulation(customers=60, days=20)).workspace
    with pytest.raises(NotIdentifiedError, match="no mature decision without a contact") as refusal:
        train(training_run(workspace, trials=0), "uplift")
    assert "no_contact" in (refusal.value.hint or "")
    assert isinstance(refusal.value, ForetouchError)


def test_a_log_of_targeted_contacts_claims_nothing(world: Workspace) -> None:
    """The same rows, told that nothing was drawn: figures are kept, no comparison is, and the service gets null."""
    run = training_run(world, trials=0)
    split = TASK.load(run)
    for part in (split.fit, split.calibrate):
        part.frame[RANDOMISED] = np.zeros(len(part.frame), dtype=bool)
    fitted = TASK.fit(run, split)
    assert fitted.extras["identified"] is False
    assert "without a logged probability" in str(fitted.extras["uplift_reason"])
    evaluation = TASK.evaluate(run, split, fitted)
    assert evaluation.comparisons == ()
    assert any("No effect is claimed" in note for note in evaluation.notes)
    assert not any("raises the chance" in note for note in evaluation.notes)


def trained_frame(world: Workspace, trained: Trained) -> pd.DataFrame:
    """Rows later than the model's data, with their labels."""
    population = read_population(training_run(world, trials=0))
    frame = population.frame.assign(label=population.label)
    return frame[frame["as_of"] >= trained.card.trained_through]


def test_foretold_effects_are_held_against_later_contacts_and_controls(
    world: Workspace, trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(world.root, tmp_path / "w")
    mine = Workspace.open(tmp_path / "w")
    write_aliases(mine.bundles, "uplift", {"champion": trained.card.version})
    health = check_model(mine, "uplift")
    assert health.decay is not None
    assert min(health.reference_rows, health.current_rows) > 200
    assert health.decay.metrics["contacts"] + health.decay.metrics["controls"] == health.current_rows
    frame = trained_frame(mine, trained)
    sides = [frame[frame[TREATED] == arm] for arm in (1.0, 0.0)]
    rates = [np.average(side["label"], weights=side[COUNT]) for side in sides]
    assert health.decay.observed == pytest.approx(rates[0] - rates[1])
    assert not health.decay.enough  # too few goals without a contact
    assert "too_few_matured" in health.notes
    assert "calibration" not in {alarm.kind for alarm in health.alarms}
    assert health.score is not None
