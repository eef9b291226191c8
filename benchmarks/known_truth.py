"""Every known-truth design in one go: how often the analysis is wrong where the truth is known.

    python benchmarks/known_truth.py                  # about five minutes of one core; docs/results/known-truth.json
    python benchmarks/known_truth.py --runs 200       # quickly, with bands that are as much wider

Each line has its figure, the number of runs, the band that a correct implementation stays in, and whether it did. The
adaptive design (Thompson sampling, plain means against AIPW) is ``benchmarks/thompson_truth.py``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from known_truth_policies import policy_lines
from known_truth_worlds import KINDS, MEAN, RATIO, SHAPES, SPEC, Draw, mean, ratio, with_covariate
from result import Json, write
from scipy import stats

from foretouch.core.experiment import Metric
from foretouch.experiments.analysis.aggregates import Moments
from foretouch.experiments.analysis.contrasts import effect_of_moments
from foretouch.experiments.analysis.direction import better, no_worse_p
from foretouch.experiments.analysis.effects import Effect, effect_of
from foretouch.experiments.analysis.granular import clustered_pair
from foretouch.experiments.analysis.multiplicity import benjamini_hochberg, holm
from foretouch.experiments.analysis.sequential import anytime_half_width, one_sided_width, sequential_split_p

ROOT = Path(__file__).resolve().parents[1]
PER_ARM = 1000
LOOKS, STEP = 50, 100


@dataclass(frozen=True, kw_only=True)
class Line:
    """One design's answer.

    Attributes:
        design: What was simulated.
        figure: A rate.
        runs: How often.
        low: The least that is acceptable.
        high: The most.
        note: What it is held against.
    """

    design: str
    figure: float
    runs: int
    low: float = 0.0
    high: float = 1.0
    note: str = ""

    @property
    def held(self) -> bool:
        """The figure is within its band."""
        return bool(self.low <= self.figure <= self.high)


def band(rate: float, runs: int, *, level: float = 0.999) -> tuple[float, float]:
    """The range that holds the share of hits in ``runs`` at the true ``rate`` with probability ``level``."""
    low, high = stats.binom.interval(level, runs, rate)
    return low / runs, high / runs


def one(rng: np.random.Generator, draw: Draw, metric: Metric, n: int, effect: float = 0.0) -> Effect:
    """One test of n units per arm."""
    return effect_of_moments(metric, Moments.of(draw(rng, n, 0.0)), Moments.of(draw(rng, n, effect)), SPEC)


def without_effect(runs: int) -> Iterator[Line]:
    """A/A tests, one look."""
    low, high = (0.035, 0.067) if runs == 2000 else band(0.05, runs)
    for number, shape in enumerate(SHAPES):
        for kind, metric, make in KINDS:
            rng = np.random.default_rng([1, number, len(kind)])
            wrong = sum(one(rng, make(shape), metric, PER_ARM).p < 0.05 for _ in range(runs))
            yield Line(design=f"A/A, {shape.name}, {kind}", figure=wrong / runs, runs=runs, low=low, high=high)


def peeking(runs: int) -> Iterator[Line]:
    """A/A tests looked at every 100 units per arm, fifty times: the fixed test and the confidence sequence."""
    for number, shape in enumerate(SHAPES):
        rng = np.random.default_rng([2, number])
        fixed = anytime = 0
        for _ in range(runs):
            parts = [Moments.empty(1), Moments.empty(1)]
            seen, always = False, False
            for _ in range(LOOKS):
                parts = [part + Moments.of(mean(shape)(rng, STEP, 0.0)) for part in parts]
                found = effect_of_moments(MEAN, parts[0], parts[1], SPEC)
                seen, always = seen or found.p < 0.05, always or found.anytime_p < 0.05
            fixed, anytime = fixed + seen, anytime + always
        yield Line(
            design=f"A/A, {shape.name}, 50 looks, fixed test",
            figure=fixed / runs,
            runs=runs,
            low=0.20,
            note="shown failing: more than 20 %",
        )
        yield Line(design=f"A/A, {shape.name}, 50 looks, anytime-valid", figure=anytime / runs, runs=runs, high=0.05)


def peeking_one_way(runs: int) -> Iterator[Line]:
    """The one-sided confidence sequence, looked at fifty times, where its null just holds.

    "Is it better?" without an effect, "is it no worse than the limit?" where it is worse by exactly the limit; and the
    one-sided test of one look for comparison.
    """
    critical = float(stats.norm.ppf(0.95))
    for number, shape in enumerate(SHAPES):
        rng = np.random.default_rng([9, number])
        draw, margin = mean(shape), 0.05 * shape.mean
        better_seen = harmless_seen = fixed_seen = 0
        for _ in range(runs):
            control, same, worse = (Moments.empty(1) for _ in range(3))
            once = improved = harmless = False
            for _ in range(LOOKS):
                control += Moments.of(draw(rng, STEP, 0.0))
                same += Moments.of(draw(rng, STEP, 0.0))
                worse += Moments.of(draw(rng, STEP, -0.05))
                found, harmed = (effect_of_moments(MEAN, control, arm, SPEC) for arm in (same, worse))
                once = once or found.difference > critical * found.se
                improved = improved or better(MEAN, found, SPEC).p < 0.05
                harmless = harmless or no_worse_p(MEAN, harmed, SPEC, margin=margin) < 0.05
            better_seen, harmless_seen, fixed_seen = (
                better_seen + improved,
                harmless_seen + harmless,
                fixed_seen + once,
            )
        yield Line(
            design=f"A/A, {shape.name}, 50 looks, one-sided fixed test",
            figure=fixed_seen / runs,
            runs=runs,
            low=0.15,
            note="shown failing: more than 15 %",
        )
        design = f"A/A, {shape.name}, 50 looks, one-sided anytime-valid"
        yield Line(design=design, figure=better_seen / runs, runs=runs, high=0.05)
        design = f"worse by the limit, {shape.name}, 50 looks, one-sided anytime-valid"
        yield Line(design=design, figure=harmless_seen / runs, runs=runs, high=0.05)


def price(runs: int) -> Iterator[Line]:
    """The power that looking at any time costs, at an effect that the fixed test finds in about 87 % of tests."""
    rng = np.random.default_rng(3)
    shift = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.87))
    steps = rng.normal(size=(runs, LOOKS)).cumsum(axis=1)
    at = np.arange(1, LOOKS + 1)
    drifted = steps / np.sqrt(at) + shift * np.sqrt(at / LOOKS)
    yield Line(design="power, fixed, one look at the end", figure=float((abs(drifted[:, -1]) > 1.96).mean()), runs=runs)
    for tuning in (5_000.0, 10_000.0, 50_000.0):
        limits = np.array([anytime_half_width(se=1.0, n=2 * STEP * k, alpha=0.05, tuning=tuning) for k in at.tolist()])
        found = float((abs(drifted) > limits).any(axis=1).mean())
        note = "of 10,000 units; the price is printed with every plan of looks"
        yield Line(design=f"power, anytime, tuning {tuning:,.0f}", figure=found, runs=runs, note=note)
        limits = np.array([one_sided_width(se=1.0, n=2 * STEP * k, alpha=0.05, tuning=tuning) for k in at.tolist()])
        found = float((drifted > limits).any(axis=1).mean())
        yield Line(design=f"power, anytime, one-sided, tuning {tuning:,.0f}", figure=found, runs=runs, note=note)


def coverage(runs: int) -> Iterator[Line]:
    """How often intervals hold the truth, absolute and relative, at a true effect of 5 %."""
    low, high = (0.934, 0.966) if runs == 2000 else band(0.95, runs)
    cases: list[tuple[str, Metric, Callable[..., Draw]]] = [
        ("Welch", MEAN, mean),
        ("CUPED", MEAN, with_covariate),
        ("delta ratio", RATIO, ratio),
    ]
    for number, (name, metric, make) in enumerate(cases):
        for index, shape in enumerate(SHAPES[:2]):
            rng = np.random.default_rng([4, number, index])
            absolute = relative = logs = 0
            for _ in range(runs):
                found = one(rng, make(shape), metric, PER_ARM, 0.05)
                truth = 0.05 * shape.mean
                absolute += found.ci[0] <= truth <= found.ci[1]
                if found.lift_ci is not None and found.lift_ci_log_delta is not None:
                    relative += found.lift_ci[0] <= 0.05 <= found.lift_ci[1]
                    logs += found.lift_ci_log_delta[0] <= 0.05 <= found.lift_ci_log_delta[1]
            told = {"difference": absolute, "lift (Fieller)": relative, "lift (log-delta)": logs}
            for scale, held in told.items():
                design = f"coverage, {name}, {shape.name}, {scale}"
                yield Line(design=design, figure=held / runs, runs=runs, low=low, high=high)


def events_as_units(runs: int) -> Iterator[Line]:
    """A ratio treated as if its events were independent: the interval is too narrow."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(runs):
        sides = [ratio(SHAPES[0])(rng, 300, 0.0) for _ in range(2)]
        rates = [side[:, 0].sum() / side[:, 1].sum() for side in sides]
        variances = [
            float((side[:, 1] * (side[:, 0] / side[:, 1] - rate) ** 2).sum()) / side[:, 1].sum() ** 2
            for side, rate in zip(sides, rates, strict=True)
        ]
        held += abs(rates[1] - rates[0]) <= 1.96 * sum(variances) ** 0.5
    figure, high = held / runs, band(0.95, runs)[0]
    yield Line(
        design="coverage, ratio as independent events", figure=figure, runs=runs, high=high, note="shown failing"
    )


