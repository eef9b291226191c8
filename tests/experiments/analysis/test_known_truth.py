"""Known truth by simulation: error rates and coverage within bands computed from the number of runs.

Bands are 99.9 % ranges of a binomial count at the nominal rate, so that a correct implementation fails one seed in a
thousand; seeds are fixed.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Floats, Moments
from foretouch.experiments.analysis.contrasts import effect_of_moments
from foretouch.experiments.analysis.effects import Effect, effect_of
from foretouch.experiments.analysis.granular import clustered_pair, quantile_pair
from foretouch.experiments.analysis.multiplicity import holm
from foretouch.experiments.analysis.sequential import sequential_split_p

RUNS = 1200
SPEC = ExperimentSpec.model_validate(
    {
        "key": "truth",
        "control": "A",
        "weights": {"A": 0.5, "B": 0.5},
        "metrics": [{"name": "m", "kind": "mean", "column": "m"}],
    }
)
MEAN = SPEC.metrics[0]
RATIO = Metric.model_validate({"name": "r", "kind": "ratio", "numerator": "n", "denominator": "d"})
Draw = Callable[[np.random.Generator, int], Floats]


def band(rate: float, runs: int) -> tuple[float, float]:
    low, high = stats.binom.interval(0.999, runs, rate)
    return low / runs, high / runs


def normal(rng: np.random.Generator, n: int) -> Floats:
    return rng.normal(10.0, 3.0, (n, 1))


def skewed(rng: np.random.Generator, n: int) -> Floats:
    return np.exp(rng.normal(1.0, 0.8, (n, 1)))


def binary(rng: np.random.Generator, n: int) -> Floats:
    return (rng.random((n, 1)) < 0.1).astype(float)


def adjusted(rng: np.random.Generator, n: int) -> Floats:
    x = rng.gamma(2.0, 2.0, n)
    return np.column_stack([x + rng.normal(0.0, 2.0, n), x])


def ratio(rng: np.random.Generator, n: int) -> Floats:
    taste, d = rng.gamma(4.0, 0.25, n), 1.0 + rng.poisson(3.0, n)
    return np.column_stack([taste * d, d])


def effect_between(metric: Metric, control: Floats, treatment: Floats) -> Effect:
    return effect_of_moments(metric, Moments.of(control), Moments.of(treatment), SPEC)


@pytest.mark.parametrize(
    ("draw", "metric"), [(normal, MEAN), (skewed, MEAN), (binary, MEAN), (adjusted, MEAN), (ratio, RATIO)]
)
def test_without_an_effect_one_look_in_twenty_is_wrong(draw: Draw, metric: Metric) -> None:
    rng = np.random.default_rng(20260101)
    wrong = sum(effect_between(metric, draw(rng, 400), draw(rng, 400)).p < 0.05 for _ in range(RUNS)) / RUNS
    low, high = band(0.05, RUNS)
    assert low <= wrong <= high


@pytest.mark.parametrize(("draw", "metric"), [(normal, MEAN), (skewed, MEAN), (adjusted, MEAN), (ratio, RATIO)])
def test_intervals_hold_the_truth(draw: Draw, metric: Metric) -> None:
    rng = np.random.default_rng(20260102)
    pilot = draw(np.random.default_rng(1), 2_000_000)
    level = float(pilot[:, 0].mean() / (pilot[:, 1].mean() if metric.kind == "ratio" else 1.0))
    absolute = relative = 0
    for _ in range(RUNS):
        treated = draw(rng, 400)
        treated[:, 0] *= 1.1
        found = effect_between(metric, draw(rng, 400), treated)
        absolute += found.ci[0] <= 0.1 * level <= found.ci[1]
        assert found.lift_ci is not None
        relative += found.lift_ci[0] <= 0.1 <= found.lift_ci[1]
    low, high = band(0.95, RUNS)
    if draw is adjusted:
        high = 1.0  # a covariate that a multiplied outcome no longer matches widens its interval
    assert low <= absolute / RUNS <= high
    assert low <= relative / RUNS <= high


def test_ratios_taken_as_independent_events_cover_too_little() -> None:
    """The opposite of the delta method, shown failing: events of one unit are alike."""
    rng = np.random.default_rng(20260103)
    held = 0
    for _ in range(600):
        rows = [ratio(rng, 300) for _ in range(2)]
        rates = [part[:, 0].sum() / part[:, 1].sum() for part in rows]
        variances = [
            float((part[:, 1] * (part[:, 0] / part[:, 1] - rate) ** 2).sum()) / part[:, 1].sum() ** 2
            for part, rate in zip(rows, rates, strict=True)
        ]
        held += abs(rates[1] - rates[0]) <= 1.96 * sum(variances) ** 0.5
    assert held / 600 < band(0.95, 600)[0]


def test_looking_often_misleads_the_fixed_test_and_not_the_anytime_one() -> None:
    rng = np.random.default_rng(20260104)
    runs, looks, step = 400, 40, 100
    fixed = anytime = 0
    for _ in range(runs):
        parts = [Moments.empty(1), Moments.empty(1)]
        seen = [False, False]
        for _ in range(looks):
            parts = [part + Moments.of(skewed(rng, step)) for part in parts]
            found = effect_of_moments(MEAN, parts[0], parts[1], SPEC)
            seen = [seen[0] or found.p < 0.05, seen[1] or found.anytime_p < 0.05]
        fixed += seen[0]
        anytime += seen[1]
    assert fixed / runs > 0.20
    assert anytime / runs <= 0.05


def test_the_sequential_split_alarm_is_rare_and_sees_a_real_fault() -> None:
    rng = np.random.default_rng(20260105)

    def ever(rate: float, days: int, per_day: int) -> bool:
        seen = rng.binomial(per_day, rate, days).cumsum()
        totals = per_day * np.arange(1, days + 1)
        return any(
            sequential_split_p([int(a), int(n - a)], [0.5, 0.5]) < 0.001 for a, n in zip(seen, totals, strict=True)
        )

    false = sum(ever(0.5, 28, 1000) for _ in range(1500))
    assert false <= stats.binom.ppf(0.999, 1500, 0.001)
    assert sum(ever(0.51, 20, 5000) for _ in range(200)) / 200 >= 0.95


def test_clusters_are_respected() -> None:
    rng = np.random.default_rng(20260106)
    wrong = ignored = 0
    runs = 600
    for _ in range(runs):
        size = rng.integers(5, 15, 60)
        cluster = np.repeat(np.arange(60), size)
        treated = np.repeat(rng.permutation(np.arange(60) % 2), size)
        y = (rng.normal(0, 1.0, 60)[cluster] + rng.normal(0, 1.0, len(cluster)))[:, None]
        pair = clustered_pair(y, treated, cluster, lead=1)
        wrong += effect_of(pair, alpha=0.05, tuning=5000.0).p < 0.05
        ignored += effect_between(MEAN, y[treated == 0], y[treated == 1]).p < 0.05
    assert wrong / runs <= band(0.06, runs)[1]
    assert ignored / runs > 0.25


def test_quantile_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(20260107)
    held = 0
    for _ in range(600):
        pair = quantile_pair(skewed(rng, 500)[:, 0], skewed(rng, 500)[:, 0], 0.8)
        found = effect_of(pair, alpha=0.05, tuning=5000.0)
        held += found.ci[0] <= 0.0 <= found.ci[1]
    assert 0.92 <= held / 600 <= 0.985


def test_twenty_segments_by_holm_rarely_mislead() -> None:
    rng = np.random.default_rng(20260108)
    p = rng.random((4000, 20))
    by_holm = np.mean([min(holm(row)) < 0.05 for row in p.tolist()])
    assert by_holm <= band(0.05, 4000)[1]
    assert np.mean(p.min(axis=1) < 0.05) > 0.5
