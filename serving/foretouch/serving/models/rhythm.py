"""When in the week a customer is active: 168 local hours, from their own events, look-alikes and everyone.

It is *activity* time. Whether a message sent at such an hour works better is another question: ``send_effect`` answers
it, from past sends whose hours were varied, or says that nobody can.

Back-off (a Dirichlet-multinomial posterior mean, level by level)::

    smooth_h  = (1 - other_days) * sum_g K(h - g) count_g + other_days * mean over the seven days of the same
    share_h   = (smooth_h + concentration * segment_h) / (n + concentration)

with K a Gaussian kernel on the circle of 168 hours, n the customer's own number of events, and ``segment`` the
pattern of the customer's look-alikes, itself drawn towards everyone's in the same way. Without own events the share
is the segment's; without a segment it is everyone's. Trees, where they won on calibration data, multiply the shares
by a factor per hour, and the result is scaled to sum to 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.serving.models.scoring import Scorer
from foretouch.serving.models.send_effect import SendEffect

FloatArray = NDArray[np.float64]

HOURS: Final = 168
_DAYS, _DAY_HOURS = 7, 24
_NARROWEST: Final = 0.05
"""A kernel narrower than this, in hours, reaches no neighbour."""

CELL_INPUTS: Final = (
    "hour_of_day",
    "day_of_week",
    "share_everyone",
    "share_segment_ratio",
    "share_own_ratio",
    "share_own",
    "share_hour_before",
    "share_hour_after",
    "share_same_hour",
    "share_same_day",
    "events",
)
"""What the trees see of one (customer, hour), in order."""


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """Everything the shares need besides a customer's own counts.

    Attributes:
        counts_feature: Feature with 168 counts, Monday 00h first, local time.
        segment_feature: Feature whose value names the customer's look-alikes; empty for none.
        everyone: Everyone's shares, shape (168,), summing to 1, none of them 0.
        segments: Shares of each segment, shape (168,) each, already drawn towards everyone's.
        concentration: Number of own events at which the customer's own pattern weighs as much as the segment's.
        bandwidth: Standard deviation of the kernel, hours; 0 smooths nothing.
        other_days: Weight of the same hours on other days, 0 to 1.
        refined: Whether the trees' factors are applied.
    """

    counts_feature: str
    segment_feature: str
    everyone: FloatArray
    segments: Mapping[str, FloatArray]
    concentration: float
    bandwidth: float
    other_days: float
    refined: bool

    @classmethod
    def from_extras(cls, extras: Mapping[str, Any], *, segment: object = None) -> "Rhythm":
        """Reads what ``to_extras`` wrote into a model card.

        Args:
            extras: The card's ``extras``.
            segment: Read this segment only; ``None`` reads all.
        """
        stored: Mapping[str, Any] = extras["segments"]
        wanted = stored if segment is None else {name: stored[name] for name in (str(segment),) if name in stored}
        return cls(
            counts_feature=str(extras["counts_feature"]),
            segment_feature=str(extras["segment_feature"]),
            everyone=np.asarray(extras["everyone"], dtype=np.float64),
            segments={name: np.asarray(shares, dtype=np.float64) for name, shares in wanted.items()},
            concentration=float(extras["concentration"]),
            bandwidth=float(extras["bandwidth"]),
            other_days=float(extras["other_days"]),
            refined=bool(extras["refined"]),
        )

    def to_extras(self) -> dict[str, Any]:
        """JSON values for a model card."""
        return {
            "counts_feature": self.counts_feature,
            "segment_feature": self.segment_feature,
            "everyone": [float(share) for share in self.everyone],
            "segments": {name: [float(share) for share in shares] for name, shares in sorted(self.segments.items())},
            "concentration": self.concentration,
            "bandwidth": self.bandwidth,
            "other_days": self.other_days,
            "refined": self.refined,
        }


def hour_distribution(scorer: Scorer, customer_values: Mapping[str, Any]) -> tuple[FloatArray, float]:
    """A customer's share of activity by local hour of the week.

    Args:
        scorer: The loaded send-time model.
        customer_values: Feature values by name; absent or unreadable counts are no events.

    Returns:
        Shares of shape (168,), Monday 00h first, positive, summing to 1; and the number of the customer's own events
        behind them (0 is the pattern of look-alikes or everyone).
    """
    extras = scorer.card.extras
    segment = customer_values.get(str(extras["segment_feature"]))
    rhythm = Rhythm.from_extras(extras, segment="" if segment is None else segment)
    counts = read_counts(customer_values.get(rhythm.counts_feature))[None, :]
    names = np.array([segment], dtype=object)
    shares = (
        refined_shares(rhythm, counts, names, scorer.predict) if rhythm.refined else back_off(rhythm, counts, names)
    )
    return shares[0], float(counts.sum())


def send_effect(scorer: Scorer, customer_values: Mapping[str, Any]) -> tuple[dict[str, FloatArray], bool]:
    """What sending at an hour does to a customer's response; see ``send_effect.py``. Never their activity.

    Args:
        scorer: The loaded send-time model.
        customer_values: Feature values by name; without the customer's own hours it is the effect on look-alikes.

    Returns:
        Multipliers by channel (``*`` is every channel without its own), shape (168,) each, Monday 00h first, mean 1;
        and whether the effect is identified. Where hours of sending were never varied it is not: then there are no
        multipliers, and every hour is believed to do alike.
    """
    effect = SendEffect.from_extras(scorer.card.extras)
    if not effect.identified:
        return {}, False
    extras = scorer.card.extras
    segment = customer_values.get(str(extras["segment_feature"]))
    rhythm = Rhythm.from_extras(extras, segment="" if segment is None else segment)
    counts = read_counts(customer_values.get(rhythm.counts_feature))[None, :]
    own = back_off(rhythm, counts, np.array([segment], dtype=object))[0]
    return effect.of(own, segment), True


def read_counts(value: object) -> FloatArray:
    """168 counts from a feature value; zeros where there is none or it cannot be read, shape (168,)."""
    if value is None or isinstance(value, (str, bytes)):
        return np.zeros(HOURS)
    try:
        counts = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros(HOURS)
    if counts.shape != (HOURS,):
        return np.zeros(HOURS)
    return np.where(np.isfinite(counts) & (counts > 0.0), counts, 0.0)


def smooth(counts: FloatArray, *, bandwidth: float, other_days: float) -> FloatArray:
    """Counts spread over neighbouring hours and the same hours of other days; every row keeps its sum.

    Args:
        counts: Shape (n, 168).
        bandwidth: Standard deviation of the circular Gaussian kernel, hours.
        other_days: Weight of the mean over days, 0 to 1.
    """
    spread = counts
    if bandwidth > _NARROWEST:
        spread = counts @ _kernel(bandwidth)
    by_hour = spread.reshape(-1, _DAYS, _DAY_HOURS).mean(axis=1)
    every_day = other_days * by_hour[:, None, :]
    mixed = (1.0 - other_days) * spread.reshape(-1, _DAYS, _DAY_HOURS) + every_day
    return np.asarray(mixed.reshape(-1, HOURS))


@lru_cache(maxsize=64)
def _kernel(bandwidth: float) -> FloatArray:
    """The circular Gaussian kernel, shape (168, 168): at [g, h] what an event in hour g counts in hour h."""
    distance = np.minimum(np.arange(HOURS), HOURS - np.arange(HOURS))
    kernel = np.exp(-0.5 * np.square(distance / bandwidth))
    kernel /= kernel.sum()
    hour = np.arange(HOURS)
    found: FloatArray = kernel[(hour[:, None] - hour[None, :]) % HOURS]
    found.flags.writeable = False
    return found


def prior_shares(rhythm: Rhythm, segments: "NDArray[np.object_]") -> FloatArray:
    """The pattern that each customer's own is drawn towards: the segment's, else everyone's, shape (n, 168)."""
    prior = np.tile(rhythm.everyone, (len(segments), 1))
    names = np.array([str(name) for name in segments], dtype=object)
    for name, shares in rhythm.segments.items():
        prior[names == name] = shares
    return prior


