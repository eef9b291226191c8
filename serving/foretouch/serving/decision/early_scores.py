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
from foretouch.serving.decision.candidates import Menu, list_candidates, menu_of
from foretouch.serving.decision.customer_scores import CUSTOMER_MODELS, PREFIX, Reading, own_values, read_customer
from foretouch.serving.decision.estimates import OFFER_MODEL, UPLIFT_MODEL
from foretouch.serving.decision.pair_scores import PairScores, pair_plan, read_all
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.touchpoint import effective_request
from foretouch.serving.models.joint_plan import JointPlan
from foretouch.serving.models.scoring import FloatArray, Scorer, plan_of, predict_vectors, row_by_row
from foretouch.serving.rules.slots import HORIZON

MODELS: Final = (*CUSTOMER_MODELS, OFFER_MODEL, UPLIFT_MODEL)
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


def score_early(expected: Sequence[Expected], *, with_offers: bool = True) -> list[EarlyScores | None]:
    """Scores several decisions, model by model.

    Args:
        expected: The decisions; those of one configuration and one set of models are scored together.
        with_offers: Whether offers are scored as well, or the customers alone.

    Returns:
        One for each, in their order; None where a decision asks for no scores, or there are no features to score.
    """
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, one in enumerate(expected):
        if one.request.personalised and one.features.known and one.features.error is None:
            alike.setdefault((id(one.models), id(one.previous), id(one.catalogue), id(one.plans)), []).append(index)
    found: list[EarlyScores | None] = [None] * len(expected)
    for indices in alike.values():
        for index, scores in zip(indices, _score([expected[index] for index in indices], with_offers), strict=True):
            found[index] = scores
    return found


def _score(expected: Sequence[Expected], with_offers: bool) -> list[EarlyScores]:
    """Decisions of one configuration and one set of models: customers first, since their scores may be inputs."""
    first = expected[0]
    scorers = {name: scorer for name in MODELS if (scorer := first.models.get(name)) and row_by_row(scorer)}
    joint = first.plans.get("joint", (first.models,), lambda: JointPlan({k: plan_of(v) for k, v in scorers.items()}))
    values = [own_values(one.features) for one in expected]
    try:
        inputs = joint.matrix(values)
    except Exception:  # noqa: BLE001 - each decision finds out for itself, and says so
        inputs, scorers = np.empty((0, 0)), {}
    raws = _customer_scores({name: (scorer, joint.of(name, inputs)) for name, scorer in scorers.items()}, values)
    readings = [
        read_customer(one.features, one.models, one.previous, values=own, raws=raw)
        for one, own, raw in zip(expected, values, raws, strict=True)
    ]
    pairs: list[list[PairScores]] = [[] for _ in expected]
    for name in (OFFER_MODEL, UPLIFT_MODEL) if with_offers else ():
        if name in scorers:
            _add_pairs(pairs, scorers[name], joint.of(name, inputs), expected, readings)
    return [
        EarlyScores(expected=one, reading=reading, pairs=tuple(some))
        for one, reading, some in zip(expected, readings, pairs, strict=True)
    ]


def _customer_scores(
    asked: Mapping[str, tuple[Scorer, FloatArray]], values: Sequence[Mapping[str, Any]]
) -> list[dict[str, float]]:
    """Raw scores of each customer by model; a model that fails has none, and is asked again for each of them."""
    found: list[dict[str, float]] = [{} for _ in values]
    for name in CUSTOMER_MODELS:
        if name in asked:
            try:
                raw = predict_vectors(*asked[name])
            except Exception:  # noqa: BLE001, S112 - each decision finds out for itself, and says so
                continue
            for own, score in zip(found, raw.tolist(), strict=True):
                own[name] = score
    return found


def _add_pairs(
    pairs: list[list[PairScores]],
    scorer: Scorer,
    bases: FloatArray,
    expected: Sequence[Expected],
    readings: Sequence[Reading],
) -> None:
    """Adds what a model says of each decision's offers; a model that fails says nothing here.

    Args:
        pairs: By decision; added to.
        scorer: The model.
        bases: Its inputs of each customer before the customers' scores were known, shape (decisions, inputs).
        expected: The decisions.
        readings: What the customer models say.
    """
    first = expected[0]
    plan = pair_plan(scorer, first.catalogue, first.plans)
    if not plan.usual:
        return
    values, score_plan = [reading.features.values for reading in readings], plan_of(scorer)
    for index, item in enumerate(scorer.card.inputs):
        if item.name.startswith(PREFIX):
            bases[:, index] = [score_plan.code(index, own.get(item.name)) for own in values]
    offers = [likely_offers(one) for one in expected]
    for part in _parts([len(some) for some in offers]):
        asked = [(values[index], offers[index], expected[index].at) for index in part]
        rows = [plan.rows(some) for _, some, _ in asked]
        try:
            vectors = plan.matrix(bases[part], [own for own, _, _ in asked], [at for _, _, at in asked], rows)
            scores = read_all(scorer, asked, vectors)
        except Exception:  # noqa: BLE001, S112 - each decision finds out for itself, and says so
            continue
        for index, one in zip(part, scores, strict=True):
            pairs[index].append(one)


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
    menu = menu_of(one.catalogue, one.plans)
    whole = one.plans.get("whole_menu", (menu,), lambda: WholeMenu(menu))
    if listing.options is menu.options and whole.runs(one.at, request.purpose, usable):
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
        menu: The catalogue's.

    Attributes:
        offers: By id, in the order of the options.
    """

    def __init__(self, menu: Menu) -> None:
        self.offers: Mapping[str, Offer] = menu.options.offers_by_id
        every = frozenset(menu.options.channels)
        self._channels = every.intersection(*[offer.channels for offer in self.offers.values()])
        self._purposes = frozenset(PURPOSES).intersection(*[offer.purposes for offer in self.offers.values()])
        self._starts = max([offer.starts_at for offer in self.offers.values() if offer.starts_at], default=None)
        self._ends = min([offer.ends_at for offer in self.offers.values() if offer.ends_at], default=None)

    def runs(self, at: datetime, purpose: Purpose, channels: frozenset[str] | None) -> bool:
        """Whether every offer runs at a moment or soon will, is for a purpose, and goes out on one of some channels."""
        begun = self._starts is None or self._starts < at + HORIZON
        fits = purpose in self._purposes and (channels is None or not channels.isdisjoint(self._channels))
        return begun and fits and (self._ends is None or self._ends > at)
