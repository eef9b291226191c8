"""Models for the world in which rules break first: offers are scored, and hours have an effect that is identified.

What they say does not matter to the judge of the rules; that they pull does: towards some offers, and towards hours at
night and at weekends, which the rules forbid.
"""

import datetime as dt
import zlib
from collections.abc import Sequence

import lightgbm
import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import Calibration, GoldenRows, ModelCard, ModelInput, write_aliases, write_bundle
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.models import ModelName
from foretouch.core.workspace import Workspace
from foretouch.serving.models.rhythm import CELL_INPUTS, HOURS, Rhythm, cell_inputs
from foretouch.serving.models.send_effect import EXTRA, SendEffect

SEED = 20250330
OFFER_INPUTS = (
    ModelInput(name="recency_days", view="customer_purchases"),
    ModelInput(name="offer_value", view="cross"),
    ModelInput(name="offer_remaining_days", view="cross"),
)


class Features:
    """A feature store that knows everybody: days since the last purchase, and hours of purchases, by customer."""

    def read(self, customer_id: str) -> FeatureSnapshot:
        """The same values for the same customer; a third bought at night, a third by day, a third never."""
        kind = zlib.crc32(customer_id.encode()) % 3
        hours = np.zeros(HOURS)
        if kind:
            hours[np.arange(HOURS) % 24 == (23 if kind == 1 else 13)] = 3.0
        days = 3.0 + zlib.crc32(customer_id.encode()) % 40
        return FeatureSnapshot(known=True, values={"recency_days": days, "purchase_hours": hours.tolist()})

    def refresh(self, _customer_ids: Sequence[str], _now: dt.datetime) -> None:
        """Nothing to compute again."""


def write_models(workspace: Workspace, channels: Sequence[str]) -> None:
    """Writes an offer and a send-time model, and makes them champions."""
    rng = np.random.default_rng(SEED)
    rows = rng.gamma(2.0, 5.0, (600, len(OFFER_INPUTS)))
    bought = rng.random(600) < 1.0 / (1.0 + np.exp(0.15 * (rows[:, 0] - rows[:, 1])))
    calibration = Calibration(method="isotonic", x=(0.0, 0.5, 1.0), y=(0.01, 0.3, 0.9))
    _write(workspace, "offer", OFFER_INPUTS, rows, bought.astype(float), calibration=calibration)
    _write_hours(workspace, channels, rng)


def _write_hours(workspace: Workspace, channels: Sequence[str], rng: np.random.Generator) -> None:
    everyone = np.full(HOURS, 1.0 / HOURS)
    night = np.where((np.arange(HOURS) % 24 >= 22) | (np.arange(HOURS) % 24 < 6), 0.9, 0.0)
    effect = SendEffect(
        identified=True,
        why="planted",
        everyone={name: night + rng.normal(0.0, 0.3, HOURS) for name in channels},
        supported={name: np.ones(24, dtype=bool) for name in channels},
        lag=rng.normal(0.0, 0.4, 24),
    )
    about = Rhythm(
        counts_feature="purchase_hours",
        segment_feature="",
        everyone=everyone,
        segments={},
        concentration=10.0,
        bandwidth=1.0,
        other_days=0.5,
        refined=False,
    )
    rows = rng.random((400, len(CELL_INPUTS)))
    extras = {**about.to_extras(), EXTRA: effect.to_extras()}
    _write(workspace, "send-time", cell_inputs(), rows, rng.poisson(2.0, 400).astype(float), extras=extras)


def _write(
    workspace: Workspace,
    model: ModelName,
    inputs: tuple[ModelInput, ...],
    rows: NDArray[np.float64],
    label: NDArray[np.float64],
    *,
    calibration: Calibration | None = None,
    extras: dict[str, object] | None = None,
) -> None:
    hours = model == "send-time"
    settings = {"objective": "poisson" if hours else "binary", "verbose": -1, "num_threads": 1, "seed": SEED}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, label), num_boost_round=10)
    raw = tuple(np.asarray(booster.predict(rows[:4], num_threads=1)).tolist())
    curve = calibration or Calibration()
    now = workspace.clock.now()
    card = ModelCard(
        model=model,
        version="rules",
        target="distribution" if hours else "probability",
        feature_service=f"{model.replace('-', '_')}_v1",
        inputs=inputs,
        calibration=curve,
        trained_through=now,
        created_at=now,
        data_sha256="0" * 64,
        extras=extras or {},
    )
    golden = GoldenRows(
        inputs=tuple(tuple(row) for row in rows[:4].tolist()),
        raw=raw,
        calibrated=tuple(curve.apply(value) for value in raw),
    )
    write_bundle(workspace.bundles, card, booster.model_to_string(), golden)
    write_aliases(workspace.bundles, model, {"champion": "rules"})
