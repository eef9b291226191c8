"""Laws of the effects: what must hold whatever the numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.analysis.effects import Effect, Estimate, Pair, effect_of, fieller
from foretouch.experiments.results import Results

means = st.floats(-5.0, 50.0)
variances = st.floats(1e-4, 9.0)
sizes = st.integers(5, 5000)


def effect(c: float, t: float, vc: float, vt: float, n: int) -> Effect:
    pair = Pair(control=Estimate(n=n, mean=c, variance=vc), treatment=Estimate(n=n, mean=t, variance=vt))
    return effect_of(pair, alpha=0.05, tuning=5000.0)


@given(means, means, variances, variances, sizes)
@settings(max_examples=300, deadline=None)
def test_the_lift_interval_excludes_zero_exactly_when_p_is_below_alpha(
    c: float, t: float, vc: float, vt: float, n: int
) -> None:
    found = effect(c, t, vc, vt, n)
    assume(found.lift_ci is not None and abs(found.p - 0.05) > 1e-6)
    assert found.lift_ci is not None
    low, high = found.lift_ci
    assert (low > 0.0 or high < 0.0) == (found.p < 0.05)
    assert (found.ci[0] > 0.0 or found.ci[1] < 0.0) == (found.p < 0.05)


@given(means, means, variances, variances, sizes)
@settings(max_examples=200, deadline=None)
def test_the_anytime_answer_agrees_with_itself_and_is_wider(c: float, t: float, vc: float, vt: float, n: int) -> None:
    found = effect(c, t, vc, vt, n)
    assume(abs(found.anytime_p - 0.05) > 1e-6)
    outside = found.anytime_ci[0] > 0.0 or found.anytime_ci[1] < 0.0
    assert outside == (found.anytime_p < 0.05)
    if n > 100:
        assert found.anytime_ci[0] < found.ci[0]
        assert found.ci[1] < found.anytime_ci[1]


def test_fieller_is_no_interval_where_the_control_may_be_zero() -> None:
    pair = Pair(control=Estimate(n=50, mean=0.1, variance=1.0), treatment=Estimate(n=50, mean=2.0, variance=1.0))
    assert fieller(pair, 1.96) is None


def test_fiellers_ends_solve_the_test() -> None:
    pair = Pair(
        control=Estimate(n=50, mean=4.0, variance=0.2),
        treatment=Estimate(n=50, mean=5.0, variance=0.3),
        covariance=0.05,
    )
    ends = fieller(pair, 1.96)
    assert ends is not None
    for end in ends:
        r = 1.0 + end
        variance = 0.3 + r**2 * 0.2 - 2 * r * 0.05
        assert abs(5.0 - r * 4.0) / math.sqrt(variance) == pytest.approx(1.96, rel=1e-9)


def rows_of(seed: int, n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < 0.5, "A", "B")
    x = rng.gamma(2.0, 2.0, n)
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "arm": arm,
            "x": x,
            "y": x + rng.gamma(2.0, 2.0, n) + (arm == "B") * 0.7,
            "d": 1 + rng.poisson(2.0, n),
            "day": rng.integers(0, 10, n),
            "city": rng.choice(["p", "q", "r"], n),
        }
    )


SPEC = ExperimentSpec.model_validate(
    {
        "key": "laws",
        "control": "A",
        "weights": {"A": 0.5, "B": 0.5},
        "time": "day",
        "segments": ["city"],
        "metrics": [
            {"name": "plain", "kind": "mean", "column": "y", "role": "primary"},
            {"name": "adjusted", "kind": "mean", "column": "y", "covariates": ["x"]},
            {"name": "ratio", "kind": "ratio", "numerator": "y", "denominator": "d"},
            {"name": "capped", "kind": "mean", "column": "y", "winsor": 0.9},
        ],
    }
)


def values(results: Results) -> dict[str, tuple[float, float]]:
    return {row.name: (row.difference, row.se) for row in results.metrics}


def test_the_order_of_rows_does_not_matter() -> None:
    rows = rows_of(1)
    shuffled = rows.sample(frac=1.0, random_state=3)
    left, right = values(analyze(rows, SPEC)), values(analyze(shuffled, SPEC))
    assert all(left[name] == pytest.approx(right[name], rel=1e-10) for name in left)


def test_adding_a_constant_moves_no_difference_and_scaling_scales_it() -> None:
    rows = rows_of(2)
    moved = rows.assign(y=3.0 * rows["y"] + 100.0)
    left, right = values(analyze(rows, SPEC)), values(analyze(moved, SPEC))
    for name in ("plain", "adjusted"):
        assert right[name] == pytest.approx([3.0 * item for item in left[name]], rel=1e-8)


def test_a_covariate_that_explains_narrows_and_an_idle_one_does_not_bias() -> None:
    found = values(analyze(rows_of(3, 4000), SPEC))
    assert found["adjusted"][1] < 0.85 * found["plain"][1]
    assert found["adjusted"][0] == pytest.approx(0.7, abs=3.5 * found["adjusted"][1])


def test_the_last_look_is_the_whole() -> None:
    results = analyze(rows_of(4), SPEC)
    for row in results.metrics:
        looks = [look for look in results.cumulative if look.name == row.name]
        assert len(looks) == 10
        assert (looks[-1].difference, looks[-1].se, looks[-1].p) == pytest.approx((row.difference, row.se, row.p))
        assert [look.anytime_p for look in looks] == sorted((look.anytime_p for look in looks), reverse=True)


def test_segments_weigh_up_to_the_whole() -> None:
    results = analyze(rows_of(5), SPEC)
    parts = [cell for cell in results.segments if cell.name == "plain"]
    whole = next(row for row in results.metrics if row.name == "plain")
    assert sum(cell.n_treatment for cell in parts) == whole.n_treatment
    mean = sum(cell.n_treatment * cell.treatment_mean for cell in parts) / whole.n_treatment
    assert mean == pytest.approx(whole.treatment_mean, rel=1e-12)
    assert all(cell.ci_fcr[0] <= cell.ci[0] and cell.ci_fcr[1] >= cell.ci[1] for cell in parts)


def test_a_cap_is_shown_with_and_without() -> None:
    results = analyze(rows_of(6), SPEC)
    capped = next(row for row in results.metrics if row.name == "capped")
    plain = next(row for row in results.metrics if row.name == "plain")
    assert capped.cap == pytest.approx(float(np.quantile(rows_of(6)["y"], 0.9)))
    assert capped.without_cap is not None
    assert capped.without_cap["difference"] == pytest.approx(plain.difference)
    assert capped.se < plain.se
