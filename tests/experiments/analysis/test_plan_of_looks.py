"""Plans of looks: each kind decides by its own test, and none misleads more often than it says."""

import numpy as np
import pytest
from scipy import stats

from foretouch.experiments.analysis.analyze import Context, analyze
from foretouch.experiments.analysis.effects import Estimate, Pair, effect_of
from foretouch.experiments.analysis.plan_of_looks import decisive_of, stage_of
from tests.experiments.analysis.planted_table import spec, table


def test_without_a_plan_a_running_test_is_judged_anytime_and_an_ended_one_once() -> None:
    rows = table()
    for running, basis in ((True, "anytime"), (False, "fixed")):
        results = analyze(rows, spec(), Context(running=running))
        row = results.metrics[0]
        assert row.decisive is not None
        assert results.basis == row.decisive.basis == basis
        assert row.decisive.ci == (row.anytime_ci if running else row.ci)
        assert results.sequential is None


def test_a_group_sequential_look_has_its_bound_its_interval_and_the_price() -> None:
    plan = {"kind": "group_sequential", "planned_units": 6000, "spending": "pocock"}
    results = analyze(table(n=3000), spec(sequential=plan))
    state, row = results.sequential, results.metrics[0]
    assert state is not None
    assert row.decisive is not None
    assert (state.information, state.looks) == (0.5, (0.25, 0.5))
    assert state.bounds[-1] == row.decisive.bound
    assert row.decisive.crossed == (row.decisive.p <= 0.05) == (row.decisive.ci[0] > 0.0 or row.decisive.ci[1] < 0.0)
    assert state.prices[0].power == 0.8
    assert all(price.power < 0.8 for price in state.prices[1:])
    assert "group_sequential" in results.definitions


@pytest.mark.parametrize("kind", ["group_sequential", "hybrid"])
def test_looking_by_the_plan_misleads_no_more_often_than_it_says(kind: str) -> None:
    """A thousand tests without any effect, each stopped at the first look that decides."""
    rng = np.random.default_rng(20261130)
    runs, looks, n = 1000, 4, 2000
    plan = spec(sequential={"kind": kind, "planned_units": n}, tuning=n)
    steps = rng.normal(size=(runs, looks)).cumsum(axis=1)
    wrong = 0
    for run in steps:
        for index in range(looks):
            seen = n * (index + 1) // looks
            z = run[index] / np.sqrt(index + 1.0)
            control = Estimate(n=seen // 2, mean=0.0, variance=0.5)
            pair = Pair(control=control, treatment=Estimate(n=seen // 2, mean=z, variance=0.5), df=np.inf)
            effect = effect_of(pair, alpha=0.05, tuning=plan.tuning)
            stage = stage_of(plan, units=seen, running=False)
            found = decisive_of(effect, pair, plan, stage)
            excludes = found.ci[0] > 0.0 or found.ci[1] < 0.0
            assert excludes == (found.p < 0.05) or found.p == pytest.approx(0.05, abs=1e-4)
            if excludes:
                wrong += 1
                break
    assert wrong <= stats.binom.ppf(0.999, runs, 0.05)
    assert wrong >= stats.binom.ppf(0.001, runs, 0.03)


def test_a_plan_that_is_not_complete_is_refused_when_the_spec_is_read() -> None:
    with pytest.raises(ValueError, match="needs planned_units"):
        spec(sequential={"kind": "hybrid"})
    with pytest.raises(ValueError, match="must rise"):
        spec(sequential={"kind": "group_sequential", "planned_units": 100, "looks": [0.5, 0.4, 1.0]})
