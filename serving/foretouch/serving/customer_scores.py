"""Churn, value and lead of one customer, as the decision uses them: as features and as weights of value. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from foretouch.core.bundle import ModelCard
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.policy import PolicySpec
from foretouch.serving.scoring import Scorer, level, score

CUSTOMER_MODELS = ("churn", "value", "lead")
PREFIX = "score_"
SCORE_FEATURES = tuple(PREFIX + name for name in CUSTOMER_MODELS)
"""Rules may name them as ``feature.score_churn``, ``feature.score_value`` and ``feature.score_lead``."""


@dataclass(frozen=True, kw_only=True)
class CustomerScores:
    """What the customer models say.

    Attributes:
        features: The customer's features with the scores among them.
        levels: Each score on [0, 1]: a probability as it is, an amount as its percentile.
        cards: Cards of the models that took part.
        missing: Models that the policy's weights name and that could not score; their weight counts as 1.
        reason: Why they could not; empty if none is missing.
    """

    features: FeatureSnapshot
    levels: Mapping[str, float]
    cards: tuple[ModelCard, ...]
    missing: tuple[str, ...] = ()
    reason: str = ""


def score_customer(
    features: FeatureSnapshot, models: Mapping[str, Scorer], spec: PolicySpec, *, personalised: bool
) -> CustomerScores:
    """Scores a customer, and puts the scores among the features under ``score_<model>``.

    Scores that the snapshot brings are dropped first: they are always those of the models given here.

    Args:
        features: The customer's.
        models: Loaded models by name.
        spec: Says which scores the policy needs.
        personalised: Without it, no feature of the customer is kept and nothing is scored.
    """
    kept = {name: value for name, value in features.values.items() if not name.startswith(PREFIX)}
    if not personalised:
        return CustomerScores(features=features.model_copy(update={"values": {}}), levels={}, cards=())
    scores: dict[str, float] = {}
    levels: dict[str, float] = {}
    cards = []
    failures: dict[str, str] = {}
    readable = features.known and features.error is None
    for name in CUSTOMER_MODELS:
        scorer = models.get(name)
        if scorer is None or not readable:
            failures[name] = "is missing" if scorer is None else "has no features to score"
            continue
        try:
            value = float(score(scorer, [kept])[0])
        except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
            failures[name] = f"failed ({type(error).__name__})"
            continue
        scores[PREFIX + name] = value
        levels[name] = level(scorer.card, value)
        cards.append(scorer.card)
    needed = {weight.model for weight in spec.score_weights} if spec.factors.value else set()
    missing = tuple(name for name in CUSTOMER_MODELS if name in needed and name in failures)
    return CustomerScores(
        features=features.model_copy(update={"values": {**kept, **scores}}),
        levels=levels,
        cards=tuple(cards),
        missing=missing,
        reason=", ".join(f"the {name} model {failures[name]}" for name in missing),
    )
