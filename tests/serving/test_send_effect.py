"""Laws of the multipliers: mean 1, positive, mute where not identified, never high where nothing was tried."""

from datetime import UTC, datetime

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.bundle import ModelCard
from foretouch.serving.models.rhythm import HOURS, FloatArray, Rhythm, send_effect
from foretouch.serving.models.send_effect import EXTRA, SendEffect, fold, lagged, multipliers

UNIFORM = np.full(HOURS, 1.0 / HOURS)
DAYTIME = np.array([9 <= hour < 21 for hour in range(24)])
RHYTHM = Rhythm(
    counts_feature="purchase_hours",
    segment_feature="rfm_tier",
    everyone=UNIFORM,
    segments={},
    concentration=10.0,
    bandwidth=0.0,
    other_days=1.0,
    refined=False,
)


class Loaded:
    """A send-time model that has no trees."""

    def __init__(self, effect: SendEffect | None) -> None:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        extras = {**RHYTHM.to_extras(), **({} if effect is None else {EXTRA: effect.to_extras()})}
        self.card = ModelCard(
            model="send-time",
            version="1",
            target="distribution",
            feature_service="send_time_v1",
            inputs=(),
            trained_through=now,
            created_at=now,
            data_sha256="0" * 64,
            extras=orjson.loads(orjson.dumps(extras)),
        )

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """Never asked."""
        raise AssertionError(vectors)


def evening(**changes: object) -> SendEffect:
    """An effect that rises towards the evening on e-mail."""
    values = {
        "identified": True,
        "why": "planted",
        "everyone": {"email": np.tile(np.linspace(-0.5, 0.5, 24), 7)},
        "supported": {"email": DAYTIME},
        "segments": {"gold": np.zeros(24)},
    }
    return SendEffect(**{**values, **changes})  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    logs=st.lists(st.floats(-3.0, 3.0), min_size=HOURS, max_size=HOURS),
    tried=st.lists(st.booleans(), min_size=24, max_size=24).filter(any),
)
def test_multipliers_are_positive_with_mean_one_and_never_high_where_nothing_was_tried(
    logs: list[float], tried: list[bool]
) -> None:
    supported = np.array(tried)
    of = multipliers(np.array([logs]), supported)[0]
    assert of.shape == (HOURS,)
    assert (of > 0.0).all()
    assert of.mean() == pytest.approx(1.0)
    week = np.tile(supported, 7)
    if not week.all():
        assert of[~week].max() <= of[week].mean() + 1e-9


def test_a_model_without_an_effect_says_so() -> None:
    for effect in (None, SendEffect(identified=False, why="every send was at ten")):
        assert send_effect(Loaded(effect), {"purchase_hours": [1.0] * HOURS}) == ({}, False)


def test_the_service_reads_what_training_wrote() -> None:
    found, identified = send_effect(Loaded(evening()), {})
    assert identified
    assert set(found) == {"email"}
    direct = evening().of(UNIFORM)["email"]
    np.testing.assert_allclose(found["email"], direct, rtol=1e-5)
    assert found["email"].reshape(7, 24)[0].argmax() == 20, "23:00 was never tried"


def test_the_own_busy_hours_move_the_effect_by_the_lag() -> None:
    lag = np.zeros(24)
    lag[2] = 4.0
    effect = evening(everyone={"email": np.zeros(HOURS)}, supported={"email": np.ones(24, dtype=bool)}, lag=lag)
    for busy in (9, 13, 23):
        counts = np.zeros(HOURS)
        counts[busy] = 50.0
        found, _ = send_effect(Loaded(effect), {"purchase_hours": counts.tolist()})
        assert found["email"].reshape(7, 24)[0].argmax() == (busy + 2) % 24
    nobody, _ = send_effect(Loaded(effect), {})
    np.testing.assert_allclose(nobody["email"], 1.0)


def test_look_alikes_share_their_factor_and_strangers_have_none() -> None:
    morning = np.where(np.arange(24) < 12, 0.5, 0.0)
    effect = evening(everyone={"email": np.zeros(HOURS)}, segments={"gold": morning})
    gold, _ = send_effect(Loaded(effect), {"rfm_tier": "gold"})
    tin, _ = send_effect(Loaded(effect), {"rfm_tier": "tin"})
    assert gold["email"][10] > gold["email"][15]
    np.testing.assert_allclose(tin["email"][9:21], tin["email"][9])


def test_lagged_shares_lie_before_the_send() -> None:
    own = np.zeros((1, 24))
    own[0, 22] = 1.0
    assert lagged(own, np.array([1]))[0].argmax() == 3
    assert fold(UNIFORM[None, :])[0] == pytest.approx(np.full(24, 1 / 24))
