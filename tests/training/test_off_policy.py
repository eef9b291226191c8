"""Off-policy estimators: another library's numbers, laws, known truth; and refusals by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.training.bench.ope import evaluate
from foretouch.training.off_policy.estimators import (
    ESTIMATORS,
    Rounds,
    cross_fitted_means,
    deal_folds,
    effective_sample_size,
    estimate,
    estimate_all,
    max_weight_share,
    weight_share_of_top,
)
from foretouch.training.task import FloatArray

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/bench/off_policy.json").read_text())


def values(result: dict[str, Any]) -> dict[str, float]:
    return {name: line["value"] for name, line in result["estimators"].items()}


def codes(result: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in result["reasons"]}


def sound_log(seed: int, n: int = 2000, k: int = 3, *, best: float = 0.5) -> tuple[pd.DataFrame, float]:
    """A log of a soft policy, another soft policy to value with a noisy reward model, and its true value."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    truth = 1.0 / (1.0 + np.exp(-(x @ rng.normal(size=(3, k)) * best - 1.0)))
    logging = np.exp(0.4 * x @ rng.normal(size=(3, k)))
    logging /= logging.sum(axis=1, keepdims=True)
    target = np.exp(0.4 * x @ rng.normal(size=(3, k)))
    target /= target.sum(axis=1, keepdims=True)
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    here = np.arange(n)
    model = np.clip(truth + rng.normal(0.0, 0.1, truth.shape), 0.0, 1.0)
    columns = {f"pi_{a}": target[:, a] for a in range(k)} | {f"qhat_{a}": model[:, a] for a in range(k)}
    reward = (rng.random(n) < truth[here, action]).astype(float)
    frame = pd.DataFrame({"action": action, "reward": reward, "pscore": logging[here, action], **columns})
    return frame, float((target * truth).sum(axis=1).mean())


def test_every_estimator_agrees_with_obp_by_row() -> None:
    golden = GOLDEN["by_row"]
    assert values(evaluate(pd.DataFrame(golden["log"]))) == pytest.approx(golden["values"], rel=1e-10)
    assert set(golden["values"]) == set(ESTIMATORS)


def test_every_estimator_agrees_with_obp_by_position() -> None:
    golden = GOLDEN["by_position"]
    found = evaluate(pd.DataFrame(golden["log"]), pd.DataFrame(golden["policy"]))
    assert values(found) == pytest.approx(golden["values"], rel=1e-10)


def test_a_policy_table_says_the_same_as_its_columns_in_every_row() -> None:
    log, _ = sound_log(1, 500)
    plain = log[["action", "reward", "pscore"]]
    policy = pd.DataFrame({"action": [2, 0, 1], "pi": [0.5, 0.2, 0.3], "qhat": [0.4, 0.1, 0.25]})
    spread = plain.assign(pi_0=0.2, pi_1=0.3, pi_2=0.5, qhat_0=0.1, qhat_1=0.25, qhat_2=0.4)
    assert values(evaluate(plain, policy)) == pytest.approx(values(evaluate(spread)), rel=1e-12)


def rounds_of(rng: np.random.Generator, n: int, *, reward: FloatArray | None = None) -> Rounds:
    drawn = rng.random(n) if reward is None else reward
    return Rounds(reward=drawn, weight=rng.exponential(1.0, n), direct=rng.random(n), predicted=rng.random(n))


def test_identity_policy_earns_what_the_log_earned() -> None:
    rng = np.random.default_rng(2)
    reward, model = rng.random(300), rng.random(300)
    same = Rounds(reward=reward, weight=np.ones(300), direct=model, predicted=model)
    for name in ("ips", "ips_clip20", "snips", "dr", "dr_clip20", "sndr", "switch_dr_tau5"):
        found = estimate(same, ESTIMATORS[name])
        assert found.value == pytest.approx(reward.mean(), rel=1e-12), name
        assert found.se == pytest.approx(reward.std(ddof=1) / np.sqrt(300), rel=1e-9), name


def test_constant_rewards_give_the_constant() -> None:
    rng = np.random.default_rng(3)
    flat = rounds_of(rng, 200, reward=np.full(200, 0.7))
    assert estimate(flat, ESTIMATORS["snips"]).value == pytest.approx(0.7, rel=1e-12)
    known = Rounds(reward=flat.reward, weight=flat.weight, direct=flat.reward, predicted=flat.reward)
    assert {round(item.value, 12) for name, item in estimate_all(known).items() if "ips" not in name} == {0.7}


