"""A value model of two parts: trees, and what the purchase history lets one expect, weighed together.

The card's ``extras["purchase_model"]`` holds the parameters, the weight, and a typical customer beside whom a reason is
told. The purchase model reads four of the model's own inputs, so a vector says everything, and golden rows prove the
blend to the last bit. Of whom it knows nothing (no purchase so far), the trees answer alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.serving.models.purchase_model import PurchaseModel

FloatArray = NDArray[np.float64]

PURCHASE_MODEL: Final = "purchase_model"
"""In a card's extras."""
HISTORY: Final = ("purchases_total", "recency_days", "first_purchase_days", "monetary_total")
"""The inputs that a purchase history is made of, in the order of ``PurchaseModel.expected_revenue``."""
_SHARES: Final = {
    0: 1.0 / 4.0,
    1: 1.0 / 12.0,
    2: 1.0 / 12.0,
    3: 1.0 / 4.0,
}
"""Share of the orders of four in which a given set of so many comes first, and then the one in question."""


@dataclass(frozen=True, kw_only=True)
class PurchaseBlend:
    """How trees and purchase model are weighed.

    Attributes:
        model: What a history lets one expect.
        weight: Of the purchase model, above 0; the trees have the rest.
        columns: Where ``HISTORY`` stands in a vector.
        typical: The history of a typical buyer, in the order of ``HISTORY``.
    """

    model: PurchaseModel
    weight: float
    columns: tuple[int, ...]
    typical: tuple[float, ...]

    @classmethod
    def of(cls, inputs: Sequence[ModelInput], extras: Mapping[str, Any]) -> Self | None:
        """The blend that a card describes; None where it has trees alone.

        Raises:
            KeyError: A number is missing.
            ValueError: An input that the purchase model needs is none of the model's.
        """
        stored = extras.get(PURCHASE_MODEL)
        if not isinstance(stored, Mapping) or not float(stored.get("weight", 0.0)) > 0.0:
            return None
        names = [item.name for item in inputs]
        return cls(
            model=PurchaseModel.of(stored["parameters"]),
            weight=float(stored["weight"]),
            columns=tuple(names.index(name) for name in HISTORY),
            typical=tuple(float(stored["typical"][name]) for name in HISTORY),
        )

    def mixed(self, trees: float, vector: Sequence[float]) -> float:
        """The blend of one row: the trees' expectation, and the purchase model's where it has one."""
        return self._mixed(trees, [float(vector[column]) for column in self.columns])

    def all_mixed(self, trees: FloatArray, vectors: FloatArray) -> FloatArray:
        """``mixed`` of every row, shape (n,)."""
        histories = vectors[:, list(self.columns)].tolist()
        return np.array(list(map(self._mixed, trees.tolist(), histories)), dtype=np.float64)

    def all_expected(self, vectors: FloatArray) -> FloatArray:
        """What the purchase model alone expects of every row, shape (n,); NaN where it knows nothing."""
        histories = vectors[:, list(self.columns)].tolist()
        return np.array([self.model.expected_revenue(*history) for history in histories], dtype=np.float64)

    def _mixed(self, trees: float, history: Sequence[float]) -> float:
        expected = self.model.expected_revenue(*history)
        return trees if math.isnan(expected) else (1.0 - self.weight) * trees + self.weight * expected

    def contributions(self, of_trees: FloatArray, trees: float, vector: Sequence[float]) -> FloatArray:
        """What each input added to the logarithm of the blend, shape (inputs + 1,); the last makes up the sum.

        Each part counts by its share in the blend. What a history adds to the purchase model is Shapley's value of its
        four figures, beside the typical buyer's.

        Args:
            of_trees: The trees' own contributions to their logarithm, shape (inputs + 1,).
            trees: Their expectation.
            vector: The inputs.
        """
        own = [float(vector[column]) for column in self.columns]
        expected = self.model.expected_revenue(*own)
        if math.isnan(expected):
            return of_trees
        mixed = self._mixed(trees, own)
        share = self.weight * expected / mixed if mixed > 0.0 else 0.0
        added = (1.0 - share) * of_trees
        if share > 0.0:
            for column, value in zip(self.columns, shapley(self._log_expected, own, self.typical), strict=True):
                added[column] += share * value
        added[-1] = (math.log(mixed) if mixed > 0.0 else 0.0) - float(added[:-1].sum())
        return added

    def _log_expected(self, history: Sequence[float]) -> float:
        purchases, recency, first, revenue = history
        expected = self.model.expected_revenue(purchases, min(recency, first), first, revenue)
        return math.log(expected) if expected > 0.0 else -700.0


def shapley(
    function: Callable[[Sequence[float]], float], own: Sequence[float], typical: Sequence[float]
) -> tuple[float, ...]:
    """Shapley's value of each of four arguments: what it adds to a function on average over all orders of arrival.

    They sum to the function of ``own`` less that of ``typical`` (Shapley 1953; Lundberg and Lee 2017).
    """
    players = range(len(own))
    worth = {
        present: function([own[index] if index in present else typical[index] for index in players])
        for size in range(len(own) + 1)
        for present in map(frozenset, combinations(players, size))
    }
    return tuple(
        sum(
            _SHARES[len(present)] * (worth[present | {player}] - value)
            for present, value in worth.items()
            if player not in present
        )
        for player in players
    )
