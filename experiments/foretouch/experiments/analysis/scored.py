"""The score that a spec names, judged on the rows of the experiment: is it right to choose by it?"""

from collections.abc import Sequence

import numpy as np

from foretouch.core.experiment import Metric
from foretouch.experiments.analysis.aggregates import Floats
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import SERVED, MetricRows, Units
from foretouch.experiments.uplift.contract import UpliftResults
from foretouch.experiments.uplift.judge import Worth, judge_score

DRAWS = 200


def judged_score(
    units: Units,
    prepared: Sequence[tuple[Metric, MetricRows]],
    *,
    currency: str | None,
    revenue: frozenset[str],
) -> tuple[dict[str, UpliftResults], list[tuple[Refused, str]]]:
    """The score on the first primary metric, for each treatment arm of positive weight against the control.

    Args:
        units: The table.
        prepared: Metrics that can be computed, with their rows.
        currency: Of money.
        revenue: Metrics whose unit is money already.

    Returns:
        Results by arm, and what is wrong with the score, with the metric's name.
    """
    spec = units.spec
    first = next(
        (
            (metric, rows)
            for metric, rows in prepared
            if metric.role == "primary" and metric.kind in {"mean", "proportion"}
        ),
        None,
    )
    if spec.score is None or first is None:
        return {}, []
    metric, rows = first
    try:
        score = _score(units, spec.score)
    except Refused as reason:
        return {}, [(reason, metric.name)]
    told = np.isfinite(score)
    worth = None
    if metric.value_per_unit is not None or metric.name in revenue:
        value = 1.0 if metric.value_per_unit is None else metric.value_per_unit
        worth = Worth(value=value, cost=metric.cost_per_unit or 0.0, currency=currency)
    found = {}
    for arm, name in enumerate(units.arms):
        taken = np.isin(units.codes, (0, arm)) & told
        treated = (units.codes[taken] == arm).astype(np.float64)
        if arm == 0 or spec.weights[name] == 0.0 or len(np.unique(treated)) < 2:
            continue
        found[name] = judge_score(
            score[taken],
            treated,
            rows.columns[taken, 0],
            names=(spec.score, metric.name),
            title=name,
            worth=worth,
            draws=DRAWS,
        )
    return found, []


def _score(units: Units, name: str) -> Floats:
    """The score; of the model in force, NaN where it has none."""
    if name == SERVED and name in units.rows.columns:
        return units.rows[name].to_numpy(dtype=np.float64)
    return units.column(name)
