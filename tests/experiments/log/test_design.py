"""What a plan counts: covariates save units, clusters cost them, and the log says how long they take to come."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.table import Units, metric_rows
from foretouch.experiments.log.design import _days, _pace, _variances, design
from foretouch.features.ingest import ingest_tables
from tests.experiments.analysis.planted_table import spec, table


def variances(rows: pd.DataFrame, read: ExperimentSpec) -> Any:
    units = Units(rows=rows, spec=read, arms=("A", "B"), codes=np.zeros(len(rows), dtype=np.int64))
    (metric,) = read.metrics
    return _variances(units, metric, metric_rows(units, metric))


def test_covariates_save_what_they_explain() -> None:
    rows = table(n=4000)
    plain, adjusted = variances(rows, spec()), variances(rows, spec({"covariates": ["x"]}))
    assert plain.unit == pytest.approx(rows["y"].var(), rel=1e-9)
    assert plain.explained is None
    correlation = float(np.corrcoef(rows["x"], rows["y"])[0, 1])
    assert adjusted.explained == pytest.approx(correlation**2, rel=1e-3)
    assert adjusted.unit == pytest.approx(plain.unit * (1.0 - adjusted.explained), rel=1e-9)
    assert adjusted.baseline == plain.baseline


def test_four_rows_of_everybody_cost_four_times_the_units() -> None:
    people = table(n=2000)
    rows = pd.concat([people] * 4, ignore_index=True).assign(cluster=np.tile(np.arange(2000), 4))
    found = variances(rows, spec(cluster="cluster"))
    assert found.cluster_factor == pytest.approx(4.0, rel=0.02)
    assert found.unit == pytest.approx(4.0 * people["y"].var(), rel=0.02)
    alone = variances(people.assign(cluster=np.arange(2000)), spec(cluster="cluster"))
    assert alone.cluster_factor == pytest.approx(1.0, rel=0.02)


def test_days_are_counted_from_when_customers_came() -> None:
    pace = [0.5, 1.0, 1.5, 9.9]
    assert [_days(customers, pace) for customers in (1, 2, 2.5, 4, 4.1)] == [1, 1, 1, 10, None]


def test_a_workspaces_plan_says_how_long_it_takes(plant: Any) -> None:
    world = plant(customers=300, seed=14)
    people = {"customer_id": sorted(world.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(world.workspace, {"customers": pd.DataFrame(people)})
    last = max(world.exposed.values())
    came = [at for at in world.exposed.values() if at >= last - timedelta(days=28)]
    assert len(_pace(world.workspace, last) or []) == len(came)
    plan = design(world.workspace, "spring", now=last, power=0.8)
    for metric in plan.metrics:
        assert metric.days is not None
        for lift, units in metric.units.items():
            days = metric.days[lift]
            assert (days is None) == (units > len(came))
            assert days is None or 1 <= days <= 28
    assert _pace(world.workspace, last - timedelta(days=4000)) is None
