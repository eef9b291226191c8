"""A policy that has seen the rows which score it: what can be proven, what can only be judged, and what is let pass."""

import numpy as np
import pandas as pd
import pytest

from foretouch.training.bench.ope import evaluate
from foretouch.training.off_policy.log import make_log
from foretouch.training.off_policy.own_rows import (
    MAX_KNOWN,
    known_by_model,
    known_by_policy,
    largest_of,
    own_rows_reasons,
)
from foretouch.training.task import FloatArray

K = 3


def drawn(seed: int, n: int = 2400) -> tuple[FloatArray, np.ndarray, FloatArray]:
    """Contexts, actions chosen at random, and rewards that depend on both a little."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    chance = 1.0 / (1.0 + np.exp(-(x @ rng.normal(size=(4, K)) * 0.4 - 0.5)))
    action = rng.integers(0, K, n)
    return x, action, (rng.random(n) < chance[np.arange(n), action]).astype(float)


def nearest(x: FloatArray, action: np.ndarray, reward: FloatArray, to: FloatArray) -> FloatArray:
    """Each action's reward at the nearest row with that action: on its own rows it knows every reward by heart."""
    columns = []
    for a in range(K):
        rows = np.flatnonzero(action == a)
        distance = np.square(to[:, None, :] - x[rows][None, :, :]).sum(axis=2)
        columns.append(reward[rows[distance.argmin(axis=1)]])
    return np.column_stack(columns)


def log_of(action: np.ndarray, reward: FloatArray, wish: FloatArray, *, model: bool) -> pd.DataFrame:
    shares = np.exp(wish / 0.1)
    shares /= shares.sum(axis=1, keepdims=True)
    columns = {f"pi_{a}": shares[:, a] for a in range(K)}
    if model:
        columns |= {f"qhat_{a}": wish[:, a] for a in range(K)}
    return pd.DataFrame({"action": action, "reward": reward, "pscore": 1.0 / K, **columns})


def codes(log: pd.DataFrame) -> set[str]:
    return {reason["code"] for reason in evaluate(log)["reasons"]}


@pytest.mark.parametrize("model", [True, False])
def test_a_policy_that_knows_its_rows_by_heart_is_refused_and_one_from_other_rows_is_not(model: bool) -> None:
    wanted = "reward_model_fitted_on_these_rows" if model else "policy_chosen_on_these_rows"
    for seed in range(4):
        x, action, reward = drawn(seed)
        other = drawn(100 + seed)
        assert wanted in codes(log_of(action, reward, nearest(x, action, reward, x), model=model))
        assert evaluate(log_of(action, reward, nearest(*other, x), model=model))["verdict"] == "ok"


def test_a_log_that_declares_unseen_rows_is_believed_about_what_cannot_be_proven() -> None:
    x, action, reward = drawn(7)
    log = log_of(action, reward, nearest(x, action, reward, x), model=False)
    assert codes(log.assign(used_by_policy=0)) == set()
    assert "policy_chosen_on_these_rows" in codes(log.assign(used_by_policy=np.where(np.arange(len(log)) < 3, 1, 0)))
    assert "policy_chosen_on_these_rows" in codes(
        log.assign(used_by_policy=np.where(np.arange(len(log)) < 3, np.nan, 0))
    )


def test_a_declaration_does_not_undo_a_proof() -> None:
    """The policy favours whatever was logged: no policy that has not seen the rows can."""
    _, action, reward = drawn(8)
    wish = np.where(np.arange(K) == action[:, None], 0.2, 0.0)
    made = make_log(log_of(action, reward, wish, model=False).assign(used_by_policy=0))
    assert [reason.code for reason in own_rows_reasons(made, made.rounds())] == ["policy_chosen_on_these_rows"]


def test_mean_of_the_largest_of_normals() -> None:
    """Of two: 1 / sqrt(pi); of three: 3 / (2 sqrt(pi)); of five: Harter (1961), 1.16296."""
    assert largest_of(2) == pytest.approx(1.0 / np.sqrt(np.pi), abs=1e-6)
    assert largest_of(3) == pytest.approx(1.5 / np.sqrt(np.pi), abs=1e-6)
    assert largest_of(5) == pytest.approx(1.16296, abs=1e-5)
    assert largest_of(1) == largest_of(2)


def test_what_a_policy_must_have_known_by_hand() -> None:
    """Two actions at random, the policy always right: it earns 1 where chance earns 1/2, and Var r = 1/4."""
    right = np.tile([1.0, 0.0], 200)
    action = np.tile([0, 0, 1, 1], 100)
    best = np.where(right == 1.0, action, 1 - action)
    log = pd.DataFrame({"action": action, "reward": right, "pscore": 0.5})
    log = log.assign(pi_0=(best == 0).astype(float), pi_1=(best == 1).astype(float))
    made = make_log(log)
    assert known_by_policy(made, made.rounds()) == pytest.approx(0.25 / (1.0 / np.pi) / 0.25, rel=1e-5)
    flat = make_log(log.assign(pi_0=0.5, pi_1=0.5))
    assert known_by_policy(flat, flat.rounds()) == 0.0


def test_what_a_model_explains_counts_only_where_it_needs_no_shrinking() -> None:
    _, action, reward = drawn(9)
    rng = np.random.default_rng(9)
    level = 0.5 + 0.45 * (2.0 * reward - 1.0) * (rng.random(len(reward)) < 0.9)
    sharp = make_log(log_of(action, reward, np.tile(level[:, None], K), model=True))
    assert known_by_model(sharp, sharp.rounds()) > MAX_KNOWN
    bold = make_log(log_of(action, reward, 3.0 * np.tile(level[:, None], K), model=True))
    assert known_by_model(bold, bold.rounds()) == 0.0


def test_scale_and_shift_of_rewards_change_nothing() -> None:
    x, action, reward = drawn(10)
    log = log_of(action, reward, nearest(x, action, reward, x), model=False)
    one, other = make_log(log), make_log(log.assign(reward=-3.0 + 50.0 * log.reward))
    assert known_by_policy(one, one.rounds()) == pytest.approx(known_by_policy(other, other.rounds()), rel=1e-9)