def test_limits_of_clipping_switching_and_shrinking() -> None:
    rounds = rounds_of(np.random.default_rng(4), 400)
    everything = estimate_all(rounds)
    assert rounds.weight.max() < 20.0
    for bounded, free in (("ips_clip20", "ips"), ("dr_clip20", "dr"), ("switch_dr_tau20", "dr")):
        assert everything[bounded].value == pytest.approx(everything[free].value, rel=1e-12)
    low, high = sorted((everything["dm"].value, everything["dr"].value))
    assert abs(everything["dros_lambda100"].value - everything["dr"].value) < abs(
        everything["dros_lambda1"].value - everything["dr"].value
    )
    assert low - 0.1 < everything["dros_lambda100"].value < high + 0.1


def test_scaling_and_order_of_rows() -> None:
    rng = np.random.default_rng(5)
    rounds = rounds_of(rng, 250)
    turn = rng.permutation(250)
    turned = Rounds(
        reward=rounds.reward[turn],
        weight=rounds.weight[turn],
        direct=rounds.direct[turn],
        predicted=rounds.predicted[turn],
    )
    tenfold = Rounds(
        reward=10 * rounds.reward, weight=rounds.weight, direct=10 * rounds.direct, predicted=10 * rounds.predicted
    )
    for name, estimator in ESTIMATORS.items():
        found = estimate(rounds, estimator)
        assert estimate(turned, estimator).value == pytest.approx(found.value, rel=1e-12), name
        assert estimate(tenfold, estimator).se == pytest.approx(10 * found.se, rel=1e-12), name


def test_effective_sample_size_and_shares() -> None:
    assert effective_sample_size(np.full(50, 3.0)) == pytest.approx(50.0)
    assert effective_sample_size(np.r_[1.0, np.zeros(99)]) == pytest.approx(1.0)
    assert effective_sample_size(np.zeros(5)) == 0.0
    assert max_weight_share(np.array([1.0, 1.0, 2.0])) == pytest.approx(0.5)
    assert weight_share_of_top(np.r_[np.ones(99), 101.0]) == pytest.approx(0.505)


def test_own_reward_model_never_sees_the_row_it_scores() -> None:
    rng = np.random.default_rng(6)
    reward, cell = rng.random(40), rng.integers(0, 3, 40)
    fold = deal_folds(40)
    before = cross_fitted_means(reward, cell, 3, fold)
    reward[7] += 100.0
    after = cross_fitted_means(reward, cell, 3, fold)
    assert np.array_equal(before[fold[7]], after[fold[7]])
    assert not np.array_equal(before, after)


def test_intervals_cover_the_truth() -> None:
    """300 logs; a 95 % interval that covers as it says misses 92 % with a chance below 2 %."""
    inside = dict.fromkeys(("ips", "snips", "dr", "sndr"), 0)
    refused = 0
    for seed in range(300):
        log, truth = sound_log(seed)
        found = evaluate(log)
        refused += found["verdict"] == "refused"
        for name in inside:
            low, high = found["estimators"][name]["ci"]
            inside[name] += low <= truth <= high
    assert min(inside.values()) >= 276, inside
    assert refused <= 15


def test_doubly_robust_survives_a_wrong_reward_model_where_the_direct_method_does_not() -> None:
    off: dict[str, list[float]] = {"dr": [], "dm": []}
    for seed in range(100):
        log, truth = sound_log(seed, 1000)
        wrong = log.assign(qhat_0=0.9, qhat_1=0.05, qhat_2=0.5)
        found = evaluate(wrong)
        for name, line in off.items():
            line.append(found["estimators"][name]["value"] - truth)
    assert abs(float(np.mean(off["dr"]))) < 0.01
    assert abs(float(np.mean(off["dm"]))) > 0.05


def test_a_sound_log_is_accepted() -> None:
    found = evaluate(sound_log(9)[0])
    assert (found["verdict"], found["reasons"]) == ("ok", [])
    assert found["reward_model"] == "given"


