"""The workspace that ``foretouch bench serve`` measures on: real models and rules, drawn customers, no campaign data.

Twenty offers on three channels, four LightGBM models of 300 trees with 63 leaves over 50 inputs, and customers whose
online features are drawn from gamma distributions. Everybody has consented, so that every candidate is scored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import Calibration, GoldenRows, ModelCard, ModelInput, write_aliases, write_bundle
from foretouch.core.events import Consent
from foretouch.core.models import ModelName
from foretouch.core.offers import Offer
from foretouch.core.state.db import State
from foretouch.core.state.people import Person, add_consents, upsert_customers
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import SERVICE_VIEWS, SERVICES, VIEWS, FeatureSpec, view_features
from foretouch.features.crosses import CROSS_FEATURES, OFFER_FEATURES, pair_row
from foretouch.features.initialise import initialise
from foretouch.features.offers import load_catalogue
from foretouch.features.online import online_file
from foretouch.features.packed import FeatureRow, open_packed, write_rows
from foretouch.serving.decision.assignment import assign
from foretouch.serving.models.bundles import load_scorer
from foretouch.serving.models.rhythm import HOURS

FloatArray = NDArray[np.float64]

CHANNELS = {"email": 0.01, "sms": 0.05, "push": 0.002}
OFFERS, CATEGORIES = 20, ("food", "home", "garden", "toys")
INPUTS, OFFER_OWN = 50, 10
"""Inputs of every model; of the offer model's, those that are the offer's or the pair's."""
TREES, LEAVES = 300, 63
CUSTOMER_MODELS: tuple[ModelName, ...] = ("lead", "churn", "value")
PURPOSES = ("marketing", "retention", "service")
FILE = "bench.json"

CONFIG = """
[features]
categories = ["food", "home", "garden", "toys", "books", "drinks"]
max_age_hours = 8760

[goals.lead.points]
page_view = 5
form_submit = 10

[channels.email]
cost = {email}
[channels.sms]
cost = {sms}
[channels.push]
cost = {push}
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the workspace is.

    Attributes:
        customers: With features and consents.
        rows: Training rows of each model.
        trees: Of each model.
        leaves: Of each tree.
    """

    customers: int = 20_000
    rows: int = 20_000
    trees: int = TREES
    leaves: int = LEAVES


@dataclass(frozen=True, kw_only=True)
class BenchWorld:
    """What was made.

    Attributes:
        workspace: Ready to serve.
        customers: Whom to ask about: nobody of them is held out.
        features: Parquet file of everybody's features, for peers.
        peers: JSON file of offers and models, for peers.
    """

    workspace: Workspace
    customers: tuple[str, ...]
    features: Path
    peers: Path


def build_world(root: Path, size: Size) -> BenchWorld:
    """Makes the workspace.

    Args:
        root: A folder that is not there yet.
        size: How large.
    """
    workspace = _configured(root)
    now = workspace.clock.now()
    specs = _numbers(workspace)
    names = [f"c{index:06d}" for index in range(size.customers)]
    rng = np.random.default_rng(7)
    values = rng.gamma(2.0, rng.uniform(0.5, 20.0, len(specs)), size=(size.customers, len(specs)))
    values[rng.random(values.shape) < 0.05] = np.nan
    frame = pd.DataFrame(values, columns=[spec.name for spec in specs], index=pd.Index(names, name="customer_id"))
    _write_people(workspace, names, now)
    _write_online(workspace, frame, specs, rng, now)
    catalogue = load_catalogue(workspace).offers
    _fit_models(workspace, frame, catalogue, size, now)
    features, peers = root / "features.parquet", root / FILE
    frame.reset_index().to_parquet(features)
    peers.write_bytes(orjson.dumps(_for_peers(workspace, specs, catalogue, now)))
    return BenchWorld(workspace=workspace, customers=_treated(workspace, names, now), features=features, peers=peers)


def _configured(root: Path) -> Workspace:
    workspace = initialise(root).workspace
    path = root / "foretouch.toml"
    head = path.read_text(encoding="utf-8").partition("\n[goals.lead]")[0]
    path.write_text(head + "\n" + CONFIG.format(**CHANNELS), encoding="utf-8")
    pd.DataFrame([_offer(index, workspace.clock.now()) for index in range(OFFERS)]).to_parquet(
        workspace.table("offers")
    )
    pd.DataFrame({"treatment_id": [], "offer_id": [], "channel": [], "name": []}, dtype=str).to_parquet(
        workspace.table("treatments")
    )
    return Workspace.open(root)


