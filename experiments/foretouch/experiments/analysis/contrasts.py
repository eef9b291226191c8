"""One metric in one treatment arm against the control: from rows, or from any part of them, to an effect."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Codes, Floats, Moments
from foretouch.experiments.analysis.effects import Effect, Pair, effect_of
from foretouch.experiments.analysis.estimators import mean_pair, ratio_pair
from foretouch.experiments.analysis.granular import clustered_pair, quantile_pair
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.strata import stratified_pair
from foretouch.experiments.analysis.table import MetricRows, Units, metric_rows

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A metric's effect in one arm, with the rows it came from.

    Attributes:
        metric: What is compared.
        arm: Index of the treatment in ``units.arms``.
        name: The treatment arm.
        control: The control arm.
        rows: The metric's columns for every unit; ``None`` where only aggregates are known.
        pair: Both arms' estimates.
        effect: The comparison.
        uncapped: The comparison without the winsorising cap.
        unadjusted: The comparison without covariates and strata, where there are any.
    """

    metric: Metric
    arm: int
    name: str
    control: str
    rows: MetricRows | None
    pair: Pair
    effect: Effect
    uncapped: Effect | None = None
    unadjusted: Effect | None = None


def contrast_of(units: Units, metric: Metric, rows: MetricRows, arm: int) -> Contrast:
    """Compares an arm with the control (arm 0).

    Raises:
        Refused: An arm is too small, there is no variance, or the estimator's own reason.
    """
    for index in (0, arm):
        name = units.arms[index]
        if units.counts[name] < 2:
            raise Refused("arm_too_small", column=name, value=units.counts[name])
    pair = pair_of(units, metric, rows, arm)
    spec = units.spec
    effect = effect_of_pair(pair, spec)
    uncapped = unadjusted = None
    if rows.uncapped is not None:
        plain = rows.columns.copy()
        plain[:, 0] = rows.uncapped
        uncapped = effect_of_pair(pair_of(units, metric, replace(rows, columns=plain), arm), spec)
    if metric.covariates or metric.strata:
        bare = metric.replace(covariates=(), strata=())
        lead = replace(rows, columns=rows.columns[:, : rows.lead])
        unadjusted = effect_of_pair(pair_of(units, bare, lead, arm), spec)
    return Contrast(
        metric=metric,
        arm=arm,
        name=units.arms[arm],
        control=units.arms[0],
        rows=rows,
        pair=pair,
        effect=effect,
        uncapped=uncapped,
        unadjusted=unadjusted,
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
    return effect_of_pair(pair_of_moments(metric, control, treatment), spec)


def arm_moments(values: Floats, codes: Codes, arms: int) -> tuple[Moments, ...]:
    """The moments of every arm."""
    return Moments.grouped(values, codes, arms)


def by_moments(units: Units, metric: Metric) -> bool:
    """Whether moments of parts are all that the metric needs, so that parts add up."""
    return metric.kind != "quantile" and units.spec.cluster is None and not metric.strata


def part_effect(contrast: Contrast, units: Units, among: Mask) -> Effect:
    """The effect among some of the units, for metrics that moments cannot carry.

    Args:
        contrast: The metric and its arm.
        units: Everyone.
        among: Which units, shape (n,).

    Raises:
        Refused: An arm is too small there, or the estimator's own reason.
    """
    for index in (0, contrast.arm):
        size = int((units.codes[among] == index).sum())
        if size < 2:
            raise Refused("arm_too_small", column=units.arms[index], value=size)
    rows = contrast.rows or metric_rows(units, contrast.metric)
    return effect_of_pair(pair_of(units, contrast.metric, rows, contrast.arm, among), units.spec)


def pair_of(units: Units, metric: Metric, rows: MetricRows, arm: int, among: Mask | None = None) -> Pair:
    """Both arms' estimates from rows.

    Args:
        units: Everyone.
        metric: What is compared.
        rows: Its columns.
        arm: The treatment, an index into ``units.arms``.
        among: Which units count, shape (n,); all without it.

    Raises:
        Refused: The estimator's reason.
    """
    codes, cluster, columns = units.codes, units.spec.cluster, rows.columns
    if among is not None:
        codes, columns = codes[among], columns[among]
    if metric.kind == "quantile":
        if cluster is not None:
            raise Refused("clusters_not_for_quantile")
        values = columns[:, 0]
        return quantile_pair(values[codes == 0], values[codes == arm], float(metric.q or 0.5))
    if cluster is not None:
        groups = units.clusters() if among is None else units.clusters()[among]
        mask = (codes == 0) | (codes == arm)
        treated = (codes[mask] == arm).astype(np.int64)
        return clustered_pair(columns[mask], treated, groups[mask], lead=rows.lead)
    arms = len(units.arms)
    if metric.strata:
        count, strata = units.strata(metric.strata)
        strata = strata if among is None else strata[among]
        cells = arm_moments(columns, strata * arms + codes, count * arms)
        paired = tuple((cells[h * arms], cells[h * arms + arm]) for h in range(count))
        return stratified_pair(paired, lead=rows.lead)
    moments = arm_moments(columns, codes, arms)
    return pair_of_moments(metric, moments[0], moments[arm])


def effect_of_pair(pair: Pair, spec: ExperimentSpec) -> Effect:
    """The effect of a pair whose difference has a variance.

    Raises:
        Refused: It has none.
    """
    variance = pair.control.variance + pair.treatment.variance - 2.0 * pair.covariance
    level = max(abs(pair.control.mean), abs(pair.treatment.mean))
    if not variance > (1e-14 * level) ** 2 or variance == 0.0:
        raise Refused("zero_variance")
    return effect_of(pair, alpha=spec.alpha, tuning=spec.tuning)
