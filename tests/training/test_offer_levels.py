"""Offers of one category that are taken differently: told apart, small and new ones without overreaching."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from foretouch.core.bundle import ModelCard, ModelInput, write_bundle
from foretouch.core.offers import Offer
from foretouch.core.workspace import Workspace
from foretouch.experiments.app.words_notes import told
from foretouch.features.crosses import pair_part
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.pair_plan import PairPlan
from foretouch.serving.models.scoring import plan_of
from foretouch.training.booster import predict_text
from foretouch.training.calibration import apply
from foretouch.training.data import encode
from foretouch.training.ensemble import predict_members
from foretouch.training.level_tree import by_code, leaf, tree_text
from foretouch.training.offer import TASK
from foretouch.training.offer_levels import LEVELS, fit_levels
from foretouch.training.task import Dataset, Fitted, FloatArray, Split, TrainingRun

START = datetime(2024, 1, 1, tzinfo=UTC)
BIG, SMALL, NEW = 16, 16, 8
SENDS, FEW, LATER = 500, 15, 400
SPREAD = 0.8
"""Of true levels of the offers of a category, on the log-odds."""


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    root = tmp_path_factory.mktemp("levels")
    (root / "foretouch.toml").write_text("schema_version = 1\n")
    return TrainingRun(workspace=Workspace.open(root), seed=3, trials=1, threads=1)


def planted(spread: float, seed: int = 5) -> tuple[Split, FloatArray]:
    """Offers that run all the time: large ones, small ones, and later new ones; nothing else tells an offer's level.

    Returns:
        The split, and the true probability of every later send.
    """
    rng = np.random.default_rng(seed)
    names = [
        f"{kind}-{index:02d}"
        for kind, count in (("big", BIG), ("small", SMALL), ("new", NEW))
        for index in range(count)
    ]
    level = dict(zip(names, rng.normal(0.0, spread, len(names)), strict=True))

    def part(counts: dict[str, int], first: int, last: int) -> tuple[Dataset, FloatArray]:
        offers = np.repeat(list(counts), list(counts.values()))
        recency = rng.exponential(20.0, len(offers))
        category = np.where([int(name[-2:]) % 2 for name in offers], "Type A", "Type B")
        raw = -1.6 - recency / 25.0 + np.array([level[name] for name in offers])
        chance = 1.0 / (1.0 + np.exp(-raw))
        frame = pd.DataFrame(
            {
                "customer_id": [f"c{number}" for number in rng.integers(0, 4000, len(offers))],
                "as_of": [START + timedelta(days=float(day)) for day in rng.uniform(first, last, len(offers))],
                "offer_id": offers,
                "recency_days": recency,
                "offer_category": category,
                "randomised": False,
            }
        )
        return Dataset(frame=frame, label=(rng.random(len(offers)) < chance).astype(float)), chance

    known = {name: SENDS if name.startswith("big") else FEW for name in names if not name.startswith("new")}
    fit, _ = part(known, 0, 60)
    calibrate, _ = part({name: count // 3 for name, count in known.items()}, 60, 90)
    test, truth = part(dict.fromkeys(names, LATER), 90, 120)
    through = START + timedelta(days=90)
    return Split(fit=fit, calibrate=calibrate, test=test, trained_through=through, description={}), truth


@pytest.fixture(name="world", scope="module")
def _world() -> tuple[Split, FloatArray]:
    return planted(SPREAD)


@pytest.fixture(name="fitted", scope="module")
def _fitted(run: TrainingRun, world: tuple[Split, FloatArray]) -> Fitted:
    return TASK.fit(run, world[0])


def off_by_offer(split: Split, score: FloatArray, truth: FloatArray, kind: str) -> float:
    """Mean absolute difference, on the log-odds, of an offer's mean score and mean truth."""
    frame = split.test.frame.assign(score=score, truth=truth)
    means = frame[frame["offer_id"].str.startswith(kind)].groupby("offer_id")[["score", "truth"]].mean()
    odds = np.log(means / (1.0 - means))
    return float((odds["score"] - odds["truth"]).abs().mean())


