"""``foretouch bench qini``: is a score better than random at saying whom to treat?"""

from pathlib import Path
from typing import Any

import numpy as np

from foretouch.core.canonical import file_hash
from foretouch.core.errors import DataError
from foretouch.training.bench.tables import binary, need_columns, numbers, read_table, write_json
from foretouch.training.uplift.curve import Interval, UpliftEvaluation, evaluate_uplift

LEAST = 2
"""Rows of an arm: one alone has no spread, and its interval would claim what is not known."""
DEFINITIONS = {
    "qini": "(area under the Qini curve - chord) / N^2; curve y_t - y_c n_t / n_c at ends of tie blocks, trapezoids",
    "auuc": "area under the gain curve (mean treated - mean control) k, / N^2",
    "uplift_at": "mean treated - mean control in the top int(N k) rows of everyone; a tie at the cut counts in part",
    "ci": "value +- 1.96 standard errors of a bootstrap of rows (95 %)",
    "better_than_random": "the Qini's interval lies above 0",
}


def result(evaluation: UpliftEvaluation) -> dict[str, Any]:
    """The JSON of DESIGN's ``bench qini``."""
    curve = evaluation.curve
    grid = evaluation.shares * curve.total
    gain = np.interp(grid, curve.targeted, curve.gain) / curve.total
    qini = np.interp(grid, curve.targeted, curve.qini) / curve.total
    return {
        "n": int(curve.total),
        "qini": _line(evaluation.qini),
        "auuc": _line(evaluation.auuc),
        "better_than_random": evaluation.better_than_random,
        "uplift_at": {f"{share:g}": at.value for share, at in evaluation.uplift_at.items()},
        "uplift_at_ci": {f"{share:g}": [at.low, at.high] for share, at in evaluation.uplift_at.items()},
        "curve": [
            {"share": float(share), "qini": float(y), "low": float(low), "high": float(high), "gain": float(g)}
            for share, y, low, high, g in zip(
                evaluation.shares, qini, evaluation.low, evaluation.high, gain, strict=True
            )
        ],
        "bootstrap_draws": evaluation.draws,
        "definitions": DEFINITIONS,
    }


def _line(interval: Interval) -> dict[str, Any]:
    return {"value": interval.value, "se": interval.se, "ci": [interval.low, interval.high]}


def run(rows: Path, *, score: str, treatment: str, outcome: str, out: Path, seed: int = 0) -> dict[str, Any]:
    """Reads the rows, evaluates, writes the JSON and returns it.

    Raises:
        DataError: The rows cannot be compared.
    """
    frame = read_table(rows)
    need_columns(frame, rows, score=score, treatment=treatment, outcome=outcome)
    treated = binary(frame, treatment)
    smaller = int(min(treated.sum(), len(treated) - treated.sum()))
    if smaller < LEAST:
        raise DataError(f"column {treatment!r}: the smaller arm has {smaller} rows, at least {LEAST} are needed")
    evaluation = evaluate_uplift(numbers(frame, score), treated, numbers(frame, outcome), seed=seed)
    made = {**result(evaluation), "inputs": {"rows_sha256": file_hash(rows)}}
    write_json(made, out)
    return made
