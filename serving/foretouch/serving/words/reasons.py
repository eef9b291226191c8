"""Reasons: why the model scored as it did, and why this candidate was chosen. In words, for the chosen action. Pure.

A feature's contribution is LightGBM's own ``pred_contrib`` (equal to SHAP values): what the feature added to the
model's raw margin, before calibration.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from foretouch.core.bundle import ModelInput, encode_value
from foretouch.core.config import Config
from foretouch.core.decisions import Reason
from foretouch.features.catalogue import FEATURES, features_of
from foretouch.serving.decision.customer_scores import CustomerScores
from foretouch.serving.models.scoring import Explainer, Scorer
from foretouch.serving.words.texts import REASONS, say

MOST_OF_A_MODEL = 2
"""Reasons of one customer model in a brief explanation."""
TOP = 3
"""Features named in each direction."""

CROSS_TEXTS: Mapping[str, tuple[str, str]] = {
    "offer_id": ("how this offer is usually taken", "该优惠的一贯接受程度"),
    "offer_category": ("offer category", "优惠类别"),
    "offer_days_left": ("days left of the offer", "优惠剩余天数"),
    "offer_days_running": ("days since the offer began", "优惠已进行天数"),
    "offer_duration_days": ("length of the offer in days", "优惠总天数"),
    "offer_coupons": ("coupons in the offer", "优惠券数量"),
    "offer_products": ("products in the offer", "优惠涵盖商品数"),
    "offer_value": ("margin of the offer", "优惠的利润"),
    "offer_cost": ("cost of the offer", "优惠的成本"),
    "offer_affinity": ("fit of the offer with what the customer buys", "优惠与客户购买品类的契合度"),
    "offer_affinity_ratio": ("fit of the offer, relative to a perfect one", "优惠契合度（相对最佳）"),
    "offer_favourite_share": ("offer's share in the customer's largest category", "优惠在客户最大品类中的占比"),
    "response_rate": ("customer's earlier response rate", "客户历史响应率"),
    "response_rate_category": ("customer's earlier response rate to such offers", "客户对此类优惠的历史响应率"),
}
"""What the offer's own and crossed features are, in English and Chinese."""


def feature_text(name: str, config: Config, language: str = "en") -> str:
    """What a feature is, for people: ``en`` or ``zh``; a name that no catalogue has stays as it is."""
    chinese = language.startswith("zh")
    if name in CROSS_TEXTS:
        return CROSS_TEXTS[name][1 if chinese else 0]
    spec = FEATURES.get(name) or features_of(config).get(name)
    if spec is None:
        return name.replace("_", " ")
    return spec.text_zh if chinese else spec.text_en


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
    order = sorted(range(len(added)), key=lambda index: (-abs(added[index]), index))
    reasons = []
    for direction, sign in (("up", 1.0), ("down", -1.0)):
        said: dict[str, Reason] = {}
        for index in (index for index in order if added[index] * sign > 0.0):
            column = card.inputs[index]
            text = value_text(column, row.get(column.name), config, language)
            reason = Reason(
                code=f"feature_{direction}",
                feature=column.name,
                direction="up" if sign > 0.0 else "down",
                contribution=float(added[index]),
                text=text,
            )
            said.setdefault(text, reason)  # two features may say the same thing, e.g. where the goal is a purchase
            if len(said) == TOP:
                break
        reasons.extend(said.values())
    return tuple(reasons)


def value_text(column: ModelInput, value: object, config: Config, language: str = "en") -> str:
    """What a feature is and what a customer has of it, in words."""
    if math.isnan(encode_value(column, value)):
        seen = "未知" if language.startswith("zh") else "unknown"
    else:
        seen = _shown(value)
    return f"{feature_text(column.name, config, language)}: {seen}"


def _shown(value: object) -> str:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    number = float(value)
    return f"{number:,.0f}" if abs(number) >= 1000 or number.is_integer() else f"{number:.3g}"


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
