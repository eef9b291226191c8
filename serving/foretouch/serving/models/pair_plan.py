"""Input vectors of customers with the offers of a catalogue; what the offers alone say is laid out once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from foretouch.core.columns import OFFER_ID
from foretouch.core.offers import Offer
from foretouch.features.crosses import CATEGORY_FEATURES, pair_part
from foretouch.features.pair_table import FIXED, MOVING, PairTable
from foretouch.serving.models.score_plan import FloatArray, ScorePlan


class PairPlan:
    """The vectors that a model is given of a customer and each offer, as ``ScorePlan.pairs`` of ``pair_part`` has them.

    Args:
        plan: Of the model's card.
        offers: The catalogue's; immutable.
    """

    def __init__(self, plan: ScorePlan, offers: Sequence[Offer]) -> None:
        self._plan = plan
        self._table = PairTable(offers)
        self._row = {id(offer): row for row, offer in enumerate(self._table.offers)}  # the table keeps them
        numbers = {item.name for item in plan.card.inputs if item.kind != "category"}
        categories = {item.name for item in plan.card.inputs if item.kind == "category"}
        self._usual = categories.isdisjoint({*FIXED, *MOVING}) and numbers.isdisjoint({*CATEGORY_FEATURES, OFFER_ID})
        inputs = [(index, item.name) for index, item in enumerate(plan.card.inputs)]
        self._moving = [(index, name) for index, name in inputs if name in MOVING]
        self._names = frozenset(name for _, name in self._moving)
        self._fixed = [index for index, name in inputs if name in {*FIXED, *CATEGORY_FEATURES, OFFER_ID}]
        self._last: tuple[Mapping[str, Offer], list[int]] | None = None
        self._values = np.empty((len(offers), 0))
        if self._usual and self._fixed:
            columns = [self._column(plan.card.inputs[index].name, index, offers) for index in self._fixed]
            self._values = np.stack(columns, axis=1)

    def _column(self, name: str, index: int, offers: Sequence[Offer]) -> FloatArray:
        if name in FIXED:
            return self._table.fixed(name)
        named = [offer.offer_id if name == OFFER_ID else offer.category or None for offer in offers]
        return np.array([self._plan.code(index, value) for value in named])

    @property
    def usual(self) -> bool:
        """Whether the vectors of several customers can be laid out at once (``matrix``)."""
        return self._usual

    def rows(self, offers: Mapping[str, Offer]) -> list[int]:
        """The rows of some of the catalogue's own offers; -1 for any other.

        Args:
            offers: By id; immutable. The rows of the last ones are kept: most decisions ask about the same.
        """
        kept = self._last
        if kept is None or kept[0] is not offers:
            kept = self._last = (offers, [self._row.get(id(offer), -1) for offer in offers.values()])
        return kept[1]

    def vectors(self, customer: Mapping[str, Any], offers: Sequence[Offer], at: datetime) -> FloatArray:
        """The encoded inputs, shape (n, inputs).

        Args:
            customer: The customer's values by name.
            offers: Which offers; one that is not the catalogue's own makes all go the longer way.
            at: The decision's time, tz-aware.
        """
        rows = [self._row.get(id(offer), -1) for offer in offers]
        if not self._usual or -1 in rows:
            return self._plan.pairs(customer, [pair_part(customer, offer, at) for offer in offers])
        base = np.array([self._plan.vector(customer)], dtype=np.float64)
        return self.matrix(base, [customer], [at], [rows])

    def matrix(
        self,
        bases: FloatArray,
        customers: Sequence[Mapping[str, Any]],
        ats: Sequence[datetime],
        rows: Sequence[Sequence[int]],
    ) -> FloatArray:
        """The encoded inputs of several customers, one below the other; only where ``usual``.

        Args:
            bases: Each one's own inputs, as ``ScorePlan.vector`` has them, shape (customers, inputs).
            customers: Each one's values by name.
            ats: The time of each one's decision, tz-aware.
            rows: The offers of each, as ``row`` has them.

        Returns:
            Shape (all pairs, inputs): the offers of the first customer, then those of the second, and so on.
        """
        who = np.repeat(np.arange(len(customers)), [len(some) for some in rows])
        which = np.array([row for some in rows for row in some], dtype=np.int64)
        matrix: FloatArray = bases[who]
        if self._fixed:
            matrix[:, self._fixed] = self._values[which]
        if self._moving:
            found = self._table.moving(customers, ats, who, which, self._names)
            for index, name in self._moving:
                matrix[:, index] = found[name]
        matrix[np.isinf(matrix)] = np.nan
        return matrix
