"""What one model says of one customer and each of some offers: raw, calibrated, with its interval. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.propensities import Span
from foretouch.serving.models.pair_plan import PairPlan
from foretouch.serving.models.scoring import FloatArray, Scorer, plan_of, predict_vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScores:
    """The scores of one customer with some offers.

    Attributes:
        scorer: Whose scores.
        customer: The customer's values that they are of; known again by identity.
        at: The time that they are of.
        offers: By id, in the order of everything below; known again by identity.
        vectors: The encoded inputs, shape (offers, inputs).
        chances: Calibrated score by offer.
        spans: Low and high end of its interval by offer; None where the model has none.
    """

    scorer: Scorer
    customer: Mapping[str, Any]
    at: datetime
    offers: Mapping[str, Offer]
    vectors: FloatArray
    chances: Mapping[str, float]
    spans: Mapping[str, Span | None]

    def among(
        self, scorer: Scorer, customer: Mapping[str, Any], at: datetime, offers: Mapping[str, Offer]
    ) -> "PairScores | None":
        """The scores of some of the offers, in the order given; None unless all are of these very objects."""
        own = self.offers
        if self.scorer is not scorer or self.customer is not customer or self.at != at:
            return None
        if offers is own:
            return self
        if any([own.get(name) is not offer for name, offer in offers.items()]):  # noqa: C419 - hot
            return None
        names = list(offers)
        if names == list(own):
            return self
        rows = {name: row for row, name in enumerate(own)}
        return PairScores(
            scorer=scorer,
            customer=customer,
            at=at,
            offers=offers,
            vectors=self.vectors[[rows[name] for name in names]],
            chances={name: self.chances[name] for name in names},
            spans={name: self.spans[name] for name in names},
        )


def pair_plan(scorer: Scorer, catalogue: Catalogue, plans: Plans) -> PairPlan:
    """A catalogue's part of a model's vectors, kept with the configuration."""
    return plans.get("pairs", (scorer.card, catalogue), lambda: PairPlan(plan_of(scorer), catalogue.offers))


def score_pairs(
    scorer: Scorer,
    customer: Mapping[str, Any],
    offers: Mapping[str, Offer],
    at: datetime,
    *,
    catalogue: Catalogue | None = None,
    plans: Plans | None = None,
) -> PairScores:
    """Scores one customer with each offer.

    Args:
        scorer: The model.
        customer: The customer's values by name; empty for the model's defaults.
        offers: By id.
        at: The decision's time, tz-aware.
        catalogue: Every offer; None is those asked about.
        plans: Where the catalogue's vectors are kept.

    Raises:
        ValueError: The model gave a number that is not finite, or not one per offer.
    """
    asked = tuple(offers.values())
    if catalogue is None:
        vectors = PairPlan(plan_of(scorer), asked).vectors(customer, asked, at)
    else:
        vectors = pair_plan(scorer, catalogue, plans or Plans()).vectors(customer, asked, at)
    return read_all(scorer, [(customer, offers, at)], vectors)[0]


def read_all(
    scorer: Scorer, asked: Sequence[tuple[Mapping[str, Any], Mapping[str, Offer], datetime]], vectors: FloatArray
) -> list[PairScores]:
    """Scores some customers' pairs in one call, and reads the scores as the model's card says.

    Args:
        scorer: The model; ``scoring.row_by_row`` must hold where there are several customers.
        asked: Customer, offers and time of each.
        vectors: Their pairs one below the other, shape (all pairs, inputs).

    Raises:
        ValueError: The model gave a number that is not finite, or not one per pair.
    """
    plan = plan_of(scorer)
    calibrated = plan.all_calibrated(predict_vectors(scorer, vectors))
    scores = calibrated.tolist()
    around = plan.all_spans(calibrated) if plan.has_spans else None
    found, start = [], 0
    for customer, offers, at in asked:
        some = slice(start, start + len(offers))
        spans: dict[str, Span | None] = dict.fromkeys(offers)
        if around is not None:
            spans = dict(zip(offers, around[some], strict=True))
        found.append(
            PairScores(
                scorer=scorer,
                customer=customer,
                at=at,
                offers=offers,
                vectors=vectors[some],
                chances=dict(zip(offers, scores[some], strict=True)),
                spans=spans,
            )
        )
        start += len(offers)
    return found
