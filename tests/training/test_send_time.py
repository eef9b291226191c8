"""Send time against planted truth: own peaks found, everyone's pattern without data, no gain where there is none."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelCard
from foretouch.core.config import Config
from foretouch.core.errors import ConfigError, DataError
from foretouch.core.workspace import Workspace
from foretouch.serving.models.rhythm import HOURS, FloatArray, Rhythm, hour_distribution
from foretouch.training.activity import hits, later_hours, log_likelihoods, per_event, plan_times
from foretouch.training.booster import predict_text
from foretouch.training.send_time import TASK, Hours, counts_feature, predict_shares
from foretouch.training.task import Dataset, Fitted, Split, TrainingRun
from tests.training.golden import check_golden

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> TrainingRun:
    (tmp_path / "foretouch.toml").write_text("schema_version = 1\n")
    return TrainingRun(workspace=Workspace.open(tmp_path), seed=5, trials=2, threads=1)


def world(customers: int, seed: int, *, personal: bool) -> tuple[Split, FloatArray]:
    """A split of customers whose hours are Dirichlet around two daily peaks of their own, or all the same.

    Returns:
        The split, and the true shares of the customers, shape (customers, 168).
    """
    rng = np.random.default_rng(seed)
    hour = np.arange(24)
    peak = rng.integers(7, 23, customers) if personal else np.full(customers, 12)
    bump = np.exp(4.0 * (np.cos(2 * np.pi * (hour[None, :] - peak[:, None]) / 24) - 1)) + 0.02
    truth = np.tile(bump, (1, 7))
    truth /= truth.sum(axis=1, keepdims=True)
    parts, own = {}, rng.poisson(12.0, customers)[:, None] * truth
    history = rng.poisson(own).astype(float)
    for index, name in enumerate(("fit", "calibrate", "test")):
        later = rng.poisson(5.0 * truth).astype(float)
        rows = later.sum(axis=1) > 0
        frame = pd.DataFrame(
            {
                "customer_id": [f"c{number}" for number in np.flatnonzero(rows)],
                "as_of": START + timedelta(days=28 * index),
                "purchase_hours": list(history[rows]),
                "rfm_tier": "gold",
                "lifecycle_stage": None,
                "later_hours": list(later[rows]),
            }
        )
        parts[name] = Dataset(frame=frame, label=later[rows].sum(axis=1))
        history = history + later
    split = Split(
        fit=parts["fit"],
        calibrate=parts["calibrate"],
        test=parts["test"],
        trained_through=START + timedelta(days=56),
        description={},
    )
    return split, truth


def scorer_of(fitted: Fitted) -> "Loaded":
    """The model as the service holds it."""
    card = ModelCard(
        model="send-time",
        version="1",
        target=fitted.target,
        feature_service="send_time_v1",
        inputs=fitted.inputs,
        trained_through=START,
        created_at=START,
        data_sha256=fitted.data_sha256,
        extras=dict(fitted.extras),
    )
    return Loaded(ModelCard.from_line(card.to_line()), fitted.model_text)


class Loaded:
    """A scorer of a model text."""

    def __init__(self, card: ModelCard, text: str) -> None:
        self.card = card
        self._text = text

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """Raw scores."""
        return predict_text(self._text, vectors)


def test_planted_peaks_are_found_and_beat_everyone(run: TrainingRun) -> None:
    split, truth = world(700, 1, personal=True)
    fitted = TASK.fit(run, split)
    evaluation = TASK.evaluate(run, split, fitted)
    assert all(comparison.wins for comparison in evaluation.comparisons)
    assert evaluation.primary == "activity_log_likelihood"
    test = Hours.of(split.test, "purchase_hours")
    rows = np.array([int(name[1:]) for name in split.test.frame["customer_id"]])
    shares = predict_shares(fitted, test)
    found, wanted = shares.reshape(-1, 7, 24).sum(axis=1), truth[rows].reshape(-1, 7, 24).sum(axis=1)
    distance = np.abs((found.argmax(axis=1) - wanted.argmax(axis=1) + 12) % 24 - 12)
    assert np.mean(distance <= 1) > 0.9
    oracle = log_likelihoods(test.later, truth[rows]).sum() / test.later.sum()
    everyone = evaluation.baselines["everyone_best_hours"]["activity_log_likelihood"]
    model = evaluation.metrics["activity_log_likelihood"]
    assert everyone < model <= oracle
    assert model > everyone + 0.8 * (oracle - everyone)


def test_the_service_gives_what_training_judged(run: TrainingRun) -> None:
    split, _ = world(300, 2, personal=True)
    fitted = TASK.fit(run, split)
    assert fitted.model_text, "the trees should win on planted daily peaks"
    check_golden(fitted.model_text, fitted.golden, fitted.calibration)
    judged = predict_shares(fitted, Hours.of(split.test, "purchase_hours"))
    scorer = scorer_of(fitted)
    for row in range(10):
        values = {str(name): value for name, value in split.test.frame.iloc[row].items()}
        shares, support = hour_distribution(scorer, values)
        np.testing.assert_allclose(shares, judged[row], rtol=1e-9)
        assert support == values["purchase_hours"].sum()


def test_where_everyone_is_alike_nobody_is_told_apart(run: TrainingRun) -> None:
    split, truth = world(700, 3, personal=False)
    fitted = TASK.fit(run, split)
    evaluation = TASK.evaluate(run, split, fitted)
    first = evaluation.comparisons[0]
    assert first.metric == "activity_log_likelihood"
    assert abs(first.difference) < 0.02
    stranger, support = hour_distribution(scorer_of(fitted), {})
    assert support == 0.0
    assert np.abs(stranger - truth[0]).sum() < 0.1


def test_same_rows_and_seed_give_the_same_model(run: TrainingRun, tmp_path_factory: pytest.TempPathFactory) -> None:
    split, _ = world(200, 4, personal=True)
    first = TASK.fit(run, split)
    other = tmp_path_factory.mktemp("again")
    (other / "foretouch.toml").write_text("schema_version = 1\n")
    second = TASK.fit(TrainingRun(workspace=Workspace.open(other), seed=5, trials=2, threads=1), split)
    assert first.model_text == second.model_text
    assert first.extras == second.extras
    assert first.data_sha256 == second.data_sha256
    changed, _ = world(200, 5, personal=True)
    assert TASK.fit(run, changed).data_sha256 != first.data_sha256


def test_the_card_says_that_it_is_activity_and_no_effect(run: TrainingRun) -> None:
    split, _ = world(200, 6, personal=True)
    fitted = TASK.fit(run, split)
    assert any("nothing about the effect of sending" in note for note in fitted.notes)
    assert all(name.startswith("activity_") for name in TASK.evaluate(run, split, fitted).metrics)
    assert fitted.extras["effect_of_sending"]["identified"] is False
    assert any("not identified: " in note for note in fitted.notes)
    assert Rhythm.from_extras(fitted.extras).everyone.sum() == pytest.approx(1.0)


def test_later_hours_match_a_plain_count_in_local_time() -> None:
    rng = np.random.default_rng(8)
    zones = {"a": "America/New_York", "b": "Asia/Kolkata", "c": None}
    start = datetime(2024, 3, 1, tzinfo=UTC)  # over the American change of clocks on 10 March
    events = pd.DataFrame(
        {
            "customer_id": rng.choice(list(zones), 300),
            "event": rng.choice(["purchase", "view"], 300),
            "occurred_at": pd.to_datetime([start + timedelta(days=float(day)) for day in rng.uniform(0, 30, 300)]),
            "is_bot": rng.random(300) < 0.1,
        }
    )
    customers = pd.DataFrame({"customer_id": list(zones), "time_zone": list(zones.values())})
    rows = pd.DataFrame(
        [(who, start + timedelta(days=day)) for who in zones for day in (0, 7.3, 14)], columns=["customer_id", "as_of"]
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("event_frame", events)
        connection.register("customer_frame", customers)
        connection.execute("CREATE TABLE events AS FROM event_frame")
        connection.execute("CREATE TABLE customers AS FROM customer_frame")
        found = later_hours(connection, rows, event="purchase", window=timedelta(days=14), time_zone="Europe/Berlin")
    expected = np.zeros((len(rows), HOURS))
    for row, (who, as_of) in enumerate(zip(rows["customer_id"].tolist(), rows["as_of"].tolist(), strict=True)):
        for person, event, moment, bot in zip(*(events[name].tolist() for name in events.columns), strict=True):
            inside = as_of <= moment < as_of + timedelta(days=14)
            if person == who and event == "purchase" and not bot and inside:
                local = moment.astimezone(ZoneInfo(zones[who] or "Europe/Berlin"))
                expected[row, local.weekday() * 24 + local.hour] += 1
    assert expected.sum() > 50
    np.testing.assert_array_equal(found, expected)


def test_windows_shrink_with_the_history_and_never_overlap() -> None:
    weekly = [START + timedelta(days=7 * week) for week in range(52)]
    for weeks, days in ((52, 28), (16, 14), (11, 7)):
        plan = plan_times(weekly[:weeks], start=START, end=START + timedelta(days=7 * weeks))
        assert plan.window == timedelta(days=days)
        times = [*plan.fit, *plan.calibrate, *plan.test]
        assert all(later - earlier >= plan.window for earlier, later in pairwise(times))
        assert times[-1] + plan.window <= START + timedelta(days=7 * weeks)
    with pytest.raises(DataError, match="mature snapshots"):
        plan_times(weekly[:4], start=START, end=START + timedelta(days=28))


def test_hits_count_events_in_the_best_hours() -> None:
    later = np.zeros((2, HOURS))
    later[0, [3, 10]] = (2.0, 1.0)
    later[1, 3] = 1.0
    shares = np.full((2, HOURS), 0.001)
    shares[:, 10], shares[:, 3] = 0.5, 0.4
    np.testing.assert_array_equal(hits(later, shares, 1), [1.0, 0.0])
    np.testing.assert_array_equal(hits(later, shares, 2), [3.0, 1.0])
    assert per_event("rate")(later.sum(axis=1), hits(later, shares, 1)) == pytest.approx(1 / 4)


def test_an_event_that_nothing_counts_is_refused() -> None:
    config = Config.model_validate({"goals": {"send_time": {"engagement_event": "yawn"}}})
    with pytest.raises(ConfigError, match="is neither features"):
        counts_feature(config)
    assert counts_feature(Config.model_validate({"goals": {"send_time": {"engagement_event": "open"}}})) == (
        "engagement_hours"
    )
