"""Whether a log can carry an off-policy verdict: named reasons to refuse, each with its figures.

Three kinds of doubt. *Thin evidence*: few effective rows, actions that the log never tried, two estimators that
disagree. *Evidence that contradicts itself*: whatever the rewards, right propensities and a policy that has not seen
the rows make this mean zero for every action k (a is the logged action)::

    E[1(a = k) w - pi(k | x)] = 0

Where the log holds the probability of every action, chance's part in it is known (``drawn.py``); else it is estimated
from the same rows.

*A policy that has seen the rows* (``own_rows.py``).
"""

from collections.abc import Mapping

import numpy as np

from foretouch.training.off_policy.drawn import Drawn, chance_of
from foretouch.training.off_policy.estimators import Estimate, Rounds, effective_sample_size
from foretouch.training.off_policy.log import PolicyLog, Reason
from foretouch.training.off_policy.moments import FALSE_ALARM, limit, z_of
from foretouch.training.off_policy.own_rows import own_rows_reasons
from foretouch.training.task import FloatArray

MIN_ESS = 200.0
MIN_ESS_SHARE = 0.01
MAX_DISAGREEMENT = 2.0
"""DR and SNIPS may be apart by so many standard errors (the larger of the two)."""
MAX_UNSUPPORTED = 0.01
"""Share of the policy's choices that may fall on actions that the log never tried."""
MIN_LOGGED = 30
"""An action logged less often is checked together with the other rare ones."""


def reasons_to_refuse(log: PolicyLog, rounds: Rounds, estimates: Mapping[str, Estimate]) -> list[Reason]:
    """Every reason that holds; none is a verdict of ``ok``."""
    found = [*_thin(rounds), *_unsupported(log)]
    if log.reward.min() == log.reward.max():
        found.append(
            Reason(code="reward_constant", text=f"every reward is {log.reward[0]:g}: an error cannot be estimated")
        )
    found += _inconsistent_propensities(log, rounds)
    found += own_rows_reasons(log, rounds)
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


def unsupported_share(log: PolicyLog) -> float:
    """Share of the policy's choices that fall on actions that the log never tried, or could not have tried there."""
    if log.drawn is not None:
        return log.drawn.unsupported(log.pi.table[log.pi.row])
    never = np.bincount(log.action, minlength=len(log.actions)) == 0
    return float(log.pi.total()[never].sum()) / len(log.action)


def _unsupported(log: PolicyLog) -> list[Reason]:
    share = unsupported_share(log)
    if share <= MAX_UNSUPPORTED:
        return []
    if log.drawn is not None:
        text = f"{share:.1%} of the policy's choices could not have been made: the log gave them no chance"
        return [Reason(code="no_support", text=text)]
    never = (np.bincount(log.action, minlength=len(log.actions)) == 0) & (log.pi.total() > 0.0)
    names = [str(log.actions[index]) for index in np.flatnonzero(never)[:5]]
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
    if log.drawn is not None:
        return _against_the_law(log, log.drawn)
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
    most = limit(int(enough.sum()) + 1)
    overall = z_of(rounds.weight - 1.0)
    worst = int(np.argmax(np.abs(z)))
    if abs(overall) > most:
        return [
            Reason(
                code="propensities_inconsistent",
                text=f"weights average {rounds.weight.mean():.4g} where right propensities give 1 (z = {overall:.1f})",
            )
        ]
    if n and abs(float(z[worst])) > most:
        name = f"action {log.actions[worst]}" if worst < k else "rare actions"
        return [
            Reason(
                code="propensities_inconsistent",
                text=f"{name}: logged weight {weight[worst] / n:.4g} a row, the policy's share is"
                f" {expected[worst] / n:.4g} (z = {z[worst]:.1f})",
            )
        ]
    return []


def _against_the_law(log: PolicyLog, drawn: Drawn) -> list[Reason]:
    """The same where the logging policy's whole distribution is known; the slots, given the actions, by themselves.

    Whether the log's own choices are as likely as it says does not need the candidate: how often each action was
    chosen, and how likely what was chosen is on average, in logarithms.
    """
    n, here = len(log.action), np.arange(len(log.action))
    weight = drawn.weights(log.pi.table[log.pi.row])
    surprise = np.log(drawn.chance, out=np.zeros_like(drawn.chance), where=drawn.chance > 0.0)
    tests: list[tuple[str, float, FloatArray, FloatArray]] = [
        ("weights", float(weight[here, log.action].sum()), drawn.chance, weight),
        ("weights of the slots", float(drawn.slot_seen.sum()), drawn.slot_chance, drawn.slot_ratio),
        ("log-probabilities of what was chosen", float(surprise[here, log.action].sum()), drawn.chance, surprise),
    ]
    for action in np.flatnonzero(drawn.chance.sum(axis=0) >= MIN_LOGGED):
        name, rows = log.actions[action], log.action == action
        law = np.column_stack([drawn.chance[:, action], 1.0 - drawn.chance[:, action]])
        zero = np.zeros(n)
        counted = np.column_stack([weight[:, action], zero])
        tests.append((f"weights of action {name}", float(weight[rows, action].sum()), law, counted))
        tests.append((f"choices of action {name}", float(rows.sum()), law, np.column_stack([zero + 1.0, zero])))
    chances = [2.0 * chance_of(seen, law, value) * len(tests) for _, seen, law, value in tests]
    worst = int(np.argmin(chances))
    if chances[worst] >= FALSE_ALARM:
        return []
    name, seen, law, value = tests[worst]
    expected = float(np.where(law > 0.0, law * value, 0.0).sum())
    return [
        Reason(
            code="propensities_inconsistent",
            text=f"{name} average {seen / n:.4g} where right propensities give {expected / n:.4g}"
            f" (chance below {max(chances[worst], 1e-99):.0e})",
        )
    ]
