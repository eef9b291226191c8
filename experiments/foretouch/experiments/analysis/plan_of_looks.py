"""When a test may decide: the plan of looks, where it stands in it, the test that it allows now, and what it costs.

A group-sequential p is the smallest error rate whose bound this look would cross (Liu and Anderson 2008); it may go
into Holm's procedure (Maurer and Bretz 2013). A hybrid test keeps a part of the error rate for the confidence sequence,
at any time, and the rest for one fixed test at the planned end: by the union bound, min(anytime p / part, p / rest).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from foretouch.core.experiment import ExperimentSpec
from foretouch.core.experiment_options import SpendingKind
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.effects import Effect, Pair, fieller, t_quantile
from foretouch.experiments.analysis.group_sequential import bounds, crossing
from foretouch.experiments.analysis.power import shift_needed
from foretouch.experiments.analysis.sequential import anytime_half_width, anytime_p
from foretouch.experiments.results import Basis, Decisive, Price, SequentialState

LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)
OFTEN = 10
"""Looks at which the power of an answer that is valid always is counted."""
POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where a test stands.

    Attributes:
        basis: The kind of test that decides at this look.
        running: The planned end has not come.
        information: Share of the planned units seen; ``None`` without a planned number.
        times: Information times of a group-sequential test's looks so far, this one last.
    """

    basis: Basis
    running: bool
    information: float | None = None
    times: tuple[float, ...] = ()


def stage_of(spec: ExperimentSpec, *, units: int, running: bool) -> Stage:
    """The stage of a test with that many units.

    Args:
        spec: The experiment, perhaps with a plan of looks.
        units: Of all arms, now.
        running: The planned end in time has not come.
    """
    plan = spec.sequential
    if plan is None:
        return Stage(basis="anytime" if running else "fixed", running=running)
    share = None if plan.planned_units is None else min(1.0, units / plan.planned_units)
    running = running or (share is not None and share < 1.0)
    if plan.kind == "fixed":
        return Stage(basis="anytime" if running else "fixed", running=running, information=share)
    if plan.kind != "group_sequential" or not share:
        basis: Basis = "anytime" if plan.kind == "group_sequential" else plan.kind
        return Stage(basis=basis, running=running, information=share)
    past = tuple(look for look in plan.looks if look < share * (1.0 - 1e-9))
    return Stage(basis="group_sequential", running=running, information=share, times=(*past, share))


def decisive_of(effect: Effect, pair: Pair, spec: ExperimentSpec, stage: Stage) -> Decisive:
    """The p and the interval that decide at this look."""
    z = effect.difference / effect.se
    plan = spec.sequential
    if stage.basis == "fixed":
        return Decisive(basis="fixed", p=effect.p, ci=effect.ci, lift_ci=effect.lift_ci, z=z)
    if stage.basis == "anytime" or plan is None:
        ci, lift_ci = effect.anytime_ci, effect.anytime_lift_ci
        return Decisive(basis="anytime", p=effect.anytime_p, ci=ci, lift_ci=lift_ci, z=z)
    if stage.basis == "hybrid":
        p, critical = _hybrid(effect, spec, plan.early_share, running=stage.running)
        ci, lift_ci = _around(effect, pair, critical)
        return Decisive(basis="hybrid", p=p, ci=ci, lift_ci=lift_ci, z=z)
    bound = _last_bound(stage.times, spec.alpha, plan.spending, plan.rho)
    seen = _normal_of(effect.p)
    # Welch's t where the bound is the normal's: the same tail, on the scale of t
    critical = t_quantile(float(special.ndtr(bound)), effect.df) if bound < 8.0 else bound
    ci, lift_ci = _around(effect, pair, critical)
    return Decisive(
        basis="group_sequential",
        p=stagewise_p(seen, stage.times, spending=plan.spending, rho=plan.rho),
        ci=ci,
        lift_ci=lift_ci,
        z=z,
        bound=bound,
        crossed=seen >= bound,
    )


def stagewise_p(z: float, times: tuple[float, ...], *, spending: SpendingKind, rho: float = 3.0) -> float:
    """The smallest two-sided error rate whose bound at the last of the looks |z| reaches.

    Args:
        z: The statistic of the last look, in standard errors, without sign.
        times: Information times of the looks, the last one now.
        spending: How the error is spent.
        rho: Exponent of ``power``.
    """
    from scipy import interpolate  # noqa: PLC0415 - a third of a second that only planned looks need

    if times == (1.0,):
        return min(1.0, 2.0 * float(special.ndtr(-z)))
    reached, logs = _ladder(times, spending, rho)
    if z >= reached[-1]:
        return math.exp(logs[-1])
    if z <= reached[0]:
        return 1.0
    return math.exp(float(interpolate.pchip_interpolate(reached, logs, z)))


@lru_cache(maxsize=16)
def _ladder(times: tuple[float, ...], spending: SpendingKind, rho: float) -> tuple[list[float], list[float]]:
    """The last look's bound for error rates from almost 1 down to almost 0: rising bounds and logs of the rates."""
    logs = [math.log(0.999), *np.linspace(math.log(0.9), math.log(1e-3), 20), *np.linspace(-9.0, -31.0, 12)]
    reached: list[float] = []
    for item in logs:
        bound = _last_bound(times, math.exp(item), spending, rho)
        if reached and bound <= reached[-1]:
            break  # so little is spent that the bound stands at its end
        reached.append(bound)
    return reached, logs[: len(reached)]


