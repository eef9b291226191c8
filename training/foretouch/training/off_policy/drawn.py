"""A log that holds the probability of every action: what chance allows its weights is known, not estimated.

A large weight is rare, so that a sound log of a few thousand rows mostly lacks its largest ones: its mean weight is
below 1 then, and its own standard deviation below the true one. Held against that, one sound log in ten failed where a
policy of low temperature was retrained. Here the law of every sum over rows is known, since row i drew action a with
probability p_i(a) whatever the rewards, and Chernoff's inequality with its exact cumulants bounds the chance of what
was seen::

    P(sum_i g_i(a_i) >= s) <= exp(-sup_{t > 0} (t s - K(t))),    K(t) = sum_i log sum_a p_i(a) exp(t g_i(a))

and likewise below the mean (Boucheron, Lugosi and Massart 2013, Concentration Inequalities, section 2.2). It holds for
any number of rows and any weights, and where later rows depend on what earlier ones drew.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from foretouch.training.task import FloatArray

_STEPS: Final = 60
_FURTHEST: Final = 1e9


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The logging policy's whole distribution.

    Attributes:
        chance: Logged probability of every action, shape (n, actions); 0 could not be chosen there.
        slot_chance: Of the logged action's slots, by what the candidate makes of them, shape (n, m); rows sum to 1.
        slot_ratio: The candidate's probability of these slots over the logged one, shape (n, m).
        slot_seen: That ratio at the slot that was drawn, shape (n,).
    """

    chance: FloatArray
    slot_chance: FloatArray
    slot_ratio: FloatArray
    slot_seen: FloatArray

    def weights(self, pi: FloatArray) -> FloatArray:
        """The policy over the logged probability, shape (n, actions); 0 where the action could not be chosen."""
        return np.divide(pi, self.chance, out=np.zeros_like(pi), where=self.chance > 0.0)

    def unsupported(self, pi: FloatArray) -> float:
        """Share of the choices of pi on actions, or slots of the logged ones, that could not be chosen there.

        Args:
            pi: The policy, shape (n, actions).
        """
        actions = float(pi[self.chance <= 0.0].sum()) / len(pi)
        slots = 1.0 - float((self.slot_chance * self.slot_ratio).sum(axis=1).mean())
        return max(actions, 0.0) + max(slots, 0.0)


def chance_of(seen: float, chance: FloatArray, value: FloatArray) -> float:
    """At most so likely is a sum of drawn values as far from its mean, on its side, as the one that was seen; 1 at it.

    Args:
        seen: The sum over rows.
        chance: Probability of every outcome, shape (n, m); rows sum to 1.
        value: What it counts, shape (n, m); looked at where the chance is above 0.
    """
    law = np.where(chance > 0.0, chance, 0.0)
    centred = np.where(chance > 0.0, value, 0.0)
    mean = (law * centred).sum(axis=1, keepdims=True)
    centred = np.where(chance > 0.0, centred - mean, 0.0)
    apart = seen - float(mean.sum())
    if apart < 0.0:
        apart, centred = -apart, -centred
    rows = np.abs(centred).max(axis=1) > 0.0  # rows that can count only one thing say nothing
    size = float(np.abs(centred).max(initial=0.0))
    if apart <= 1e-9 * max(size * len(law), abs(seen), 1.0):
        return 1.0
    if not rows.any():
        return 0.0
    law, centred = law[rows], centred[rows]
    return float(np.exp(-_exponent(apart, law, centred)))


def _exponent(apart: float, law: FloatArray, centred: FloatArray) -> float:
    """The supremum over t > 0 of t x apart - K(t), by bisection of K'(t) = apart; any t gives a bound that holds."""

    def tilted(t: float) -> tuple[float, float]:
        """K(t) and K'(t)."""
        power = np.where(law > 0.0, t * centred, -np.inf)
        top = power.max(axis=1, keepdims=True)
        part = law * np.exp(power - top)
        total = part.sum(axis=1)
        return float((np.log(total) + top[:, 0]).sum()), float(((part * centred).sum(axis=1) / total).sum())

    low, high = 0.0, 1.0 / float(np.abs(centred).max())
    while tilted(high)[1] < apart and high < _FURTHEST:
        low, high = high, 2.0 * high
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if tilted(middle)[1] < apart:
            low = middle
        else:
            high = middle
        if high - low <= 1e-6 * high:
            break
    return max(high * apart - tilted(high)[0], low * apart - tilted(low)[0], 0.0)