def splits(runs: int) -> Iterator[Line]:
    """The alarm for a wrong split over a whole test, looked at daily."""
    rng = np.random.default_rng(6)

    def alarms(rate: float, days: int, per_day: int, times: int) -> float:
        seen = rng.binomial(per_day, rate, (times, days)).cumsum(axis=1)
        totals = per_day * np.arange(1, days + 1)
        hit = 0
        for row in seen.tolist():
            hit += any(
                sequential_split_p([a, n - a], [0.5, 0.5]) < 0.001 for a, n in zip(row, totals.tolist(), strict=True)
            )
        return hit / times

    many = 5 * runs
    counts = rng.binomial(1000, 0.5, (many, 28)).cumsum(axis=1)
    totals = 1000 * np.arange(1, 29)
    statistic = (2 * counts - totals) ** 2 / totals
    naive = float((stats.chi2.sf(statistic, 1) < 0.001).any(axis=1).mean())
    yield Line(design="split alarm, chi-square below .001 daily for 28 days", figure=naive, runs=many, note="healthy")
    false = alarms(0.5, 28, 1000, many)
    yield Line(design="split alarm, sequential, healthy", figure=false, runs=many, high=0.001)
    yield Line(
        design="split alarm, sequential, 51/49 at 100,000", figure=alarms(0.51, 28, 3571, runs), runs=runs, low=0.95
    )


