"""Reasons worked out before anybody asks: SHAP values cost two hundred scores, so a job computes them, not a request.

They are kept beside the customer's packed features under model and version, and name the very rows they are from: as
soon as a feature changes they are passed over, and the next run replaces them.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from foretouch.core.bundle import ModelCard, read_aliases
from foretouch.core.config import Config
from foretouch.core.errors import NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import VIEWS
from foretouch.features.online import online_file
from foretouch.features.packed import (
    FeatureRow,
    entities,
    forget_reasons,
    open_packed,
    read_packed,
    reasons_row,
    write_rows,
)
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import Explainer, FloatArray, plan_of
from foretouch.serving.words.moves import moves

CHUNK = 500
MOST = 3
"""Reasons kept of one customer and model."""

Progress = Callable[[int, int], None]


def explain_ahead(workspace: Workspace, model: str, *, progress: Progress | None = None, chunk: int = CHUNK) -> int:
    """Works out what moves everybody's score by the champion, from their online features, and keeps it beside them.

    Args:
        workspace: Whose.
        model: ``lead``, ``churn`` or ``value``.
        progress: Called with (customers done, customers in all).
        chunk: Customers explained together.

    Returns:
        How many customers have reasons now.

    Raises:
        NotReadyError: The model has no champion, or nobody has online features.
        BundleError: Its bundle was altered.
    """
    version = read_aliases(workspace.bundles, model).get("champion")
    if version is None:
        raise NotReadyError(
            f"model {model} has no champion", hint=f"foretouch train {model} && foretouch promote {model}"
        )
    scorer = load_scorer(workspace.bundles, model, version)
    if not isinstance(scorer, Explainer):
        return 0
    plan, now, config, kept = plan_of(scorer), workspace.clock.now(), workspace.config, 0
    with closing(open_packed(online_file(workspace))) as connection:
        customers = entities(connection)
        if not customers:
            raise NotReadyError("nobody has online features", hint="foretouch features materialize")
        for start in range(0, len(customers), chunk):
            named = customers[start : start + chunk]
            packed = [read_packed(connection, name, VIEWS) for name in named]
            vectors = np.array([plan.vector(item.values) for item in packed], dtype=np.float64)
            added = scorer.contributions(vectors)[:, : len(scorer.card.inputs)]
            rows: list[FeatureRow] = [
                reasons_row(name, f"{model}/{version}", item, strongest(scorer.card, item.values, weights, config), now)
                for name, item, weights in zip(named, packed, added, strict=True)
            ]
            write_rows(connection, rows)
            kept += len(rows)
            if progress is not None:
                progress(min(start + chunk, len(customers)), len(customers))
        forget_reasons(connection, model, version)
    return kept


def strongest(card: ModelCard, values: Mapping[str, Any], weights: FloatArray, config: Config) -> list[dict[str, Any]]:
    """What moved one score most, strongest first; texts are made when they are told.

    Args:
        card: Names the inputs.
        values: The customer's features by name.
        weights: What each added to the raw margin, shape (inputs,).
        config: Tells which inputs say the same.
    """
    return [
        {
            "code": f"feature_{move.direction}",
            "feature": move.feature,
            "direction": move.direction,
            "contribution": move.contribution,
            "text": "",
        }
        for move in moves(card, values, weights.tolist(), config)[:MOST]
    ]
