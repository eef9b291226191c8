"""Laws of the hour patterns: they are distributions, they turn with the clock, they fall back and they find peaks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.bundle import ModelCard
from foretouch.serving.models.rhythm import (
    CELL_INPUTS,
    HOURS,
    FloatArray,
    Rhythm,
    back_off,
    cell_inputs,
    cells,
    hour_distribution,
    read_counts,
    refined_shares,
    smooth,
)

UNIFORM = np.full(HOURS, 1.0 / HOURS)
_BUSY = np.tile(np.where(np.arange(24) >= 18, 5.0, 1.0), 7)
EVENING = _BUSY / _BUSY.sum()
NONE = np.array([None], dtype=object)


def rhythm(**changes: Any) -> Rhythm:
    """Everyone uniform, one segment in the evening."""
    values: dict[str, Any] = {
        "counts_feature": "purchase_hours",
        "segment_feature": "rfm_tier",
        "everyone": UNIFORM,
        "segments": {"gold": EVENING},
        "concentration": 10.0,
        "bandwidth": 1.0,
        "other_days": 0.5,
        "refined": False,
    }
    return Rhythm(**{**values, **changes})


class Factors:
    """A scorer whose trees give the same factor for the same hour of day."""

    def __init__(self, about: Rhythm, by_hour: FloatArray) -> None:
        now = datetime(2024, 5, 1, tzinfo=UTC)
        self._card = ModelCard(
            model="send-time",
            version="1",
            target="distribution",
            feature_service="send_time_v1",
            inputs=cell_inputs(),
            trained_through=now,
            created_at=now,
            data_sha256="0" * 64,
            extras=orjson.loads(orjson.dumps(about.to_extras())),
        )
        self._by_hour = by_hour

    @property
    def card(self) -> ModelCard:
        """Only extras are read."""
        return self._card

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        """By the first column, the hour of day."""
        return np.asarray(self._by_hour[vectors[:, 0].astype(int)])


def ask(about: Rhythm, values: Mapping[str, Any], by_hour: FloatArray | None = None) -> tuple[FloatArray, float]:
    """As the service asks."""
    return hour_distribution(Factors(about, np.ones(24) if by_hour is None else by_hour), values)


counts = st.lists(st.integers(0, 30), min_size=HOURS, max_size=HOURS).map(lambda items: np.array(items, dtype=float))


@settings(max_examples=40, deadline=None)
@given(
    own=counts,
    bandwidth=st.floats(0.0, 6.0),
    other=st.floats(0.0, 1.0),
    concentration=st.floats(0.5, 500.0),
    name=st.sampled_from([None, "gold", "tin"]),
)
def test_shares_are_a_distribution(
    own: FloatArray, bandwidth: float, other: float, concentration: float, name: str | None
) -> None:
    about = rhythm(bandwidth=bandwidth, other_days=other, concentration=concentration)
    shares, support = ask(about, {"purchase_hours": own.tolist(), "rfm_tier": name})
    assert shares.shape == (HOURS,)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert (shares > 0).all()
    assert support == own.sum()
    spread = smooth(own[None, :], bandwidth=bandwidth, other_days=other)
    assert spread.sum() == pytest.approx(own.sum())
    assert (spread >= -1e-12).all()


@settings(max_examples=20, deadline=None)
@given(own=counts, days=st.integers(0, 6))
def test_a_week_moved_by_whole_days_moves_the_shares(own: FloatArray, days: int) -> None:
    about = rhythm(segments={})
    moved = back_off(about, np.roll(own, 24 * days)[None, :], NONE)[0]
    np.testing.assert_allclose(moved, np.roll(back_off(about, own[None, :], NONE)[0], 24 * days), atol=1e-12)


def test_without_own_events_it_is_the_segment_and_without_a_segment_everyone() -> None:
    for nothing in (None, [], "text", [1.0] * 24, [[1.0] * HOURS], float("nan"), [None] * HOURS):
        shares, support = ask(rhythm(), {"purchase_hours": nothing, "rfm_tier": "gold"})
        np.testing.assert_allclose(shares, EVENING)
        assert support == 0.0
    np.testing.assert_allclose(ask(rhythm(), {"rfm_tier": "tin"})[0], UNIFORM)
    np.testing.assert_allclose(ask(rhythm(), {})[0], UNIFORM)


def test_many_events_outweigh_everyone_and_few_do_not() -> None:
    own = np.zeros(HOURS)
    own[30] = 1.0
    about = rhythm(bandwidth=0.0, other_days=0.0, segments={})
    weights = [back_off(about, own[None, :] * n, NONE)[0][30] for n in (0, 1, 10, 100, 1000)]
    assert weights == sorted(weights)
    assert weights[2] == pytest.approx(0.5 + 0.5 / HOURS)
    assert weights[-1] > 0.98


def test_the_kernel_goes_round_the_end_of_the_week() -> None:
    own = np.zeros((1, HOURS))
    own[0, HOURS - 1] = 1.0
    spread = smooth(own, bandwidth=1.0, other_days=0.0)[0]
    assert spread[0] == pytest.approx(spread[HOURS - 2])
    assert spread[0] == pytest.approx(np.exp(-0.5) * spread[HOURS - 1])


def test_unreadable_counts_are_no_events_and_odd_cells_are_none() -> None:
    raw: list[Any] = [1.0] * HOURS
    raw[3], raw[4] = float("inf"), -2.0
    assert read_counts(raw).sum() == HOURS - 2
    assert read_counts(b"abc").sum() == 0.0


def test_factors_turn_the_shares_and_ones_leave_them() -> None:
    about = rhythm(refined=True)
    values = {"purchase_hours": [0.0] * HOURS, "rfm_tier": None}
    np.testing.assert_allclose(ask(about, values)[0], UNIFORM)
    double = np.ones(24)
    double[9] = 2.0
    shares = ask(about, values, double)[0].reshape(7, 24)
    np.testing.assert_allclose(shares[:, 9] / shares[:, 8], 2.0)
    assert shares.sum() == pytest.approx(1.0)


def test_one_customer_asked_alone_gets_what_they_get_among_many() -> None:
    rng = np.random.default_rng(3)
    own = rng.poisson(0.4, (50, HOURS)).astype(float)
    names = np.array([("gold", None, "tin")[row % 3] for row in range(50)], dtype=object)
    about = rhythm(refined=True)
    by_hour = rng.uniform(0.5, 2.0, 24)

    def factors(vectors: FloatArray) -> FloatArray:
        return np.asarray(by_hour[vectors[:, 0].astype(int)])

    together = refined_shares(about, own, names, factors)
    for row in range(50):
        alone, _ = ask(about, {"purchase_hours": own[row], "rfm_tier": names[row]}, by_hour)
        np.testing.assert_allclose(alone, together[row], rtol=1e-12)


def test_cells_hold_every_input_in_order() -> None:
    own = np.zeros((2, HOURS))
    own[1, 26] = 4.0
    about = rhythm(segments={})
    names = np.array([None, None], dtype=object)
    grid = cells(about, own, names, back_off(about, own, names))
    assert grid.shape == (2 * HOURS, len(CELL_INPUTS))
    columns = {name: grid[:, index].reshape(2, HOURS) for index, name in enumerate(CELL_INPUTS)}
    assert columns["hour_of_day"][0, 26] == 2
    assert columns["day_of_week"][0, 26] == 1
    assert np.isnan(columns["share_own"][0]).all()
    assert columns["share_own"][1, 26] == 1.0
    assert columns["share_same_hour"][1, 2] == 1.0
    assert columns["share_same_day"][1, 47] == 1.0
    assert columns["events"][1, 0] == 4.0
    assert columns["share_hour_before"][1, 27] == pytest.approx(-columns["share_hour_after"][1, 26])


def test_the_card_keeps_the_patterns() -> None:
    about = rhythm()
    back = Rhythm.from_extras(orjson.loads(orjson.dumps(about.to_extras())))
    np.testing.assert_array_equal(back.everyone, about.everyone)
    np.testing.assert_array_equal(back.segments["gold"], EVENING)
    assert (back.concentration, back.bandwidth, back.other_days, back.refined) == (10.0, 1.0, 0.5, False)
    assert Rhythm.from_extras(about.to_extras(), segment="tin").segments == {}
