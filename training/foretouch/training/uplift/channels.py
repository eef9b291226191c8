"""What a channel does beside the others, where the log drew it by a known probability; else uplift is an offer's alone.

A contact's channel given its offer was drawn with probability ``selection_probability / offer_probability``. Contacts
for whom more than one channel was possible, weighted by the inverse of that, are alike on every channel: differences
between their residuals are effects of the channel (Horvitz and Thompson 1952, in Hajek's ratio form). Where a rule, the
customer or the policy always chose the channel, a difference may be that of the people, and none is told. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.training.task import FloatArray

SUPPORT: Final = 0.02
"""Least probability of a contact's channel given its offer, and of any other channel."""
MIN_EFFECTIVE: Final = 50.0
"""Effective rows of a channel from which it counts."""
MOST: Final = 20.0
"""Weights are cut at so many times their mean."""
_Z: Final = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels beside each other.

    Attributes:
        why: Why they cannot be told apart; empty where they can.
        effective: Effective rows of contacts that could have gone out by another channel, by channel.
        beside: By channel, how much more (or less) than the average of all channels a contact raises the chance of the
            goal: value and 95 % interval; empty where it is not identified.
    """

    why: str
    effective: Mapping[str, float]
    beside: Mapping[str, tuple[float, float, float]]

    def extras(self) -> dict[str, Any]:
        """As the card keeps it."""
        return {
            "per": "offer",
            "identified": not self.why,
            "why": self.why or None,
            "effective_rows": dict(self.effective),
            "beside_average": {name: list(figure) for name, figure in self.beside.items()},
        }

    @property
    def note(self) -> str:
        """In words, for the card."""
        if self.why:
            return f"Uplift is per offer, whatever the channel; per channel it is not identified: {self.why}."
        told = ", ".join(
            f"{name} {value:+.2%} [{low:+.2%}, {high:+.2%}]" for name, (value, low, high) in self.beside.items()
        )
        return f"Uplift is per offer, whatever the channel; beside the average of the channels: {told}."


def chance_of_channel(frame: pd.DataFrame) -> FloatArray:
    """Probability of each contact's channel given its offer, shape (n,); NaN where it is not on record."""
    chosen, offer = (pd.to_numeric(frame[f"{name}_probability"], errors="coerce") for name in ("selection", "offer"))
    ratio = (chosen / offer).to_numpy(dtype=np.float64)
    return np.asarray(np.where(np.isfinite(ratio), np.clip(ratio, 0.0, 1.0), np.nan))


def by_channel(
    residual: FloatArray,
    weight: FloatArray,
    *,
    channel: NDArray[np.object_],
    chance: FloatArray,
    cluster: NDArray[np.object_],
) -> Channels:
    """Compares channels on contacts that could have gone out by another one.

    Args:
        residual: Outcome less what the model of all contacts expects, of contacts, shape (n,).
        weight: How often each counts, shape (n,).
        channel: Its channel, shape (n,).
        chance: Probability of that channel given the offer, shape (n,); NaN is not known.
        cluster: Its customer, shape (n,): the unit of the standard error.
    """
    drawn = (chance >= SUPPORT) & (chance <= 1.0 - SUPPORT)
    if not drawn.any():
        return Channels(why="no contact's channel was drawn by chance", effective={}, beside={})
    inverse = weight[drawn] / chance[drawn]
    inverse = np.minimum(inverse, MOST * inverse.mean())
    names = channel[drawn].astype(str)
    found = {
        name: float(inverse[names == name].sum() ** 2 / np.square(inverse[names == name]).sum())
        for name in sorted(set(names.tolist()))
    }
    enough = [name for name, rows in found.items() if rows >= MIN_EFFECTIVE]
    if len(enough) < 2:
        why = f"fewer than two channels have {MIN_EFFECTIVE:.0f} effective contacts drawn by chance"
        return Channels(why=why, effective=found, beside={})
    return Channels(why="", effective=found, beside=_beside(residual[drawn], inverse, names, cluster[drawn], enough))


def _beside(
    residual: FloatArray, inverse: FloatArray, names: NDArray[np.str_], cluster: NDArray[np.object_], kept: list[str]
) -> dict[str, tuple[float, float, float]]:
    """Each channel's mean less the plain mean of all channels, with errors summed by customer."""
    _, code = np.unique(cluster.astype(str), return_inverse=True)
    terms = []
    means = []
    for name in kept:
        own = inverse * (names == name)
        mean = float(own @ residual / own.sum())
        means.append(mean)
        terms.append(np.bincount(code, weights=own * (residual - mean)) / own.sum())
    influence, level = np.array(terms), np.array(means)
    centred, value = influence - influence.mean(axis=0), level - level.mean()
    groups = influence.shape[1]
    error = np.sqrt(np.square(centred).sum(axis=1) * groups / max(groups - 1.0, 1.0))
    return {
        name: (float(at), float(at - _Z * se), float(at + _Z * se))
        for name, at, se in zip(kept, value, error, strict=True)
    }