def _offer(index: int, now: datetime) -> dict[str, Any]:
    shares = np.random.default_rng(index).dirichlet(np.ones(len(CATEGORIES)))
    return {
        "offer_id": f"offer-{index:02d}",
        "name": f"Offer {index}",
        "category": CATEGORIES[index % len(CATEGORIES)],
        "channels": json.dumps(list(CHANNELS)),
        "value": 5.0 + index,
        "cost": 0.5 + 0.1 * index,
        "starts_at": now - timedelta(days=10 + index),
        "ends_at": now + timedelta(days=20 + index),
        "eligibility": "feature.recency_days >= 0" if index % 4 == 0 else "",
        "caps": "{}",
        "placement": None,
        "coupons": float(index),
        "products": float(10 * index),
        **{f"share_{name}": float(share) for name, share in zip(CATEGORIES, shares, strict=True)},
    }


def _numbers(workspace: Workspace) -> list[FeatureSpec]:
    """Every number that the models may see, in the order of views."""
    views = SERVICE_VIEWS["offer"]
    return [spec for view in views for spec in view_features(workspace.config, view) if spec.kind == "number"]


def _write_people(workspace: Workspace, names: Sequence[str], now: datetime) -> None:
    zones = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Asia/Kolkata")
    people = [Person(customer_id=name, time_zone=zones[index % 4]) for index, name in enumerate(names)]
    consents = (
        Consent(
            customer_id=name,
            channel=channel,
            purpose=purpose,
            granted=True,
            at=now - timedelta(days=30),
            source="bench",
        )
        for name in names
        for channel in CHANNELS
        for purpose in PURPOSES
    )
    with State(workspace.state_file) as state:
        state.write(lambda connection: upsert_customers(connection, people))
        state.write(lambda connection: add_consents(connection, consents))


def _write_online(
    workspace: Workspace, frame: pd.DataFrame, specs: Sequence[FeatureSpec], rng: np.random.Generator, now: datetime
) -> None:
    at = now - timedelta(hours=1)
    connection = open_packed(online_file(workspace))
    by_view = {view: [spec.name for spec in specs if spec.view == view] for view in VIEWS}
    rows = []
    for name, values in zip(frame.index, frame.to_dict("records"), strict=True):
        for view, columns in by_view.items():
            features: dict[str, Any] = {column: values[column] for column in columns}
            if view == "customer_rhythm":
                hours = rng.poisson(0.15, size=(2, HOURS)).tolist()
                features = {"purchase_hours": hours[0], "engagement_hours": hours[1], "weekend_share": 0.3}
            elif view == "customer_profile":
                features |= {"rfm_tier": "gold", "lifecycle_stage": "active"}
            elif view == "customer_preferences":
                features["favourite_category"] = "food"
            rows.append(FeatureRow(entity=str(name), view=view, event_at=at, created_at=at, features=features))
    write_rows(connection, rows)
    connection.close()


def _fit_models(workspace: Workspace, frame: pd.DataFrame, offers: Sequence[Offer], size: Size, now: datetime) -> None:
    rng = np.random.default_rng(11)
    taken = frame.iloc[rng.integers(0, len(frame), size.rows)]
    names = list(frame.columns)
    customers = tuple(ModelInput(name=name, view=_view(workspace, name)) for name in names[:INPUTS])
    for model in CUSTOMER_MODELS:
        _fit(workspace, model, customers, taken[names[:INPUTS]].to_numpy(), size=size, now=now, amount=model == "value")
    own = (*OFFER_FEATURES[1:], *CROSS_FEATURES)[-OFFER_OWN:]
    inputs = (*customers[: INPUTS - OFFER_OWN], *(ModelInput(name=name, view="cross") for name in own))
    known = taken.astype(object).where(taken.notna(), None).to_dict("records")
    records = [{str(name): value for name, value in record.items()} for record in known]
    which = rng.integers(0, len(offers), size.rows)
    rows = [pair_row(record, offers[index], now) for record, index in zip(records, which, strict=True)]
    vectors = np.array([[np.nan if row[item.name] is None else row[item.name] for item in inputs] for row in rows])
    _fit(workspace, "offer", inputs, vectors.astype(np.float64), size=size, now=now, amount=False)