def test_offers_of_a_category_are_told_apart_and_small_and_new_ones_stay_calibrated(
    fitted: Fitted, world: tuple[Split, FloatArray]
) -> None:
    """Beside no levels (the category's), and beside every offer's own rate with nothing drawn in."""
    split, truth = world
    assert [item.name for item in fitted.inputs] == ["recency_days", "offer_category", "offer_id"]
    matrix = encode(split.test.frame, fitted.inputs)
    score = apply(fitted.calibration, predict_text(fitted.model_text, matrix))
    without = matrix.copy()
    without[:, -1] = np.nan  # every offer as a new one of its category
    plain = apply(fitted.calibration, predict_text(fitted.model_text, without))
    known = pd.concat([split.fit.frame, split.calibrate.frame], ignore_index=True)
    label = np.concatenate([split.fit.label, split.calibrate.label])
    count = pd.Series(label).groupby(known["offer_id"].to_numpy()).agg(["sum", "size"])
    raw = ((count["sum"] + 0.5) / (count["size"] + 1.0)).reindex(split.test.frame["offer_id"]).to_numpy()
    assert off_by_offer(split, score, truth, "big") < 0.35 * off_by_offer(split, plain, truth, "big")
    assert off_by_offer(split, score, truth, "small") < 0.8 * off_by_offer(split, plain, truth, "small")
    assert off_by_offer(split, score, truth, "small") < 0.8 * off_by_offer(split, raw, truth, "small")
    new = split.test.frame["offer_id"].str.startswith("new").to_numpy()
    np.testing.assert_array_equal(score[new], plain[new])
    ratio = score[new].mean() / truth[new].mean()
    assert abs(np.log(ratio)) < 2.0 * SPREAD / np.sqrt(NEW)  # the mean of so many new levels is no nearer to 0


def test_the_service_and_training_give_the_same_bits_and_reasons_add_up(
    fitted: Fitted, world: tuple[Split, FloatArray], tmp_path: Path
) -> None:
    rows = world[0].test.frame.sample(40, random_state=1)
    card = ModelCard(
        model="offer",
        version="1",
        created_at=START,
        trained_through=START,
        data_sha256=fitted.data_sha256,
        target="probability",
        feature_service="offer",
        inputs=fitted.inputs,
        calibration=fitted.calibration,
        extras=fitted.extras,
        seed=1,
    )
    write_bundle(tmp_path, card, fitted.model_text, fitted.golden, members_text=fitted.members_text)
    scorer = load_scorer(tmp_path, "offer", "1")
    offers = {
        name: Offer(offer_id=name, name=name, category=kind, channels=("email",))
        for name, kind in zip(rows["offer_id"], rows["offer_category"], strict=True)
    }
    plan = PairPlan(plan_of(scorer), tuple(offers.values()))
    expected = encode(rows, fitted.inputs)
    for index, row in enumerate(rows.to_dict("records")):
        customer, offer = {"recency_days": row["recency_days"]}, offers[row["offer_id"]]
        (vector,) = plan.vectors(customer, [offer], START)
        np.testing.assert_array_equal(vector, expected[index])
        np.testing.assert_array_equal(card.encode({**customer, **pair_part(customer, offer, START)}), expected[index])
    raw = np.array([scorer.predict(expected[[index]])[0] for index in range(len(rows))])
    np.testing.assert_array_equal(raw, predict_text(fitted.model_text, expected))
    added = scorer.contributions(expected)  # type: ignore[attr-defined]
    np.testing.assert_allclose(added.sum(axis=1), np.log(raw / (1.0 - raw)), atol=1e-9)
    levels = {name: mean for name, (mean, _) in fitted.extras[LEVELS]["offers"].items()}
    order = sorted(range(len(rows)), key=lambda index: levels.get(rows["offer_id"].iloc[index], 0.0))
    assert added[order[0], 2] < 0.0 < added[order[-1], 2]


def test_members_are_less_sure_of_a_small_offer(fitted: Fitted, world: tuple[Split, FloatArray]) -> None:
    rows = world[0].test.frame.drop_duplicates("offer_id")
    raw = predict_members(fitted.members_text, encode(rows, fitted.inputs))
    apart = np.log(raw / (1.0 - raw)).std(axis=0, ddof=1)
    big, small = (apart[rows["offer_id"].str.startswith(kind).to_numpy()].mean() for kind in ("big", "small"))
    assert small > 1.5 * big


