"""Whether a policy, or the reward model beside it, has seen the rows that score it: two tests and one judgement.

*Tests*, right whatever the world is: a policy that has not seen the rows is as sure of logged actions as of others, and
so is a reward model. With a the logged action and g any function of row and action::

    E[w g(x, a) - sum_k pi(k | x) g(x, k)] = 0        E[g(x, a) / pscore - sum_k g(x, k)] = 0

where every action could be logged; g = q, q^2 and pi are tried. A learner whose predictions elsewhere are as bold as on
its own rows (a deep tree, nearest neighbours) leaves no such trace, and no test can find it: every table of actions,
rewards and choices that it makes is also that of a policy which knows how each reward will fall.

*The judgement* is that nobody knows this. Two figures say how much of the variance of the reward would have to be known
beforehand. Of the reward model: 1 - mean (r - q)^2 / Var r at the logged actions, taken only where q needs no shrinking
(a slope of r on q of 1 or more; models fitted on other rows have slopes below 1). Of the policy: its value V above that
of choosing the same shares at random, B. A policy that knows effects with standard deviation s, picks the best of K and
is right gains s c(K), where c is the mean of the largest of K standard normals, so that it knows about
((V - B) / c(K))^2 / Var r, more where it favours its choices only softly. Above ``MAX_KNOWN`` the log is refused, and
so is one whose model is certain of the largest and of the smallest reward and never wrong, unless the log declares by
a column ``used_by_policy`` of zeros that the policy has seen none of its rows.
"""

import numpy as np
from scipy.stats import norm

from foretouch.training.off_policy.estimators import Rounds, estimate, snips
from foretouch.training.off_policy.log import GIVEN, OWN_ROWS, PolicyLog, Reason
from foretouch.training.off_policy.moments import FALSE_ALARM, limit, z_of
from foretouch.training.task import FloatArray

COMPLETE = 3.0
"""1 / pscore averages the number of actions, within so many standard errors, where every action could be logged."""
MAX_KNOWN = 1.0 / 3.0
"""Share of the reward's variance that a policy or reward model may claim to know beforehand."""
LEAST_SLOPE = 0.99
"""Slope of the reward on the reward model from which the model counts as one that needs no shrinking."""
LEAST_FIRMNESS = 0.2
"""A policy that favours its choices less than this is not judged by its gain: 0 is all alike, 1 is one choice."""
LEAST_CERTAIN = 10
"""Rows of either kind from which a model that is certain, and never wrong, is judged."""
SURE = 3.0
"""Standard errors by which a policy's gain must exceed 0 before it is judged."""


def own_rows_reasons(log: PolicyLog, rounds: Rounds) -> list[Reason]:
    """Every sign that the policy was chosen, or its reward model fitted, on these rows; at most one per kind."""
    if log.declared_own:
        return [
            Reason(
                code="policy_chosen_on_these_rows",
                text=f"{log.declared_own} rows are marked {OWN_ROWS}: score the policy on rows that it has not seen",
            )
        ]
    found = _traces(log, rounds)
    if not found and not log.declared_unseen:
        found = _too_knowing(log, rounds)
    return found


def known_by_policy(log: PolicyLog, rounds: Rounds) -> float:
    """Share of the reward's variance that the policy must have known; 0 where its gain may be chance.

    See the module for the formula; it is rough, since effects are not normal, and only large figures mean something.
    """
    weight = 1.0 / log.pscore
    total = np.bincount(log.action, weights=weight, minlength=len(log.actions))
    earned = np.bincount(log.action, weights=weight * log.reward, minlength=len(log.actions))
    overall = float(earned.sum() / total.sum())
    by_action = np.divide(earned, total, out=np.full(len(total), overall), where=total > 0.0)
    share = log.pi.total() / len(log.action)
    value = estimate(rounds, snips)
    gain = value.value - float(share @ by_action)
    variance = float(weight @ np.square(log.reward - overall) / weight.sum())
    count = int((share > 0.0).sum())
    firmness = (count * float(log.pi.largest().mean()) - 1.0) / max(count - 1, 1)
    if not np.isfinite(gain) or gain <= SURE * value.se or variance <= 0.0 or firmness < LEAST_FIRMNESS:
        return 0.0
    return float(np.square(gain / largest_of(count))) / firmness / variance


