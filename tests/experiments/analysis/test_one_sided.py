"""The one-sided confidence sequence: its formula's own limits, and how often it misleads whoever looks often."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.aggregates import Floats, Moments
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.analysis.contrasts import effect_of_moments
from foretouch.experiments.analysis.direction import better, no_worse_p
from foretouch.experiments.analysis.sequential import (
    anytime_half_width,
    anytime_rho,
    one_sided_p,
    one_sided_rho,
    one_sided_width,
)
from foretouch.experiments.results import MetricResult

ALPHA, TUNING = 0.05, 5000.0
CRITICAL = float(stats.norm.ppf(1.0 - ALPHA))
Draw = Callable[[np.random.Generator, int], Floats]
alphas = st.floats(1e-4, 0.3)
units = st.integers(2, 10**7)
errors = st.floats(1e-6, 1e6)


def spec(**changes: Any) -> ExperimentSpec:
    metric = {"name": "m", "kind": "mean", "column": "m", **changes}
    return ExperimentSpec.model_validate(
        {"key": "aside", "unit": "unit", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "metrics": [metric]}
    )


def test_the_width_is_eq_134() -> None:
    rho = math.sqrt((-2.0 * math.log(0.1) + math.log(-2.0 * math.log(0.1) + 1.0)) / TUNING)
    assert one_sided_rho(alpha=ALPHA, tuning=TUNING) == pytest.approx(rho, rel=1e-14)
    assert one_sided_rho(alpha=ALPHA, tuning=TUNING) == anytime_rho(alpha=0.1, tuning=TUNING)
    n, se = 3000, 0.2
    inside = 2.0 * (n * rho**2 + 1.0) / (n * rho) ** 2 * math.log(1.0 + math.sqrt(n * rho**2 + 1.0) / 0.1)
    found = one_sided_width(se=se, n=n, alpha=ALPHA, tuning=TUNING)
    assert found == pytest.approx(math.sqrt(n * se**2) * math.sqrt(inside), rel=1e-12)


@pytest.mark.parametrize("n", [20, 500, 5000, 400_000])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
def test_at_the_bound_the_mixture_martingale_has_reached_one_over_alpha(n: int, alpha: float) -> None:
    """The martingale by numerical integration over positive drifts: reached, and exceeded by what the formula drops."""
    rho = one_sided_rho(alpha=alpha, tuning=TUNING)
    z = one_sided_width(se=1.0, n=n, alpha=alpha, tuning=TUNING)
    drift = math.sqrt(n) * z  # the sum of n observations of unit variance

    def density(size: float) -> float:
        return 2.0 * stats.norm.pdf(size, scale=rho) * math.exp(size * drift - 0.5 * n * size**2)

    peak, spread = drift * rho**2 / (n * rho**2 + 1.0), rho / math.sqrt(n * rho**2 + 1.0)
    reached, _ = integrate.quad(density, 0.0, peak + 12.0 * spread, points=[peak], limit=200)
    assert 1.0 / alpha <= reached <= 1.0 / alpha + 2.0 / math.sqrt(n * rho**2 + 1.0)


@given(errors, units, alphas, st.floats(10.0, 1e6))
@settings(max_examples=200, deadline=None)
def test_p_is_alpha_at_the_bound_and_falls_beyond_it(se: float, n: int, alpha: float, tuning: float) -> None:
    common = {"se": se, "n": n, "alpha": alpha, "tuning": tuning}
    width = one_sided_width(**common)  # type: ignore[arg-type]
    at = [one_sided_p(difference=share * width, **common) for share in (0.5, 0.999, 1.0, 1.001, 2.0)]  # type: ignore[arg-type]
    assert at[2] == pytest.approx(alpha, rel=1e-9)
    assert at[1] > alpha > at[3]
    assert at == sorted(at, reverse=True)


@given(errors, units, alphas)
@settings(max_examples=200, deadline=None)
def test_it_is_wider_than_a_test_at_one_time_and_scales_with_the_error(se: float, n: int, alpha: float) -> None:
    width = one_sided_width(se=se, n=n, alpha=alpha, tuning=TUNING)
    assert width > float(stats.norm.ppf(1.0 - alpha)) * se
    assert one_sided_width(se=3.0 * se, n=n, alpha=alpha, tuning=TUNING) == pytest.approx(3.0 * width)


@given(st.integers(15, 10**7), st.floats(0.001, 0.05))
@settings(max_examples=200, deadline=None)
def test_it_is_nearer_than_its_side_of_the_two_sided_one(n: int, alpha: float) -> None:
    """At usual error rates from 0.3 % of the tuning on; before it, where neither says anything, it is 0.2 % wider."""
    common = {"se": 1.0, "n": n, "alpha": alpha, "tuning": TUNING}
    assert one_sided_width(**common) < anytime_half_width(**common)  # type: ignore[arg-type]


def test_limits() -> None:
    common = {"n": 100, "alpha": ALPHA, "tuning": TUNING}
    assert one_sided_p(difference=-1.0, se=1.0, **common) == 1.0  # type: ignore[arg-type]
    assert one_sided_p(difference=0.0, se=1.0, **common) == 1.0  # type: ignore[arg-type]
    assert one_sided_p(difference=1e-12, se=1.0, **common) == 1.0  # type: ignore[arg-type]
    assert one_sided_p(difference=1e6, se=1e-3, **common) == 0.0  # type: ignore[arg-type]
    widths = [
        one_sided_width(se=1.0 / math.sqrt(n), n=n, alpha=ALPHA, tuning=TUNING) for n in (10**k for k in range(9))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1e-3


def analysed(**changes: Any) -> MetricResult:
    rng = np.random.default_rng(5)
    arm = rng.permutation(np.repeat(["A", "B"], 2000))
    rows = pd.DataFrame({"unit": np.arange(4000), "arm": arm, "m": rng.normal(10.0, 2.0, 4000) + 0.3 * (arm == "B")})
    return analyze(rows, spec(**changes)).metrics[0]


def test_the_results_say_at_least_for_more_is_better_and_at_most_for_less() -> None:
    up, down = analysed(), analysed(better="down")
    assert up.anytime_one_sided is not None
    assert down.anytime_one_sided is not None
    width = one_sided_width(se=up.se, n=4000, alpha=ALPHA, tuning=TUNING)
    assert (up.anytime_one_sided.side, down.anytime_one_sided.side) == ("at_least", "at_most")
    assert up.anytime_one_sided.bound == pytest.approx(up.difference - width)
    assert down.anytime_one_sided.bound == pytest.approx(up.difference + width)
    assert up.anytime_ci[0] < up.anytime_one_sided.bound < up.difference
    assert up.anytime_one_sided.p < up.anytime_p < ALPHA
    assert down.anytime_one_sided.p == 1.0
    assert (up.anytime_ci, up.anytime_p) == (down.anytime_ci, down.anytime_p)


def test_a_limit_is_held_exactly_when_the_bound_lies_within_it() -> None:
    free = analysed(better="down")
    assert free.anytime_one_sided is not None
    edge = free.anytime_one_sided.bound
    for margin, passed in ((edge * 1.001, True), (edge * 0.999, False)):
        limit = analysed(role="guardrail", better="down", margin=margin).non_inferiority
        assert limit is not None
        assert limit.anytime_p is not None
        assert (limit.anytime_p < ALPHA) is passed
        assert limit.p < limit.anytime_p  # of a test at one time


def normal(rng: np.random.Generator, n: int) -> Floats:
    return rng.normal(10.0, 3.0, (n, 1))


def skewed(rng: np.random.Generator, n: int) -> Floats:
    return np.exp(rng.normal(1.0, 0.8, (n, 1)))


@pytest.mark.parametrize("draw", [normal, skewed])
def test_looking_often_misleads_in_one_test_of_twenty_at_most(draw: Draw) -> None:
    """Forty looks where there is no effect (up is good), and where it is worse by exactly the limit (down is good)."""
    up, down = spec(), spec(role="guardrail", better="down", margin=0.5)
    rng = np.random.default_rng(20260109)
    runs = 400
    improved = harmless = once = 0
    for _ in range(runs):
        control, same, worse = (Moments.empty(1) for _ in range(3))
        seen = [False, False, False]
        for _ in range(40):
            treated = draw(rng, 100)
            control, same, worse = (
                control + Moments.of(draw(rng, 100)),
                same + Moments.of(treated),
                worse + Moments.of(treated + 0.5),
            )
            effect = effect_of_moments(up.metrics[0], control, same, up)
            harm = effect_of_moments(down.metrics[0], control, worse, down)
            now = (
                better(up.metrics[0], effect, up).p < ALPHA,
                no_worse_p(down.metrics[0], harm, down, margin=0.5) < ALPHA,
                effect.difference / effect.se > CRITICAL,
            )
            seen = [before or found for before, found in zip(seen, now, strict=True)]
        improved, harmless, once = improved + seen[0], harmless + seen[1], once + seen[2]
    assert improved / runs <= ALPHA
    assert harmless / runs <= ALPHA
    assert once / runs > 0.15  # the test of one look, looked at often
