"""Lead: who does the goal event for the first time within the window.

The baseline is the points rule that marketers write: points per event of the last weeks, hot from a threshold. It is
no probability, so it is compared by order (average precision, AUC), and by what it is used for: of the customers that
convert, the share found among as many customers as the rule calls hot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.serving.models.points import POINTS_RULE, points
from foretouch.training.evaluation import compare
from foretouch.training.metrics import AUC, AVERAGE_PRECISION, Metric, probability_figures
from foretouch.training.probability import fit_probability, score_rows
from foretouch.training.ranking import Weighted, dot
from foretouch.training.tabular import load_split
from foretouch.training.targets import lead_labels
from foretouch.training.task import Evaluation, Fitted, FloatArray, Split, TrainingRun

BANDS = {"cold": 1.0, "warm": 0.2, "hot": 0.05}


def _prepare_found(label: FloatArray, flagged: FloatArray) -> Weighted:
    def share(weight: FloatArray | None) -> float:
        weights = np.ones(len(label)) if weight is None else weight
        goals = dot(weights, label)
        return dot(weights, label * flagged) / goals if goals > 0 else float("nan")

    return share


FOUND_AMONG_HOT = Metric(name="found_among_hot", better="up", prepare=_prepare_found)
"""Share of the goals found among the flagged; both sides flag equally many rows."""


def flag_top(score: FloatArray, count: int) -> FloatArray:
    """1 for the ``count`` rows with the highest score (a stable sort), shape (n,)."""
    flagged = np.zeros(len(score))
    flagged[np.argsort(-score, kind="stable")[:count]] = 1.0
    return flagged


@dataclass(frozen=True)
class LeadTask:
    """The lead model."""

    name: ModelName = "lead"

    def goal(self, workspace: Workspace) -> Mapping[str, Any]:
        """The first goal event within the window, among those without one."""
        goal = workspace.config.goals.lead
        return {
            "what": f"first {goal.goal_event} within {goal.window_days:g} days",
            "among": f"customers without a {goal.goal_event} before",
            **goal.model_dump(mode="json"),
        }

    def load(self, run: TrainingRun) -> Split:
        """Weekly snapshots of every customer who has not yet done the goal event."""
        goal = run.workspace.config.goals.lead
        return load_split(
            run,
            "lead",
            event=goal.goal_event,
            window_days=goal.window_days,
            labeller=partial(lead_labels, goal=goal),
        )

    def fit(self, run: TrainingRun, split: Split) -> Fitted:
        """Trees, calibration, bands cold, warm, hot."""
        return fit_probability(run, split, "lead", band_shares=BANDS)

    def evaluate(self, run: TrainingRun, split: Split, fitted: Fitted) -> Evaluation:
        """Beside the points rule."""
        goal = run.workspace.config.goals.lead
        test = split.test
        score, rule = score_rows(fitted, test), points(test.frame, goal)
        hot = (rule >= goal.hot_from).astype(np.float64)
        top = flag_top(score, int(hot.sum()))
        found = FOUND_AMONG_HOT(test.label, top), FOUND_AMONG_HOT(test.label, hot)
        sides = [(AVERAGE_PRECISION, score, rule), (AUC, score, rule)]
        if hot.any():
            sides.append((FOUND_AMONG_HOT, top, hot))
        return Evaluation(
            primary=AVERAGE_PRECISION.name,
            metrics={
                **probability_figures(test.label, score),
                "hot_share": float(hot.mean()),
                "found_among_hot": found[0],
            },
            baselines={
                POINTS_RULE: {
                    "average_precision": AVERAGE_PRECISION(test.label, rule),
                    "auc": AUC(test.label, rule),
                    "hot_share": float(hot.mean()),
                    "found_among_hot": found[1],
                }
            },
            comparisons=tuple(
                compare(
                    metric,
                    label=test.label,
                    model=mine,
                    reference=theirs,
                    cluster=test.customer_id,
                    baseline=POINTS_RULE,
                    seed=run.seed,
                )
                for metric, mine, theirs in sides
            ),
            label=test.label,
            scores={"model": score, POINTS_RULE: rule},
        )


TASK = LeadTask()
