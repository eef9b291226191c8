"""Any table as inputs of a model: numbers, ordered text (``24 - 36%``) and categories, learned on the training rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.core.errors import DataError
from foretouch.training.data import category_input
from foretouch.training.task import FloatArray

MAX_LEVELS = 50
"""Text with more levels keeps the most frequent; the rest count as missing."""
MIN_LEVEL_ROWS = 10
"""A level seen in fewer rows has no column of its own in the linear design."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")

Kind = Literal["number", "time", "ordered", "category"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one column becomes numbers.

    Attributes:
        name: Of the column.
        kind: A number; a time (days); text whose levels name growing numbers; or a category.
        levels: Of a category, in the order of their codes.
        knots: Of ordered text: the first number in each level, growing; a level's code is its rank.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    knots: tuple[float, ...] = ()

    def encode(self, values: "pd.Series[Any]") -> FloatArray:
        """Codes of a column, shape (n,); missing and unseen are NaN."""
        if self.kind == "number":
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            return np.where(np.isfinite(numbers), numbers, np.nan)
        if self.kind == "time":
            days = pd.to_datetime(values, utc=True, errors="coerce").dt.tz_localize(None)
            micros = days.to_numpy(dtype="datetime64[us]")
            return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 86_400e6)
        if self.kind == "ordered":
            first = np.array([_first_number(cell) for cell in values])
            return np.where(np.isnan(first), np.nan, np.interp(first, self.knots, np.arange(len(self.knots))))
        codes = {level: float(code) for code, level in enumerate(self.levels)}
        return np.array([codes.get(str(cell), np.nan) for cell in values], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The columns of a table that a model uses.

    Attributes:
        columns: In order.
        dropped: Columns left out: they do not vary, or hold a text of their own in almost every row.
    """

    columns: tuple[Column, ...]
    dropped: tuple[str, ...]

    @classmethod
    def learn(cls, frame: pd.DataFrame, *, without: Sequence[str]) -> Self:
        """Reads kinds and levels from the training rows.

        Args:
            frame: The training rows.
            without: Columns that are no inputs: id, label, arm, outcomes.

        Raises:
            DataError: No column is left.
        """
        columns, dropped = [], []
        for name in (str(column) for column in frame.columns if column not in without):
            made = _learn(name, frame[name])
            if made is None:
                dropped.append(name)
            else:
                columns.append(made)
        if not columns:
            raise DataError("no column of the training table varies, apart from id and label: nothing to learn from")
        return cls(columns=tuple(columns), dropped=tuple(dropped))

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """The columns as LightGBM is told of them."""
        return tuple(
            ModelInput(name=column.name, view="bench", kind="category", levels=column.levels)
            if column.kind == "category"
            else ModelInput(name=column.name, view="bench")
            for column in self.columns
        )

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        """The trees' matrix, shape (n, columns).

        Raises:
            DataError: A column of the training table is missing.
        """
        absent = [column.name for column in self.columns if column.name not in frame.columns]
        if absent:
            raise DataError(f"the table lacks {len(absent)} columns of the training table, e.g. {absent[0]!r}")
        return np.column_stack([column.encode(frame[column.name]) for column in self.columns])


def _learn(name: str, values: "pd.Series[Any]") -> Column | None:
    if not values.astype(str).ne(str(values.iloc[0])).any():
        return None
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name=name, kind="time")
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return Column(name=name, kind="number")
    return _learn_text(name, values)


def _learn_text(name: str, values: "pd.Series[Any]") -> Column | None:
    known = values[values.notna()].astype(str)
    counts = known.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if pd.to_numeric(known, errors="coerce").notna().all():
        return Column(name=name, kind="number")
    firsts = [_first_number(level) for level in counts.index]
    if len(counts) > 2 and len(set(firsts)) == len(counts) and not np.isnan(firsts).any():
        return Column(name=name, kind="ordered", knots=tuple(sorted(firsts)))
    if len(counts) > max(MAX_LEVELS, len(values) // 2):
        return None
    kept = category_input(name, "bench", pd.Series(list(counts.index[:MAX_LEVELS])))
    return Column(name=name, kind="category", levels=kept.levels)


def _first_number(cell: object) -> float:
    found = _NUMBER.search(str(cell)) if cell is not None else None
    return float(found.group().replace(",", ".")) if found else float("nan")


@dataclass(frozen=True, kw_only=True)
class LinearDesign:
    """Encoded inputs as standardised columns of a linear model, learned on the training rows.

    Numbers are drawn in by a signed logarithm, missing ones take the mean and a mark; categories have a column per
    level that is seen often enough.

    Attributes:
        categories: Codes that have a column, by input; empty for a number.
        middle: Mean of every column, shape (columns,).
        spread: Standard deviation of every column, shape (columns,).
    """

    categories: tuple[tuple[int, ...] | None, ...]
    middle: FloatArray
    spread: FloatArray

    @classmethod
    def learn(cls, design: Design, matrix: FloatArray) -> Self:
        """Reads levels, means and spreads from an encoded training matrix."""
        categories: list[tuple[int, ...] | None] = []
        for index, column in enumerate(design.columns):
            if column.kind != "category":
                categories.append(None)
                continue
            codes = matrix[:, index]
            counts = np.bincount(codes[~np.isnan(codes)].astype(int), minlength=len(column.levels))
            categories.append(tuple(int(code) for code in np.flatnonzero(counts >= MIN_LEVEL_ROWS)))
        raw = _columns(matrix, categories)
        known = ~np.isnan(raw)
        count = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, raw, 0.0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, np.square(raw - middle), 0.0).sum(axis=0) / count)
        return cls(categories=tuple(categories), middle=middle, spread=np.where(spread > 1e-9, spread, np.inf))

    def apply(self, matrix: FloatArray) -> FloatArray:
        """The linear model's matrix, shape (n, columns), without an intercept."""
        scaled = (_columns(matrix, self.categories) - self.middle) / self.spread
        return np.clip(np.nan_to_num(scaled), -5.0, 5.0)


def _columns(matrix: FloatArray, categories: Sequence[tuple[int, ...] | None]) -> FloatArray:
    parts: list[NDArray[np.float64]] = []
    for index, codes in enumerate(categories):
        values = matrix[:, index]
        if codes is None:
            parts += [np.sign(values) * np.log1p(np.abs(values)), np.isnan(values).astype(np.float64)]
        else:
            parts += [(values == code).astype(np.float64) for code in codes]
    return np.column_stack(parts) if parts else np.zeros((len(matrix), 0))


def ridge_logistic(
    matrix: FloatArray, label: FloatArray, *, penalty: float, start: FloatArray | None = None
) -> FloatArray:
    """Logistic regression with a squared penalty on all but the intercept, by Newton's method.

    Args:
        matrix: Shape (n, columns), without an intercept.
        label: 0 or 1, shape (n,).
        penalty: Weight of half the sum of squared coefficients, in rows.
        start: Where to begin, shape (columns + 1,); the base rate without it.

    Returns:
        Intercept and coefficients, shape (columns + 1,).
    """
    design = np.column_stack([np.ones(len(matrix)), matrix])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-9
    rate = np.clip(label.mean(), 1e-6, 1.0 - 1e-6)
    beta = np.zeros(design.shape[1]) if start is None else start.copy()
    if start is None:
        beta[0] = np.log(rate / (1.0 - rate))

    def loss(at: FloatArray) -> float:
        log_odds = design @ at
        return float(np.logaddexp(0.0, log_odds).sum() - label @ log_odds + 0.5 * ridge @ np.square(at))

    now = loss(beta)
    for _ in range(100):
        mean = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500.0, 500.0)))
        gradient = design.T @ (label - mean) - ridge * beta
        hessian = (design * (mean * (1.0 - mean))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        then = loss(beta + step)
        while then > now and np.abs(step).max() > 1e-9:  # the loss is convex: a shorter step always helps
            step *= 0.5
            then = loss(beta + step)
        beta, now = beta + step, then
        if np.abs(step).max() < 1e-6:
            break
    return beta


def linear_score(matrix: FloatArray, beta: FloatArray) -> FloatArray:
    """Log-odds of a fitted ridge logistic regression, shape (n,)."""
    return np.asarray(beta[0] + matrix @ beta[1:])
