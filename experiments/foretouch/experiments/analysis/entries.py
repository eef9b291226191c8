"""The entry of ``metrics[]``: a contrast with its corrected p, its limit, its money and its other readings."""

import math

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.bayesian import bayesian_views
from foretouch.experiments.analysis.contrasts import Contrast
from foretouch.experiments.analysis.direction import better, no_worse_p
from foretouch.experiments.analysis.effects import Effect, t_tail
from foretouch.experiments.analysis.power import power_of, shift_needed
from foretouch.experiments.directed import NonInferiority
from foretouch.experiments.results import Decisive, MetricResult, Money, Plain, SampleLeft

POWER = 0.8


def metric_result(
    contrast: Contrast,
    decisive: Decisive,
    spec: ExperimentSpec,
    *,
    p_adjusted: float,
    currency: str | None,
    revenue: frozenset[str],
) -> MetricResult:
    """The entry of ``metrics[]``.

    Args:
        contrast: The comparison.
        decisive: The test that the design allows at this look.
        spec: The experiment.
        p_adjusted: The decisive p after the correction of its family.
        currency: Of money figures.
        revenue: Metrics whose unit already is revenue, by name.
    """
    metric, effect = contrast.metric, contrast.effect
    capped, plain = contrast.uncapped, contrast.unadjusted
    return MetricResult(
        name=metric.name,
        contrast=contrast.name,
        control=contrast.control,
        role=metric.role,
        kind=metric.kind,
        better=metric.better,
        n_control=effect.n_control,
        n_treatment=effect.n_treatment,
        control_mean=effect.control_mean,
        treatment_mean=effect.treatment_mean,
        difference=effect.difference,
        se=effect.se,
        df=None if math.isinf(effect.df) else effect.df,
        ci=effect.ci,
        p=effect.p,
        p_adjusted=p_adjusted,
        lift=effect.lift,
        lift_ci=effect.lift_ci,
        lift_ci_log_delta=effect.lift_ci_log_delta,
        anytime_ci=effect.anytime_ci,
        anytime_lift_ci=effect.anytime_lift_ci,
        anytime_p=effect.anytime_p,
        anytime_one_sided=better(metric, effect, spec),
        decisive=decisive,
        non_inferiority=_non_inferiority(metric, effect, decisive.ci, spec),
        money=None
        if spec.assignment == "observational"  # what was not caused earned nothing
        else _money(metric, effect, decisive.ci, currency=currency, revenue=metric.name in revenue),
        bayesian=bayesian_views(contrast.pair, effect, prior=spec.prior, alpha=spec.alpha, up=metric.better == "up"),
        sample_left=_sample_left(metric, effect, spec),
        variance_explained=None if plain is None else 1.0 - effect.se**2 / plain.se**2,
        unadjusted=None if plain is None else _plain(plain),
        cap=None if contrast.rows is None else contrast.rows.cap,
        without_cap=None if capped is None else {"difference": capped.difference, "ci": capped.ci, "p": capped.p},
    )


def _plain(effect: Effect) -> Plain:
    return Plain(
        difference=effect.difference,
        se=effect.se,
        ci=effect.ci,
        p=effect.p,
        lift=effect.lift,
        lift_ci=effect.lift_ci,
    )


def _sample_left(metric: Metric, effect: Effect, spec: ExperimentSpec) -> SampleLeft | None:
    """Where the metric stands on the way to its smallest lift, by a fixed test at the spec's alpha."""
    if metric.smallest_lift is None or not effect.control_mean > 0.0:
        return None
    wanted = metric.smallest_lift * effect.control_mean
    n = effect.n_control + effect.n_treatment
    needed = math.ceil(n * (shift_needed(power=POWER, alpha=spec.alpha) * effect.se / wanted) ** 2)
    return SampleLeft(
        smallest_lift=metric.smallest_lift,
        power_now=power_of(difference=wanted, variance_of_difference=effect.se**2, alpha=spec.alpha),
        units_needed=needed,
        units_left=max(0, needed - n),
    )


def _non_inferiority(
    metric: Metric, effect: Effect, interval: tuple[float, float], spec: ExperimentSpec
) -> NonInferiority | None:
    if metric.margin is None:
        return None
    sign = 1.0 if metric.better == "up" else -1.0
    low, high = sorted((sign * interval[0], sign * interval[1]))
    status = "passed" if low > -metric.margin else ("broken" if high < -metric.margin else "not_shown")
    distance = (sign * effect.difference + metric.margin) / effect.se
    found = {
        "margin": metric.margin,
        "p": t_tail(distance, effect.df),
        "status": status,
        "anytime_p": no_worse_p(metric, effect, spec, margin=metric.margin),
    }
    return NonInferiority.model_validate(found)


def _money(
    metric: Metric, effect: Effect, interval: tuple[float, float], *, currency: str | None, revenue: bool
) -> Money | None:
    """Money where the metric has a price, or is revenue itself; never for quantiles, which do not add up."""
    if metric.kind == "quantile" or (metric.value_per_unit is None and not revenue):
        return None
    price = 1.0 if metric.value_per_unit is None else metric.value_per_unit
    cost = metric.cost_per_unit or 0.0
    worth = [price * item - cost for item in (effect.difference, *interval)]
    per, (low, high) = worth[0], sorted(worth[1:])
    audience = effect.n_control + effect.n_treatment
    return Money(
        kind="revenue" if metric.value_per_unit is None and not cost else "margin",
        currency=currency,
        per_1000=1000.0 * per,
        per_1000_ci=(1000.0 * low, 1000.0 * high),
        audience=audience,
        audience_total=audience * per,
        audience_ci=(audience * low, audience * high),
        cost_per_unit=cost,
    )
