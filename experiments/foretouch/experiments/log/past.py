"""Everybody's last full window, as if a test had just ended: what an experiment is planned and tried out on."""

from contextlib import closing
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from foretouch.core.errors import NotReadyError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.frame import measured, windows_of
from foretouch.experiments.log.measures import measure, members_of
from foretouch.features.tables import connect


def past_units(workspace: Workspace, spec: ExperimentSpec, *, now: datetime) -> tuple[pd.DataFrame, ExperimentSpec]:
    """One row per customer (or household) with the metrics of the window that ends now, and covariates from before it.

    Args:
        workspace: Whose customers and events.
        spec: The experiment.
        now: Later events are not known.

    Returns:
        The rows, in order of the units, and the spec with its columns named as they are in them. Covariates that are
        neither events nor columns of customers are left out; a missing one takes the mean.

    Raises:
        NotReadyError: There are fewer than two customers.
    """
    ready, measures = measured(spec, windows_of(spec, None))
    households = spec.unit == "household_id"
    with closing(connect(workspace)) as connection:
        unit = "coalesce(household_id, customer_id)" if households else "customer_id"
        units = connection.execute(
            f"SELECT {unit} AS unit, min(customer_id) AS customer_id FROM customers GROUP BY 1 ORDER BY 1"  # noqa: S608
        ).df()
        if len(units) < 2:
            raise NotReadyError(f"{workspace.root} has no customers yet", hint="foretouch ingest --customers FILE …")
        members = members_of(connection, units, households=households)
        rows = pd.DataFrame({spec.unit: units["unit"]})
        for name, wanted in measures.items():
            at = [now - timedelta(days=wanted.days)] * len(units)
            rows[name] = measure(connection, members, at, wanted, received_by=now)
        customers = connection.execute("SELECT * FROM customers").df().drop_duplicates("customer_id")
    known = customers.set_index("customer_id").reindex(units["customer_id"])
    static = {name for metric in ready.metrics for name in metric.covariates} - set(rows.columns)
    for name in sorted(static & set(known.columns)):
        values = pd.to_numeric(known[name], errors="coerce")
        if values.notna().any():
            rows[name] = values.fillna(values.mean()).to_numpy(dtype=np.float64)
    if spec.cluster is not None and spec.cluster in known.columns and spec.cluster not in rows.columns:
        own = known[spec.cluster].reset_index(drop=True)
        rows[spec.cluster] = own.where(own.notna(), units["customer_id"])
    kept = tuple(
        metric.replace(
            covariates=tuple(name for name in metric.covariates if name in rows.columns),
            strata=tuple(name for name in metric.strata if name in rows.columns),
        )
        for metric in ready.metrics
    )
    return rows, ready.replace(metrics=kept, segments=(), time=None, score=None)
