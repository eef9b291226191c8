"""The offer model: finds who accepts, admits when it does not, and says nothing about uplift."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.workspace import Workspace
from foretouch.features.crosses import CROSS_FEATURES, OFFER_FEATURES
from foretouch.training.booster import predict_text
from foretouch.training.calibration import apply
from foretouch.training.data import encode
from foretouch.training.offer import BASELINE, MIN_OFFERS, TASK, offer_inputs
from foretouch.training.task import Dataset, FloatArray, Split, TrainingRun
from tests.training.golden import check_golden

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> TrainingRun:
    (tmp_path / "foretouch.toml").write_text("schema_version = 1\n")
    return TrainingRun(workspace=Workspace.open(tmp_path), seed=11, trials=2, threads=1)


def world(*, effect: float, offers: int = 6, sends: int = 400, randomised: bool = False) -> tuple[Split, FloatArray]:
    """Campaigns in a row; acceptance depends on the category, and as strongly as ``effect`` on recency and affinity.

    Returns:
        The split, and the true probability of each later send.
    """
    rng = np.random.default_rng(17)
    frames, labels, truths = [], [], []
    for index in range(offers):
        category = ("Type A", "Type B")[index % 2]
        recency = rng.exponential(20.0, sends)
        affinity = rng.random(sends)
        logit = (-1.6 if category == "Type A" else -2.4) + effect * (2.5 * affinity - recency / 15.0)
        truth = 1.0 / (1.0 + np.exp(-logit))
        frames.append(
            pd.DataFrame(
                {
                    "customer_id": rng.choice([f"c{number}" for number in range(900)], sends, replace=False),
                    "as_of": START + timedelta(days=28 * index),
                    "offer_id": f"o{index}",
                    "recency_days": recency,
                    "tenure_days": 28.0 * index,
                    "offer_category": category,
                    "offer_remaining_days": 28.0 - index,
                    "offer_affinity": affinity,
                    "randomised": randomised,
                }
            )
        )
        labels.append((rng.random(sends) < truth).astype(float))
        truths.append(truth)
    parts = {
        name: Dataset(
            frame=pd.concat([frames[at] for at in chosen], ignore_index=True),
            label=np.concatenate([labels[at] for at in chosen]),
        )
        for name, chosen in (
            ("fit", range(offers - 4)),
            ("calibrate", range(offers - 4, offers - 2)),
            ("test", range(offers - 2, offers)),
        )
    }
    split = Split(
        fit=parts["fit"],
        calibrate=parts["calibrate"],
        test=parts["test"],
        trained_through=START + timedelta(days=28 * (offers - 2)),
        description={},
    )
    return split, np.concatenate(truths[-2:])


def test_who_accepts_is_found_on_later_campaigns(run: TrainingRun) -> None:
    split, truth = world(effect=1.0, offers=10)
    fitted = TASK.fit(run, split)
    evaluation = TASK.evaluate(run, split, fitted)
    decisive = [item for item in evaluation.comparisons if item.decisive]
    assert {item.metric for item in decisive} == {"log_loss", "auc", "average_precision"}
    assert all(item.wins for item in decisive)
    aside = [item for item in evaluation.comparisons if not item.decisive]
    assert [item.cluster for item in aside if item.metric == "log_loss"] == ["offer_id"]
    assert {(item.baseline, item.metric) for item in aside if item.metric != "log_loss"} == {
        (order, metric) for order in ("popularity", "association_rules") for metric in ("ndcg", "hit_rate_1")
    }
    assert evaluation.metrics["hit_rate_1"] > evaluation.baselines["popularity"]["hit_rate_1"]
    later = evaluation.extras["offers_later"]
    assert sum(item["sends"] for item in later) == len(split.test)
    assert sum(item["accepted"] for item in later) == split.test.label.sum()
    assert all(item["low"] < item["ratio_shrunk"] < item["high"] for item in later)
    assert np.corrcoef(evaluation.scores["model"], truth)[0, 1] > 0.85
    assert np.abs(evaluation.scores["model"] - truth).mean() < 0.5 * np.abs(evaluation.scores[BASELINE] - truth).mean()
    assert evaluation.scores["model"].mean() == pytest.approx(truth.mean(), abs=0.04)


def test_where_nothing_tells_customers_apart_it_does_not_win(run: TrainingRun) -> None:
    split, _ = world(effect=0.0)
    evaluation = TASK.evaluate(run, split, TASK.fit(run, split))
    assert not all(item.wins for item in evaluation.comparisons if item.decisive)


def test_the_baseline_is_the_rate_of_the_category_in_what_was_fitted(run: TrainingRun) -> None:
    split, _ = world(effect=1.0)
    fitted = TASK.fit(run, split)
    frame = pd.concat([split.fit.frame, split.calibrate.frame])
    label = np.concatenate([split.fit.label, split.calibrate.label])
    for category in ("Type A", "Type B"):
        expected = label[(frame["offer_category"] == category).to_numpy()].mean()
        assert fitted.extras["category_rates"][category] == pytest.approx(expected)
        found = TASK.evaluate(run, split, fitted).scores[BASELINE]
        rows = (split.test.frame["offer_category"] == category).to_numpy()
        np.testing.assert_allclose(found[rows], expected)


def test_uplift_is_null_with_its_reason(run: TrainingRun) -> None:
    targeted = TASK.fit(run, world(effect=1.0)[0]).extras
    assert targeted["uplift"] is None
    assert "targeted" in targeted["uplift_reason"]
    randomised = TASK.fit(run, world(effect=1.0, randomised=True)[0]).extras
    assert randomised["uplift"] is None
    assert "without a contact" in randomised["uplift_reason"]


def test_text_and_golden_rows_are_the_same_every_time(
    run: TrainingRun, tmp_path_factory: pytest.TempPathFactory
) -> None:
    split, _ = world(effect=1.0)
    first = TASK.fit(run, split)
    other = tmp_path_factory.mktemp("again")
    (other / "foretouch.toml").write_text("schema_version = 1\n")
    second = TASK.fit(TrainingRun(workspace=Workspace.open(other), seed=11, trials=2, threads=1), split)
    assert first.model_text == second.model_text
    assert first.golden == second.golden
    check_golden(first.model_text, first.golden, first.calibration)
    score = apply(first.calibration, predict_text(first.model_text, encode(split.test.frame, first.inputs)))
    np.testing.assert_array_equal(score, TASK.evaluate(run, split, first).scores["model"])
    assert first.bands[0].at_least == 0.0
    assert [band.name for band in first.bands] == ["low", "medium", "high"]


def test_numbers_that_only_name_a_campaign_or_its_date_are_left_out(run: TrainingRun) -> None:
    few, _ = world(effect=1.0)
    names = {column.name for column in offer_inputs(run.workspace, few.fit.frame)}
    assert names == {"recency_days", "offer_category", "offer_affinity"}
    many, _ = world(effect=1.0, offers=MIN_OFFERS + 4, sends=60)
    names = {column.name for column in offer_inputs(run.workspace, many.fit.frame)}
    assert "offer_remaining_days" in names
    assert "tenure_days" not in names
    assert {column.name for column in offer_inputs(run.workspace, many.fit.frame) if column.view == "cross"} <= {
        *OFFER_FEATURES,
        *CROSS_FEATURES,
    }