def known_by_model(log: PolicyLog, rounds: Rounds) -> float:
    """Share of the reward's variance that the reward model explains where it needs no shrinking; else 0."""
    spread, variance = float(np.var(rounds.predicted)), float(np.var(log.reward))
    if spread <= 0.0 or variance <= 0.0:
        return 0.0
    covariance = float(np.mean((log.reward - log.reward.mean()) * (rounds.predicted - rounds.predicted.mean())))
    if covariance < LEAST_SLOPE * spread:
        return 0.0
    return max(1.0 - float(np.mean(np.square(log.reward - rounds.predicted))) / variance, 0.0)


def largest_of(count: int) -> float:
    """Mean of the largest of ``count`` standard normals, by quadrature; of at least two."""
    grid = np.linspace(-8.0, 8.0, 2001)
    k = max(count, 2)
    return float(np.trapezoid(grid * k * norm.pdf(grid) * norm.cdf(grid) ** (k - 1), grid))


def _traces(log: PolicyLog, rounds: Rounds) -> list[Reason]:
    tests: list[tuple[str, FloatArray]] = []
    complete = abs(z_of(1.0 / log.pscore - len(log.actions))) < COMPLETE
    if log.reward_model == GIVEN:
        at = rounds.predicted
        tests += [("reward_model", rounds.weight * at - rounds.direct)]
        tests += [("reward_model", rounds.weight * at**2 - log.pi.dot(log.qhat, power=2))]
        if complete:
            tests += [("reward_model", at / log.pscore - log.qhat.sums())]
            tests += [("reward_model", at**2 / log.pscore - log.qhat.sums(2))]
    if complete and log.drawn is None:
        tests += [("policy", log.pi.at(log.action) ** 2 / log.pscore - log.pi.sums(2))]
    for what, terms in tests:
        z = z_of(terms)
        if abs(z) > limit(len(tests), FALSE_ALARM):
            return [_SEEN[what](z, len(rounds))]
    return []


def _too_knowing(log: PolicyLog, rounds: Rounds) -> list[Reason]:
    if log.reward_model == GIVEN and (known := known_by_model(log, rounds)) > MAX_KNOWN:
        text = (
            f"the reward model explains {known:.0%} of what the rewards vary by and needs no shrinking, as one that"
            f" was fitted on these rows does, and a policy chosen by it looks better than it is: cross-fit it"
        )
        return [Reason(code="reward_model_fitted_on_these_rows", text=f"{text}, or {_DECLARE}")]
    if log.reward_model == GIVEN and (certain := _certain_and_right(log, rounds)):
        text = (
            f"the reward model is certain of {certain} rewards, some the largest and some the smallest, and never wrong"
        )
        return [Reason(code="reward_model_fitted_on_these_rows", text=f"{text}: cross-fit it, or {_DECLARE}")]
    if (known := known_by_policy(log, rounds)) > MAX_KNOWN:
        text = (
            f"to gain so much the policy must have known {min(known, 1.0):.0%} of what the rewards vary by, as one has"
            " that was chosen by these rewards: score it on other rows"
        )
        return [Reason(code="policy_chosen_on_these_rows", text=f"{text}, or {_DECLARE}")]
    return []


def _certain_and_right(log: PolicyLog, rounds: Rounds) -> int:
    """Rows whose reward the model is certain of, where it is so in both directions and always right; else 0."""
    low, high = float(log.reward.min()), float(log.reward.max())
    slack = 1e-3 * (high - low)
    sure_high, sure_low = rounds.predicted >= high - slack, rounds.predicted <= low + slack
    right = (log.reward[sure_high] == high).all() and (log.reward[sure_low] == low).all()
    counts = int(sure_high.sum()), int(sure_low.sum())
    return sum(counts) if right and min(counts) >= LEAST_CERTAIN else 0


_DECLARE = f"declare that it has seen none of them by a column {OWN_ROWS} of zeros"


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
