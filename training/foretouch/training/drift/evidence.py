"""What a champion is judged by: rows that it may have learnt from, rows of now, scores of both, outcomes since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import lightgbm as lgb
import numpy as np
import pandas as pd

from foretouch.core.bundle import Bundle, ModelCard, ModelInput
from foretouch.core.columns import OFFER_ID
from foretouch.core.workspace import Workspace
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.purchase_blend import PURCHASE_MODEL
from foretouch.training.data import score_frame
from foretouch.training.drift.decay import Decay, decay_of
from foretouch.training.drift.windows import current_rows, matured_since, reference_rows
from foretouch.training.pipeline import training_run
from foretouch.training.purchase_part import UNSEEN
from foretouch.training.task import FloatArray, TrainingRun

CONTACT_MODELS: Final = frozenset({"offer", "uplift"})
"""Their rows are contacts, not everyone as of now."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Rows then and now.

    Attributes:
        before: Rows that the model may have learnt from: ``customer_id`` and every input by name.
        now: Rows of now, or of the contacts since.
        inputs: Columns that are compared.
        importance: Each input's share of the gain of all the model's splits, by name.
        scores: What the model says of both; None where there is nothing to compare.
        decay: Predictions beside outcomes that it cannot have seen; None where none has closed.
        units: By input, the column of what its values belong to, where that is not the customer.
        filling: Inputs that look back further than the data reached: they grow with the data, and are watched at most.
    """

    before: pd.DataFrame
    now: pd.DataFrame
    inputs: Sequence[ModelInput]
    importance: Mapping[str, float]
    scores: tuple[FloatArray, FloatArray] | None
    decay: Decay | None
    units: Mapping[str, str] = field(default_factory=dict)
    filling: frozenset[str] = frozenset()


def read_evidence(workspace: Workspace, bundle: Bundle) -> Evidence:
    """The evidence of a champion, by what its rows are.

    Raises:
        NotReadyError: There is no feature history.
        DataError: There are no contacts, or too few to tell an effect.
        BundleError: The bundle is damaged.
    """
    run = training_run(workspace)
    if bundle.card.model == "offer":
        from foretouch.training.drift.contacts import contact_evidence  # noqa: PLC0415 - each reads other rows

        return contact_evidence(run, bundle)
    if bundle.card.model == "uplift":
        from foretouch.training.drift.effects import effect_evidence  # noqa: PLC0415

        return effect_evidence(run, bundle)
    if bundle.card.model == "send-time":
        from foretouch.training.drift.hours import hour_evidence  # noqa: PLC0415

        return hour_evidence(run, bundle)
    return _customer_evidence(run, bundle)


def _customer_evidence(run: TrainingRun, bundle: Bundle) -> Evidence:
    """Of ``lead``, ``churn`` and ``value``: snapshots of everyone."""
    workspace, card = run.workspace, bundle.card
    scorer = load_scorer(workspace.bundles, card.model, card.version)
    before, now = reference_rows(workspace, card), current_rows(workspace, card)
    matured = matured_since(workspace, card)
    decay = None
    if matured is not None and len(matured):
        decay = decay_of(
            score_frame(scorer, matured.frame),
            matured.label,
            matured.customer_id,
            target="amount" if card.target == "amount" else "probability",
            seed=run.seed,
        )
    compared = not (before.empty or now.empty)
    return Evidence(
        before=before,
        now=now,
        inputs=drifting(card),
        importance=importances(card.inputs, bundle.model_text),
        scores=(score_frame(scorer, before), score_frame(scorer, now)) if compared else None,
        decay=decay,
    )


def drifting(card: ModelCard) -> list[ModelInput]:
    """Inputs whose movement says something: not those ages and totals that only a purchase model reads.

    They grow with the calendar by themselves, and the purchase model knows of time. Nor which offer it is: every
    campaign brings new ones.
    """
    stored = card.extras.get(PURCHASE_MODEL)
    beside = {OFFER_ID, *(stored.get(UNSEEN, ()) if isinstance(stored, Mapping) else ())}
    return [item for item in card.inputs if item.name not in beside]


def importances(inputs: Sequence[ModelInput], model_text: str) -> dict[str, float]:
    """Each input's share of the gain of all splits, by name; empty for a model without trees."""
    if not model_text:
        return {}
    gain = np.asarray(lgb.Booster(model_str=model_text).feature_importance("gain"), dtype=np.float64)
    total = float(gain.sum())
    if total <= 0.0 or len(gain) != len(inputs):
        return {}
    return {item.name: float(value) / total for item, value in zip(inputs, gain, strict=True)}