def back_off(rhythm: Rhythm, counts: FloatArray, segments: "NDArray[np.object_]") -> FloatArray:
    """Shares from own counts, segment and everyone.

    Args:
        rhythm: The patterns.
        counts: Own events by local hour of the week, shape (n, 168).
        segments: Value of the segment feature, shape (n,).

    Returns:
        Shape (n, 168), rows summing to 1.
    """
    return drawn_towards(rhythm, counts, prior_shares(rhythm, segments))


def drawn_towards(rhythm: Rhythm, counts: FloatArray, prior: FloatArray) -> FloatArray:
    """``back_off`` to given patterns.

    Args:
        rhythm: Kernel and concentration.
        counts: Own events by local hour of the week, shape (n, 168).
        prior: What each customer's own pattern is drawn towards, shape (n, 168).
    """
    own = smooth(counts, bandwidth=rhythm.bandwidth, other_days=rhythm.other_days)
    shares = own + rhythm.concentration * prior
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def cell_inputs() -> tuple[ModelInput, ...]:
    """The trees' columns for the model card."""
    return tuple(ModelInput(name=name, view="cross") for name in CELL_INPUTS)


def cells(rhythm: Rhythm, counts: FloatArray, segments: "NDArray[np.object_]", shares: FloatArray) -> FloatArray:
    """The trees' input: one row per (customer, hour), shape (n * 168, inputs), customers in order.

    Args:
        rhythm: The patterns.
        counts: Own counts, shape (n, 168).
        segments: Value of the segment feature, shape (n,).
        shares: The result of ``back_off``, shape (n, 168).
    """
    n = len(counts)
    hour = np.arange(HOURS)
    events = counts.sum(axis=1, keepdims=True)
    own = np.divide(counts, events, out=np.full_like(counts, np.nan), where=events > 0)
    days = own.reshape(n, _DAYS, _DAY_HOURS)
    columns = (
        np.tile(hour % _DAY_HOURS, (n, 1)),
        np.tile(hour // _DAY_HOURS, (n, 1)),
        np.tile(rhythm.everyone, (n, 1)),
        np.log(prior_shares(rhythm, segments) / rhythm.everyone),
        np.log(shares / rhythm.everyone),
        own,
        np.log(np.roll(shares, 1, axis=1) / shares),
        np.log(np.roll(shares, -1, axis=1) / shares),
        np.tile(days.sum(axis=1), (1, _DAYS)),
        np.repeat(days.sum(axis=2), _DAY_HOURS, axis=1),
        np.repeat(events, HOURS, axis=1),
    )
    return np.stack([np.asarray(column, dtype=np.float64).reshape(-1) for column in columns], axis=1)


def refined_shares(
    rhythm: Rhythm,
    counts: FloatArray,
    segments: "NDArray[np.object_]",
    predict: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Shares times the trees' factor per hour, scaled to sum to 1, shape (n, 168).

    Args:
        rhythm: The patterns.
        counts: Own counts, shape (n, 168).
        segments: Value of the segment feature, shape (n,).
        predict: From cells, shape (m, inputs), to factors, shape (m,), above 0.
    """
    shares = back_off(rhythm, counts, segments)
    factors = np.asarray(predict(cells(rhythm, counts, segments, shares)), dtype=np.float64).reshape(shares.shape)
    moved = shares * np.clip(factors, 1e-3, 1e3)
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))
