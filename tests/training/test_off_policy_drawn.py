"""Where the whole logging distribution is on record: sound logs with rare large weights pass, false ones do not."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from foretouch.training.off_policy.drawn import Drawn, chance_of
from foretouch.training.off_policy.estimators import estimate_all
from foretouch.training.off_policy.evidence import reasons_to_refuse, unsupported_share
from foretouch.training.off_policy.log import PerAction, PolicyLog
from foretouch.training.task import FloatArray

N, K, LOGS = 1_500, 5, 40


def softmax(priority: FloatArray, temperature: float, floor: float) -> FloatArray:
    share = np.exp((priority - priority.max(axis=1, keepdims=True)) / temperature)
    mixed: FloatArray = (1.0 - floor) * share / share.sum(axis=1, keepdims=True) + floor / priority.shape[1]
    return mixed


def retrain(seed: int, *, actual: float = 1.0, slots: float = 1.0) -> PolicyLog:
    """A retrain of a bold policy: it mostly agrees with what decided, and where not, the log has hardly any row of it.

    Args:
        seed: Of people and draws.
        actual: Power of the logged probabilities by which was really drawn; 1 is a sound log.
        slots: The same of the slots' probabilities.
    """
    rng = np.random.default_rng(seed)
    priority = rng.normal(size=(N, K))
    logged, pi = softmax(priority, 0.06, 0.01), softmax(priority + rng.normal(0.0, 0.15, (N, K)), 0.06, 0.01)
    true = logged**actual / (logged**actual).sum(axis=1, keepdims=True)
    action = (true.cumsum(axis=1) > rng.random((N, 1))).argmax(axis=1)
    law = np.tile([0.955, 0.005, 0.04], (N, 1))  # the log's best slot, the candidate's, all others
    ratio = np.tile([0.005 / 0.955, 0.955 / 0.005, 1.0], (N, 1))
    really = law[0] ** slots / (law[0] ** slots).sum()
    here = np.arange(N)
    reward = (rng.random(N) < 0.06 + 0.02 * action).astype(float)
    return PolicyLog(
        actions=tuple("abcde"),
        action=action,
        reward=reward,
        pscore=logged[here, action],
        pi=PerAction(table=pi, row=here),
        qhat=PerAction(table=np.full((N, K), 0.1), row=here),
        reward_model="cross-fitted",
        declared_own=0,
        declared_unseen=True,
        drawn=Drawn(
            chance=logged, slot_chance=law, slot_ratio=ratio, slot_seen=ratio[0, rng.choice(3, size=N, p=really)]
        ),
    )


def codes(log: PolicyLog) -> set[str]:
    rounds = log.rounds()
    return {reason.code for reason in reasons_to_refuse(log, rounds, estimate_all(rounds))}


def without_the_law(log: PolicyLog) -> PolicyLog:
    return PolicyLog(**{**vars(log), "drawn": None})


def test_a_sound_log_whose_largest_weights_are_missing_by_chance_is_not_called_inconsistent() -> None:
    """One sound log in 10,000 may fail. Held against their own standard deviation, many of these do."""
    logs = [retrain(seed) for seed in range(LOGS)]
    assert not any("propensities_inconsistent" in codes(log) for log in logs)
    by_own_deviation = sum("propensities_inconsistent" in codes(without_the_law(log)) for log in logs)
    assert by_own_deviation >= 3


@pytest.mark.parametrize("broken", [{"actual": 0.7}, {"actual": 1.6}, {"slots": 0.6}])
def test_probabilities_that_were_not_those_of_the_draw_are_found(broken: dict[str, Any]) -> None:
    assert all("propensities_inconsistent" in codes(retrain(seed, **broken)) for seed in range(10))


@pytest.mark.parametrize("p", [0.003, 0.3, 0.9])
def test_the_bound_is_above_the_exact_chance_and_near_it(p: float) -> None:
    """Parent: the binomial distribution of scipy; the bound is too large by the factor that Chernoff's always is."""
    n = 2_000
    law, counted = np.tile([p, 1.0 - p], (n, 1)), np.tile([1.0, 0.0], (n, 1))
    spread = np.sqrt(n * p * (1.0 - p))
    for steps in (2.0, 3.0, 4.5):
        for seen in (np.ceil(n * p + steps * spread), np.floor(n * p - steps * spread)):
            if not 0 <= seen <= n:
                continue
            above = binom.sf(seen - 1, n, p) if seen > n * p else binom.cdf(seen, n, p)
            assert above <= chance_of(float(seen), law, counted) <= 30.0 * above
    assert chance_of(n * p, law, counted) == 1.0
    assert chance_of(n + 1.0, law, counted) < 1e-6


def test_rows_that_could_count_one_thing_only_allow_nothing_else() -> None:
    law, counted = np.ones((5, 1)), np.full((5, 1), 2.0)
    assert chance_of(10.0, law, counted) == 1.0
    assert chance_of(11.0, law, counted) == 0.0


def test_choices_that_the_log_gave_no_chance_there_are_unsupported_even_if_it_tried_them_elsewhere() -> None:
    log = retrain(1)
    assert unsupported_share(log) == pytest.approx(0.0, abs=1e-9)
    assert log.drawn is not None
    never = log.drawn.chance.copy()
    rows = np.flatnonzero(log.action != 0)[:600]
    never[rows, 0] = 0.0
    never /= never.sum(axis=1, keepdims=True)
    changed = PolicyLog(**{**vars(log), "drawn": Drawn(**{**vars(log.drawn), "chance": never})})
    share = float(log.pi.table[rows, 0].sum()) / N
    assert share > 0.01
    assert unsupported_share(changed) == pytest.approx(share)
    assert "no_support" in codes(changed)
    assert unsupported_share(without_the_law(changed)) == 0.0
