"""Past sends with a planted effect of the hour: who is sent when may depend on how good a customer is."""

import numpy as np
from numpy.typing import NDArray

from foretouch.serving.models.send_effect import DAY_HOURS
from foretouch.training.send_effect import Sends
from foretouch.training.send_effect_rows import slot_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOURS_USED = np.arange(9, 21)


def bump(peak: float, height: float, width: float = 3.0) -> FloatArray:
    """Logarithm of a daily effect: a bump of some height around a peak, shape (24,)."""
    hour = np.arange(DAY_HOURS)
    away = np.minimum((hour - peak) % 24, (peak - hour) % 24)
    return np.asarray(height * np.exp(-0.5 * np.square(away / width)))


def make_sends(
    hour: IntArray,
    level: FloatArray,
    log_effect: FloatArray,
    rng: np.random.Generator,
    *,
    own: FloatArray | None = None,
    slot_probability: FloatArray | None = None,
    channel: IntArray | None = None,
    segment: IntArray | None = None,
) -> Sends:
    """Sends of customers (rows) at local hours of the week, with drawn responses.

    Args:
        hour: Local hour of the week, shape (customers, sends each).
        level: Chance of a response at an average hour, shape (customers,).
        log_effect: Logarithm of the effect of each send's hour, shape (customers, sends each).
        rng: Source of the draws.
        own: Share of activity by hour of day, shape (customers, 24); everyone alike without it.
        slot_probability: Logged probability of the slot, shape like ``hour``.
        channel: Shape like ``hour``; one channel without it.
        segment: Shape (customers,).
    """
    customers, each = hour.shape
    chance = np.clip(level[:, None] * np.exp(log_effect), 0.0, 1.0)
    response = (rng.random(hour.shape) < chance).astype(np.float64).reshape(-1)
    who = np.repeat(np.arange(customers), each)
    shares = np.full((customers, DAY_HOURS), 1 / DAY_HOURS) if own is None else own
    logged = np.full(hour.size, np.nan) if slot_probability is None else slot_probability.reshape(-1)
    channels = np.zeros(hour.size, dtype=np.int64) if channel is None else channel.reshape(-1)
    segments = np.full(customers, -1, dtype=np.int64) if segment is None else segment
    return Sends(
        customer=np.array([f"c{index}" for index in who], dtype=object),
        stratum=who.astype(np.int64),
        hour=hour.reshape(-1).astype(np.int64),
        channel=channels,
        offer=rng.integers(0, 4, hour.size),
        segment=segments[who],
        own=shares[who],
        response=response,
        weight=slot_weights(logged),
        micros=np.tile(np.arange(each, dtype=np.int64), customers),
        logged=np.isfinite(logged),
        channels=("email", "sms")[: int(channels.max()) + 1],
        segments=() if segment is None else ("gold", "tin"),
        offers=tuple("0123"),
    )


def favoured_hours(rng: np.random.Generator, level: FloatArray, each: int, *, best: int) -> IntArray:
    """Hours of the week, shape (customers, each): the better a customer, the more of their sends go out at ``best``."""
    share = np.where(level > np.quantile(level, 0.8), 0.9, 0.02)
    day = rng.integers(0, 7, (len(level), each))
    hour = rng.choice(HOURS_USED, (len(level), each))
    hour = np.where(rng.random(hour.shape) < share[:, None], best, hour)
    return np.asarray(day * DAY_HOURS + hour, dtype=np.int64)
