"""An offer model's health: contacts that it may have learnt from, those since, and whether these accepted."""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import Bundle
from foretouch.core.columns import AS_OF, CUSTOMER_ID, OFFER_ID
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import ACTIVITY, FeatureSpec, model_features
from foretouch.features.crosses import CROSS_FEATURES, OFFER_FEATURES
from foretouch.features.tables import connect, first_row
from foretouch.serving.models.bundles import load_scorer
from foretouch.training.data import score_frame
from foretouch.training.drift.decay import decay_of
from foretouch.training.drift.evidence import Evidence, drifting, importances
from foretouch.training.log.contacts import read_contacts
from foretouch.training.sends import CLOSES_AT, LABEL
from foretouch.training.tabular import YEAR_DAYS
from foretouch.training.task import TrainingRun

Rows = NDArray[np.bool_]
LEAST_DAYS: Final = 28.0
OF_A_YEAR: Final = frozenset(CROSS_FEATURES)
"""Made of a year's shares of spend and responses."""


def contact_evidence(run: TrainingRun, bundle: Bundle) -> Evidence:
    """Closed contacts, past touches and the log alike, cut at the model's ``trained_through``.

    A contact of before was closed by then; one of now was made after it, so that the model cannot have seen its
    outcome. Both are those whom somebody chose to contact: a change may be one of the choosing.

    Contacts of before are the latest: of as many days as those of now, and at least ``LEAST_DAYS``. Beside all since
    the beginning everything would have moved, for then nobody had a history. What looks back further than the data
    reached at the earliest of them is watched, and raises no alarm.
    """
    workspace, card = run.workspace, bundle.card
    found = read_contacts(run)
    learned = (pd.to_datetime(found.sends[CLOSES_AT], utc=True) <= card.trained_through).to_numpy(dtype=bool)
    later = (pd.to_datetime(found.sends[AS_OF], utc=True) >= card.trained_through).to_numpy(dtype=bool)
    learned &= latest(found.sends, learned, later)
    before, now = (found.frame[rows].reset_index(drop=True) for rows in (learned, later))
    scorer = load_scorer(workspace.bundles, card.model, card.version)
    scores = None if before.empty or now.empty else (score_frame(scorer, before), score_frame(scorer, now))
    decay = None
    if not now.empty:
        decay = decay_of(
            score_frame(scorer, now) if scores is None else scores[1],
            found.sends[LABEL].to_numpy(dtype=float)[later],
            now[CUSTOMER_ID].to_numpy(dtype=object),
            target="probability",
            seed=run.seed,
        )
    return Evidence(
        before=before,
        now=now,
        inputs=drifting(card),
        importance=importances(card.inputs, bundle.model_text),
        scores=scores,
        decay=decay,
        units=dict.fromkeys(OFFER_FEATURES, OFFER_ID),
        filling=still_filling(workspace, before, [item.name for item in card.inputs]),
    )


def latest(sends: pd.DataFrame, learned: Rows, later: Rows) -> Rows:
    """The newest contacts among those learned from, of as many days as there are since, shape (n,)."""
    at = pd.to_datetime(sends[AS_OF], utc=True)
    if not learned.any():
        return learned
    days = timedelta(days=LEAST_DAYS)
    if later.any():
        days = max(days, (at[later].max() - at[later].min()).to_pytimedelta())
    return np.asarray((at >= at[learned].max() - days).to_numpy(dtype=bool))


def still_filling(workspace: Workspace, before: pd.DataFrame, names: Sequence[str]) -> frozenset[str]:
    """Inputs that look back further than the data did at the earliest of some rows.

    Args:
        workspace: Whose events.
        before: The rows.
        names: Of the inputs.
    """
    if before.empty:
        return frozenset()
    with closing(connect(workspace)) as connection:
        first = first_row(connection, "SELECT min(occurred_at) FROM events WHERE NOT is_bot")[0]
    known = (pd.to_datetime(before[AS_OF], utc=True).min() - first) / timedelta(days=1)
    windows = {spec.name: reach_days(spec) for spec in model_features("offer", workspace.config)}
    return frozenset(name for name in names if windows.get(name, YEAR_DAYS if name in OF_A_YEAR else 0.0) > known)


def reach_days(spec: FeatureSpec) -> float:
    """How far back a feature reaches, in days: by its name, or a year for what speaks of everything before."""
    if spec.view == ACTIVITY and spec.name.startswith("recent_"):
        return 0.0
    named = re.search(r"_(\d+)d$", spec.name)
    if named:
        return float(named.group(1))
    return 0.0 if spec.name.startswith(("attribute_", "active_offers", "open_offers")) else YEAR_DAYS
