"""Whether a log can carry an off-policy verdict: named reasons to refuse, each with its figures.

Two kinds of doubt. *Thin evidence*: few effective rows, actions that the log never tried, two estimators that
disagree. *Evidence that contradicts itself*: whatever the rewards, right propensities and a policy that has not seen
the rows make these means zero (a is the logged action, g any function of row and action)::

    E[1(a = k) w - pi(k | x)] = 0 for every action k        E[w g(x, a) - sum_k pi(k | x) g(x, k)] = 0
    E[g(x, a) / pscore - sum_k g(x, k)] = 0                 (where every action could be logged)

A reward model fitted on the very rows bends towards what was logged there, so g = q and q^2 give it away, and with it
the policy that was chosen by it. A policy that leaks without such a trace cannot be told from a good one: mark the
rows it has seen in a column ``used_by_policy``.
"""

from collections.abc import Mapping

import numpy as np
from scipy.stats import norm

from foretouch.training.off_policy.estimators import Estimate, Rounds, effective_sample_size
from foretouch.training.off_policy.log import GIVEN, OWN_ROWS, PolicyLog, Reason
from foretouch.training.task import FloatArray

MIN_ESS = 200.0
MIN_ESS_SHARE = 0.01
MAX_DISAGREEMENT = 2.0
"""DR and SNIPS may be apart by so many standard errors (the larger of the two)."""
MAX_UNSUPPORTED = 0.01
"""Share of the policy's choices that may fall on actions that the log never tried."""
FALSE_ALARM = 1e-4
"""Chance that a sound log fails one family of checks of its own consistency."""
COMPLETE = 3.0
"""1 / pscore averages the number of actions, within so many standard errors, where every action could be logged."""
MIN_LOGGED = 30
"""An action logged less often is checked together with the other rare ones."""


def reasons_to_refuse(log: PolicyLog, rounds: Rounds, estimates: Mapping[str, Estimate]) -> list[Reason]:
    """Every reason that holds; none is a verdict of ``ok``."""
    found = [*_thin(rounds), *_unsupported(log)]
    if log.reward.min() == log.reward.max():
        found.append(
            Reason(code="reward_constant", text=f"every reward is {log.reward[0]:g}: an error cannot be estimated")
        )
    if log.declared_own:
        found.append(
            Reason(
                code="policy_chosen_on_these_rows",
                text=f"{log.declared_own} rows are marked {OWN_ROWS}: score the policy on rows that it has not seen",
            )
        )
    found += _inconsistent_propensities(log, rounds)
    found += _seen_these_rows(log, rounds)
    return found + _disagreement(estimates)


def _thin(rounds: Rounds) -> list[Reason]:
    n, ess = len(rounds), effective_sample_size(rounds.weight)
    if ess < MIN_ESS:
        return [Reason(code="ess_below_200", text=f"worth {ess:.0f} of {n} rows, need {MIN_ESS:.0f}")]
    if ess < MIN_ESS_SHARE * n:
        return [
            Reason(code="ess_below_1_percent", text=f"worth {ess:.0f} of {n} rows, need {MIN_ESS_SHARE:.0%} of them")
        ]
    return []


def _unsupported(log: PolicyLog) -> list[Reason]:
    wanted = log.pi.total() / len(log.action)
    never = np.bincount(log.action, minlength=len(log.actions)) == 0
    share = float(wanted[never].sum())
    if share <= MAX_UNSUPPORTED:
        return []
    names = [str(log.actions[index]) for index in np.flatnonzero(never & (wanted > 0))[:5]]
    return [
        Reason(
            code="no_support",
            text=f"{share:.1%} of the policy's choices are actions that the log never tried ({', '.join(names)})",
        )
    ]


def _disagreement(estimates: Mapping[str, Estimate]) -> list[Reason]:
    dr, snips = estimates["dr"], estimates["snips"]
    se = max(dr.se, snips.se)
    apart = abs(dr.value - snips.value)
    if not np.isfinite(apart) or apart <= MAX_DISAGREEMENT * se:
        return []
    return [
        Reason(
            code="dr_and_snips_disagree",
            text=f"DR says {dr.value:.4g} and SNIPS {snips.value:.4g}: {apart / se:.1f} standard errors apart"
            if se > 0.0
            else f"DR says {dr.value:.4g} and SNIPS {snips.value:.4g}, both without error",
        )
    ]


