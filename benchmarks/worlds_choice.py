"""A day's draws at once: the service's distribution and draw, column by column.

``serving.decision.policies`` decides one customer at a time. A race decides on 2,000 a day with the same offers, so the
same formulas are written here for whole days. The first rows of every day go through the service's own functions as
well: a race in which one of them differs stops. A test compares all kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from worlds_truth import FloatArray, IntArray

from foretouch.core.policy import PolicySpec
from foretouch.core.rng import derive_seed, uniform
from foretouch.serving.decision.doubt import LEAST_STRENGTH, widths
from foretouch.serving.decision.policies import distribution, draw, floor_of

CHECKED = 5
"""Rows of a day that the service's own functions decide as well."""
WITHIN = 1e-12


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What widths are made of.

    Attributes:
        chance: Propensities, shape (m, candidates).
        gain: Worth of a certain acceptance, shape (candidates,).
        contacts: With each one's offer so far, shape (candidates,).
        strength: Contacts that the prior is worth.
    """

    chance: FloatArray
    gain: FloatArray
    contacts: FloatArray
    strength: float

    def widths(self) -> FloatArray:
        """``doubt.widths`` of every customer, "no contact" first, shape (m, 1 + candidates)."""
        spread = np.clip(self.chance * (1.0 - self.chance), 0.0, 0.25)
        own = np.abs(self.gain) * np.sqrt(spread / (max(self.strength, LEAST_STRENGTH) + self.contacts))
        return np.concatenate([own.min(axis=1, keepdims=True), own], axis=1)

    def of(self, row: int) -> list[float]:
        """The service's own widths of one customer."""
        contacts = self.contacts.astype(int).tolist()
        return widths(self.chance[row].tolist(), self.gain.tolist(), contacts, self.strength)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What was drawn for m customers.

    Attributes:
        shares: Selection probabilities, shape (m, 1 + candidates).
        position: In [0, 1), shape (m,).
        index: Of the candidate drawn, shape (m,).
    """

    shares: FloatArray
    position: FloatArray
    index: IntArray


def shares_of(table: FloatArray, spec: PolicySpec, belief: Belief | None) -> FloatArray:
    """``policies.distribution`` of m customers, "no contact" in the first column, shape (m, 1 + candidates).

    Args:
        table: Priorities, shape (m, 1 + candidates).
        spec: Kind ``shuffle``, ``greedy``, ``epsilon``, or ``softmax`` by evidence.
        belief: For the last.

    Raises:
        ValueError: A kind that no contestant has.
    """
    highest = table.max(axis=1, keepdims=True)
    if spec.kind == "shuffle":
        return np.full_like(table, 1.0 / table.shape[1])
    if spec.kind in {"greedy", "epsilon"}:
        weights = (table == highest).astype(np.float64)
    elif spec.kind == "softmax" and belief is not None:
        about = belief.widths()
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.where(about > 0.0, np.exp((table - highest) / (spec.temperature * about)), 0.0)
        weights = np.where(table == highest, 1.0, np.where(table >= table[:, :1], weights, 0.0))
    else:
        raise ValueError(f"kind == {spec.kind!r}, which no contestant has")
    weights /= weights.sum(axis=1, keepdims=True)
    floor = floor_of(spec)
    shares = (1.0 - floor) * weights + floor / table.shape[1]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


def drawn_of(shares: FloatArray, keys: Sequence[tuple[str, ...]], position: FloatArray) -> IntArray:
    """``policies.draw`` of m customers, shape (m,).

    Args:
        shares: Shape (m, candidates).
        keys: Of each candidate.
        position: In [0, 1), shape (m,).
    """
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    ordered = shares[:, order]
    reached = (position[:, None] < np.cumsum(ordered, axis=1)) & (ordered > 0.0)
    last = ordered.shape[1] - 1 - np.argmax(ordered[:, ::-1] > 0.0, axis=1)
    return np.asarray(order[np.where(reached.any(axis=1), reached.argmax(axis=1), last)], dtype=np.int64)


def positions(world: str, who: IntArray, day: int) -> FloatArray:
    """One seed per decision, as the service derives it, and its place in [0, 1), shape (m,)."""
    seeds = (derive_seed(world, str(customer), str(day)) for customer in who.tolist())
    return np.array([uniform(seed, "candidate/1") for seed in seeds])


def check(
    table: FloatArray, spec: PolicySpec, belief: Belief | None, keys: Sequence[tuple[str, ...]], drawn: Drawn
) -> None:
    """Has the service's own functions decide the first rows.

    Args:
        table: Priorities, shape (m, 1 + candidates).
        spec: Which policy.
        belief: Where the policy explores by evidence.
        keys: Of each candidate.
        drawn: For the same customers.

    Raises:
        RuntimeError: A probability or a draw differs.
    """
    for row in range(min(CHECKED, len(table))):
        about = belief.of(row) if belief is not None else None
        shares = distribution(table[row].tolist(), 0, spec, widths=about)
        index = draw(shares, keys, float(drawn.position[row]))
        worst = float(np.abs(np.array(shares) - drawn.shares[row]).max())
        if worst > WITHIN or index != drawn.index[row]:
            raise RuntimeError(f"row {row}: drew {drawn.index[row]}, the service {index}; shares differ by {worst}")
