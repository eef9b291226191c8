"""Synthetic logs for off-policy evaluation with their true values: sound ones, and ones broken in three ways.

A world draws contexts from a normal, rewards from a logistic of the context per action, and a logging policy that is
uniform or soft. The policy to be valued is the argmax, the argmax with exploration or the softmax of a learned (or the
true, or a random) reward. A *sound* log scores a policy that was learned on other rows of the same world; a *broken*
one lacks every row of an action that the policy wants (``no_support``), claims propensities that are not those it was
drawn with (``wrong_propensities``), or scores a policy on the very rows it was chosen by (``self_chosen``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Learner = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""Contexts and rewards of one action, and the contexts to predict for, to probabilities."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Contexts to rewards and logging probabilities.

    Attributes:
        effect: Log-odds of the reward per context and action, shape (d, k).
        taste: Log-preferences of the logging policy, shape (d, k); zeros are uniform.
        base: Log-odds of the reward at the mean context.
    """

    effect: FloatArray
    taste: FloatArray
    base: float


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Logged rows: contexts (n, d), true rewards and logging probabilities (n, k), action and reward (n,)."""

    x: FloatArray
    truth: FloatArray
    logging: FloatArray
    action: IntArray
    reward: FloatArray


@dataclass(frozen=True, kw_only=True)
class Case:
    """A log, the policy's true value on it, and how it was made."""

    log: pd.DataFrame
    value: float
    how: str


def make_world(rng: np.random.Generator) -> World:
    """Two to eight actions; log-odds spread by 0.5 to 1.5 standard deviations; base rates from 12 % to 62 %."""
    k, d = int(rng.choice([2, 3, 5, 8])), int(rng.choice([3, 8]))
    spread = float(rng.uniform(0.5, 1.5))
    taste = rng.normal(size=(d, k)) * (0.5 if rng.random() < 0.5 else 0.0)
    return World(
        effect=rng.normal(size=(d, k)) * spread / np.sqrt(d),
        taste=taste / np.sqrt(d),
        base=float(rng.uniform(-2.0, 0.5)),
    )


def draw_rows(rng: np.random.Generator, world: World, n: int) -> Rows:
    """So many rows of a world."""
    x = rng.normal(size=(n, len(world.effect)))
    truth = 1.0 / (1.0 + np.exp(-(x @ world.effect + world.base)))
    logging = np.exp(x @ world.taste)
    logging /= logging.sum(axis=1, keepdims=True)
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    reward = (rng.random(n) < truth[np.arange(n), action]).astype(np.float64)
    return Rows(x=x, truth=truth, logging=logging, action=action, reward=reward)


def _trees(leaves: int, least: int, rounds: int, rate: float) -> Learner:
    def learn(x: FloatArray, reward: FloatArray, to: FloatArray) -> FloatArray:
        settings = {
            "objective": "binary", "num_leaves": leaves, "min_data_in_leaf": least, "learning_rate": rate,
            "min_sum_hessian_in_leaf": 1e-6, "verbose": -1, "num_threads": 1, "seed": 1,
        }  # fmt: skip
        return np.asarray(lgb.train(settings, lgb.Dataset(x, reward), rounds).predict(to, num_threads=1))

    return learn


def _neighbours(x: FloatArray, reward: FloatArray, to: FloatArray) -> FloatArray:
    model = KNeighborsClassifier(5).fit(x, reward)
    return np.asarray(model.predict_proba(to)[:, list(model.classes_).index(1.0)])


def _logistic(x: FloatArray, reward: FloatArray, to: FloatArray) -> FloatArray:
    return np.asarray(LogisticRegression(C=10.0, max_iter=500).fit(x, reward).predict_proba(to)[:, 1])


LEARNERS: Mapping[str, Learner] = {
    "logistic": _logistic,
    "boosted": _trees(15, 10, 60, 0.1),
    "one deep tree": _trees(256, 2, 1, 1.0),
    "one tree": _trees(256, 5, 1, 1.0),
    "boosted deep": _trees(63, 3, 100, 0.1),
    "5 neighbours": _neighbours,
}
GREEDY_LEARNERS = tuple(name for name in LEARNERS if name != "logistic")
"""Those that bend towards single rows; a logistic regression on thousands of rows hardly does, whatever it has seen."""


