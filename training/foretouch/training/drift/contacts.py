"""An offer model's health: contacts that it may have learnt from, those since, and whether these accepted."""

import pandas as pd

from foretouch.core.bundle import Bundle
from foretouch.core.columns import AS_OF, CUSTOMER_ID
from foretouch.serving.models.bundles import load_scorer
from foretouch.training.data import score_frame
from foretouch.training.drift.decay import decay_of
from foretouch.training.drift.evidence import Evidence, drifting, importances
from foretouch.training.log.contacts import read_contacts
from foretouch.training.sends import CLOSES_AT, LABEL
from foretouch.training.task import TrainingRun


def contact_evidence(run: TrainingRun, bundle: Bundle) -> Evidence:
    """Closed contacts, past touches and the log alike, cut at the model's ``trained_through``.

    A contact of before was closed by then; one of now was made after it, so that the model cannot have seen its
    outcome. Both are those whom somebody chose to contact: a change may be one of the choosing.
    """
    workspace, card = run.workspace, bundle.card
    found = read_contacts(run)
    learned = (pd.to_datetime(found.sends[CLOSES_AT], utc=True) <= card.trained_through).to_numpy(dtype=bool)
    later = (pd.to_datetime(found.sends[AS_OF], utc=True) >= card.trained_through).to_numpy(dtype=bool)
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
    )
