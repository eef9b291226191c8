"""Scores of several waiting decisions, model by model, before the first of them is made. Pure.

A model's trees stay in the processor's cache only as long as nothing else runs; one decision after the other would
bring four models in and out for each. Scores follow from features, catalogue and time, never from counters, so that
they can be worked out before the transaction that reads those. A decision takes early scores only where they are of
the very objects that it is made from (``EarlyScores.are_of``), and scores for itself where they are not; both ways
give the same bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args

import numpy as np

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.events import Purpose
from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.decision.candidates import lay_out, list_candidates
from foretouch.serving.decision.customer_scores import CUSTOMER_MODELS, Reading, own_values, read_customer
from foretouch.serving.decision.estimates import OFFER_MODEL, UPLIFT_MODEL
from foretouch.serving.decision.pair_scores import PairScores, pair_plan, read_all
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.touchpoint import effective_request
from foretouch.serving.models.scoring import Scorer, plan_of, predict_vectors, row_by_row
from foretouch.serving.rules.slots import HORIZON

PURPOSES: Final = get_args(Purpose)
MOST_ROWS: Final = 2048
"""Pairs that are scored in one call: more would not fit beside the trees in the processor's cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """A decision that is about to be made.

    Attributes:
        request: As asked.
        features: The customer's.
        models: Loaded champions by model name.
        previous: The champions before them.
        catalogue: Every offer.
        config: Touchpoints and their defaults.
        plans: What follows from the configuration alone.
        at: The decision's time, tz-aware.
    """

    request: DecisionRequest
    features: FeatureSnapshot
    models: Mapping[str, Scorer]
    previous: Mapping[str, Scorer]
    catalogue: Catalogue
    config: Config
    plans: Plans
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyScores:
    """What the models say of one decision's customer.

    Attributes:
        expected: What it was worked out from.
        reading: What the customer models say.
        pairs: What the offer model and the uplift model say of offers that may be candidates.
    """

    expected: Expected
    reading: Reading
    pairs: tuple[PairScores, ...] = ()

    def are_of(self, features: FeatureSnapshot, models: Mapping[str, Scorer], previous: Mapping[str, Scorer]) -> bool:
        """Whether they are of these very features and models."""
        given = self.expected
        return given.features is features and given.models is models and given.previous is previous


def score_early(expected: Sequence[Expected]) -> list[EarlyScores | None]:
    """Scores several decisions, model by model.

    Args:
        expected: The decisions; those of one configuration and one set of models are scored together.

    Returns:
        One for each, in their order; None where a decision asks for no scores, or there are no features to score.
    """
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, one in enumerate(expected):
        if one.request.personalised and one.features.known and one.features.error is None:
            alike.setdefault((id(one.models), id(one.previous), id(one.catalogue), id(one.plans)), []).append(index)
    found: list[EarlyScores | None] = [None] * len(expected)
    for indices in alike.values():
        for index, scores in zip(indices, _score([expected[index] for index in indices]), strict=True):
            found[index] = scores
    return found


def _score(expected: Sequence[Expected]) -> list[EarlyScores]:
    """Decisions of one configuration and one set of models: customers first, since their scores may be inputs."""
    values = [own_values(one.features) for one in expected]
    raws = _customer_scores(expected[0].models, values)
    readings = [
        read_customer(one.features, one.models, one.previous, values=own, raws=raw)
        for one, own, raw in zip(expected, values, raws, strict=True)
    ]
    pairs = _pair_scores(expected, readings)
    return [
        EarlyScores(expected=one, reading=reading, pairs=tuple(some))
        for one, reading, some in zip(expected, readings, pairs, strict=True)
    ]


def _customer_scores(models: Mapping[str, Scorer], values: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Raw scores of each customer by model; a model that fails has none, and is asked again for each of them."""
    found: list[dict[str, float]] = [{} for _ in values]
    for name in CUSTOMER_MODELS:
        scorer = models.get(name)
        if scorer is None or not row_by_row(scorer):
            continue
        try:
            plan = plan_of(scorer)
            raw = predict_vectors(scorer, np.array([plan.vector(own) for own in values], dtype=np.float64))
        except Exception:  # noqa: BLE001, S112 - each decision finds out for itself, and says so
            continue
        for own, score in zip(found, raw.tolist(), strict=True):
            own[name] = score
    return found