def test_offers_that_do_not_differ_get_no_level(run: TrainingRun) -> None:
    """Forty worlds in which what is alike is taken alike: small offers would seem to differ by half on the log-odds."""
    apart, raw = [], []
    for seed in range(40):
        split, _ = planted(0.0, seed)
        frame = split.fit.frame
        chance = 1.0 / (1.0 + np.exp(1.6 + frame["recency_days"].to_numpy() / 25.0))
        found = fit_levels(
            chance,
            split.fit.label,
            offer=frame["offer_id"].to_numpy(dtype=object),
            category=frame["offer_category"].to_numpy(dtype=object),
        )
        apart.append(np.abs([shift.mean for shift in found.offers.values()]).mean())
        shown = pd.Series(split.fit.label).groupby(frame["offer_id"].to_numpy()).mean().clip(lower=0.02)
        raw.append(np.abs(np.log(shown / split.fit.label.mean())).mean())
    assert np.mean(apart) < 0.03
    assert np.mean(raw) > 0.25


def test_levels_that_foretell_nothing_are_not_added(run: TrainingRun, fitted: Fitted) -> None:
    """Where all offers are taken alike the model is that of before, and its card says why."""
    split, _ = planted(0.0)
    alike = TASK.fit(run, split)
    assert [item.name for item in alike.inputs] == ["recency_days", "offer_category"]
    assert alike.extras[LEVELS]["used"] is False
    assert any("none has its own level" in note for note in alike.notes)
    assert fitted.extras[LEVELS]["used"] is True
    assert fitted.extras[LEVELS]["gain"] > 3.0 * fitted.extras[LEVELS]["gain_se"] > 0.0
    assert any("a new offer takes its category's" in note for note in fitted.notes)
    for note in (alike.notes[-1], fitted.notes[-1]):
        assert told(note, "zh")[1] == "zh-CN"


def test_levels_are_those_that_were_planted_also_far_from_nothing() -> None:
    rng = np.random.default_rng(1)
    true = {"low": -1.5, "middle": 0.0, "high": 1.5}
    offer = np.repeat(np.array(list(true), dtype=object), 20_000)
    chance = rng.uniform(0.02, 0.3, len(offer))
    raw = np.log(chance / (1.0 - chance)) + np.array([true[name] for name in offer])
    label = (rng.random(len(offer)) < 1.0 / (1.0 + np.exp(-raw))).astype(float)
    found = fit_levels(chance, label, offer=offer, category=np.full(len(offer), "one", dtype=object))
    middle = found.offers["middle"].mean
    for name, level in true.items():
        assert found.offers[name].mean - middle == pytest.approx(level, abs=0.1)
    twice = np.tile(np.arange(len(offer)), 2)
    weighted = fit_levels(
        chance, label, offer=offer, category=np.full(len(offer), "one", dtype=object), weight=np.full(len(offer), 2.0)
    )
    repeated = fit_levels(
        chance[twice], label[twice], offer=offer[twice], category=np.full(len(twice), "one", dtype=object)
    )
    for name in true:  # a weight is a probability's inverse, no repeated row: it adds no certainty
        assert weighted.offers[name].mean == pytest.approx(found.offers[name].mean)
        assert weighted.offers[name].sd == pytest.approx(found.offers[name].sd)
        assert repeated.offers[name].sd < 0.8 * found.offers[name].sd


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_a_table_as_a_tree_is_that_table(count: int) -> None:
    """LightGBM itself reads it: every code its value, a missing one the other way, and SHAP values that add up."""
    rng = np.random.default_rng(count)
    values, kinds = rng.normal(size=count).tolist(), rng.normal(size=3).tolist()
    inputs = [ModelInput(name="a", view="v"), ModelInput(name="b", view="v")]
    names = " ".join(item.name for item in inputs)
    head = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
        f"objective=binary sigmoid:1\nfeature_names={names}\nfeature_infos=none none\ntree_sizes=SIZE\n\n"
    )
    other = by_code(1, [leaf(value) for value in kinds], leaf(-9.0))
    block = "Tree=0\n" + tree_text(by_code(0, [leaf(value, index) for index, value in enumerate(values)], other))
    booster = lgb.Booster(model_str=f"{head.replace('SIZE', str(len(block.encode())))}{block}end of trees\n\n")
    rows = np.array([*([code, 1.0] for code in range(count)), *([np.nan, code] for code in range(3)), [np.nan, np.nan]])
    expected = [*values, *kinds, -9.0]
    np.testing.assert_array_equal(booster.predict(rows, raw_score=True), expected)
    np.testing.assert_allclose(np.asarray(booster.predict(rows, pred_contrib=True)).sum(axis=1), expected, atol=1e-12)