def _inconsistent_propensities(log: PolicyLog, rounds: Rounds) -> list[Reason]:
    """Per action, and over all: the weight that was logged against the probability that the policy gives."""
    n, k = len(rounds), len(log.actions)
    logged = np.bincount(log.action, minlength=k)
    group = np.where(logged >= MIN_LOGGED, np.arange(k), k)  # the last group: all rare actions
    pi_logged = log.pi.at(log.action)

    def by_group(values: FloatArray) -> FloatArray:
        by_action = np.bincount(log.action, weights=values, minlength=k)
        return np.bincount(group, weights=by_action, minlength=k + 1).astype(np.float64)

    weight = by_group(rounds.weight)
    expected = np.bincount(group, weights=log.pi.total(), minlength=k + 1)
    # Var[1(a=k) w - pi_k] <= E[1(a=k) w^2] - 2 E[1(a=k) w pi_k] + E[pi_k^2]; for the group of rare actions the cross
    # terms between its members are left out, which only widens it.
    square = (
        by_group(np.square(rounds.weight))
        - 2.0 * by_group(rounds.weight * pi_logged)
        + np.bincount(group, weights=log.pi.total(2), minlength=k + 1)
    )
    enough = np.bincount(group, weights=logged, minlength=k + 1) >= MIN_LOGGED
    error = np.sqrt(np.maximum(square, 1e-300))
    z = np.where(enough, (weight - expected) / error, 0.0)
    limit = _limit(int(enough.sum()) + 1)
    overall = _z(rounds.weight - 1.0)
    worst = int(np.argmax(np.abs(z)))
    if abs(overall) > limit:
        return [
            Reason(
                code="propensities_inconsistent",
                text=f"weights average {rounds.weight.mean():.4g} where right propensities give 1 (z = {overall:.1f})",
            )
        ]
    if n and abs(float(z[worst])) > limit:
        name = f"action {log.actions[worst]}" if worst < k else "rare actions"
        return [
            Reason(
                code="propensities_inconsistent",
                text=f"{name}: logged weight {weight[worst] / n:.4g} a row, the policy's share is"
                f" {expected[worst] / n:.4g} (z = {z[worst]:.1f})",
            )
        ]
    return []


def _seen_these_rows(log: PolicyLog, rounds: Rounds) -> list[Reason]:
    """Moments of the reward model (where it was given) and of the policy at the logged action against all actions."""
    n = len(rounds)
    tests: list[tuple[str, FloatArray]] = []
    complete = abs(_z(1.0 / log.pscore - len(log.actions))) < COMPLETE
    if log.reward_model == GIVEN:
        at = rounds.predicted
        tests += [("reward_model", rounds.weight * at - rounds.direct)]
        tests += [("reward_model", rounds.weight * at**2 - log.pi.dot(log.qhat, power=2))]
        if complete:
            tests += [("reward_model", at / log.pscore - log.qhat.sums())]
            tests += [("reward_model", at**2 / log.pscore - log.qhat.sums(2))]
    if complete:
        tests += [("policy", log.pi.at(log.action) ** 2 / log.pscore - log.pi.sums(2))]
    for what, terms in tests:
        z = _z(terms)
        if abs(z) > _limit(len(tests)):
            return [_SEEN[what](z, n)]
    return []


def _seen_model(z: float, n: int) -> Reason:
    return Reason(
        code="reward_model_fitted_on_these_rows",
        text=f"the reward model says other things of logged actions than of all actions (z = {z:.1f}), as one does that"
        f" was fitted on these {n} rows, and a policy chosen by it looks better than it is: cross-fit it",
    )


def _seen_policy(z: float, n: int) -> Reason:
    return Reason(
        code="policy_chosen_on_these_rows",
        text=f"the policy is surer of logged actions than of others (z = {z:.1f}), as one is that was chosen on these"
        f" {n} rows: score it on other rows",
    )


_SEEN = {"reward_model": _seen_model, "policy": _seen_policy}


def _z(terms: FloatArray) -> float:
    """Mean over its standard error; 0 where all terms are 0, infinite where they are alike and not 0."""
    mean, deviation = float(terms.mean()), float(terms.std(ddof=1)) if len(terms) > 1 else 0.0
    if abs(mean) <= 1e-12 * max(float(np.abs(terms).max()), 1.0):
        return 0.0
    return mean / deviation * float(np.sqrt(len(terms))) if deviation > 0.0 else float("inf")


def _limit(tests: int) -> float:
    return float(norm.ppf(1.0 - FALSE_ALARM / (2.0 * tests)))