def _pair_scores(expected: Sequence[Expected], readings: Sequence[Reading]) -> list[list[PairScores]]:
    """What the models of pairs say of each decision's offers; a model that fails says nothing here."""
    found: list[list[PairScores]] = [[] for _ in expected]
    first = expected[0]
    scorers = [first.models.get(OFFER_MODEL), first.models.get(UPLIFT_MODEL)]
    offers = [likely_offers(one) for one in expected]
    for scorer in scorers:
        if scorer is None or not row_by_row(scorer):
            continue
        plan = pair_plan(scorer, first.catalogue, first.plans)
        if not plan.usual:
            continue
        for part in _parts([len(some) for some in offers]):
            values = [readings[index].features.values for index in part]
            ats = [expected[index].at for index in part]
            rows = [[plan.row(offer) for offer in offers[index].values()] for index in part]
            asked = list(zip(values, [offers[index] for index in part], ats, strict=True))
            try:
                scores = read_all(scorer, asked, plan.matrix(values, ats, rows))
            except Exception:  # noqa: BLE001, S112 - each decision finds out for itself, and says so
                continue
            for index, one in zip(part, scores, strict=True):
                found[index].append(one)
    return found


def _parts(sizes: Sequence[int]) -> list[list[int]]:
    """Decisions whose pairs are scored in one call; those without offers in none."""
    parts: list[list[int]] = []
    rows = MOST_ROWS
    for index, size in enumerate(sizes):
        if size == 0:
            continue
        if rows + size > MOST_ROWS:
            parts.append([])
            rows = 0
        parts[-1].append(index)
        rows += size
    return parts


def likely_offers(one: Expected) -> Mapping[str, Offer]:
    """Offers that a decision may come to score, by id, in the catalogue's order: asked about, running, for the purpose.

    What consent, caps and tiers will drop is not known yet; its scores are worked out for nothing.
    """
    request = effective_request(one.request, one.config)
    listing = list_candidates(request, one.catalogue, one.plans)
    usable = None if request.channels is None else frozenset(request.channels)
    whole = one.plans.get("whole_menu", (one.catalogue,), lambda: WholeMenu(one.catalogue))
    if listing.options == whole.options and usable is None and whole.runs(one.at, request.purpose):
        return whole.offers
    soon = one.at + HORIZON
    return {
        offer.offer_id: offer
        for offer in [option.offer for option in listing.options]
        if request.purpose in offer.purposes
        and (offer.ends_at is None or offer.ends_at > one.at)
        and (offer.starts_at is None or offer.starts_at < soon)
        and (usable is None or not usable.isdisjoint(offer.channels))
    }


class WholeMenu:
    """A catalogue's offers, and when and for what all of them may be asked about.

    Args:
        catalogue: Every offer.

    Attributes:
        options: Of all offers.
        offers: By id, in the order of the options.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.options = lay_out(catalogue).options
        self.offers = {option.offer.offer_id: option.offer for option in self.options}
        self._purposes = frozenset(PURPOSES).intersection(*[offer.purposes for offer in self.offers.values()])
        self._starts = max([offer.starts_at for offer in self.offers.values() if offer.starts_at], default=None)
        self._ends = min([offer.ends_at for offer in self.offers.values() if offer.ends_at], default=None)

    def runs(self, at: datetime, purpose: Purpose) -> bool:
        """Whether every offer runs at a moment, or soon will, and is for a purpose."""
        begun = self._starts is None or self._starts < at + HORIZON
        return begun and (self._ends is None or self._ends > at) and purpose in self._purposes
