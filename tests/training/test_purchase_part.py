"""The value model's second part: the same numbers as the fitted models, weighed on rows kept apart, served alike."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelCard, read_bundle, write_bundle
from foretouch.core.errors import BundleError
from foretouch.core.workspace import Workspace
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.purchase_blend import HISTORY, PURCHASE_MODEL, PurchaseBlend, shapley
from foretouch.serving.models.purchase_model import PurchaseModel
from foretouch.serving.models.scorers import BlendScorer
from foretouch.training.booster import predict_text
from foretouch.training.card import make_card
from foretouch.training.data import encode
from foretouch.training.drift.evidence import drifting
from foretouch.training.gate.scoring import score_part
from foretouch.training.lifetime import BetaGeometric, GammaGamma, PurchaseHistory
from foretouch.training.metrics import MAE
from foretouch.training.pipeline import training_run
from foretouch.training.probability import score_rows
from foretouch.training.purchase_part import WEIGHTS, choose_weight, raw_scores, tweedie
from foretouch.training.task import Dataset, Evaluation, Fitted, FloatArray, Split, TrainingRun
from foretouch.training.value import TASK

NOW = datetime(2025, 6, 1, tzinfo=UTC)
CONFIG = """
schema_version = 1
[workspace]
name = "shop"
[clock]
kind = "manual"
[goals.value]
window_days = 28
[training]
threads = 1
"""


def part(seed: int, rows: int, at: datetime) -> Dataset:
    """Buyers whose rate and spend the trees see through a fog, and people who have not bought."""
    rng = np.random.default_rng(seed)
    first = rng.uniform(5.0, 300.0, rows)
    rate, basket = rng.gamma(0.8, 0.08, rows), rng.gamma(3.0, 10.0, rows)
    repeats = rng.poisson(rate * first).astype(float)
    recency = np.where(repeats > 0, first * rng.beta(1.0, np.maximum(repeats, 1.0)), first)
    never = rng.uniform(size=rows) < 0.1
    nothing = np.where(never, np.nan, 1.0)
    frame = pd.DataFrame(
        {
            "customer_id": [f"{seed}-{index}" for index in range(rows)],
            "as_of": pd.Timestamp(at),
            "purchases_total": np.where(never, 0.0, repeats + 1.0),
            "recency_days": recency * nothing,
            "first_purchase_days": first * nothing,
            "monetary_total": np.where(never, 0.0, (repeats + 1.0) * basket),
            "frequency_28d": np.where(never, 0.0, rng.poisson(rate * 28.0)).astype(float),
            "lifecycle_stage": np.where(never, "prospect", "active"),
        }
    )
    label = np.where(never, rng.poisson(0.2, rows), rng.poisson(rate * 28.0)) * basket
    return Dataset(frame=frame, label=label.astype(float))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    root = tmp_path_factory.mktemp("value")
    (root / "foretouch.toml").write_text(CONFIG, encoding="utf-8")
    (root / "clock.json").write_text(f'{{"now": "{NOW.isoformat()}"}}', encoding="utf-8")
    return training_run(Workspace.open(root), trials=0)


@pytest.fixture(scope="module")
def split() -> Split:
    days = timedelta(days=40)
    return Split(
        fit=part(1, 1200, NOW - 3 * days),
        calibrate=part(2, 600, NOW - 2 * days),
        test=part(3, 600, NOW - days),
        trained_through=NOW - days,
        description={"history_days_of_fit": 120.0},
    )


@pytest.fixture(scope="module")
def fitted(run: TrainingRun, split: Split) -> Fitted:
    return TASK.fit(run, split)


def card_of(fitted: Fitted, split: Split) -> ModelCard:
    return make_card(
        model="value", version="1", feature_service="value_v1", goal={}, split=split, fitted=fitted,
        evaluation=Evaluation(primary="mae", metrics={}, baselines={}, comparisons=()), seed=1, created_at=NOW,
        run_id=None,
    )  # fmt: skip


def test_one_customer_at_a_time_is_what_the_fitted_models_say_of_all() -> None:
    rng = np.random.default_rng(5)
    bought = BetaGeometric(r=0.8, alpha=9.0, a=0.6, b=2.5)
    spent = GammaGamma(p=2.0, q=3.5, v=30.0)
    repeats = rng.integers(0, 200, 400).astype(float)
    age = rng.uniform(0.1, 150.0, 400)
    last = np.where(repeats > 0, age * rng.uniform(0.05, 1.0, 400), 0.0)
    mean = rng.uniform(1.0, 90.0, 400)
    history = PurchaseHistory(frequency=repeats, recency=last, age=age, monetary=mean)
    all_of_them = PurchaseHistory(
        frequency=repeats + 1, recency=np.maximum(last, 1e-6), age=np.maximum(age, 1e-6), monetary=mean
    )
    for a in (bought.a, 1.0, 1.7):
        model = PurchaseModel(r=bought.r, alpha=bought.alpha, a=a, b=bought.b, p=2.0, q=3.5, v=30.0, horizon_weeks=12.0)
        theirs = BetaGeometric(r=bought.r, alpha=bought.alpha, a=a, b=bought.b).expected_purchases(history, 12.0)
        mine = [
            model.expected_revenue(x + 1, 7 * (t - s), 7 * t, m * (x + 1))
            for x, s, t, m in zip(repeats, last, age, mean, strict=True)
        ]
        assert mine == pytest.approx(list(theirs * spent.expected_spend(all_of_them)), rel=1e-6 if a == 1.0 else 1e-9)


@pytest.mark.parametrize("history", [(0.0, np.nan, np.nan, 0.0), (3.0, np.nan, 9.0, 1.0), (np.nan, 1.0, 2.0, 3.0)])
def test_of_whom_it_knows_nothing_the_trees_answer_alone(history: tuple[float, ...], fitted: Fitted) -> None:
    blend = PurchaseBlend.of(fitted.inputs, fitted.extras)
    assert blend is not None
    assert np.isnan(blend.model.expected_revenue(*history))
    vector = np.full(len(fitted.inputs), np.nan)
    vector[list(blend.columns)] = history
    assert blend.mixed(12.5, list(vector)) == 12.5


def test_a_history_beyond_the_formulas_is_no_number_and_no_error() -> None:
    model = PurchaseModel(r=1e5, alpha=1e-5, a=1e5, b=1e5, p=1.0, q=2.0, v=1.0, horizon_weeks=1e4)
    assert np.isnan(model.expected_revenue(1e9, 0.0, 1.0, 1.0))


def test_the_weight_is_the_one_of_least_deviance_and_none_where_the_trees_are_right() -> None:
    rng = np.random.default_rng(0)
    mean = rng.gamma(2.0, 30.0, 4000)
    label = rng.poisson(mean).astype(float)
    noise = rng.lognormal(0.0, 0.4, (2, 4000))
    weight, deviances = choose_weight(label, mean * noise[0], mean * noise[1], power=1.3)
    assert 0.3 <= weight <= 0.7
    assert min(deviances) == tweedie(label, (1 - weight) * mean * noise[0] + weight * mean * noise[1], power=1.3)
    assert choose_weight(label, mean, mean * noise[1], power=1.3)[0] <= WEIGHTS[1]
    assert choose_weight(label, mean, np.full(4000, np.nan), power=1.3)[0] == 0.0


def test_the_blend_errs_less_than_its_trees_on_later_rows(fitted: Fitted, split: Split) -> None:
    stored = fitted.extras[PURCHASE_MODEL]
    assert 0.0 < stored["weight"] == fitted.parameters["purchase_weight"]
    assert any(note.startswith("A blend: ") for note in fitted.notes)
    matrix = encode(split.test.frame, fitted.inputs)
    alone = predict_text(fitted.model_text, matrix)
    assert MAE(split.test.label, score_rows(fitted, split.test)) < MAE(split.test.label, alone)
    assert score_part("value", fitted, split.test).tobytes() == score_rows(fitted, split.test).tobytes()


def test_ages_and_totals_that_the_trees_may_not_learn_are_not_in_them(fitted: Fitted, split: Split) -> None:
    """The data are younger than a year: such features grow with the calendar. The purchase model knows of time."""
    beside = fitted.extras[PURCHASE_MODEL]["trees_do_not_see"]
    assert beside == ["purchases_total", "first_purchase_days", "monetary_total"]
    matrix = encode(split.test.frame, fitted.inputs)
    blind: FloatArray = matrix.copy()
    blind[:, [item.name in beside for item in fitted.inputs]] = np.nan
    assert predict_text(fitted.model_text, matrix).tobytes() == predict_text(fitted.model_text, blind).tobytes()
    assert not {item.name for item in drifting(card_of(fitted, split))} & set(beside)


def test_what_is_served_has_the_bits_of_training_and_its_reasons_add_up(
    tmp_path: Path, fitted: Fitted, split: Split
) -> None:
    card = card_of(fitted, split)
    write_bundle(tmp_path, card, fitted.model_text, fitted.golden)
    scorer = load_scorer(tmp_path, "value", "1")
    assert isinstance(scorer, BlendScorer)
    matrix = encode(split.test.frame, fitted.inputs)
    raw = raw_scores(fitted, matrix)
    assert scorer.predict(matrix).tobytes() == raw.tobytes()
    assert [scorer.predict_one(list(row)) for row in matrix[:50]] == list(raw[:50])
    added = scorer.contributions(matrix[:50])
    assert added.sum(axis=1) == pytest.approx(np.log(raw[:50]))
    blend = PurchaseBlend.of(card.inputs, card.extras)
    assert blend is not None
    buyers = matrix[:50, blend.columns[0]] > 0
    assert added[:, blend.columns[0]][buyers].std() > 0.0
    assert not added[:, blend.columns[0]][~buyers].any()


def test_a_blend_that_cannot_be_read_is_refused_by_name(tmp_path: Path, fitted: Fitted, split: Split) -> None:
    card = card_of(fitted, split)
    stored = {**card.extras[PURCHASE_MODEL], "parameters": {"r": 1.0}}
    write_bundle(tmp_path, card.replace(extras={PURCHASE_MODEL: stored}), fitted.model_text, fitted.golden)
    with pytest.raises(BundleError, match="purchase model cannot be read: 'alpha'"):
        load_scorer(tmp_path, "value", "1")
    lighter = {**card.extras[PURCHASE_MODEL], "weight": 0.001}
    write_bundle(tmp_path / "b", card.replace(extras={PURCHASE_MODEL: lighter}), fitted.model_text, fitted.golden)
    assert read_bundle(tmp_path / "b", "value", "1")
    with pytest.raises(BundleError, match="golden rows"):
        load_scorer(tmp_path / "b", "value", "1")


def test_shapley_values_add_up_and_are_fair() -> None:
    values = shapley(lambda at: at[0] * at[1] + at[2], (2.0, 3.0, 5.0, 9.0), (0.0, 0.0, 1.0, 1.0))
    assert values == pytest.approx((3.0, 3.0, 4.0, 0.0))


def test_another_goal_than_purchases_leaves_the_trees_alone(run: TrainingRun, split: Split) -> None:
    goals = run.workspace.config.goals
    other = goals.model_copy(update={"value": goals.value.model_copy(update={"value_event": "renewal"})})
    from foretouch.training.purchase_part import purchase_part

    config = run.workspace.config.model_copy(update={"goals": other})
    found = purchase_part(
        config, split.fit, split.calibrate, inputs=(), unseen=(), trees=split.calibrate.label, power=1.3
    )
    assert found[PURCHASE_MODEL]["weight"] == 0.0
    assert found[PURCHASE_MODEL]["why_none"] == "the goal counts 'renewal', the features' purchases are 'purchase'"
    assert set(HISTORY) <= set(split.fit.frame.columns)
