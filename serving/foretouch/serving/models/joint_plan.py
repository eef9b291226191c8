"""The vectors of several models from one look at each customer's values. Pure."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
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
        numbers = [name for name in self._names if name is not None]
        self._numbers = np.array([place for place, name in enumerate(self._names) if name is not None], dtype=np.int64)
        self._get = itemgetter(*numbers) if len(numbers) > 1 else None
        self._categories = [
            (place, name, {level: float(code) for code, level in reversed(list(enumerate(levels)))})
            for (name, levels), place in places.items()
            if levels is not None
        ]

    def matrix(self, customers: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Every customer's inputs, shape (customers, inputs of all models); ``of`` has those of one model."""
        matrix = np.full((len(customers), len(self._names)), np.nan)
        matrix[:, self._numbers] = self._encoded(customers)
        for place, name, levels in self._categories:
            matrix[:, place] = [encode_category(levels, values.get(name)) for values in customers]
        return matrix

    def _encoded(self, customers: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Every customer's numbers, shape (customers, numbers): mostly all are there, and are numbers or null."""
        try:
            rows = None if self._get is None else [self._get(values) for values in customers]
        except KeyError:
            rows = None
        if rows is None:
            names = [name for name in self._names if name is not None]
            found = np.array([encode_numbers(values, names) for values in customers], dtype=np.float64)
        else:
            found = np.array(rows, dtype=np.float64)  # null becomes NaN, anything else what ``float`` makes of it
        found = found.reshape(len(customers), len(self._numbers))
        found[~np.isfinite(found)] = np.nan
        return found

    def of(self, model: str, matrix: FloatArray) -> FloatArray:
        """The vectors of one model among a ``matrix``, as ``ScorePlan.vector`` has each, shape (customers, inputs)."""
        found: FloatArray = matrix[:, self._columns[model]]
        return found
