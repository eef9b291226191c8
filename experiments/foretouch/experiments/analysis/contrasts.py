"""One metric in one treatment arm against the control, and its entry in the results."""

import math
from dataclasses import dataclass, replace

import numpy as np

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Codes, Floats, Moments
from foretouch.experiments.analysis.effects import Effect, Pair, effect_of, t_tail
from foretouch.experiments.analysis.estimators import mean_pair, ratio_pair
from foretouch.experiments.analysis.granular import clustered_pair, quantile_pair
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import MetricRows, Units
from foretouch.experiments.results import MetricResult, Money, NonInferiority


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A metric's effect in one arm, with the rows it came from.

    Attributes:
        metric: What is compared.
        arm: Index of the treatment in ``units.arms``.
        name: The treatment arm.
        control: The control arm.
        rows: The metric's columns for every unit.
        pair: Both arms' estimates.
        effect: The comparison.
        uncapped: The comparison without the winsorising cap.
    """

    metric: Metric
    arm: int
    name: str
    control: str
    rows: MetricRows
    pair: Pair
    effect: Effect
    uncapped: Effect | None = None


def contrast_of(units: Units, metric: Metric, rows: MetricRows, arm: int) -> Contrast:
    """Compares an arm with the control (arm 0).

    Raises:
        Refused: An arm is too small, there is no variance, or the estimator's own reason.
    """
    for index in (0, arm):
        name = units.arms[index]
        if units.counts[name] < 2:
            raise Refused("arm_too_small", column=name, value=units.counts[name])
    pair = _pair(units, metric, rows, arm)
    spec = units.spec
    effect = _effect(pair, spec)
    uncapped = None
    if rows.uncapped is not None:
        plain = rows.columns.copy()
        plain[:, 0] = rows.uncapped
        uncapped = _effect(_pair(units, metric, replace(rows, columns=plain), arm), spec)
    return Contrast(
        metric=metric,
        arm=arm,
        name=units.arms[arm],
        control=units.arms[0],
        rows=rows,
        pair=pair,
        effect=effect,
        uncapped=uncapped,
    )


def pair_of_moments(metric: Metric, control: Moments, treatment: Moments) -> Pair:
    """Both arms' estimates from sufficient statistics alone."""
    return (ratio_pair if metric.kind == "ratio" else mean_pair)(control, treatment)


def effect_of_moments(metric: Metric, control: Moments, treatment: Moments, spec: ExperimentSpec) -> Effect:
    """The effect from sufficient statistics alone.

    Raises:
        Refused: An arm has fewer than two units, or there is no variance.
    """
    for part in (control, treatment):
        if part.n < 2:
            raise Refused("arm_too_small", value=part.n)
    return _effect(pair_of_moments(metric, control, treatment), spec)


def arm_moments(values: Floats, codes: Codes, arms: int) -> tuple[Moments, ...]:
    """The moments of every arm."""
    return Moments.grouped(values, codes, arms)


def _pair(units: Units, metric: Metric, rows: MetricRows, arm: int) -> Pair:
    codes, cluster = units.codes, units.spec.cluster
    if metric.kind == "quantile":
        if cluster is not None:
            raise Refused("clusters_not_for_quantile")
        values = rows.columns[:, 0]
        return quantile_pair(values[codes == 0], values[codes == arm], float(metric.q or 0.5))
    if cluster is not None:
        if cluster not in units.rows.columns:
            raise Refused("missing_column", value=cluster)
        mask = (codes == 0) | (codes == arm)
        groups = units.rows[cluster].astype("category").cat.codes.to_numpy(dtype=np.int64)[mask]
        if (groups < 0).any():
            raise Refused("missing_values", value=int((groups < 0).sum()), column=cluster)
        treated = (codes[mask] == arm).astype(np.int64)
        return clustered_pair(rows.columns[mask], treated, groups, lead=rows.lead)
    moments = arm_moments(rows.columns, codes, len(units.arms))
    return pair_of_moments(metric, moments[0], moments[arm])


def _effect(pair: Pair, spec: ExperimentSpec) -> Effect:
    variance = pair.control.variance + pair.treatment.variance - 2.0 * pair.covariance
    level = max(abs(pair.control.mean), abs(pair.treatment.mean))
    if not variance > (1e-14 * level) ** 2 or variance == 0.0:
        raise Refused("zero_variance")
    return effect_of(pair, alpha=spec.alpha, tuning=spec.tuning)


def metric_result(
    contrast: Contrast, *, p_adjusted: float, currency: str | None, revenue: frozenset[str], running: bool = False
) -> MetricResult:
    """The entry of ``metrics[]``."""
    metric, effect, pair = contrast.metric, contrast.effect, contrast.pair
    interval = effect.anytime_ci if running else effect.ci
    plain = contrast.uncapped
    explained = None
    if metric.covariates and pair.raw_variance:
        explained = 1.0 - effect.se**2 / pair.raw_variance
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
        non_inferiority=_non_inferiority(metric, effect, interval),
        money=_money(metric, effect, interval, currency=currency, revenue=metric.name in revenue),
        variance_explained=explained,
        cap=contrast.rows.cap,
        without_cap=None if plain is None else {"difference": plain.difference, "ci": plain.ci, "p": plain.p},
    )


def _non_inferiority(metric: Metric, effect: Effect, interval: tuple[float, float]) -> NonInferiority | None:
    if metric.margin is None:
        return None
    sign = 1.0 if metric.better == "up" else -1.0
    low, high = sorted((sign * interval[0], sign * interval[1]))
    status = "passed" if low > -metric.margin else ("broken" if high < -metric.margin else "not_shown")
    distance = (sign * effect.difference + metric.margin) / effect.se
    return NonInferiority.model_validate({"margin": metric.margin, "p": t_tail(distance, effect.df), "status": status})


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
