"""Planning an experiment from past data: the metrics as they were in the last full window of everyone."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.aggregates import Moments
from foretouch.experiments.analysis.contrasts import pair_of_moments
from foretouch.experiments.analysis.plan_of_looks import prices_of
from foretouch.experiments.analysis.power import detectable, units_needed
from foretouch.experiments.analysis.table import cap_of, column_of
from foretouch.experiments.log.measures import measure, members_of, metric_measures
from foretouch.experiments.results import Price
from foretouch.experiments.specs import spec_of
from foretouch.features.tables import connect

LIFTS = (0.02, 0.05, 0.10, 0.20)


@dataclass(frozen=True, kw_only=True)
class MetricPlan:
    """What one metric needs.

    Attributes:
        name: The metric.
        baseline: Its mean in the last full window.
        unit_variance: Variance of one unit's contribution.
        units: Units of both arms needed, by relative lift.
        detectable_lift: Smallest lift seen with everyone enrolled; ``None`` without a baseline.
    """

    name: str
    baseline: float
    unit_variance: float
    units: dict[float, int]
    detectable_lift: float | None


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
    with closing(connect(workspace)) as connection:
        households = spec.unit == "household_id"
        unit = "coalesce(household_id, customer_id)" if households else "customer_id"
        units = connection.execute(
            f"SELECT {unit} AS unit, min(customer_id) AS customer_id FROM customers GROUP BY 1 ORDER BY 1"  # noqa: S608
        ).df()
        if len(units) < 2:
            raise NotReadyError(f"{workspace.root} has no customers yet", hint="foretouch ingest --customers FILE …")
        members = members_of(connection, units, households=households)
        plans = []
        for metric in spec.metrics:
            if metric.kind == "quantile":
                continue
            at = [now - timedelta(days=metric.window_days)] * len(units)
            wanted = metric_measures(metric, metric.window_days)
            columns = {name: measure(connection, members, at, item, received_by=now) for name, item in wanted.items()}
            names = [str(metric.numerator), str(metric.denominator)] if metric.kind == "ratio" else [column_of(metric)]
            if not set(names) <= set(columns):
                continue
            values = pd.DataFrame(columns)[names]
            if metric.winsor is not None:
                capped = values[names[0]].to_numpy(dtype=float)
                values[names[0]] = np.minimum(capped, cap_of(capped, metric))
            moments = Moments.of(values.to_numpy(dtype=float))
            estimate = pair_of_moments(metric.replace(covariates=()), moments, moments).control
            plans.append(
                _plan(
                    metric.name,
                    baseline=estimate.mean,
                    variance=estimate.variance * len(units),
                    audience=len(units),
                    share=share,
                    alpha=alpha,
                    power=power,
                )
            )
    return Plan(
        key=key,
        audience=len(units),
        share=share,
        alpha=alpha,
        power=power,
        metrics=tuple(plans),
        prices=prices_of(alpha=alpha, power=power),
    )


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
