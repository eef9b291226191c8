"""Reasons: why the model scored as it did, and why this candidate was chosen. In words, for the chosen action. Pure.

A feature's contribution is LightGBM's own ``pred_contrib`` (equal to SHAP values): what the feature added to the
model's raw margin, before calibration.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from foretouch.core.config import Config
from foretouch.core.decisions import Reason
from foretouch.serving.decision.customer_scores import CustomerScores
from foretouch.serving.models.scoring import Explainer, Scorer
from foretouch.serving.words.features import value_text
from foretouch.serving.words.moves import moves
from foretouch.serving.words.texts import REASONS, say

MOST_OF_A_MODEL = 2
"""Reasons of one customer model in a brief explanation."""
TOP = 3
"""Features named in each direction."""


def model_reasons(
    scorer: Scorer | None, row: Mapping[str, Any] | None, config: Config, language: str = "en"
) -> tuple[Reason, ...]:
    """The features that moved one score most: at most three up, then at most three down.

    Args:
        scorer: The model; without one, or one that cannot explain itself, there are no reasons.
        row: Its input values by name.
        config: For the features' texts.
        language: Of the texts.
    """
    if row is None or not isinstance(scorer, Explainer):
        return ()
    card = scorer.card
    vector = np.array([card.encode(row)], dtype=np.float64)
    added = np.asarray(scorer.contributions(vector), dtype=np.float64)[0, : len(card.inputs)]
    reasons = [
        Reason(
            code=f"feature_{move.direction}",
            feature=move.feature,
            direction=move.direction,
            contribution=move.contribution,
            text=move.text,
        )
        for move in moves(card, row, added.tolist(), config, language)
    ]
    return tuple(
        reason
        for direction in ("up", "down")
        for reason in [item for item in reasons if item.direction == direction][:TOP]
    )


BY_STEP: Mapping[str, str] = {
    "not_personalised": "not_personalised",
    "stale": "stale_features",
    "defaults": "default_features",
    "previous": "previous_model",
    "prior": "known_rates",
    "rules": "own_values",
}
"""The reason that a step of the ladder gives besides the choice's own; the champion's gives none."""


def choice_reasons(
    *,
    explored: bool,
    probability: float,
    best: str,
    best_probability: float,
    left: int,
    holdout: str | None,
    step: str,
    fallback: bool = False,
    language: str = "en",
) -> tuple[Reason, ...]:
    """Why this candidate, besides its score.

    Args:
        explored: Not the candidate of highest priority.
        probability: Its selection probability.
        best: The candidate of highest priority in words ("no contact" included).
        best_probability: Its selection probability.
        left: How many candidates the draw could choose from, no contact among them.
        holdout: Experiment and arm, if a holdout chose.
        step: Step of the fallback ladder.
        fallback: A fallback offer, which no other offer kept out.
        language: Of the texts.
    """
    shown = f"{probability:.3g}"
    if holdout is not None:
        return (_reason("holdout", language, arm=holdout),)
    if step in {"default_action", "static_default"}:
        return (_reason(step, language),)
    if explored:
        greedy = f"{best_probability:.3g}"
        why = _reason("explored", language, probability=shown, best=best, greedy=greedy)
    elif left == 2:
        why = _reason("only_candidate", language)
    else:
        why = _reason("highest_priority", language, left=left, probability=shown)
    more = [*(["fallback_offer"] if fallback else []), *([BY_STEP[step]] if step in BY_STEP else [])]
    return (why, *(_reason(code, language) for code in more))


def slot_reasons(
    *,
    basis: str,
    explored: bool,
    probability: float,
    best_at: datetime,
    owed: bool = False,
    language: str = "en",
) -> tuple[Reason, ...]:
    """Why this send slot.

    Args:
        basis: What it rests on, as ``Send.basis``.
        explored: Not the best slot.
        probability: Of this slot, given the candidate.
        best_at: The best slot, on the customer's clock.
        owed: A message that goes out at the first allowed slot whatever the customer's habits are.
        language: Of the texts.
    """
    if owed:
        return (_reason("slot_owed", language),)
    if explored:
        best = f"{best_at:%Y-%m-%d %H:%M}"
        return (_reason("slot_explored", language, probability=f"{probability:.3g}", best=best),)
    code = {"none": "first_allowed_slot", "effect": "slot_effect", "prior": "slot_prior"}.get(basis, "slot_activity")
    return (_reason(code, language),)


def _reason(code: str, language: str, **values: object) -> Reason:
    return Reason(code=code, text=say(REASONS, code, language, **values)) if values else _same_words(code, language)


@cache
def _same_words(code: str, language: str) -> Reason:
    """A reason whose text holds no value: the same for everybody."""
    return Reason(code=code, text=say(REASONS, code, language))


def no_reasons(language: str = "en") -> Reason:
    """Says that a model could not explain its score."""
    return _reason("no_reasons", language)


def customer_reasons(customer: CustomerScores, config: Config, language: str = "en") -> tuple[Reason, ...]:
    """What the customer models say, from reasons that were worked out beforehand and came with the features.

    Only those of the very model versions that took part; at most two of each model, its strongest.

    Args:
        customer: Scores, and the features with their reasons.
        config: For the features' texts.
        language: Of the texts.
    """
    kept: list[Reason] = []
    for card in customer.cards:
        said = customer.features.reasons.get(f"{card.model}/{card.version}", ())
        for reason in said[:MOST_OF_A_MODEL]:
            column = next((item for item in card.inputs if item.name == reason.feature), None)
            value = customer.features.values.get(reason.feature or "")
            text = reason.text if column is None else value_text(column, value, config, language)
            kept.append(reason.model_copy(update={"code": f"{card.model}_{reason.direction}", "text": text}))
    return tuple(kept)
