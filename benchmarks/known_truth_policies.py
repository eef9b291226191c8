"""Known truth for scores and policies: noise called a model, off-policy intervals, a wrong reward model, own rows."""

from collections.abc import Iterator

import numpy as np
from thompson_truth import judge

from foretouch.training.off_policy.estimators import (
    Rounds,
    direct_method,
    doubly_robust,
    estimate,
    ips,
    snips,
)
from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import evaluate_uplift

Told = tuple[str, float, int, float, float, str]
"""Design, figure, runs, the least and the most that is acceptable, a note."""

N, ACTIONS = 2000, 5


def policy_lines(runs: int) -> Iterator[Told]:
    """Every design about scores and policies."""
    yield from noise(runs)
    yield from off_policy(2 * runs)
    yield from own_rows(min(runs, 200))
    yield from learning(4 * runs)


def learning(runs: int) -> Iterator[Told]:
    """Arms of a policy that learns: plain means against AIPW with the logged probabilities (``thompson_truth.py``)."""
    found = {row.way: row for row in judge(runs)}
    plain, aipw = found["plain"], found["uniform"]
    yield "Thompson, plain means, bias in points", abs(plain.bias_points), runs, 0.3, 10.0, "shown failing"
    yield "Thompson, plain means, coverage", plain.coverage, runs, 0.0, 0.91, "shown failing"
    yield "Thompson, AIPW, bias in points", abs(aipw.bias_points), runs, 0.0, 0.1, ""
    yield "Thompson, AIPW, coverage", aipw.coverage, runs, 0.91, 1.0, ""


def noise(runs: int) -> Iterator[Told]:
    """A score made of noise must seldom be called better than random."""
    rng = np.random.default_rng(21)
    called = 0
    for run in range(runs):
        n = 2000
        treated = (rng.random(n) < 0.5).astype(float)
        outcome = (rng.random(n) < 0.1 + 0.05 * treated).astype(float)
        called += evaluate_uplift(rng.random(n), treated, outcome, seed=run).better_than_random
    yield "noise score called better than random", called / runs, runs, 0.0, 0.085, ""


def off_policy(runs: int) -> Iterator[Told]:
    """Intervals of a new policy's value from a logging policy's rows, with a right and with a wrong reward model."""
    rng = np.random.default_rng(22)
    held = dict.fromkeys(("IPS", "SNIPS", "DR", "DR, wrong model", "DM, wrong model"), 0)
    wrong_values = []
    true = 0.0
    for _ in range(runs):
        x = rng.normal(size=N)
        rates = 1.0 / (1.0 + np.exp(-(-1.5 + 0.5 * np.outer(x, np.linspace(-1.0, 1.0, ACTIONS)))))
        logging = _softmax(0.5 * np.outer(x, np.linspace(1.0, -1.0, ACTIONS)))
        target = _softmax(1.0 * np.outer(x, np.linspace(-1.0, 1.0, ACTIONS)))
        action = (logging.cumsum(axis=1) < rng.random((N, 1))).sum(axis=1).clip(max=ACTIONS - 1)
        at = np.arange(N)
        reward = (rng.random(N) < rates[at, action]).astype(float)
        true = _truth()
        for name, model in (("right", rates), ("wrong", np.full_like(rates, 0.6))):
            rounds = Rounds(
                reward=reward,
                weight=target[at, action] / logging[at, action],
                direct=(target * model).sum(axis=1),
                predicted=model[at, action],
            )
            if name == "right":
                for label, estimator in (("IPS", ips), ("SNIPS", snips), ("DR", doubly_robust)):
                    found = estimate(rounds, estimator)
                    held[label] += found.low <= true <= found.high
            else:
                found = estimate(rounds, doubly_robust)
                wrong_values.append(found.value)
                held["DR, wrong model"] += found.low <= true <= found.high
                found = estimate(rounds, direct_method)
                held["DM, wrong model"] += found.low <= true <= found.high
    for label in ("IPS", "SNIPS", "DR", "DR, wrong model"):
        yield f"off-policy coverage, {label}, n = 2,000", held[label] / runs, runs, 0.92, 1.0, ""
    label = "DM, wrong model"
    yield (
        f"off-policy coverage, {label}",
        held[label] / runs,
        runs,
        0.0,
        0.5,
        "shown failing; DM alone carries a warning",
    )
    bias = abs(float(np.mean(wrong_values)) - true)
    yield "bias of DR with a wrong reward model, absolute", bias, runs, 0.0, 0.002, ""


def own_rows(runs: int) -> Iterator[Told]:
    """A policy chosen on rows looks better on those rows than it is; on other rows it does not."""
    rng = np.random.default_rng(23)
    gaps: list[float] = []
    honest: list[float] = []
    groups, n = 40, 2000
    for _ in range(runs):
        rates = rng.uniform(0.05, 0.15, (groups, ACTIONS))
        group, action = rng.integers(0, groups, n), rng.integers(0, ACTIONS, n)
        reward = (rng.random(n) < rates[group, action]).astype(float)
        fit = np.arange(n) < n // 2
        sums = np.zeros((groups, ACTIONS))
        counts = np.full((groups, ACTIONS), 1e-9)
        np.add.at(sums, (group[fit], action[fit]), reward[fit])
        np.add.at(counts, (group[fit], action[fit]), 1.0)
        chosen = (sums / counts).argmax(axis=1)
        truth = float(rates[np.arange(groups), chosen].mean())
        for mask, found in ((fit, gaps), (~fit, honest)):
            weight = (action[mask] == chosen[group[mask]]) * float(ACTIONS)
            found.append(float((weight * reward[mask]).mean()) - truth)
    told = "bias of IPS on the rows that chose the policy"
    yield told, float(np.mean(gaps)), runs, 0.02, 1.0, "shown failing; evaluate-policy refuses a model's own rows"
    yield "bias of IPS on other rows, absolute", abs(float(np.mean(honest))), runs, 0.0, 0.01, ""


def _softmax(scores: FloatArray) -> FloatArray:
    odds = np.exp(scores)
    shares: FloatArray = odds / odds.sum(axis=1, keepdims=True)
    return shares


_KNOWN: list[float] = []


def _truth() -> float:
    """The target policy's value by quadrature over x (Gauss-Hermite)."""
    if not _KNOWN:
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        rates = 1.0 / (1.0 + np.exp(-(-1.5 + 0.5 * np.outer(nodes, np.linspace(-1.0, 1.0, ACTIONS)))))
        target = _softmax(1.0 * np.outer(nodes, np.linspace(-1.0, 1.0, ACTIONS)))
        _KNOWN.append(float(weights @ (target * rates).sum(axis=1) / weights.sum()))
    return _KNOWN[0]
