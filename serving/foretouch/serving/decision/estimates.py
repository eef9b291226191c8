"""Estimates of one version of the offer model: propensities, intervals, members and uplift of every option. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from foretouch.core.bundle import ModelCard
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import PolicySpec
from foretouch.serving.decision import new_offers
from foretouch.serving.decision.candidates import Lineup
from foretouch.serving.decision.new_offers import prior_rate
from foretouch.serving.decision.pair_scores import PairScores, score_pairs
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import DEFAULT_LEVEL, OfOffers, PairRows, Propensities, Span
from foretouch.serving.decision.uplifts import not_identified, shifted
from foretouch.serving.models.ensemble import Ensemble, calibrate_members
from foretouch.serving.models.scoring import FloatArray, Scorer

OFFER_MODEL = "offer"
UPLIFT_MODEL = "uplift"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the ladder is asked, once for all of its steps.

    Attributes:
        options: What the rules left.
        features: The customer's.
        models: Champions by model name.
        previous: The champions before them.
        spec: The policy.
        evidence: Contacts of anybody ever, by offer.
        at: The decision's time, for the offers' days left.
        catalogue: Every offer; None is those asked about.
        plans: Where the catalogue's vectors are kept.
        early: Scores that were worked out before; those of other values, times or offers are not taken.
    """

    options: Lineup
    features: FeatureSnapshot
    models: Mapping[str, Scorer]
    previous: Mapping[str, Scorer]
    spec: PolicySpec
    evidence: Mapping[str, int]
    at: datetime
    catalogue: Catalogue | None = None
    plans: Plans = field(default_factory=Plans)
    early: Sequence[PairScores] = ()

    @property
    def offers(self) -> Mapping[str, Offer]:
        """The options' offers, each once."""
        return self.options.offers_by_id

    def scores(self, scorer: Scorer, customer: Mapping[str, Any]) -> PairScores:
        """What a model says of the customer and each offer.

        Raises:
            ValueError: The model gave a number that is not finite, or not one per offer.
        """
        for early in self.early:
            found = early.among(scorer, customer, self.at, self.offers)
            if found is not None:
                return found
        return score_pairs(scorer, customer, self.offers, self.at, catalogue=self.catalogue, plans=self.plans)


def estimate(scorer: Scorer, customer: Mapping[str, Any], asked: Asked) -> Propensities:
    """Propensity, interval, members and uplift of every option; an offer is scored once, whatever its channels.

    Args:
        scorer: A version of the offer model.
        customer: Its features of the customer by name; empty for the model's defaults.
        asked: Options, policy, evidence.

    Raises:
        ValueError: The model gave a number that is not finite, or not one per offer.
    """
    offers = asked.offers
    scores = asked.scores(scorer, customer)
    chances, spans = dict(scores.chances), dict(scores.spans)
    members, shortfall = _members(scorer, scores.vectors, asked)
    smoothed = _smooth(scorer.card, chances, spans, members, asked)
    keys = asked.options.keys
    uplift, uplift_spans, uplift_level, why = _uplift(customer, scorer.card, asked)
    if asked.spec.propensity == "uplift" and not all(value is not None for value in uplift.values()):
        said = f"the policy weighs uplift, which is not known ({why}): the response is used"
        shortfall = f"{shortfall}; {said}" if shortfall else said
    return Propensities(
        step="champion",
        by_key=OfOffers(chances, keys),
        spans=OfOffers(spans, keys),
        level=_level(scorer.card),
        rows=PairRows(customer, offers, keys, asked.at),
        scorer=scorer,
        uplift=OfOffers(uplift, keys),
        uplift_spans=OfOffers(uplift_spans, keys),
        uplift_level=uplift_level,
        uplift_reason=why,
        members=OfOffers(members, keys),
        smoothed=smoothed,
        shortfall=shortfall,
        consulted=() if UPLIFT_MODEL in asked.models or UPLIFT_MODEL not in asked.previous else (UPLIFT_MODEL,),
    )


def _level(card: ModelCard) -> float:
    return DEFAULT_LEVEL if card.intervals is None else card.intervals.level


def _smooth(
    card: ModelCard,
    chances: dict[str, float],
    spans: dict[str, Span | None],
    members: dict[str, FloatArray],
    asked: Asked,
) -> tuple[str, ...]:
    """Moves what the model says of offers that it does not know towards their prior; see ``new_offers``."""
    strength = asked.spec.new_offers.prior_strength
    if strength <= 0.0 or new_offers.knows_all(card):
        return ()
    smoothed = []
    for offer_id, offer in asked.offers.items():
        prior = None if new_offers.knows(card, offer) else prior_rate(offer, card)
        if prior is None:
            continue
        smoothed.append(offer_id)
        share = strength / (strength + asked.evidence[offer_id])
        own = new_offers.span(prior, strength, _level(card))
        low, high = spans[offer_id] or (chances[offer_id], chances[offer_id])
        spans[offer_id] = (share * own[0] + (1.0 - share) * low, share * own[1] + (1.0 - share) * high)
        chances[offer_id] = share * prior + (1.0 - share) * chances[offer_id]
        if offer_id in members:
            spread = new_offers.members(prior, strength, len(members[offer_id]), offer_id)
            members[offer_id] = share * spread + (1.0 - share) * members[offer_id]
    return tuple(smoothed)


def uplift_reason(card: ModelCard) -> str:
    """Why an offer model gives no uplift, as its card says."""
    return str(card.extras.get("uplift_reason", "the offer model gives no uplift"))


def _members(scorer: Scorer, vectors: FloatArray, asked: Asked) -> tuple[dict[str, FloatArray], str]:
    """Calibrated propensities of every member by offer, shape (K,) each, where the policy draws from them."""
    if asked.spec.kind != "thompson":
        return {}, ""
    name = f"policy {asked.spec.name!r} draws from bootstrap members"
    if not isinstance(scorer, Ensemble):
        return {}, f"{name}, which version {scorer.card.version} of the offer model does not have: softmax draws"
    try:
        calibrated = calibrate_members(scorer.card, np.asarray(scorer.members(vectors), dtype=np.float64))
    except Exception as error:  # noqa: BLE001 - members that fail must not cost the caller an answer
        return {}, f"{name}, which failed ({type(error).__name__}): softmax draws"
    return {offer_id: calibrated[:, index] for index, offer_id in enumerate(asked.offers)}, ""


def _uplift(
    customer: Mapping[str, Any], card: ModelCard, asked: Asked
) -> tuple[dict[str, float | None], dict[str, Span | None], float, str]:
    """Uplift and its interval by offer, the interval's level, and why it is null where it is."""
    scorer = asked.models.get(UPLIFT_MODEL) or asked.previous.get(UPLIFT_MODEL)
    unknown: dict[str, float | None] = dict.fromkeys(asked.offers)
    nowhere: dict[str, Span | None] = dict.fromkeys(asked.offers)
    if scorer is None:
        return unknown, nowhere, DEFAULT_LEVEL, uplift_reason(card)
    why = not_identified(scorer.card)
    if why:
        return unknown, nowhere, DEFAULT_LEVEL, why
    try:
        found = asked.scores(scorer, customer)
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        return unknown, nowhere, DEFAULT_LEVEL, f"the uplift model failed ({type(error).__name__})"
    values, spans = shifted(found, asked.offers, asked.plans)
    return values, spans, _level(scorer.card), ""
