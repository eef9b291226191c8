"""The vectors of several models from one look at each customer's values. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foretouch.serving.models.score_plan import FloatArray, InputKey, ScorePlan, encode_category, encode_numbers


class JointPlan:
    """Every input that any of some models takes, each encoded once.

    Args:
        plans: Of the models, by name.
    """

    def __init__(self, plans: Mapping[str, ScorePlan]) -> None:
        places: dict[InputKey, int] = {}
        self._columns = {
            model: np.array([places.setdefault(key, len(places)) for key in plan.input_keys], dtype=np.int64)
            for model, plan in plans.items()
        }
        self._names = [name if levels is None else None for name, levels in places]
        self._categories = [
            (place, name, {level: float(code) for code, level in reversed(list(enumerate(levels)))})
            for (name, levels), place in places.items()
            if levels is not None
        ]

    def matrix(self, customers: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Every customer's inputs, shape (customers, inputs of all models); ``of`` has those of one model."""
        rows = []
        for values in customers:
            row = encode_numbers(values, self._names)
            for place, name, levels in self._categories:
                row[place] = encode_category(levels, values.get(name))
            rows.append(row)
        return np.array(rows, dtype=np.float64).reshape(len(customers), len(self._names))

    def of(self, model: str, matrix: FloatArray) -> FloatArray:
        """The vectors of one model among a ``matrix``, as ``ScorePlan.vector`` has each, shape (customers, inputs)."""
        found: FloatArray = matrix[:, self._columns[model]]
        return found
