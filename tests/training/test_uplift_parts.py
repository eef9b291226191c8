"""Parts of the uplift model: shrinkage of offers, calibration by tenth, weights, clusters, and what is served."""

import numpy as np
import pytest

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.serving.models.uplift_shifts import Shift, Shifts
from foretouch.training.booster import predict_text
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import Randomised, evaluate_uplift
from foretouch.training.uplift.deciles import uplift_by_tenth
from foretouch.training.uplift.learners import Settings, fit_uplift
from foretouch.training.uplift.paired import qini_difference
from foretouch.training.uplift.served import distil, explained, intervals
from foretouch.training.uplift.shrinkage import between_variance, fit_shifts, group_means
from foretouch.training.uplift.trial import Trial, deal_trial

NAMES = tuple(ModelInput(name=name, view="v") for name in "abc")


def contacts(
    seed: int, means: dict[str, float], rows: dict[str, int], category: dict[str, str]
) -> tuple[FloatArray, dict[str, "np.ndarray[tuple[int], np.dtype[np.object_]]"]]:
    rng = np.random.default_rng(seed)
    offer = np.concatenate([np.full(rows[name], name, dtype=object) for name in means])
    residual = np.concatenate([means[name] + rng.normal(size=rows[name]) * 0.4 for name in means])
    groups = np.array([category[name] for name in offer], dtype=object)
    return residual, {"offer": offer, "category": groups, "channel": np.full(len(offer), "email", dtype=object)}


def test_offers_that_do_not_differ_get_no_shift() -> None:
    names = [f"o{index}" for index in range(12)]
    residual, groups = contacts(1, dict.fromkeys(names, 0.0), dict.fromkeys(names, 400), {n: n[-1] for n in names})
    found = fit_shifts(residual, np.ones(len(residual)), **groups)
    assert max(abs(shift.mean) for shift in found.offers.values()) < 0.02
    assert found.unknown.sd < 0.03


def test_a_small_offer_is_drawn_to_its_category_and_a_large_one_keeps_its_own() -> None:
    means = {f"up{index}": 0.2 for index in range(6)} | {f"down{index}": -0.2 for index in range(6)}
    rows = dict.fromkeys(means, 1_000) | {"up5": 4}
    means["up4"] = 0.35
    category = {name: name[:-1] for name in means}
    residual, groups = contacts(2, means, rows, category)
    small = groups["offer"] == "up5"
    residual[small] = -1.0  # a few bad answers
    found = fit_shifts(residual, np.ones(len(residual)), **groups)
    centre = residual.mean()
    assert found.offers["up4"].mean == pytest.approx(0.35 - centre, abs=0.04)
    assert found.offers["up5"].mean > 0.0
    assert found.offers["up5"].sd > 3 * found.offers["up4"].sd
    assert found.of_offer("brand new", "up").mean == pytest.approx(0.22 - centre, abs=0.08)
    assert found.of_offer("brand new", "up").sd < found.of_offer("brand new", "unheard of").sd
    assert found.of_offer("brand new", "unheard of").mean == 0.0
    assert Shifts.of(found.extras()) == found
    assert Shifts.of(None).of_offer("a", "b") == Shift()


def test_true_offers_lie_within_their_interval() -> None:
    rng = np.random.default_rng(3)
    inside = []
    for seed in range(20):
        names = [f"{kind}{index}" for kind in "abcd" for index in range(5)]
        level = {kind: rng.normal() * 0.1 for kind in "abcd"}
        means = {name: level[name[0]] + rng.normal() * 0.1 for name in names}
        rows = {name: int(rng.integers(5, 300)) for name in names}
        residual, groups = contacts(seed, means, rows, {name: name[0] for name in names})
        found = fit_shifts(residual, np.ones(len(residual)), **groups)
        centre = np.mean([means[str(name)] for name in groups["offer"]])
        inside += [abs(means[n] - centre - found.offers[n].mean) <= 1.96 * found.offers[n].sd for n in names]
    assert 0.85 <= np.mean(inside) <= 0.99


def test_channels_are_told_what_offers_leave() -> None:
    rng = np.random.default_rng(4)
    n = 6_000
    channel = rng.choice(["email", "sms"], n).astype(object)
    residual = np.where(channel == "sms", 0.1, -0.1) + rng.normal(size=n) * 0.3
    same = np.full(n, "only", dtype=object)
    found = fit_shifts(residual, np.ones(n), offer=same, category=same, channel=channel).channels
    assert found["sms"].mean - found["email"].mean == pytest.approx(0.2, abs=0.03)


def test_group_means_count_rows_as_often_as_they_say() -> None:
    value, weight = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 3.0, 1.0, 1.0])
    names, mean, variance = group_means(value, weight, np.array(["a", "a", "b", "b"], dtype=object))
    assert names == ["a", "b"]
    assert mean == pytest.approx([1.75, 6.0])
    assert (variance > 0.0).all()
    assert between_variance([(np.array([1.0, 1.0]), np.array([0.1, 0.1]))]) == 0.0