BROKEN: dict[str, dict[str, Any]] = {
    "propensity_missing": {"pscore": [np.nan] + [0.3] * 1999},
    "propensity_zero": {"pscore": [0.0] + [0.3] * 1999},
    "propensity_negative": {"pscore": [-0.1] + [0.3] * 1999},
    "propensity_above_one": {"pscore": [1.5] + [0.3] * 1999},
    "reward_not_finite": {"reward": [np.inf] + [0.0] * 1999},
    "action_not_whole": {"action": [0.5] + [0] * 1999},
    "action_unknown": {"action": [7] + [0] * 1999},
    "policy_not_finite": {"pi_1": np.nan},
    "policy_negative": {"pi_0": -0.2},
    "policy_not_a_distribution": {"pi_0": 0.99},
    "reward_model_not_finite": {"qhat_2": np.nan},
}


@pytest.mark.parametrize("code", sorted(BROKEN))
def test_broken_inputs_give_a_reason_and_never_a_number(code: str) -> None:
    found = evaluate(sound_log(10)[0].assign(**BROKEN[code]))
    assert found["verdict"] == "refused"
    assert code in codes(found)
    assert all(line == {"value": None, "se": None, "ci": None} for line in found["estimators"].values())
    assert found["ess"] is None


@pytest.mark.parametrize(
    ("dropped", "code"),
    [
        (["pscore"], "propensity_missing"),
        (["reward"], "reward_missing"),
        (["pi_0", "pi_1", "pi_2"], "policy_missing"),
        (["qhat_1"], "reward_model_incomplete"),
    ],
)
def test_missing_columns_are_named(dropped: list[str], code: str) -> None:
    found = evaluate(sound_log(11)[0].drop(columns=dropped))
    assert found["verdict"] == "refused"
    assert code in codes(found)


def test_positions_of_policy_and_log_must_match() -> None:
    log = sound_log(12)[0][["action", "reward", "pscore"]]
    policy = pd.DataFrame({"action": [0, 1, 2], "pi_pos1": [0.2, 0.3, 0.5], "pi_pos2": [0.4, 0.4, 0.2]})
    assert codes(evaluate(log, policy)) == {"position_missing"}
    assert codes(evaluate(log.assign(position=3), policy)) == {"position_unknown"}
    assert evaluate(log.assign(position=1), policy)["estimators"]["ips"]["value"] is not None


def test_thin_evidence_is_refused() -> None:
    log, _ = sound_log(13, 3000)
    few = log.assign(pscore=np.where(np.arange(3000) < 5, 1e-5, 0.9))
    assert "ess_below_200" in codes(evaluate(few))
    assert evaluate(few)["estimators"]["ips"]["value"] is not None
    assert "ess_below_200" in codes(evaluate(log.head(150)))


def test_an_action_that_was_never_logged_is_named() -> None:
    log, _ = sound_log(14)
    found = evaluate(log[log.action != 1])
    assert "no_support" in codes(found)
    assert "(1)" in next(reason["text"] for reason in found["reasons"] if reason["code"] == "no_support")


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25])
def test_wrong_propensities_contradict_themselves(factor: float) -> None:
    caught = 0
    for seed in range(10):
        log, _ = sound_log(seed, 4000)
        caught += "propensities_inconsistent" in codes(
            evaluate(log.assign(pscore=(log.pscore * factor).clip(upper=1.0)))
        )
    assert caught == 10


def test_rows_that_the_policy_has_seen_are_refused() -> None:
    log, _ = sound_log(15)
    marked = log.assign(used_by_policy=(np.arange(len(log)) < 10).astype(int))
    assert "policy_chosen_on_these_rows" in codes(evaluate(marked))


def test_a_reward_model_that_has_memorised_the_rows_is_found_out() -> None:
    """The in-sample prediction of a nearest-neighbour model is the reward itself at the logged action."""
    caught = 0
    for seed in range(10):
        log, _ = sound_log(seed)
        for action in range(3):
            seen = log.action == action
            log.loc[seen, f"qhat_{action}"] = 0.5 * log.loc[seen, f"qhat_{action}"] + 0.5 * log.loc[seen, "reward"]
        best = log[["qhat_0", "qhat_1", "qhat_2"]].to_numpy().argmax(axis=1)
        chosen = {f"pi_{action}": (best == action).astype(float) for action in range(3)}
        found = codes(evaluate(log.assign(**chosen)))
        caught += "reward_model_fitted_on_these_rows" in found
    assert caught == 10


def test_constant_rewards_have_no_error_to_speak_of() -> None:
    assert "reward_constant" in codes(evaluate(sound_log(16)[0].assign(reward=0.0)))