def clusters(runs: int) -> Iterator[Line]:
    """A/A tests whose units come in clusters of one arm."""
    rng = np.random.default_rng(7)
    robust = ignored = 0
    for _ in range(runs):
        size = rng.integers(5, 15, 60)
        cluster = np.repeat(np.arange(60), size)
        treated = np.repeat(rng.permutation(np.arange(60) % 2), size)
        y = (rng.normal(0.0, 1.0, 60)[cluster] + rng.normal(0.0, 1.0, len(cluster)))[:, None]
        robust += effect_of(clustered_pair(y, treated, cluster, lead=1), alpha=0.05, tuning=5000.0).p < 0.05
        sides = Moments.of(y[treated == 0]), Moments.of(y[treated == 1])
        ignored += effect_of_moments(MEAN, *sides, SPEC).p < 0.05
    yield Line(design="A/A, clusters ignored", figure=ignored / runs, runs=runs, low=0.25, note="shown failing")
    yield Line(design="A/A, cluster-robust", figure=robust / runs, runs=runs, high=0.067)


def segments(runs: int) -> Iterator[Line]:
    """Twenty segments without any effect: the chance that at least one is called an effect."""
    rng = np.random.default_rng(8)
    bare = by_holm = by_bh = 0
    for _ in range(runs):
        p = [one(rng, mean(SHAPES[1]), MEAN, 100).p for _ in range(20)]
        bare += min(p) < 0.05
        by_holm += min(holm(p)) < 0.05
        by_bh += min(benjamini_hochberg(p)) < 0.05
    high = band(0.05, runs)[1]
    yield Line(design="20 segments, unadjusted", figure=bare / runs, runs=runs, low=0.5, note="shown failing")
    yield Line(
        design="20 segments, Holm", figure=by_holm / runs, runs=runs, high=min(high, 0.05 if runs >= 2000 else high)
    )
    yield Line(design="20 segments, Benjamini-Hochberg", figure=by_bh / runs, runs=runs, high=high)


def as_json(line: Line) -> Json:
    """One line of the result."""
    made = {"design": line.design, "figure": float(line.figure), "runs": line.runs, "band": [line.low, line.high]}
    return {**made, "held": line.held, **({"note": line.note} if line.note else {})}


def main() -> int:
    """Runs every design; exits 1 if a figure is outside its band."""
    parser = argparse.ArgumentParser(description="Error rates where the truth is known.")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    given = parser.parse_args()
    runs = given.runs
    started = time.perf_counter()
    lines: list[Line] = []
    makers = (without_effect, peeking, peeking_one_way, price, coverage, events_as_units, splits, clusters, segments)
    for maker in makers:
        for line in maker(runs):
            lines.append(line)
            print(f"{'ok ' if line.held else 'OUT'} {line.design:<60} {line.figure:.4f}", flush=True)
    for design, figure, times, low, high, note in policy_lines(min(500, runs)):
        lines.append(Line(design=design, figure=figure, runs=times, low=low, high=high, note=note))
        print(f"{'ok ' if lines[-1].held else 'OUT'} {design:<60} {figure:.4f}", flush=True)
    figures = {"all_held": all(line.held for line in lines), "lines": [as_json(line) for line in lines]}
    command = "python benchmarks/known_truth.py" + ("" if runs == 2000 else f" --runs {runs}")
    path = write(given.out, "known-truth", command=command, seconds=time.perf_counter() - started, figures=figures)
    print(path)
    return 0 if figures["all_held"] else 1


if __name__ == "__main__":
    sys.exit(main())
