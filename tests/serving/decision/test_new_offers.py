"""New offers: between prior and model, immature ones under their joint limit; Thompson sampling in the decision."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from foretouch.core.bundle import Calibration, ModelInput, ScoreIntervals, write_bundle
from foretouch.core.decisions import DecisionRecord
from foretouch.core.offers import Catalogue
from foretouch.core.policy import NewOffers, PolicySpec
from foretouch.serving.decision.new_offers import evidence_of, knows, members, span
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.scoring import FloatArray
from foretouch.training.booster import fit_booster, golden_rows, model_text
from foretouch.training.ensemble import fit_members, with_members
from tests.serving.decision.world import (
    CHURN_MODEL,
    OFFER_MODEL,
    OFFERS,
    LogisticScorer,
    card,
    counters,
    decided,
    total_probability,
)

TRAINED = {
    **OFFER_MODEL.card.extras,
    "offer_contacts": {"tea": 5000, "rye": 40},
    "category_contacts": {"a": 5040},
}
MODEL = replace(OFFER_MODEL, card=OFFER_MODEL.card.replace(extras=TRAINED))
MODELS = {"offer": MODEL, "churn": CHURN_MODEL}


@dataclass(frozen=True, kw_only=True)
class EnsembleOfTwo(LogisticScorer):
    """A member half as eager as the champion, and one that takes the contrary view."""

    def members(self, vectors: FloatArray, /) -> FloatArray:
        return np.stack([self.predict(vectors) * 0.5, 1.0 - self.predict(vectors)])


ENSEMBLE = EnsembleOfTwo(card=MODEL.card, weights=MODEL.weights, intercept=MODEL.intercept)


def chances(record: DecisionRecord) -> dict[str, float]:
    return {item.offer_id: item.propensity for item in record.candidates if item.offer_id and item.propensity}


def test_what_a_model_knows() -> None:
    tea, jam, rye = OFFERS
    own = rye.replace(attributes={"prior_propensity": 0.3})
    fresh = rye.replace(offer_id="new")
    assert knows(MODEL.card, tea)
    assert knows(MODEL.card, fresh), "its category was trained on"
    assert not knows(MODEL.card, jam), "neither it nor its category was"
    assert knows(MODEL.card, own), "it was itself trained on"
    assert not knows(MODEL.card, fresh.replace(attributes={"prior_propensity": 0.3})), "it says that it is different"
    assert knows(OFFER_MODEL.card, jam), "a card that does not say knows everything"


@pytest.mark.parametrize("contacts", [0, 1, 100, 10_000])
def test_evidence_moves_an_unknown_offer_from_its_prior_to_the_model(contacts: int) -> None:
    plain = chances(decided(models={"offer": OFFER_MODEL, "churn": CHURN_MODEL}))
    known = counters(offer_contacts={"jam": contacts})
    found = decided(models=MODELS, counters=known)
    expected = (0.02 * 100.0 + plain["jam"] * contacts) / (100.0 + contacts)
    assert chances(found)["jam"] == pytest.approx(expected)
    assert {name: chances(found)[name] for name in ("tea", "rye")} == {name: plain[name] for name in ("tea", "rye")}
    for item in found.candidates:
        if item.propensity is not None and item.propensity_interval is not None:
            assert item.propensity_interval.low <= item.propensity <= item.propensity_interval.high


def test_no_strength_believes_the_model_at_once() -> None:
    policies = {"default": PolicySpec(new_offers=NewOffers(prior_strength=0.0))}
    assert chances(decided(models=MODELS, policies=policies)) == chances(decided())


def test_an_offers_own_prior_goes_before_its_categorys() -> None:
    offers = tuple(
        offer.replace(attributes={"prior_propensity": 0.37}) if offer.offer_id == "jam" else offer for offer in OFFERS
    )
    assert chances(decided(models=MODELS, catalogue=Catalogue(offers=offers)))["jam"] == pytest.approx(0.37)


def test_the_belief_is_the_beta_distribution() -> None:
    low, high = span(0.02, 100.0, 0.95)
    assert (low, high) == pytest.approx(beta(2.0, 98.0).ppf([0.025, 0.975]))
    values = members(0.02, 100.0, 400, "jam")
    assert values.mean() == pytest.approx(0.02, rel=0.01)
    assert values.std() == pytest.approx(beta(2.0, 98.0).std(), rel=0.03)
    assert sorted(values) == sorted(members(0.02, 100.0, 400, "rye"))
    assert abs(np.corrcoef(values, members(0.02, 100.0, 400, "rye"))[0, 1]) < 0.15
    assert set(members(0.0, 100.0, 5, "jam")) == {0.0}


def test_evidence_is_the_larger_of_log_and_card() -> None:
    assert evidence_of(OFFERS, {"tea": 7, "rye": 90}, MODEL.card) == {"tea": 5000, "jam": 0, "rye": 90}
    assert evidence_of(OFFERS, {}, None) == {"tea": 0, "jam": 0, "rye": 0}


@pytest.mark.parametrize("kind", ["greedy", "epsilon", "softmax", "shuffle", "thompson", "noop"])
def test_immature_offers_share_a_limit_and_the_record_says_so(kind: Any) -> None:
    young = NewOffers(mature_from=50, immature_share=0.05)
    spec = PolicySpec(kind=kind, new_offers=young, temperature=5.0)
    record = decided(models={"offer": ENSEMBLE, "churn": CHURN_MODEL}, policies={"default": spec})
    held = sum(
        item.selection_probability or 0.0 for item in record.candidates if item.offer_id in {"jam", "rye"}
    )  # 0 and 40 contacts
    assert held <= 0.05 + 1e-12
    assert total_probability(record) == pytest.approx(1.0, abs=1e-12)
    assert any("fewer than 50 contacts (jam, rye)" in warning for warning in record.warnings)
    free = decided(models=MODELS, policies={"default": spec.replace(new_offers=NewOffers())})
    assert not any("contacts (" in warning for warning in free.warnings)


def test_thompson_draws_from_the_members_times_gain_less_costs() -> None:
    spec = PolicySpec(kind="thompson", floor=0.0, new_offers=NewOffers(prior_strength=0.0))
    dear = Catalogue(offers=tuple(item.replace(cost=2.5) if item.offer_id == "jam" else item for item in OFFERS))
    record = decided(models={"offer": ENSEMBLE, "churn": CHURN_MODEL}, policies={"default": spec}, catalogue=dear)
    assert record.status == "decided"
    live = [item for item in record.candidates if item.dropped_by is None]
    shares = {(item.offer_id, item.channel, item.treatment_id): item.selection_probability or 0.0 for item in live}
    votes: dict[Any, float] = dict.fromkeys(shares, 0.0)
    raw = {
        offer.offer_id: float(MODEL.predict(np.array([[5.0, offer.value]]))[0]) for offer in OFFERS
    }  # recency_days, offer_value
    views: tuple[Callable[[float], float], ...] = (lambda score: score * 0.5, lambda score: 1.0 - score)
    for view in views:
        worth = {}
        for item in live:
            key = (item.offer_id, item.channel, item.treatment_id)
            if item.offer_id is None:
                worth[key] = 0.0
                continue
            chance = MODEL.card.calibration.apply(view(raw[item.offer_id]))
            gain = (item.value or 0.0) - item.weights["offer_cost"]
            worth[key] = chance * gain - (item.cost or 0.0) - (item.price or 0.0)
        best = [key for key, value in worth.items() if value == pytest.approx(max(worth.values()), rel=1e-12)]
        for key in best:
            votes[key] += 0.5 / len(best)
    assert shares == pytest.approx(votes)
    assert max(shares.values()) < 1.0, "the members must disagree, or this shows nothing"
    softmax = decided(models=MODELS, policies={"default": spec.replace(kind="softmax")}, catalogue=dear)
    assert chances(record) == chances(softmax)


def test_thompson_without_members_is_softmax_and_degraded() -> None:
    thompson = decided(models=MODELS, policies={"default": PolicySpec(kind="thompson")})
    softmax = decided(models=MODELS, policies={"default": PolicySpec(kind="softmax")})
    assert (thompson.status, thompson.fallback_step) == ("degraded", "champion")
    assert "bootstrap members, which version 7 of the offer model does not have: softmax" in thompson.status_reason
    assert [item.selection_probability for item in thompson.candidates] == [
        item.selection_probability for item in softmax.candidates
    ]
    impersonal = decided({"personalised": False}, models=MODELS, policies={"default": PolicySpec(kind="thompson")})
    assert impersonal.status == "decided"
    assert any("softmax draws" in warning for warning in impersonal.warnings)


def test_thompson_tries_an_unknown_offer_as_its_prior_leaves_room() -> None:
    def share(strength: float) -> float:
        spec = PolicySpec(kind="thompson", floor=0.0, new_offers=NewOffers(prior_strength=strength))
        offers = tuple(
            offer.replace(attributes={"prior_propensity": 0.05}) if offer.offer_id == "jam" else offer
            for offer in OFFERS
        )
        record = decided(
            models={
                "offer": SixteenAlike(card=MODEL.card, weights=MODEL.weights, intercept=-3.5),
                "churn": CHURN_MODEL,
            },
            policies={"default": spec},
            catalogue=Catalogue(offers=offers),
        )
        return sum(item.selection_probability or 0.0 for item in record.candidates if item.offer_id == "jam")

    assert share(10_000.0) > 0.9  # sure of 5 %: better than the others
    assert 0.2 < share(5.0) < 0.9  # hardly sure


@dataclass(frozen=True, kw_only=True)
class SixteenAlike(LogisticScorer):
    """A model that is sure of itself."""

    def members(self, vectors: FloatArray, /) -> FloatArray:
        return np.tile(self.predict(vectors), (16, 1))


def test_a_bundle_of_uplift_and_one_with_members_take_part(tmp_path: Path) -> None:
    """Real LightGBM bundles, written and loaded as in service."""
    rng = np.random.default_rng(3)
    matrix = np.column_stack([rng.gamma(2.0, 5.0, 600), rng.choice([3.0, 4.0, 6.0], 600)])
    label = (rng.random(600) < 1.0 / (1.0 + np.exp(1.5 - 0.2 * matrix[:, 1] + 0.05 * matrix[:, 0]))).astype(float)
    columns = (ModelInput(name="recency_days", view="v"), ModelInput(name="offer_value", view="cross"))

    def fit(weight: FloatArray | None, seed: int, objective: str = "binary", target: FloatArray = label) -> str:
        parameters = {"objective": objective, "num_leaves": 7, "min_data_in_leaf": 20}
        return model_text(
            fit_booster(
                matrix, target, inputs=columns, parameters=parameters, rounds=20, seed=seed, threads=1, weight=weight
            )
        )

    text = fit(None, 1)
    joined = fit_members(fit, np.arange(600).astype(object), seed=1, count=8)
    offer = card("offer", ("recency_days", "offer_value"), extras=TRAINED)
    write_bundle(
        tmp_path, offer, text, with_members(golden_rows(text, matrix, Calibration()), joined), members_text=joined
    )
    regression = fit(None, 1, "regression", label * 0.1 - 0.02)
    halved = Calibration(method="scale", y=(0.5,))
    write_bundle(
        tmp_path,
        card(
            "uplift",
            ("recency_days", "offer_value"),
            target="difference",
            calibration=halved,
            intervals=ScoreIntervals(upper_edges=(0.0, 1.0), low=(-0.1, -0.01), high=(0.0, 0.2)),
        ),
        regression,
        golden_rows(regression, matrix, halved),
    )
    models: dict[str, Any] = {
        "offer": load_scorer(tmp_path, "offer", "7"),
        "uplift": load_scorer(tmp_path, "uplift", "7"),
        "churn": CHURN_MODEL,
    }
    thompson = PolicySpec(kind="thompson", floor=0.05)
    record = decided(models=models, policies={"default": thompson})
    assert record.status == "decided", record.status_reason
    lowest = 0.05 / len([item for item in record.candidates if item.dropped_by is None])
    assert all((item.selection_probability or 0.0) >= lowest - 1e-12 for item in record.candidates)
    raw = {value: models["uplift"].predict(np.array([[5.0, value]]))[0] for value in (3.0, 4.0, 6.0)}
    value_of = {offer.offer_id: offer.value for offer in OFFERS}
    for item in record.candidates[1:]:
        assert item.uplift == pytest.approx(0.5 * raw[value_of[item.offer_id or ""]])
    chosen = decided(models=models, policies={"default": PolicySpec(kind="greedy", propensity="uplift")})
    for action in chosen.action:
        assert action.uplift_reason is None or action.uplift_reason == ""
        assert action.uplift_interval is not None
        assert action.uplift_interval.low <= (action.uplift or 0.0) <= action.uplift_interval.high
    spec = PolicySpec(propensity="uplift")
    assert decided(models=models, policies={"default": spec}).status == "decided"
    without = decided(models={**models, "uplift": FAILING}, policies={"default": spec})
    assert without.status == "degraded"
    assert "the response is used" in without.status_reason


class _Failing(LogisticScorer):
    def predict(self, vectors: FloatArray, /) -> FloatArray:
        return np.full(len(vectors), np.inf)


FAILING = _Failing(card=card("uplift", ("recency_days",), target="difference"), weights=(0.0,))
