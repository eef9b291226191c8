"""Every number as a staircase of steps for a linear model: what it bends, thresholds and plateaus, stays linear.

A column of few values (policies held, shares in classes) has a step at each; a number of many values at quantiles. With
one squared penalty on all of them, neighbouring steps share what they know: the fitted function is a shrunk step
function of each column, additive over columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from foretouch.training.bench.design import Design
from foretouch.training.task import FloatArray

MIN_STEP_ROWS = 25
"""A step has at least so many rows on either side."""
MAX_COLUMNS = 600
MAX_CELLS = 30_000_000
"""Larger matrices (240 MB) are not made: rows enough for trees to find every bend themselves."""


@dataclass(frozen=True, kw_only=True)
class StepDesign:
    """Steps of encoded inputs, standardised, learned on the training rows.

    Attributes:
        steps: By input, the values from which on a step is 1; of a category, the codes that have a column.
        categories: Whether an input is a category, by input.
        middle: Mean of every column, shape (columns,).
        spread: Standard deviation of every column, shape (columns,).
    """

    steps: tuple[tuple[float, ...], ...]
    categories: tuple[bool, ...]
    middle: FloatArray
    spread: FloatArray

    @classmethod
    def learn(cls, design: Design, matrix: FloatArray) -> Self | None:
        """Reads the steps from an encoded training matrix; None where there are none, or too many cells.

        Args:
            design: Of the matrix.
            matrix: Shape (n, inputs).
        """
        most = max(MAX_COLUMNS // max(matrix.shape[1], 1), 1)
        categories = tuple(column.kind == "category" for column in design.columns)
        steps = tuple(
            _levels(matrix[:, index]) if category else _cuts(matrix[:, index], most)
            for index, category in enumerate(categories)
        )
        columns = sum(len(own) for own in steps)
        if columns == 0 or columns * len(matrix) > MAX_CELLS:
            return None
        raw = _columns(matrix, steps, categories)
        spread = raw.std(axis=0)
        return cls(steps=steps, categories=categories, middle=raw.mean(axis=0), spread=np.maximum(spread, 1e-9))

    def apply(self, matrix: FloatArray) -> FloatArray:
        """The linear model's matrix, shape (n, columns), without an intercept; missing values lie below every step."""
        return (_columns(matrix, self.steps, self.categories) - self.middle) / self.spread


def _levels(codes: FloatArray) -> tuple[float, ...]:
    values, counts = np.unique(codes[~np.isnan(codes)], return_counts=True)
    kept = (counts >= MIN_STEP_ROWS) & (len(codes) - counts >= MIN_STEP_ROWS)
    return tuple(float(value) for value in values[kept])


def _cuts(values: FloatArray, most: int) -> tuple[float, ...]:
    known = np.sort(values[~np.isnan(values)])
    distinct, first = np.unique(known, return_index=True)
    above = len(known) - first
    kept = distinct[(above >= MIN_STEP_ROWS) & (len(values) - above >= MIN_STEP_ROWS)]
    if len(kept) > most:
        wanted = np.quantile(known, (np.arange(most) + 1.0) / (most + 1.0))
        kept = np.unique(kept[np.clip(np.searchsorted(kept, wanted), 0, len(kept) - 1)])
    return tuple(float(value) for value in kept)


def _columns(matrix: FloatArray, steps: Sequence[tuple[float, ...]], categories: Sequence[bool]) -> FloatArray:
    parts = [
        matrix[:, [index]] == np.array(own) if category else matrix[:, [index]] >= np.array(own)
        for index, (own, category) in enumerate(zip(steps, categories, strict=True))
        if own
    ]
    return np.asarray(np.concatenate(parts, axis=1), dtype=np.float64)
