"""The score of the uplift model in force, for the people of a holdout: judged on decisions that it cannot have seen.

Where a spec names no score of its own and its control is never contacted, the served model is judged by itself. Each
unit is scored by what was known at its first decision; the offer is left open, for a control has none. Decisions up to
the end of the model's own data are left out: on those it would only repeat what it learnt.
"""

from collections.abc import Sequence

import numpy as np

from foretouch.core.bundle import read_aliases
from foretouch.core.errors import ForetouchError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.aggregates import Floats
from foretouch.experiments.log.exposures import Exposure
from foretouch.serving.decision.uplifts import not_identified
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import score

MODEL = "uplift"
LEAST = 100
"""Units of either side with a score, for it to be judged at all."""


def has_served_score(workspace: Workspace) -> bool:
    """Whether an uplift model is in force."""
    return "champion" in read_aliases(workspace.bundles, MODEL)


def is_holdout(spec: ExperimentSpec) -> bool:
    """Whether the control is never contacted."""
    return spec.control in spec.arms and spec.arms[spec.control].kind == "no_contact"


def served_score(workspace: Workspace, spec: ExperimentSpec, mature: Sequence[Exposure]) -> Floats | None:
    """The served model's score of each unit, shape (units,); NaN where the model may have learnt from it.

    None where there is no such model, its card says that its numbers are no effects, it cannot be loaded, or too few
    units are later than its data.

    Args:
        workspace: Whose models.
        spec: The experiment.
        mature: Its units, in the order of the rows.
    """
    version = read_aliases(workspace.bundles, MODEL).get("champion")
    if version is None or not is_holdout(spec):
        return None
    try:
        scorer = load_scorer(workspace.bundles, MODEL, version)
    except ForetouchError:  # the service, too, goes on without it, and says so on the page of models
        return None
    if not_identified(scorer.card):
        return None
    later = np.array([item.at > scorer.card.trained_through for item in mature], dtype=bool)
    held = np.array([item.arm == spec.control for item in mature], dtype=bool)
    if min(int((later & held).sum()), int((later & ~held).sum())) < LEAST:
        return None
    found = np.full(len(mature), np.nan)
    found[later] = score(scorer, [item.known for item, taken in zip(mature, later, strict=True) if taken])
    return found