def _view(workspace: Workspace, name: str) -> str:
    return next(spec.view for view in VIEWS for spec in view_features(workspace.config, view) if spec.name == name)


def _fit(
    workspace: Workspace,
    model: ModelName,
    inputs: tuple[ModelInput, ...],
    vectors: FloatArray,
    *,
    size: Size,
    now: datetime,
    amount: bool,
) -> None:
    """Fits one model to a label that bends and crosses the inputs, and writes its bundle as champion."""
    rng = np.random.default_rng(len(model))
    known = np.nan_to_num(vectors)
    scale = known.std(axis=0) + 1e-9
    drawn = (known / scale) @ rng.normal(0.0, 0.4, vectors.shape[1]) + np.sin(known[:, 0] / scale[0] * 3.0)
    drawn += known[:, -1] / scale[-1] * known[:, 1] / scale[1]
    drawn -= drawn.mean()
    label = np.maximum(drawn + 5.0, 0.0) if amount else (rng.random(len(drawn)) < 1.0 / (1.0 + np.exp(-drawn)))
    parameters = {
        "objective": "regression" if amount else "binary",
        "num_leaves": size.leaves,
        "learning_rate": 0.03,
        "verbose": -1,
        "num_threads": 2,
        "seed": 1,
    }
    booster = lightgbm.train(parameters, lightgbm.Dataset(vectors, label.astype(float)), size.trees)
    raw = np.asarray(booster.predict(vectors[:2000], num_threads=1), dtype=np.float64)
    knots = np.linspace(0.0, 1.0, 20)
    calibration = Calibration() if amount else Calibration(method="isotonic", x=tuple(knots), y=tuple(knots**1.1))
    card = ModelCard(
        model=model,
        version="bench",
        target="amount" if amount else "probability",
        feature_service=SERVICES[model],
        inputs=inputs,
        calibration=calibration,
        trained_through=now - timedelta(days=1),
        created_at=now,
        data_sha256="0" * 64,
        extras={"percentiles": np.quantile(raw, np.linspace(0.0, 1.0, 101)).tolist()} if amount else {},
    )
    golden = GoldenRows(
        inputs=tuple(tuple(None if np.isnan(x) else float(x) for x in row) for row in vectors[:5]),
        raw=tuple(raw[:5].tolist()),
        calibrated=tuple(calibration.apply(value) for value in raw[:5].tolist()),
    )
    write_bundle(workspace.bundles, card, booster.model_to_string(), golden)
    write_aliases(workspace.bundles, model, {"champion": "bench"})


def _treated(workspace: Workspace, names: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Customers whom no experiment holds out."""
    specs = workspace.experiments()
    return tuple(
        name
        for name in names
        if not any(
            found.holdout
            for found, _ in assign(specs, customer_id=name, household_id=None, touchpoint="default", at=now)
        )
    )


def _for_peers(
    workspace: Workspace, specs: Sequence[FeatureSpec], offers: Sequence[Offer], now: datetime
) -> dict[str, Any]:
    """What a peer needs to give the same answers: offers, channels, weights, and how each model is called."""
    policy = workspace.policy()
    models = {}
    for model in (*CUSTOMER_MODELS, "offer"):
        card = load_scorer(workspace.bundles, model, "bench").card
        models[model] = {
            "text": str(workspace.bundles / model / "bench" / "model.txt"),
            "inputs": [item.name for item in card.inputs],
            "x": card.calibration.x,
            "y": card.calibration.y,
            "percentiles": card.extras.get("percentiles"),
        }
    return {
        "now": now.isoformat(),
        "views": {
            view: [spec.name for spec in specs if spec.view == view] for view in dict.fromkeys(s.view for s in specs)
        },
        "channels": CHANNELS,
        "score_weights": {weight.model: weight.percent for weight in policy.score_weights},
        "offers": [offer.model_dump(mode="json") for offer in offers],
        "models": models,
    }
