"""Logged decisions as further snapshots of their customers, for lead, churn and value: the features the service saw.

A model of the customer is fitted on everyone's weekly snapshots. A decision is one more snapshot of its customer, whose
features are on record as they were served; what the customer did next is the label, whatever was decided. It joins the
fit and calibrate parts, one per customer and snapshot period, so that nobody counts more for being asked about often.
Later rows, by which the model is judged, stay snapshots of everyone: the log holds only those who were asked about.
With ``training.weighted`` logged rows count by the inverse of the probability of what was decided, a snapshot as 1.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.columns import AS_OF, CUSTOMER_ID
from foretouch.core.models import ModelName
from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace
from foretouch.training.log.rows import logged_rows
from foretouch.training.log.weights import effective_rows
from foretouch.training.splits import CALIBRATE_CUSTOMERS, SplitPlan

PART = "part"
WEIGHT = "weight"


def with_logged(
    workspace: Workspace, model: ModelName, frame: pd.DataFrame, plan: SplitPlan
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The rows of the history and, once the log has ``training.log_rows`` mature ones, those of the log.

    Args:
        workspace: Its configuration says whether the log is asked.
        model: ``lead``, ``churn`` or ``value``.
        frame: ``customer_id``, ``as_of``, ``label``, ``part`` and the features.
        plan: The times of the parts.

    Returns:
        The same columns, with ``weight`` where logged rows are weighted, and what was done, for the card.
    """
    section = workspace.config.training
    if section.source == "history":
        return frame, {}
    logged = logged_rows(workspace, model)
    kinds = {
        line["kind"]: {"rows": line["rows"], "use": line["use"], "why": line["why"]}
        for line in logged.counts.to_dict("records")
        if line["rows"]
    }
    if not kinds:
        return frame, {}
    if len(logged.frame) < section.log_rows:
        needed = f"{len(logged.frame)} mature rows, training.log_rows asks for {section.log_rows}"
        return frame, {"source": "snapshots", "log_not_used": needed, "log_kinds": kinds}
    rows = logged.frame
    period = timedelta(days=workspace.config.features.snapshot_days)
    rows = rows[rows[AS_OF] >= pd.Timestamp(plan.fit[0])]
    rows = rows[~pd.DataFrame({"c": rows[CUSTOMER_ID], "p": (rows[AS_OF] - plan.fit[0]) // period}).duplicated()]
    rows = rows.assign(**{PART: parts_of(rows, plan)})
    rows = rows[rows[PART] != ""]
    weighted = model in section.weighted
    if weighted:
        frame = frame.assign(**{WEIGHT: 1.0})
    own = rows.reindex(columns=list(frame.columns))
    own[AS_OF] = own[AS_OF].astype(frame[AS_OF].dtype)
    joined = pd.concat([frame, own], ignore_index=True) if len(own) else frame
    counted = f"{len(own)}, one per customer and snapshot period; judged on snapshots alone"
    if weighted:
        counted += f"; weighted, worth {effective_rows(own[WEIGHT].to_numpy(dtype=np.float64)):.0f}"
    return joined, {
        "source": "snapshots and log",
        "rows_from_log": counted,
        "log_known_until": logged.known_until.isoformat(),
        "log_kinds": kinds,
    }


def parts_of(rows: pd.DataFrame, plan: SplitPlan) -> "pd.Series[str]":
    """The part of each logged row, or an empty string: as ``splits.assign_parts`` keeps the parts of snapshots apart.

    Args:
        rows: ``customer_id``, ``as_of``, ``closes_at``.
        plan: The times of the parts.
    """
    calibrate, test = pd.Timestamp(plan.calibrate[0]), pd.Timestamp(plan.test[0])
    closed = rows["closes_at"] <= test
    later = closed & (rows[AS_OF] >= calibrate)
    earlier = closed & (rows["closes_at"] <= calibrate if plan.apart_by == "gap" else rows[AS_OF] < calibrate)
    if plan.apart_by == "customers":
        mine = rows[CUSTOMER_ID].map(lambda name: bucket("calibration-customers", str(name)) < CALIBRATE_CUSTOMERS)
        later, earlier = later & mine, earlier & ~mine
    part = pd.Series("", index=rows.index, dtype=object)
    part[later] = "calibrate"
    part[earlier] = "fit"
    return part
