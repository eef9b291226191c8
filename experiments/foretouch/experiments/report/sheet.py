"""The results as a sheet: one row per metric and arm, and one per segment of it, for whoever works in spreadsheets."""

import csv
from collections.abc import Iterator
from pathlib import Path

from foretouch.experiments.results import MetricResult, Results, SegmentResult
from foretouch.serving.jobs.score_file import formula_safe

COLUMNS = (
    "experiment", "row", "metric", "role", "kind", "arm", "control", "segment", "segment_value", "n_control",
    "n_treatment", "control_mean", "treatment_mean", "difference", "difference_low", "difference_high", "lift",
    "lift_low", "lift_high", "p", "p_adjusted", "anytime_low", "anytime_high", "anytime_p", "decided_by", "decided_low",
    "decided_high", "margin", "within_margin", "unadjusted_difference", "money_kind", "currency", "money_per_1000",
    "money_low", "money_high", "cost_per_unit", "anytime_at_least", "anytime_at_most", "anytime_better_p",
    "anytime_within_margin_p",
)  # fmt: skip
"""In this order; a cell without a number is empty. Intervals of segments are at the false coverage rate."""


def write_sheet(results: Results, path: Path) -> Path:
    """Writes the CSV, in UTF-8 with a mark, so that spreadsheets read Chinese names.

    Args:
        results: A broken experiment has a heading and no row.
        path: Its folder is made if absent.

    Returns:
        ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        if results.verdict.code != "broken":
            for row in _rows(results):
                told = {name: formula_safe(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
                writer.writerow({name: "" if cell is None else cell for name, cell in told.items()})
    return path


def _rows(results: Results) -> Iterator[dict[str, object]]:
    for row in results.metrics:
        yield {"experiment": results.key, "row": "metric", **_metric(row)}
    for cell in results.segments:
        yield {"experiment": results.key, "row": "segment", "control": results.control, **_segment(cell)}


def _metric(row: MetricResult) -> dict[str, object]:
    lift = row.lift_ci or (None, None)
    limit, money, one = row.non_inferiority, row.money, row.anytime_one_sided
    return {
        "metric": row.name,
        "role": row.role,
        "kind": row.kind,
        "arm": row.contrast,
        "control": row.control,
        "n_control": row.n_control,
        "n_treatment": row.n_treatment,
        "control_mean": row.control_mean,
        "treatment_mean": row.treatment_mean,
        "difference": row.difference,
        "difference_low": row.ci[0],
        "difference_high": row.ci[1],
        "lift": row.lift,
        "lift_low": lift[0],
        "lift_high": lift[1],
        "p": row.p,
        "p_adjusted": row.p_adjusted,
        "anytime_low": row.anytime_ci[0],
        "anytime_high": row.anytime_ci[1],
        "anytime_p": row.anytime_p,
        "decided_by": "fixed" if row.decisive is None else row.decisive.basis,
        "decided_low": row.decisive_ci[0],
        "decided_high": row.decisive_ci[1],
        "margin": None if limit is None else limit.margin,
        "within_margin": None if limit is None else limit.status,
        "unadjusted_difference": None if row.unadjusted is None else row.unadjusted.difference,
        "money_kind": None if money is None else money.kind,
        "currency": None if money is None else money.currency,
        "money_per_1000": None if money is None else money.per_1000,
        "money_low": None if money is None else money.per_1000_ci[0],
        "money_high": None if money is None else money.per_1000_ci[1],
        "cost_per_unit": None if money is None else money.cost_per_unit,
        "anytime_at_least": one.bound if one is not None and one.side == "at_least" else None,
        "anytime_at_most": one.bound if one is not None and one.side == "at_most" else None,
        "anytime_better_p": None if one is None else one.p,
        "anytime_within_margin_p": None if limit is None else limit.anytime_p,
    }


def _segment(cell: SegmentResult) -> dict[str, object]:
    lift = cell.lift_ci or (None, None)
    return {
        "metric": cell.name,
        "arm": cell.contrast,
        "segment": cell.segment,
        "segment_value": cell.value,
        "n_control": cell.n_control,
        "n_treatment": cell.n_treatment,
        "control_mean": cell.control_mean,
        "treatment_mean": cell.treatment_mean,
        "difference": cell.difference,
        "difference_low": cell.ci_fcr[0],
        "difference_high": cell.ci_fcr[1],
        "lift": cell.lift,
        "lift_low": lift[0],
        "lift_high": lift[1],
        "p": cell.p,
        "p_adjusted": cell.p_adjusted,
    }
