"""Planning an experiment from past data: the metrics as they were in the last full window of everyone."""

import math
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.core.rng import derive_seed
from foretouch.core.state.connection import to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.aggregates import Codes, Moments
from foretouch.experiments.analysis.contrasts import pair_of_moments
from foretouch.experiments.analysis.granular import clustered_pair
from foretouch.experiments.analysis.plan_of_looks import prices_of
from foretouch.experiments.analysis.power import detectable, units_needed
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import MetricRows, Units, metric_rows
from foretouch.experiments.log.past import past_units
from foretouch.experiments.results import Price
from foretouch.experiments.specs import spec_of

LIFTS = (0.02, 0.05, 0.10, 0.20)
PACE_DAYS = 28
"""Days of the decision log from which the pace is read."""


@dataclass(frozen=True, kw_only=True)
class MetricPlan:
    """What one metric needs.

    Attributes:
        name: The metric.
        baseline: Its mean in the last full window.
        unit_variance: Variance of one unit's contribution, after covariates and clusters.
        units: Units of both arms needed, by relative lift.
        detectable_lift: Smallest lift seen with everyone enrolled; ``None`` without a baseline.
        variance_explained: Share of the variance that the covariates take away; ``None`` without covariates.
        cluster_factor: How many times the units that clusters cost; ``None`` without clusters.
        days: Until that many units have entered, by relative lift, at the pace of the log; ``None`` where more are
            needed than came in the last four weeks.
    """

    name: str
    baseline: float
    unit_variance: float
    units: dict[float, int]
    detectable_lift: float | None
    variance_explained: float | None = None
    cluster_factor: float | None = None
    days: dict[float, int | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an experiment needs, for the control and its largest treatment arm.

    Attributes:
        key: The experiment.
        audience: Customers (or households) that could enter.
        share: The treatment's share of the two arms.
        alpha: Two-sided error rate after Bonferroni over the decisions of the spec.
        power: Chance to find a true effect.
        metrics: One plan per metric.
        prices: What looking earlier costs in units; the figures of the metrics are those of one test at the end.
    """

    key: str
    audience: int
    share: float
    alpha: float
    power: float
    metrics: tuple[MetricPlan, ...]
    prices: tuple[Price, ...] = ()


def design(workspace: Workspace, key: str, *, now: datetime, power: float) -> Plan:
    """Plans an experiment of the workspace.

    Raises:
        NotFoundError: There is no such experiment.
        NotReadyError: There are no customers yet.
    """
    spec = spec_of(workspace, key)
    treatments = {arm: weight for arm, weight in spec.weights.items() if arm != spec.control}
    largest = max(treatments.values())
    share = largest / (largest + spec.weights[spec.control])
    decisions = sum(metric.role != "secondary" for metric in spec.metrics) * len(treatments)
    alpha = spec.alpha / max(decisions, 1)
    rows, ready = past_units(workspace, spec, now=now)
    if ready.cluster not in rows.columns:
        ready = ready.replace(cluster=None)
    units = Units(rows=rows, spec=ready, arms=tuple(spec.weights), codes=np.zeros(len(rows), dtype=np.int64))
    entering = (spec.weights[spec.control] + largest) * (spec.slice[1] - spec.slice[0])
    pace = _pace(workspace, now)
    plans = []
    for metric in ready.metrics:
        if metric.kind == "quantile":
            continue
        try:
            columns = metric_rows(units, metric)
            variance = _variances(units, metric, columns)
        except Refused:
            continue
        made = _plan(
            metric.name,
            baseline=variance.baseline,
            variance=variance.unit,
            audience=len(rows),
            share=share,
            alpha=alpha,
            power=power,
        )
        days = None if pace is None else {lift: _days(n / entering, pace) for lift, n in made.units.items()}
        explained, factor = variance.explained, variance.cluster_factor
        plans.append(replace(made, variance_explained=explained, cluster_factor=factor, days=days))
    return Plan(
        key=key,
        audience=len(rows),
        share=share,
        alpha=alpha,
        power=power,
        metrics=tuple(plans),
        prices=prices_of(alpha=alpha, power=power),
    )


@dataclass(frozen=True, kw_only=True)
class _Variances:
    baseline: float
    unit: float
    explained: float | None
    cluster_factor: float | None


def _variances(units: Units, metric: Metric, rows: MetricRows) -> _Variances:
    """A metric's level and the variance of one unit: less what covariates explain, times what clusters cost.

    Raises:
        Refused: Covariates are constant or collinear, or a denominator is not positive.
    """
    moments = Moments.of(rows.columns)
    n = moments.n
    lead = Moments.of(rows.columns[:, : rows.lead])
    plain = pair_of_moments(metric.replace(covariates=()), lead, lead).control
    adjusted = pair_of_moments(metric, moments, moments).control if metric.covariates else plain
    explained = 1.0 - adjusted.variance / plain.variance if metric.covariates and plain.variance > 0.0 else None
    factor = None
    if units.spec.cluster is not None and adjusted.variance > 0.0:
        groups = units.clusters()
        pair = clustered_pair(rows.columns, _halves(groups, units.spec), groups, lead=rows.lead)
        per_unit = (pair.control.variance * pair.control.n + pair.treatment.variance * pair.treatment.n) / 2.0
        factor = per_unit / (adjusted.variance * n)
    unit = adjusted.variance * n * (1.0 if factor is None else factor)
    return _Variances(baseline=plain.mean, unit=unit, explained=explained, cluster_factor=factor)


def _halves(groups: Codes, spec: ExperimentSpec) -> Codes:
    """Clusters in two halves by lot, as an experiment would split them."""
    rng = np.random.default_rng(derive_seed(spec.key, "design-halves"))
    order = rng.permutation(int(groups.max()) + 1)
    halves: Codes = (order[groups] % 2).astype(np.int64)
    return halves


def _pace(workspace: Workspace, now: datetime) -> list[float] | None:
    """Days after the start of the last four weeks at which new customers were decided about; ``None`` without a log."""
    connection = read_state(workspace)
    if connection is None:
        return None
    start = to_micros(now - timedelta(days=PACE_DAYS))
    with closing(connection):
        found = connection.execute(
            "SELECT min(decided_at) FROM decisions WHERE decided_at >= ? AND decided_at <= ? GROUP BY customer_id",
            (start, to_micros(now)),
        ).fetchall()
    return sorted((int(first) - start) / 86_400e6 for (first,) in found) or None


def _days(customers: float, pace: list[float]) -> int | None:
    """The day on which that many customers had come; ``None`` where they did not."""
    wanted = math.ceil(customers)
    if wanted > len(pace):
        return None
    return max(1, math.ceil(pace[wanted - 1] - pace[0]))


def _plan(
    name: str, *, baseline: float, variance: float, audience: int, share: float, alpha: float, power: float
) -> MetricPlan:
    if baseline <= 0.0 or variance <= 0.0:
        return MetricPlan(name=name, baseline=baseline, unit_variance=variance, units={}, detectable_lift=None)
    needed = {
        lift: units_needed(
            difference=lift * baseline,
            control_variance=variance,
            treatment_variance=variance,
            share=share,
            power=power,
            alpha=alpha,
        )
        for lift in LIFTS
    }
    of_all = variance / audience * (1.0 / share + 1.0 / (1.0 - share))
    smallest = detectable(variance_of_difference=of_all, power=power, alpha=alpha) / baseline
    return MetricPlan(name=name, baseline=baseline, unit_variance=variance, units=needed, detectable_lift=smallest)