def state_of(spec: ExperimentSpec, stage: Stage) -> SequentialState | None:
    """The plan and its price, for the results; ``None`` where the spec plans no looks."""
    plan = spec.sequential
    if plan is None:
        return None
    found: tuple[float, ...] = ()
    if stage.times:
        found = bounds(stage.times, alpha=spec.alpha, spending=plan.spending, rho=plan.rho)
    return SequentialState(
        kind=plan.kind,
        planned_units=plan.planned_units,
        information=stage.information,
        looks=stage.times,
        bounds=found,
        spending=plan.spending if plan.kind == "group_sequential" else None,
        prices=prices_of(alpha=spec.alpha, power=POWER, tuning=spec.tuning, planned_units=plan.planned_units),
    )


@lru_cache(maxsize=8)
def prices_of(
    *, alpha: float, power: float, tuning: float | None = None, planned_units: int | None = None
) -> tuple[Price, ...]:
    """What it costs to look before the end, beside one test at the end with the same error rate.

    Five equally spaced looks with either bound; the confidence sequence, looked at ten times, and the hybrid of a
    fifth of the error rate for it.

    Args:
        alpha: Two-sided error rate.
        power: Of the test at the end.
        tuning: Units at which the confidence sequence is tightest; the planned end where either is not given.
        planned_units: Units of all arms at the planned end.
    """
    peak = 1.0 if tuning is None or planned_units is None else tuning / planned_units
    z = float(special.ndtri(1.0 - alpha / 2.0))
    often = tuple((np.arange(OFTEN) + 1.0) / OFTEN)
    always = tuple(_anytime_bound(t, alpha, peak) for t in often)
    early, rest = 0.2 * alpha, 0.8 * alpha
    last = min(_anytime_bound(1.0, early, peak), float(special.ndtri(1.0 - rest / 2.0)))
    hybrid = (*(_anytime_bound(t, early, peak) for t in often[:-1]), last)
    ways = [
        ("once", (1.0,), (z,)),
        (f"{len(LOOKS)} looks, obrien-fleming", LOOKS, bounds(LOOKS, alpha=alpha, spending="obrien-fleming")),
        (f"{len(LOOKS)} looks, pocock", LOOKS, bounds(LOOKS, alpha=alpha, spending="pocock")),
        ("hybrid", often, hybrid),
        ("any time", often, always),
    ]
    return tuple(_price(way, times, limits, alpha=alpha, power=power) for way, times, limits in ways)


def _price(way: str, times: tuple[float, ...], limits: tuple[float, ...], *, alpha: float, power: float) -> Price:
    from scipy import optimize  # noqa: PLC0415 - a third of a second that only planned looks need

    fixed = shift_needed(power=power, alpha=alpha)

    def found(drift: float) -> float:
        return min(1.0, sum(crossing(times, limits, drift=drift)))

    if len(times) == 1:
        return Price(looks=way, bounds=limits, factor=1.0, power=power)
    needed: float = optimize.brentq(lambda drift: found(drift) - power, 0.9 * fixed, 6.0 * fixed, xtol=1e-3)
    return Price(
        looks=way,
        bounds=limits if len(times) <= len(LOOKS) else (),
        factor=max(1.0, (needed / fixed) ** 2),
        power=found(fixed),
    )


def _anytime_bound(t: float, alpha: float, peak: float) -> float:
    """The confidence sequence's bound in standard errors at time t, tightest at ``peak``, in the same unit of time."""
    scale = 1e6
    n = max(1, round(t * scale))
    return anytime_half_width(se=1.0, n=n, alpha=alpha, tuning=peak * scale)


def _hybrid(effect: Effect, spec: ExperimentSpec, part: float, *, running: bool) -> tuple[float, float]:
    n = effect.n_control + effect.n_treatment
    alpha, tuning = part * spec.alpha, spec.tuning
    always = anytime_p(difference=effect.difference, se=effect.se, n=n, alpha=alpha, tuning=tuning) / part
    early = anytime_half_width(se=1.0, n=n, alpha=alpha, tuning=tuning)
    if running:
        return min(1.0, always), early
    rest = 1.0 - part
    end = t_quantile(1.0 - rest * spec.alpha / 2.0, effect.df)
    return min(1.0, always, effect.p / rest), min(early, end)


def _around(effect: Effect, pair: Pair, critical: float) -> tuple[tuple[float, float], tuple[float, float] | None]:
    half = critical * effect.se
    return (effect.difference - half, effect.difference + half), fieller(pair, critical)


def _normal_of(p: float) -> float:
    """The normal statistic with this two-sided p, without sign."""
    return float(-special.ndtri(max(p, 1e-300) / 2.0))


@lru_cache(maxsize=512)
def _last_bound(times: tuple[float, ...], alpha: float, spending: SpendingKind, rho: float) -> float:
    return bounds(times, alpha=alpha, spending=spending, rho=rho)[-1]
