"""A small world to decide in: offers, rules, a customer, and a scorer with a closed form."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any

import numpy as np

from foretouch.core.bundle import Calibration, ModelCard, ModelInput, ScoreIntervals
from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRecord, DecisionRequest, FeatureSnapshot, Versions
from foretouch.core.events import Purpose
from foretouch.core.models import ModelName
from foretouch.core.offers import Catalogue, Offer, Treatment
from foretouch.core.policy import PolicySpec
from foretouch.serving.decide import DecisionInputs, decide, decision_seed
from foretouch.serving.models.scoring import FloatArray

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)
VERSIONS = Versions(
    policy="p1", contact_policy="r1", offers="o1", experiments="e1", features="f1", config="c1", code="0.1.0"
)


def card(model: ModelName, names: tuple[str, ...], **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "model": model,
        "version": "7",
        "target": "amount" if model == "value" else "probability",
        "feature_service": f"{model}_v1",
        "inputs": tuple(ModelInput(name=name, view="v") for name in names),
        "trained_through": NOW,
        "created_at": NOW,
        "data_sha256": "0" * 64,
    }
    return ModelCard.model_validate({**values, **changes})


@dataclass(frozen=True, kw_only=True)
class LogisticScorer:
    """Probability = 1 / (1 + exp(-(intercept + weights . inputs))), a missing input counting as 0."""

    card: ModelCard
    weights: tuple[float, ...]
    intercept: float = 0.0

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        margin = self.intercept + np.nan_to_num(vectors) @ np.array(self.weights)
        return np.asarray(1.0 / (1.0 + np.exp(-margin)))

    def contributions(self, vectors: FloatArray, /) -> FloatArray:
        added = np.nan_to_num(vectors) * np.array(self.weights)
        return np.column_stack([added, np.full(len(vectors), self.intercept)])


@dataclass(frozen=True, kw_only=True)
class BrokenScorer:
    """A model whose file is fine and whose output is not."""

    card: ModelCard

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        return np.full(len(vectors), np.nan)


OFFER_MODEL = LogisticScorer(
    card=card(
        "offer",
        ("recency_days", "offer_value"),
        intervals=ScoreIntervals(upper_edges=(0.5, 1.0), low=(0.01, 0.4), high=(0.5, 0.99)),
        calibration=Calibration(method="isotonic", x=(0.0, 1.0), y=(0.0, 0.5)),
        extras={"category_rates": {"a": 0.1, "*": 0.02}, "uplift_reason": "campaigns were targeted"},
    ),
    weights=(-0.05, 0.2),
    intercept=-1.0,
)
CHURN_MODEL = LogisticScorer(card=card("churn", ("recency_days",)), weights=(0.1,), intercept=-1.0)
EVERY_PURPOSE: tuple[Purpose, ...] = ("marketing", "retention", "service", "transactional")
OFFERS = (
    Offer(
        offer_id="tea",
        name="Tea",
        category="a",
        channels=("email", "sms"),
        value=4.0,
        cost=1.0,
        purposes=EVERY_PURPOSE,
    ),
    Offer(offer_id="jam", name="Jam", category="b", channels=("email",), value=6.0, purposes=EVERY_PURPOSE),
    Offer(
        offer_id="rye",
        name="Rye",
        category="a",
        channels=("email", "push"),
        value=3.0,
        purposes=EVERY_PURPOSE,
        treatments=(
            Treatment(treatment_id="rye-1", offer_id="rye", channel="email"),
            Treatment(treatment_id="rye-2", offer_id="rye", channel="email"),
        ),
    ),
)
ALL_CONSENTS = {f"{channel}/marketing": True for channel in ("email", "sms", "push")}


def request(**changes: Any) -> DecisionRequest:
    return DecisionRequest.model_validate({"customer_id": "ann", "touchpoint": "weekly", **changes})


def inputs(**changes: Any) -> DecisionInputs:
    base = DecisionInputs(
        decision_id="dec_1",
        decided_at=NOW,
        seed=decision_seed("key", "ann", "dec_1"),
        features=FeatureSnapshot(known=True, values={"recency_days": 5.0}, as_of={"v": NOW}),
        counters=CounterSnapshot(known=True, time_zone="Europe/Berlin", consents=ALL_CONSENTS),
        models={"offer": OFFER_MODEL, "churn": CHURN_MODEL},
        catalogue=Catalogue(offers=OFFERS),
        contact_policy=ContactPolicy(quiet_hours=(QuietHours(start=time(21), end=time(8)),)),
        policies={"default": PolicySpec()},
        experiments=(),
        config=Config(
            channels={
                "email": ChannelSection(cost=0.01),
                "sms": ChannelSection(cost=0.05),
                "push": ChannelSection(cost=0.0),
            }
        ),
        versions=VERSIONS,
    )
    return replace(base, **changes)


def decided(ask: dict[str, Any] | None = None, **changes: Any) -> DecisionRecord:
    return decide(request(**(ask or {})), inputs(**changes))


def counters(**changes: Any) -> CounterSnapshot:
    return CounterSnapshot.model_validate({**dict(inputs().counters), **changes})


def total_probability(record: DecisionRecord) -> float:
    return sum(candidate.selection_probability or 0.0 for candidate in record.candidates)
