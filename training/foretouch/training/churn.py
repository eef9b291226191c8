"""Churn: who, among the lately active, does not come back within the window.

Baselines: days since the last activity (an order, compared by AUC) and BG/NBD's probability of no purchase (compared
by AUC and by log loss).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.training.evaluation import compare
from foretouch.training.metrics import AUC, AVERAGE_PRECISION, LOG_LOSS, probability_figures
from foretouch.training.probability import fit_probability, score_rows
from foretouch.training.purchases import no_purchase
from foretouch.training.tabular import load_split
from foretouch.training.targets import churn_labels
from foretouch.training.task import Evaluation, Fitted, Split, TrainingRun

RECENCY, BG_NBD = "days_since_last", "bg_nbd"
BANDS = {"low": 1.0, "medium": 0.3, "high": 0.1}


@dataclass(frozen=True)
class ChurnTask:
    """The churn model."""

    name: ModelName = "churn"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """No activity within the window, among the active."""
        goal = workspace.config.goals.churn
        return {
            "what": f"no {goal.activity_event} within {goal.window_days:g} days",
            "among": f"customers with a {goal.activity_event} in the last {goal.active_days:g} days",
            **goal.model_dump(mode="json"),
        }

    def load(self, run: TrainingRun) -> Split:
        """Weekly snapshots of every customer active in the last ``active_days``."""
        goal = run.workspace.config.goals.churn
        return load_split(
            run,
            "churn",
            event=goal.activity_event,
            window_days=goal.window_days,
            labeller=partial(churn_labels, goal=goal),
        )

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Trees, calibration, bands low, medium, high."""
        return fit_probability(run, split, "churn", band_shares=BANDS)

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Beside days since the last activity and BG/NBD."""
        goal = run.workspace.config.goals.churn
        test = split.test
        score = score_rows(fitted, test)
        days = pd.to_numeric(test.frame["days_since_activity"]).to_numpy(dtype=np.float64, na_value=np.inf)
        recency = np.nan_to_num(days, nan=np.inf)
        silent = no_purchase(run.workspace, goal.activity_event, test.frame, window_days=goal.window_days)
        sides = [(AUC, RECENCY, recency), (AVERAGE_PRECISION, RECENCY, recency), (AUC, BG_NBD, silent)]
        sides += [(AVERAGE_PRECISION, BG_NBD, silent), (LOG_LOSS, BG_NBD, silent)]
        return Evaluation(
            primary=AUC.name,
            metrics=probability_figures(test.label, score),
            baselines={
                RECENCY: {metric.name: metric(test.label, recency) for metric in (AUC, AVERAGE_PRECISION)},
                BG_NBD: probability_figures(test.label, silent),
            },
            comparisons=tuple(
                compare(
                    metric,
                    label=test.label,
                    model=score,
                    reference=theirs,
                    cluster=test.customer_id,
                    baseline=baseline,
                    seed=run.seed,
                )
                for metric, baseline, theirs in sides
            ),
            label=test.label,
            scores={"model": score, RECENCY: recency, BG_NBD: silent},
        )


TASK = ChurnTask()
