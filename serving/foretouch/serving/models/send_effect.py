"""What sending at an hour does to the response: multipliers by channel and local hour of the week. Pure.

It is the *effect of sending*, learnt from past sends whose hours were varied; when customers are active is another
question (``rhythm.py``). A multiplier of 1.2 says: one and a fifth times the response of the average hour.

Back-off, level by level, each drawn towards the one before as far as calibration data said (``training.send_effect``)::

    log effect(channel, h) = everyone[channel](h) + look_alikes[segment](h mod 24)
                             + sum_d lag(d) x own(h - d)

with ``own`` the customer's own share of activity by hour of day, itself drawn towards look-alikes and everyone; ``lag``
says how much better a message does d hours after the customer's own busy hours. An hour of day at which nothing was
ever sent on a channel gets no more than the average. The result is scaled to a mean of 1 over the 168 hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

EXTRA: Final = "effect_of_sending"
"""Where a send-time model's card keeps it, in ``extras``."""
EVERY_CHANNEL: Final = "*"
HOURS, DAY_HOURS, DAYS = 168, 24, 7
_LAG: Final = (np.arange(DAY_HOURS)[:, None] - np.arange(DAY_HOURS)[None, :]) % DAY_HOURS
"""At [h, d]: the hour of day that lies d hours before h."""


@dataclass(frozen=True, kw_only=True)
class SendEffect:
    """Everything the multipliers need besides a customer's own hours.

    Attributes:
        identified: Whether sends were spread over hours enough to tell.
        why: One sentence: on what that rests, or what is missing.
        everyone: Logarithm of everyone's effect by channel (``*`` is every channel), shape (168,) each.
        supported: By channel: hours of day at which something was sent, shape (24,).
        segments: Logarithm of the look-alikes' factor by value of the segment feature, shape (24,) each.
        lag: Logarithm of the factor d hours after an hour that holds all of a customer's activity, shape (24,).
    """

    identified: bool
    why: str = ""
    everyone: Mapping[str, FloatArray] = field(default_factory=dict)
    supported: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    segments: Mapping[str, FloatArray] = field(default_factory=dict)
    lag: FloatArray | None = None

    @classmethod
    def from_extras(cls, extras: Mapping[str, Any]) -> "SendEffect":
        """Reads what ``to_extras`` wrote; a card without it has no effect that is identified."""
        stored = extras.get(EXTRA)
        if not isinstance(stored, Mapping) or not stored.get("identified", False):
            why = (
                str(stored.get("why", "")) if isinstance(stored, Mapping) else "the model was made before effects were"
            )
            return cls(identified=False, why=why)
        return cls(
            identified=True,
            why=str(stored["why"]),
            everyone={name: np.asarray(values, dtype=np.float64) for name, values in stored["everyone"].items()},
            supported={name: np.asarray(flags, dtype=bool) for name, flags in stored["supported"].items()},
            segments={name: np.asarray(values, dtype=np.float64) for name, values in stored["segments"].items()},
            lag=None if stored["lag"] is None else np.asarray(stored["lag"], dtype=np.float64),
        )

    def to_extras(self) -> dict[str, Any]:
        """JSON values for a model card."""
        return {
            "identified": self.identified,
            "why": self.why,
            "everyone": {name: _numbers(values) for name, values in sorted(self.everyone.items())},
            "supported": {name: [bool(flag) for flag in flags] for name, flags in sorted(self.supported.items())},
            "segments": {name: _numbers(values) for name, values in sorted(self.segments.items())},
            "lag": None if self.lag is None else _numbers(self.lag),
        }

    def of(self, own: FloatArray, segment: object = None) -> dict[str, FloatArray]:
        """One customer's multipliers by channel; empty where the effect is not identified.

        Args:
            own: The customer's share of activity by local hour of the week, shape (168,), summing to 1.
            segment: Value of the segment feature.

        Returns:
            Shape (168,) each, Monday 00h first, positive, mean 1.
        """
        if not self.identified:
            return {}
        daily = self.segments.get(str(segment))
        if self.lag is not None:
            moved = fold(own[None, :])[0][_LAG] @ self.lag
            daily = moved if daily is None else daily + moved
        shift = 0.0 if daily is None else np.concatenate((daily,) * DAYS)
        return {
            channel: multipliers((values + shift)[None, :], self.supported[channel])[0]
            for channel, values in self.everyone.items()
        }


def multipliers(logs: FloatArray, supported: NDArray[np.bool_]) -> FloatArray:
    """Multipliers from logarithms; what was never tried gets no more than the average of what was.

    Args:
        logs: Shape (n, 168).
        supported: Hours of day at which something was sent, shape (24,); at least one.

    Returns:
        Shape (n, 168), each row with mean 1.
    """
    factor = np.exp(logs - logs.max(axis=1, keepdims=True))
    tried = np.concatenate((supported,) * DAYS)
    average = factor[:, tried].mean(axis=1, keepdims=True)
    factor = np.where(tried[None, :], factor, np.minimum(factor, average))
    return np.asarray(factor / factor.mean(axis=1, keepdims=True))


def fold(shares: FloatArray) -> FloatArray:
    """Shares by hour of day from shares by hour of week: (n, 168) to (n, 24)."""
    return np.asarray(shares.reshape(-1, DAYS, DAY_HOURS).sum(axis=1))


def lagged(own: FloatArray, hour: NDArray[np.int64]) -> FloatArray:
    """Own share of activity d hours before a send, for d = 0…23: what ``lag`` is multiplied with.

    Args:
        own: Shares by hour of day, shape (n, 24).
        hour: Local hour of day of the send, shape (n,).

    Returns:
        Shape (n, 24).
    """
    return np.asarray(np.take_along_axis(own, _LAG[hour], axis=1))


def _numbers(values: FloatArray) -> list[float]:
    return [round(float(value), 6) for value in values]
