"""What contacting caused, from the holdouts that the log already has.

Intention to treat: every customer whom an experiment assigned counts, contacted or not, from their first decision of
the period on, for ``reward.window_days``, all arms alike. A customer seen in two arms, and one whose window is not
over, is left out of every arm. Difference of conversions per customer with Welch's interval; times the size of the arm
it is how many conversions would not have happened otherwise.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from foretouch.core.experiment import HOLDOUTS, ExperimentSpec
from foretouch.experiments.analysis.aggregates import Moments
from foretouch.experiments.analysis.contrasts import pair_of_moments
from foretouch.experiments.analysis.effects import effect_of
from foretouch.experiments.insights.contract import IncrementalRow, Range
from foretouch.experiments.insights.journeys import window_of
from foretouch.experiments.insights.reading import Gathered

SMALLEST_ARM = 100
"""Customers with a complete window that both arms need."""
LEVELS = ("no_contact", "business_as_usual", "random")
_UNITS = """
    CREATE OR REPLACE TABLE units AS
    SELECT key, customer_id, any_value(arm) AS arm, min(decided_at) AS at
    FROM arms GROUP BY key, customer_id HAVING count(DISTINCT arm) = 1 AND min(decided_at) + ? <= ?"""
_SUMS = """
    SELECT count(*), coalesce(sum(n), 0), coalesce(sum(n * n), 0) FROM (
        SELECT u.customer_id, count(g.event_id) AS n
        FROM units u LEFT JOIN goals g
          ON g.customer_id = u.customer_id AND g.occurred_at >= u.at AND g.occurred_at < u.at + ?
        WHERE u.key = ? AND u.arm = ? GROUP BY u.customer_id)"""
_IN_WINDOW = """
    FROM units u JOIN {table} x ON x.customer_id = u.customer_id AND x.at >= u.at AND x.at < u.at + ?
    WHERE u.key = ? AND u.arm = ?"""


def incremental(gathered: Gathered, specs: Sequence[ExperimentSpec]) -> tuple[IncrementalRow, ...]:
    """One row per experiment, holdout arm and policy arm; the strictest holdouts first.

    Args:
        gathered: With the tables ``goals`` (from ``journeys``), ``preceded`` and ``went_out``.
        specs: The workspace's experiments.
    """
    gathered.tables.execute(_UNITS, [window_of(gathered), gathered.known])
    rows = [row for spec in specs for row in _of_experiment(gathered, spec)]
    return tuple(sorted(rows, key=lambda row: (LEVELS.index(row.level), -row.n_control, row.key, row.treatment)))


def _of_experiment(gathered: Gathered, spec: ExperimentSpec) -> Iterator[IncrementalRow]:
    kinds = {arm: spec.arms[arm].kind if arm in spec.arms else "policy" for arm in spec.weights}
    held = [arm for arm, kind in kinds.items() if kind in HOLDOUTS and spec.weights[arm] > 0.0]
    treated = [arm for arm, kind in kinds.items() if kind == "policy" and spec.weights[arm] > 0.0]
    for control in held:
        for treatment in treated:
            yield _row(gathered, spec, kinds[control], control, treatment)


def _row(gathered: Gathered, spec: ExperimentSpec, level: str, control: str, treatment: str) -> IncrementalRow:
    days, window = gathered.config.reward.window_days, window_of(gathered)
    moments = {arm: _moments(gathered, spec.key, arm, window) for arm in (control, treatment)}
    sizes = {arm: part.n for arm, part in moments.items()}
    fields: dict[str, Any] = {
        "key": spec.key,
        "level": level,
        "control": control,
        "treatment": treatment,
        "control_title": spec.arms[control].title,
        "treatment_title": spec.arms[treatment].title if treatment in spec.arms else {},
        "window_days": days,
        "n_control": sizes[control],
        "n_treatment": sizes[treatment],
    }
    if spec.unit != "customer_id":
        return IncrementalRow.model_validate({**fields, "withheld": "not_by_customer"})
    if min(sizes.values()) < SMALLEST_ARM:
        return IncrementalRow.model_validate({**fields, "withheld": "arm_too_small"})
    pair = pair_of_moments(spec.metrics[0].replace(kind="mean", covariates=()), moments[control], moments[treatment])
    if not pair.control.variance + pair.treatment.variance > 0.0:
        return IncrementalRow.model_validate({**fields, "withheld": "no_conversions"})
    effect = effect_of(pair, alpha=0.05, tuning=5000.0)
    n = sizes[treatment]
    total, total_ci = n * effect.difference, (n * effect.ci[0], n * effect.ci[1])
    fields |= {
        "control_rate": effect.control_mean,
        "treatment_rate": effect.treatment_mean,
        "difference": effect.difference,
        "ci": effect.ci,
        "incremental": total,
        "incremental_ci": total_ci,
        "attributed": _in_window(gathered, "preceded", "count(*)", spec.key, treatment)[0],
    }
    contacts, cost = _in_window(gathered, "went_out", "count(*), coalesce(sum(x.cost), 0)", spec.key, treatment)
    fields |= {"contacts": contacts, "contact_cost": cost}
    if level == "no_contact":
        (margin,) = _in_window(gathered, "went_out", "avg(x.margin) FILTER (x.accepted)", spec.key, treatment)
        fields |= money_of(total, total_ci, cost=cost, margin=margin)
    return IncrementalRow.model_validate(fields)


def money_of(total: float, interval: Range, *, cost: float, margin: float | None) -> dict[str, Any]:
    """What incremental conversions cost and earn.

    Args:
        total: Incremental conversions.
        interval: Theirs.
        cost: Of the contacts.
        margin: Per conversion, the offer's cost subtracted; ``None`` where nothing was accepted.

    Returns:
        Fields of ``IncrementalRow``; the cost per conversion is null where the interval includes zero.
    """
    found: dict[str, Any] = {"margin_per_conversion": margin}
    if interval[0] > 0.0:
        found["cost_per_incremental"] = cost / total
        found["cost_per_incremental_ci"] = (cost / interval[1], cost / interval[0])
    if margin is not None:
        low, high = sorted(margin * end - cost for end in interval)
        found |= {"profit": margin * total - cost, "profit_ci": (low, high)}
    return found


def _moments(gathered: Gathered, key: str, arm: str, window: int) -> Moments:
    n, total, squares = (int(value) for value in gathered.tables.execute(_SUMS, [window, key, arm]).fetchall()[0])
    mean = total / n if n else 0.0
    return Moments(n=n, mean=np.array([mean]), m2=np.array([[squares - n * mean**2]]))


def _in_window(gathered: Gathered, table: str, what: str, key: str, arm: str) -> tuple[Any, ...]:
    query = f"SELECT {what}{_IN_WINDOW.format(table=table)}"
    found: tuple[Any, ...] = gathered.tables.execute(query, [window_of(gathered), key, arm]).fetchall()[0]
    return found
