"""At every retrain: what the champion foretold of rows it had not seen, beside what happened.

The rows are those later than the champion's data for which a new model's test part has labels, so that nobody need wait
for somebody to ask `foretouch drift`: each retrain says how the model that decided until now has kept its word.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from foretouch.core.bundle import ModelCard
from foretouch.training.drift.decay import Decay, decay_of, effect_decay
from foretouch.training.task import Dataset, FloatArray

BACKTEST: Final = "backtest"


def backtest(card: ModelCard, part: Dataset, score: FloatArray, *, seed: int) -> dict[str, Any] | None:
    """The champion's predictions beside outcomes; None for hours, which have no single number to be held against.

    Args:
        card: The champion's.
        part: Rows later than its data, with their labels.
        score: What it says of them, shape (n,).
        seed: Of the bootstrap.

    Returns:
        The figures of ``Decay``, and as ``then`` those of the same names from when the champion was judged.
    """
    if card.target == "distribution" or not len(part):
        return None
    if card.target == "difference":
        found = _effects(part, score, seed=seed)
    else:
        found = decay_of(
            score,
            part.label,
            part.customer_id,
            target="amount" if card.target == "amount" else "probability",
            seed=seed,
        )
    then = {name: card.metrics[name] for name in found.metrics if name in card.metrics}
    return {**asdict(found), "version": card.version, "then": then}


def _effects(part: Dataset, score: FloatArray, *, seed: int) -> Decay:
    from foretouch.training.uplift.logged import COUNT, TREATED  # noqa: PLC0415 - a part of its own

    frame = part.frame
    return effect_decay(
        score,
        part.label,
        part.customer_id,
        treated=np.asarray(frame[TREATED].to_numpy(dtype=np.float64) == 1.0),
        count=frame[COUNT].to_numpy(dtype=np.float64),
        seed=seed,
    )


def backtest_page(found: Mapping[str, Any] | None) -> list[str]:
    """A section of the new model's card about the one before it; nothing without a champion."""
    if not found:
        return []
    figures = ", ".join(
        f"{name} {value:.4g}" + (f" ({found['then'][name]:.4g} when it was judged)" if name in found["then"] else "")
        for name, value in found["metrics"].items()
    )
    thin = "" if found["enough"] else " Too few outcomes for a verdict."
    held = (
        f"foretold {found['predicted']:.4g}, happened {found['observed']:.4g}; ratio {found['ratio']:.3f}, 95 %"
        f" interval {found['low']:.3f} to {found['high']:.3f}.{thin}"
    )
    return [
        "",
        f"## What champion {found['version']} foretold, beside what happened since",
        "",
        f"{found['rows']:,} rows of {found['customers']:,} customers later than its data: {held}",
        "",
        f"{figures}.",
    ]