def learned(learner: str, on: Rows, to: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The reward of every action by a model per action, shape (n, k)."""
    k = on.truth.shape[1]
    columns = [LEARNERS[learner](on.x[on.action == a], on.reward[on.action == a], to) for a in range(k)]
    return np.column_stack(columns) + rng.uniform(0.0, 1e-9, (len(to), k))  # ties fall at random


def follow(kind: str, wish: FloatArray) -> FloatArray:
    """A policy from the rewards it believes in: ``argmax``, ``explore`` (80 % of it) or ``soft``."""
    k = wish.shape[1]
    if kind == "soft":
        shares = np.exp((wish - wish.max(axis=1, keepdims=True)) / 0.1)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))
    best = (wish == wish.max(axis=1, keepdims=True)).astype(np.float64)
    chosen: FloatArray = best if kind == "argmax" else 0.8 * best + 0.2 / k
    return chosen


def _table(rows: Rows, pi: FloatArray, qhat: FloatArray | None) -> pd.DataFrame:
    here, k = np.arange(len(rows.action)), pi.shape[1]
    columns = {f"pi_{a}": pi[:, a] for a in range(k)}
    if qhat is not None:
        columns |= {f"qhat_{a}": qhat[:, a] for a in range(k)}
    pscore = rows.logging[here, rows.action]
    return pd.DataFrame({"action": rows.action, "reward": rows.reward, "pscore": pscore, **columns})


def _start(seed: int, salt: str) -> tuple[np.random.Generator, World, Rows, str]:
    rng = np.random.default_rng([seed, *salt.encode()])
    world = make_world(rng)
    k = world.effect.shape[1]
    rows = draw_rows(rng, world, int(k * rng.uniform(450, 1000)))
    return rng, world, rows, str(rng.choice(["argmax", "explore", "soft"]))


def healthy(seed: int) -> Case:
    """A sound log: the policy comes from other rows, from the truth, or from nowhere."""
    rng, world, rows, kind = _start(seed, "healthy")
    source = str(rng.choice([*LEARNERS, "truth", "random"]))
    if source == "truth":
        wish = rows.truth
    elif source == "random":
        wish = 0.3 * rows.x @ rng.normal(size=world.effect.shape)
    else:
        wish = learned(source, draw_rows(rng, world, len(rows.x)), rows.x, rng)
    pi = follow(kind, wish)
    log = _table(rows, pi, wish if source != "random" and rng.random() < 0.5 else None)
    return Case(log=log, value=float((pi * rows.truth).sum(axis=1).mean()), how=f"{source}, {kind}")


def no_support(seed: int) -> Case:
    """Every row of one action that the policy wants is gone."""
    made = healthy(seed + 10_000)
    gone = max(range(sum(str(name).startswith("pi_") for name in made.log)), key=lambda a: made.log[f"pi_{a}"].mean())
    return Case(log=made.log[made.log["action"] != gone], value=made.value, how=f"{made.how}; no action {gone}")


def wrong_propensities(seed: int) -> Case:
    """Propensities that were scaled, swapped between actions, or those of another policy."""
    made = healthy(seed + 20_000)
    rng = np.random.default_rng([seed, 7])
    log, how = made.log.copy(), str(rng.choice(["halved", "a fifth too small", "of another row", "of the policy"]))
    pi = log.filter(regex=r"^pi_\d+$").to_numpy()
    at = pi[np.arange(len(log)), log["action"]]
    if how == "of the policy":
        log["pscore"] = 0.5 * at + 0.5 / pi.shape[1]
    elif how == "of another row":
        flat = pi.mean(axis=0) * 0.5 + 0.5 * rng.dirichlet(np.ones(pi.shape[1]))
        log["pscore"] = np.clip(flat[log["action"]], 0.02, 1.0)
    else:
        log["pscore"] *= 0.5 if how == "halved" else 0.8
    return Case(log=log, value=made.value, how=f"{made.how}; propensities {how}")


def self_chosen(seed: int) -> Case:
    """The policy is chosen by a model fitted on the very rows that score it; in half of the logs the model is given."""
    rng, _, rows, kind = _start(seed, "self")
    source = str(rng.choice(GREEDY_LEARNERS))
    wish = learned(source, rows, rows.x, rng)
    pi = follow(kind, wish)
    given = rng.random() < 0.5
    log = _table(rows, pi, wish if given else None)
    how = f"{source}, {kind}{', model given' if given else ''}"
    return Case(log=log, value=float((pi * rows.truth).sum(axis=1).mean()), how=how)


BROKEN: Mapping[str, Callable[[int], Case]] = {
    "no_support": no_support,
    "wrong_propensities": wrong_propensities,
    "self_chosen": self_chosen,
}
