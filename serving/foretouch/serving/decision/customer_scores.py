"""Churn, value and lead of one customer, as the decision uses them: as features and as weights of value. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from foretouch.core.bundle import ModelCard
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.policy import PolicySpec
from foretouch.serving.models.scoring import Scorer, plan_of, score_one

CUSTOMER_MODELS = ("churn", "value", "lead")
PREFIX = "score_"
SCORE_FEATURES = tuple(PREFIX + name for name in CUSTOMER_MODELS)
"""Rules may name them as ``feature.score_churn``, ``feature.score_value`` and ``feature.score_lead``."""
NO_MODELS: Mapping[str, Scorer] = {}
NO_SCORES: Mapping[str, float] = {}


@dataclass(frozen=True, kw_only=True)
class CustomerScores:
    """What the customer models say.

    Attributes:
        features: The customer's features with the scores among them.
        levels: Each score on [0, 1]: a probability as it is, an amount as its percentile.
        cards: Cards of the models that took part.
        missing: Models that the policy's weights name and that could not score; their weight counts as 1.
        stood_in: Models that the policy's weights name and whose champion before the present one scored.
        consulted: All models whose champion before the present one scored: a replay needs them.
        reason: Why either; empty if the champions of all that the policy names scored.
    """

    features: FeatureSnapshot
    levels: Mapping[str, float]
    cards: tuple[ModelCard, ...]
    missing: tuple[str, ...] = ()
    stood_in: tuple[str, ...] = ()
    consulted: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the customer models say, whatever policy asks.

    Attributes:
        features: The customer's features with the scores among them.
        levels: Each score on [0, 1].
        cards: Cards of the models that took part.
        consulted: Models whose champion before the present one scored.
        reasons: Why the champion of a model did not score, by model.
    """

    features: FeatureSnapshot
    levels: Mapping[str, float]
    cards: tuple[ModelCard, ...]
    consulted: tuple[str, ...]
    reasons: Mapping[str, str]


def own_values(features: FeatureSnapshot) -> dict[str, Any]:
    """A customer's features without scores that the snapshot brings: those are always of the models given here."""
    found = dict(features.values)
    for name in _scores_among(tuple(found)):
        del found[name]
    return found


@lru_cache(maxsize=64)
def _scores_among(names: tuple[str, ...]) -> tuple[str, ...]:
    """Which names are of scores; mostly everybody has the same features in the same order."""
    return tuple(name for name in names if name.startswith(PREFIX))


def read_customer(
    features: FeatureSnapshot,
    models: Mapping[str, Scorer],
    previous: Mapping[str, Scorer] = NO_MODELS,
    *,
    values: Mapping[str, Any] | None = None,
    raws: Mapping[str, float] = NO_SCORES,
) -> Reading:
    """Scores a customer, and puts the scores among the features under ``score_<model>``.

    Args:
        features: The customer's.
        models: Loaded champions by model name.
        previous: The champions before them: one scores where the champion is missing or fails.
        values: ``own_values`` of the features, where they are at hand.
        raws: Raw scores that champions have given these very values already, by model name.
    """
    kept = own_values(features) if values is None else values
    readable = features.known and features.error is None
    scores: dict[str, float] = {}
    levels: dict[str, float] = {}
    cards = []
    reasons: dict[str, str] = {}
    consulted = []
    for name in CUSTOMER_MODELS:
        champion, why = _try(models.get(name), kept, readable=readable, raw=raws.get(name))
        before = _try(previous.get(name), kept, readable=readable)[0] if why else None
        found = champion or before
        if before is not None:
            consulted.append(name)
        if why:
            reasons[name] = f"the {name} model {why}" + ("; the champion before it scored" if before else "")
        if found is not None:
            scorer, value = found
            scores[PREFIX + name] = value
            levels[name] = plan_of(scorer).level(value)
            cards.append(scorer.card)
    return Reading(
        features=FeatureSnapshot.trusted(**{**vars(features), "values": {**kept, **scores}}),
        levels=levels,
        cards=tuple(cards),
        consulted=tuple(consulted),
        reasons=reasons,
    )


def score_customer(
    features: FeatureSnapshot,
    models: Mapping[str, Scorer],
    spec: PolicySpec,
    *,
    personalised: bool,
    previous: Mapping[str, Scorer] = NO_MODELS,
    reading: Reading | None = None,
) -> CustomerScores:
    """What the customer models say, and which of them the policy needs and could not have.

    Args:
        features: The customer's.
        models: Loaded champions by model name.
        spec: Says which scores the policy needs.
        personalised: Without it, no feature of the customer is kept and nothing is scored.
        previous: The champions before them: one scores where the champion is missing or fails.
        reading: ``read_customer`` of the same features and models, where it was done before.
    """
    if not personalised:
        return CustomerScores(features=features.model_copy(update={"values": {}}), levels={}, cards=())
    found = read_customer(features, models, previous) if reading is None else reading
    needed = {weight.model for weight in spec.score_weights} if spec.factors.value else set()
    wanting = [name for name in CUSTOMER_MODELS if name in needed and name in found.reasons]
    return CustomerScores(
        features=found.features,
        levels=found.levels,
        cards=found.cards,
        missing=tuple([name for name in wanting if name not in found.levels]),
        stood_in=tuple([name for name in wanting if name in found.levels]),
        consulted=found.consulted,
        reason=", ".join([found.reasons[name] for name in wanting]),
    )


def _try(
    scorer: Scorer | None, values: Mapping[str, Any], *, readable: bool, raw: float | None = None
) -> tuple[tuple[Scorer, float] | None, str]:
    """The scorer and its score, or why there is none."""
    if scorer is None:
        return None, "is missing"
    if not readable:
        return None, "has no features to score"
    try:
        return (scorer, score_one(scorer, values) if raw is None else plan_of(scorer).calibrated(raw)), ""
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        return None, f"failed ({type(error).__name__})"
