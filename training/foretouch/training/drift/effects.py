"""An uplift model's health: foretold effects beside the effect that contacts and controls of since then show."""

import numpy as np
import pandas as pd

from foretouch.core.bundle import Bundle
from foretouch.core.columns import CUSTOMER_ID
from foretouch.serving.models.uplift_shifts import Shifts
from foretouch.training.drift.decay import effect_decay
from foretouch.training.drift.evidence import Evidence, drifting, importances
from foretouch.training.task import Dataset, FloatArray, TrainingRun
from foretouch.training.uplift.judge import served_score
from foretouch.training.uplift.logged import CLOSES_AT, COUNT, TREATED, read_population


def effect_evidence(run: TrainingRun, bundle: Bundle) -> Evidence:
    """Pairs of the decision log, contacts and controls, cut at the model's ``trained_through``.

    Raises:
        NotIdentifiedError: The log no longer has contacts and controls that can be compared.
    """
    card, population = bundle.card, read_population(run)
    frame = population.frame
    learned = (pd.to_datetime(frame[CLOSES_AT], utc=True) <= card.trained_through).to_numpy(dtype=bool)
    later = (pd.to_datetime(frame["as_of"], utc=True) >= card.trained_through).to_numpy(dtype=bool)
    shifts = Shifts.of(card.extras["shifts"])

    def scored(rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> tuple[pd.DataFrame, FloatArray]:
        part = Dataset(frame=frame[rows].reset_index(drop=True), label=population.label[rows])
        return part.frame, served_score(bundle.model_text, shifts, part, card.inputs) if len(part) else np.zeros(0)

    (before, then), (now, since) = scored(learned), scored(later)
    decay = None
    if not now.empty:
        decay = effect_decay(
            since,
            population.label[later],
            now[CUSTOMER_ID].to_numpy(dtype=object),
            treated=now[TREATED].to_numpy(dtype=float) == 1.0,
            count=now[COUNT].to_numpy(dtype=float),
            seed=run.seed,
        )
    return Evidence(
        before=before,
        now=now,
        inputs=drifting(card),
        importance=importances(card.inputs, bundle.model_text),
        scores=None if before.empty or now.empty else (then, since),
        decay=decay,
    )
