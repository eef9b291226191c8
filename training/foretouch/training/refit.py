"""After the judgement: the model that is served is fitted again with the rows that judged it.

Later rows are needed to judge a model, and are the ones most like the days to come. So a model is fitted on the earlier
parts and judged on the later one; then the same parameters are fitted again with the later rows as well. That second
model is the one that is served; no row is left to judge it by, and its card says so. The judged one is kept beside it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from foretouch.core.bundle import ModelCard, write_bundle
from foretouch.core.workspace import Workspace
from foretouch.training.data import joined_weights
from foretouch.training.task import Dataset, Fitted, ModelTask, Split, TrainingRun

JUDGED = "judged"
_OWN = frozenset({"rounds", "trials", "pruned"})
"""Parameters that say how a fit went; they are found anew."""


def with_newest(split: Split) -> Split | None:
    """The parts moved on: fit and calibrate together, then the later rows to calibrate on; None where it cannot be.

    Args:
        split: As it was judged; without ``newest_through`` the model is served as it was judged.
    """
    if split.newest_through is None or split.newest_through <= split.trained_through:
        return None
    return replace(
        split,
        fit=_joined(split.fit, split.calibrate),
        calibrate=split.test,
        trained_through=split.newest_through,
        newest_through=None,
    )


def _joined(*parts: Dataset) -> Dataset:
    return Dataset(
        frame=pd.concat([part.frame for part in parts], ignore_index=True),
        label=np.concatenate([part.label for part in parts]),
        weight=joined_weights(*parts),
    )


def refit(run: TrainingRun, task: ModelTask, split: Split, judged: Fitted) -> tuple[Fitted, Split]:
    """The model that is served, and the rows that it was fitted on.

    Args:
        run: Its workspace says whether to fit again.
        task: Fits.
        split: On whose test part the model was judged.
        judged: The model that was.

    Returns:
        A model of the same parameters with the newest rows, or, where there is none to be had, the judged one.
    """
    newest = with_newest(split) if run.workspace.config.training.refit else None
    if newest is None:
        return judged, split
    run.say(f"{task.name}: fitted again with the {len(split.test)} later rows, to be served")
    chosen = {name: value for name, value in judged.parameters.items() if name not in _OWN}
    fitted = task.fit(replace(run, parameters=chosen), newest)
    said = (
        f"Judged: the model fitted through {split.trained_through.isoformat()}, on the rows after it; all figures are"
        f" its own. Served: the same parameters fitted again with these rows, through"
        f" {newest.trained_through.isoformat()}; no row is left to judge it by."
    )
    kept = {
        "judged_through": split.trained_through.isoformat(),
        "judged_data_sha256": judged.data_sha256,
        "parameters": "those of the judged model; rounds and calibration anew",
    }
    return replace(fitted, notes=(*fitted.notes, said), extras={**fitted.extras, "refit": kept}), newest


def judged_store(workspace: Workspace, model: str, version: str) -> Path:
    """The bundle store that holds the model that was judged: apart from the served one where that was fitted again."""
    own = workspace.reports / JUDGED
    return own if (own / model / version).is_dir() else workspace.bundles


def keep_judged(workspace: Workspace, card: ModelCard, judged: Fitted, split: Split) -> None:
    """Writes the judged model as a bundle of its own, for whoever compares it with others on the same later rows.

    Args:
        workspace: In whose reports.
        card: Of the served model.
        judged: What was judged.
        split: On whose test part.
    """
    own = card.replace(
        inputs=judged.inputs,
        calibration=judged.calibration,
        intervals=judged.intervals,
        bands=judged.bands,
        trained_through=split.trained_through,
        data_sha256=judged.data_sha256,
        parameters=dict(judged.parameters),
        extras={name: value for name, value in card.extras.items() if name != "refit"} | dict(judged.extras),
        notes=judged.notes,
    )
    write_bundle(workspace.reports / JUDGED, own, judged.model_text, judged.golden, members_text=judged.members_text)