def test_tenths_measure_what_they_should() -> None:
    rng = np.random.default_rng(5)
    score = rng.random(20_000)
    weight = rng.gamma(4.0, 0.25, 20_000)
    found = uplift_by_tenth(score, score + rng.normal(size=20_000), count=weight)
    assert len(found) == 10
    assert [tenth.predicted for tenth in found] == sorted((tenth.predicted for tenth in found), reverse=True)
    assert sum(tenth.holds for tenth in found) >= 8
    off = uplift_by_tenth(score * 3.0, score + rng.normal(size=20_000))
    assert sum(tenth.holds for tenth in off) <= 3


def test_a_customers_rows_drawn_together_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    people = np.arange(500)
    score, treated = rng.random(500), rng.integers(0, 2, 500).astype(float)
    outcome = (rng.random(500) < 0.3 + 0.2 * treated * score).astype(float)
    often = [np.repeat(values, 8) for values in (score, treated, outcome)]
    own = evaluate_uplift(score, treated, outcome, draws=100)
    together = evaluate_uplift(*often, draws=100, cluster=np.repeat(people, 8).astype(object))
    apart = evaluate_uplift(*often, draws=100)
    assert together.qini.value == pytest.approx(own.qini.value, abs=1e-9)
    assert together.qini.se == pytest.approx(own.qini.se, rel=0.35)
    assert apart.qini.se < 0.6 * together.qini.se


def test_counts_are_repeated_rows() -> None:
    rng = np.random.default_rng(7)
    score, treated, outcome = rng.random(60), np.tile([0.0, 1.0], 30), rng.random(60)
    times = rng.integers(1, 4, 60)
    counted = Randomised(score, treated, outcome, times.astype(float)).curve()
    repeated = Randomised(*(np.repeat(values, times) for values in (score, treated, outcome))).curve()
    assert counted.qini_coefficient == pytest.approx(repeated.qini_coefficient, rel=1e-10)
    with pytest.raises(DataError, match="counts"):
        Randomised(score, treated, outcome, np.zeros(60))


def test_two_scores_on_the_same_rows() -> None:
    rng = np.random.default_rng(8)
    good, treated = rng.random(4_000), rng.integers(0, 2, 4_000).astype(float)
    outcome = (rng.random(4_000) < 0.2 + 0.4 * good * treated).astype(float)
    mine, theirs, apart = qini_difference(good, rng.random(4_000), treated, outcome, draws=100)
    assert apart.value == pytest.approx(mine - theirs)
    assert apart.low > 0.0
    same = qini_difference(good, good, treated, outcome, draws=20)[2]
    assert same.value == same.se == 0.0


def weighted_trial(seed: int, n: int) -> tuple[Trial, FloatArray]:
    """Contacts go to people with a large ``a``, who also convert more; the probabilities are on record."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, n // 2, n)
    matrix = rng.normal(size=(n // 2, 3))[people]
    chance = 1.0 / (1.0 + np.exp(-1.5 * matrix[:, 0]))
    treated = rng.random(n) < chance
    effect = np.where(matrix[:, 1] > 0.0, 0.3, 0.0)
    outcome = (rng.random(n) < 0.25 + 0.2 * (matrix[:, 0] > 0.0) + treated * effect).astype(float)
    weight = np.where(treated, 1.0 / chance, 1.0 / (1.0 - chance))
    arm = treated.astype(np.int64)
    return (
        Trial(matrix=matrix, inputs=NAMES, arm=arm, outcome=outcome, weight=weight, cluster=people.astype(object)),
        effect,
    )


def test_weights_and_customers_are_heeded_and_the_served_trees_say_the_same() -> None:
    trial, effect = weighted_trial(9, 4_000)
    fold = deal_trial(trial, 4, seed=0)
    assert trial.cluster is not None
    assert all(len(set(fold[trial.cluster == person])) == 1 for person in set(trial.cluster[:200]))
    arm = fit_uplift(trial, Settings.of(4_000))[0]
    assert abs(arm.average - effect.mean()) < 4 * arm.average_se
    plain = trial.outcome[trial.arm == 1].mean() - trial.outcome[trial.arm == 0].mean()
    assert plain > 0.22  # without weights, 0.15 looks like this
    assert np.corrcoef(arm.out_of_fold, effect)[0, 1] > 0.7
    own = arm.predict(trial.matrix)
    text = distil(trial.matrix, own, trial.counts, inputs=NAMES, seed=0, threads=1)
    served = predict_text(text, trial.matrix)
    assert explained(own, served) > 0.97
    spans = intervals(served, arm.se)
    inside = [low <= value <= high for value, (low, high) in zip(effect, map(spans.at, served.tolist()), strict=True)]
    assert np.mean(inside) > 0.7
    again = fit_uplift(trial, Settings.of(4_000))[0]
    assert np.array_equal(again.predict(trial.matrix), own)


def test_weights_must_be_above_zero() -> None:
    rng = np.random.default_rng(10)
    matrix, arm = rng.normal(size=(400, 3)), np.arange(400, dtype=np.int64) % 2
    with pytest.raises(DataError, match="above 0"):
        Trial(matrix=matrix, inputs=NAMES, arm=arm, outcome=arm.astype(np.float64), weight=np.zeros(400))
