"""Group-sequential bounds: published tables, the error rate by simulation, and laws."""

from itertools import accumulate

import numpy as np
import pytest

from foretouch.core.errors import DataError
from foretouch.experiments.analysis.group_sequential import Spending, bounds, crossing, expected_share, inflation, spent
from foretouch.experiments.analysis.plan_of_looks import prices_of, stagewise_p
from foretouch.experiments.analysis.sequential import anytime_half_width

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
# Lan-DeMets bounds for five equal looks, two-sided 5 %: Jennison and Turnbull (2000), and R's ldbounds 2.0.
PUBLISHED: dict[Spending, tuple[float, ...]] = {
    "obrien-fleming": (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
    "pocock": (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
}


@pytest.mark.parametrize("spending", PUBLISHED)
def test_bounds_are_those_of_the_published_tables(spending: Spending) -> None:
    assert bounds(FIVE, spending=spending) == pytest.approx(PUBLISHED[spending], abs=5e-4)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock", "power"])
def test_what_is_crossed_without_an_effect_is_what_was_spent(spending: Spending) -> None:
    times = (0.1, 0.35, 0.5, 1.0)
    limits = bounds(times, alpha=0.05, spending=spending)
    crossed = list(accumulate(crossing(times, limits)))
    assert crossed == pytest.approx([spent(t, alpha=0.05, spending=spending) for t in times], abs=1e-8)


def test_the_error_rate_and_the_power_hold_in_simulated_trials() -> None:
    rng = np.random.default_rng(5)
    times = np.array([0.25, 0.5, 0.75, 1.0])
    limits = np.array(bounds(tuple(times), spending="pocock"))
    steps = rng.normal(size=(200_000, 4)) * np.sqrt(np.diff(times, prepend=0.0))
    for drift in (0.0, 2.8):
        walk = np.cumsum(steps, axis=1) + drift * times
        crossed = (np.abs(walk / np.sqrt(times)) > limits).any(axis=1).mean()
        foretold = sum(crossing(tuple(times), tuple(limits), drift=drift))
        assert crossed == pytest.approx(foretold, abs=4 * np.sqrt(foretold * (1 - foretold) / 200_000))


def test_one_look_is_the_fixed_test_and_looks_cost_something() -> None:
    assert bounds((1.0,)) == pytest.approx((1.959964,), abs=1e-6)
    assert inflation((1.0,)) == pytest.approx(1.0, abs=1e-6)
    early, even = inflation(FIVE), inflation(FIVE, spending="pocock")
    assert (
        1.0 < early < 1.05
    )  # Jennison and Turnbull (2000), tables 2.2 and 2.4, for the classical bounds: 1.03 and 1.23
    assert 1.2 < even < 1.3
    assert expected_share(FIVE, bounds(FIVE, spending="pocock"), drift=2.8 * even**0.5) < 0.7 * even


def test_a_look_later_does_not_change_the_bounds_of_earlier_ones() -> None:
    assert bounds((0.3, 0.5, 1.0))[:2] == bounds((0.3, 0.5, 0.8, 1.0))[:2]


@pytest.mark.parametrize("times", [(), (0.5, 0.5, 1.0), (0.0, 1.0), (0.5, 1.2)])
def test_times_that_do_not_rise_are_refused(times: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="information times"):
        bounds(times)


def test_the_price_of_looking_stands_beside_the_fixed_design() -> None:
    once, early, even, hybrid, always = prices_of(alpha=0.05, power=0.8)
    assert once.factor == 1.0
    assert once.power == 0.8
    assert once.bounds == pytest.approx((1.959964,), abs=1e-6)
    assert early.bounds == pytest.approx(PUBLISHED["obrien-fleming"], abs=5e-4)
    assert once.factor < early.factor < even.factor < always.factor < 2.0
    assert once.power > early.power > even.power > always.power > 0.4
    assert early.power > hybrid.power > always.power
    n = 10_000
    half = anytime_half_width(se=1.0, n=n, alpha=0.05, tuning=n)
    at_the_end_alone = ((half + 0.8416212) / 2.8015852) ** 2
    assert 0.9 * at_the_end_alone < always.factor <= at_the_end_alone


def test_a_badly_tuned_confidence_sequence_shows_its_price() -> None:
    near, far = (prices_of(alpha=0.05, power=0.87, tuning=tuning, planned_units=5000)[-1] for tuning in (5e3, 5e4))
    assert far.power < near.power - 0.1


def test_the_stagewise_p_is_the_error_rate_whose_bound_is_just_reached() -> None:
    times = (0.25, 0.5, 0.75)
    for alpha in (0.05, 0.01):
        bound = bounds(times, alpha=alpha, spending="pocock")[-1]
        assert stagewise_p(bound, times, spending="pocock") == pytest.approx(alpha, rel=1e-4)
    assert stagewise_p(1.959963985, (1.0,), spending="pocock") == pytest.approx(0.05, rel=1e-5)
    assert stagewise_p(0.0, times, spending="obrien-fleming") == 1.0
    assert stagewise_p(30.0, times, spending="obrien-fleming") <= 1e-13
