"""Questions that have a direction, answered at any look: is it better, is it no worse than the limit?

Both read the one-sided confidence sequence, with all of the error rate on the side that is asked about: at the usual
rates its bound is nearer than that side of the two-sided one (but for the first 0.3 % of the tuning).
"""

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.effects import Effect
from foretouch.experiments.analysis.sequential import one_sided_p, one_sided_width
from foretouch.experiments.directed import OneSided


def better(metric: Metric, effect: Effect, spec: ExperimentSpec) -> OneSided:
    """By how much the metric is better at least.

    Args:
        metric: Says which direction is good.
        effect: Of the treatment over the control, at this look.
        spec: Its alpha is the error rate of the one bound.
    """
    n = effect.n_control + effect.n_treatment
    sign = _sign(metric)
    width = one_sided_width(se=effect.se, n=n, alpha=spec.alpha, tuning=spec.tuning)
    return OneSided(
        side="at_least" if sign > 0.0 else "at_most",
        bound=effect.difference - sign * width,
        p=_p(sign * effect.difference, effect, spec),
    )


def no_worse_p(metric: Metric, effect: Effect, spec: ExperimentSpec, *, margin: float) -> float:
    """The p of this look against "worse by the margin or more".

    Args:
        metric: As in ``better``.
        effect: As there.
        spec: As there.
        margin: Absolute, in the metric's unit, in the harmful direction.
    """
    return _p(_sign(metric) * effect.difference + margin, effect, spec)


def _p(distance: float, effect: Effect, spec: ExperimentSpec) -> float:
    n = effect.n_control + effect.n_treatment
    return one_sided_p(difference=distance, se=effect.se, n=n, alpha=spec.alpha, tuning=spec.tuning)


def _sign(metric: Metric) -> float:
    return 1.0 if metric.better == "up" else -1.0
