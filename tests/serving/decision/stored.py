"""A decision of 20 offers on 3 channels for a customer with every feature of a real workspace: what a record weighs."""

from datetime import timedelta
from typing import Any

import numpy as np

from foretouch.core.config import ChannelSection, Config
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.offers import Catalogue, Offer, Treatment
from foretouch.features.catalogue import features_of
from foretouch.serving.decision.inputs import DecisionInputs
from tests.serving.decision.world import NOW, inputs

CHANNELS = ("email", "sms", "push")
OFFERS = 20


def big_catalogue() -> Catalogue:
    """Twenty offers with a treatment on each of three channels."""
    rng = np.random.default_rng(5)
    return Catalogue(
        offers=tuple(
            Offer(
                offer_id=f"campaign-{number}",
                name=f"Campaign {number}",
                category=f"category-{number % 4}",
                channels=CHANNELS,
                value=float(rng.gamma(3.0, 3.0)),
                cost=float(rng.random()),
                eligibility="" if number % 5 else f"feature.recency_days < {number}.0",
                treatments=tuple(
                    Treatment(
                        treatment_id=f"campaign-{number}-{channel}", offer_id=f"campaign-{number}", channel=channel
                    )
                    for channel in CHANNELS
                ),
            )
            for number in range(OFFERS)
        )
    )


def full_features(seed: int = 3) -> FeatureSnapshot:
    """Every feature that a workspace has, with as many digits as a float can have, and hours of the week."""
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {
        name: "some level" if spec.kind == "category" else float(rng.gamma(2.0, 10.0))
        for name, spec in features_of(Config()).items()
    }
    for name in values:
        if name.endswith("_hours"):
            values[name] = [float(count) for count in rng.poisson(0.7, 168)]
    values["recency_days"] = 12.5
    views = {spec.view for spec in features_of(Config()).values()}
    return FeatureSnapshot(known=True, values=values, as_of=dict.fromkeys(sorted(views), NOW - timedelta(hours=5)))


def big_inputs(**changes: Any) -> DecisionInputs:
    """Inputs of such a decision, for a customer who was contacted thirty times lately."""
    consents = {f"{channel}/{purpose}": True for channel in CHANNELS for purpose in ("marketing", "retention")}
    counters = CounterSnapshot(
        known=True,
        time_zone="Europe/Berlin",
        household_id="h-77",
        language="en",
        attributes={"tier": "gold", "tenure_days": 812, "opted_in": True},
        consents={**consents, "push/marketing": False},
        contacts=tuple(
            PastContact(at=NOW - timedelta(days=day, minutes=day * 7), channel=CHANNELS[day % 3], offer_id="old")
            for day in range(1, 31)
        ),
        offer_totals={f"campaign-{number}": number * 17 for number in range(OFFERS)},
    )
    config = Config(channels={name: ChannelSection(cost=0.01 * index) for index, name in enumerate(CHANNELS, start=1)})
    given: dict[str, Any] = {
        "catalogue": big_catalogue(),
        "features": full_features(),
        "counters": counters,
        "config": config,
    }
    return inputs(**{**given, **changes})


def big_request(**changes: Any) -> DecisionRequest:
    """A request as a campaign engine sends it."""
    return DecisionRequest.model_validate(
        {
            "customer_id": "ann",
            "touchpoint": "weekly-email",
            "request_id": "weekly-2026-03-10-ann",
            "context": {"intent": "browse", "cart": 12.5, "logged_in": True},
            "options": {"explain": "full"},
            **changes,
        }
    )
