"""Sufficient statistics of a whole experiment, without any row: day + day, shard + shard = whole.

One cell per grouping, value and arm holds count, means and centred second moments of the columns that the metrics need.
They come from a table of rows, from one query (``query.py``), or from a JSON file that somebody else's job wrote.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Floats, Moments
from foretouch.experiments.analysis.contrasts import Contrast, effect_of_moments, effect_of_pair, pair_of_moments
from foretouch.experiments.analysis.effects import Effect, Pair
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.source import through
from foretouch.experiments.analysis.strata import stratified_pair
from foretouch.experiments.analysis.table import MOST_LEVELS, MOST_STRATA, column_of

WHOLE, DAYS = "", "days"
SCHEMA = 1
Key = tuple[str, str, str]
"""Grouping, value, arm."""


@dataclass(frozen=True, kw_only=True)
class Aggregates:
    """The sufficient statistics.

    Attributes:
        columns: Names of the columns, the order of every cell's moments.
        cells: By grouping (the whole, days, a segment's column, strata), value and arm.
        order: Values of each grouping in the order of reading.
        missing: Rows without a finite value, by column.
        not_binary: Rows whose value is neither 0 nor 1, by column of a proportion.
        without_arm: Rows that name no unit or no arm.
        repeated: Units with more than one row.
        in_two_arms: Units of those in more than one arm.
    """

    columns: tuple[str, ...]
    cells: Mapping[Key, Moments]
    order: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, int]
    not_binary: Mapping[str, int]
    without_arm: int = 0
    repeated: int = 0
    in_two_arms: int = 0

    def __add__(self, other: "Aggregates") -> "Aggregates":
        """Both together; units are taken to be in one of them only.

        Raises:
            DataError: They hold different columns.
        """
        if self.columns != other.columns:
            raise DataError(f"aggregates of {list(self.columns)} and of {list(other.columns)} do not add up")
        empty = Moments.empty(len(self.columns))
        cells = {key: self.cells.get(key, empty) + other.cells.get(key, empty) for key in (*self.cells, *other.cells)}
        order = {
            name: tuple(dict.fromkeys((*self.order.get(name, ()), *other.order.get(name, ()))))
            for name in (*self.order, *other.order)
        }
        return Aggregates(
            columns=self.columns,
            cells=cells,
            order={**order, DAYS: tuple(sorted(order.get(DAYS, ()), key=_day))},
            missing=_sum(self.missing, other.missing),
            not_binary=_sum(self.not_binary, other.not_binary),
            without_arm=self.without_arm + other.without_arm,
            repeated=self.repeated + other.repeated,
            in_two_arms=self.in_two_arms + other.in_two_arms,
        )

    def as_json(self) -> dict[str, Any]:
        """For a file; ``of_json`` reads it."""
        return {
            "schema_version": SCHEMA,
            "columns": list(self.columns),
            "cells": [
                {
                    "grouping": grouping,
                    "value": value,
                    "arm": arm,
                    "n": part.n,
                    "mean": part.mean.tolist(),
                    "m2": [[None if np.isnan(item) else item for item in row] for row in part.m2.tolist()],
                }
                for (grouping, value, arm), part in self.cells.items()
            ],
            "order": {name: list(values) for name, values in self.order.items()},
            "missing": dict(self.missing),
            "not_binary": dict(self.not_binary),
            "without_arm": self.without_arm,
            "repeated": self.repeated,
            "in_two_arms": self.in_two_arms,
        }

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> "Aggregates":
        """Reads what ``as_json`` wrote; cells of days alone are enough, the whole is their sum.

        Raises:
            DataError: Something is missing, has another shape, or cannot be (negative counts or squares).
        """
        try:
            columns = tuple(str(name) for name in raw["columns"])
            cells: dict[Key, Moments] = {}
            for cell in raw["cells"]:
                key = (str(cell.get("grouping", WHOLE)), str(cell.get("value", "")), str(cell["arm"]))
                cells[key] = _cell(cell, len(columns))
            others = {name: int(raw.get(name, 0)) for name in ("without_arm", "repeated", "in_two_arms")}
            counts = {name: _counts(raw.get(name, {})) for name in ("missing", "not_binary")}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the aggregates are not of the shape: {error!r}",
                hint="columns[], cells[]{grouping, value, arm, n, mean[], m2[][]}; bench experiment --save-aggregates",
            ) from error
        if not any(grouping == WHOLE for grouping, _, _ in cells):
            for (grouping, _, arm), part in list(cells.items()):
                if grouping == DAYS:
                    cells[WHOLE, "", arm] = cells.get((WHOLE, "", arm), Moments.empty(len(columns))) + part
        order: dict[str, dict[str, None]] = {}
        for grouping, value, _ in cells:
            order.setdefault(grouping, {})[value] = None
        said = raw.get("order", {})
        named = {
            name: tuple(dict.fromkeys([*(item for item in said.get(name, ()) if item in values), *values]))
            for name, values in order.items()
        }
        if DAYS in named:
            named[DAYS] = tuple(sorted(named[DAYS], key=_day))
        return cls(columns=columns, cells=cells, order=named, **counts, **others)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class SummarySource:
    """The analysis' answers from sufficient statistics alone.

    Attributes:
        spec: The experiment.
        of: The statistics.
    """

    spec: ExperimentSpec
    of: Aggregates

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm of the spec, the control first."""
        return (self.spec.control, *(name for name in self.spec.weights if name != self.spec.control))

    @property
    def counts(self) -> dict[str, int]:
        """Units per arm."""
        return {arm: self._whole(arm).n for arm in self.arms}

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What is wrong with the whole."""
        found: list[Refused] = []
        if self.of.without_arm:
            found.append(Refused("missing_arm", value=self.of.without_arm))
        if self.of.in_two_arms:
            found.append(Refused("unit_in_two_arms", value=self.of.in_two_arms))
        elif self.of.repeated:
            found.append(Refused("duplicate_units", value=self.of.repeated))
        sizes = {arm: part.n for (grouping, _, arm), part in self.of.cells.items() if grouping == WHOLE and part.n}
        strange = sorted(set(sizes) - set(self.arms))
        if strange:
            names = ", ".join(strange[:5])
            found.append(Refused("unknown_arm", value=sum(sizes[arm] for arm in strange), column=names))
        idle = sorted(arm for arm in sizes if self.spec.weights.get(arm) == 0.0)
        if idle:
            number = sum(sizes[arm] for arm in idle)
            found.append(Refused("zero_weight_traffic", value=number, column=", ".join(idle)))
        return tuple(found)

    def prepare(self, metric: Metric) -> None:
        """Checks a metric's columns.

        Raises:
            Refused: A column is not there or has gaps, or the metric needs rows.
        """
        if metric.kind == "quantile" or metric.winsor is not None or self.spec.cluster is not None:
            raise Refused("needs_rows")
        for name in columns_of(metric):
            if name not in self.of.columns:
                raise Refused("missing_column", value=name)
            index = self.of.columns.index(name)
            gaps = self.of.missing.get(name, 0)
            means = [part.mean[index] for (grouping, _, _), part in self.of.cells.items() if grouping == WHOLE]
            if gaps or not np.isfinite(means).all():
                raise Refused("missing_values", value=gaps or "some", column=name)
        if metric.kind == "proportion" and self._not_binary(column_of(metric)):
            raise Refused("not_binary", value=column_of(metric))

    def contrast(self, metric: Metric, arm: int) -> Contrast:
        """A metric in one arm against the control.

        Raises:
            Refused: An arm is too small, there is no variance, or the estimator's own reason.
        """
        for index in (0, arm):
            name = self.arms[index]
            if self.counts[name] < 2:
                raise Refused("arm_too_small", column=name, value=self.counts[name])
        pair = self._pair(metric, arm)
        effect = effect_of_pair(pair, self.spec)
        unadjusted = None
        if metric.covariates or metric.strata:
            unadjusted = effect_of_pair(self._pair(metric.replace(covariates=(), strata=()), arm), self.spec)
        return Contrast(
            metric=metric,
            arm=arm,
            name=self.arms[arm],
            control=self.arms[0],
            rows=None,
            pair=pair,
            effect=effect,
            unadjusted=unadjusted,
        )

    def values_of(self, segment: str) -> list[str]:
        """The values of a segment, in order.

        Raises:
            Refused: The statistics are not grouped by it, or it has too many values.
        """
        values = list(self.of.order.get(segment, ()))
        if not values:
            raise Refused("missing_column", value=segment)
        if len(values) > MOST_LEVELS:
            raise Refused("too_many_levels", column=segment, value=len(values))
        return values

    def sizes_by(self, segment: str) -> Floats:
        """Units by value and arm, shape (values, arms)."""
        return np.array(
            [[float(self._part(segment, value, arm).n) for arm in self.arms] for value in self.values_of(segment)]
        )

    def effect_in(self, contrast: Contrast, segment: str, value: int) -> Effect:
        """The effect in one value of a segment."""
        metric = contrast.metric
        name = self.values_of(segment)[value]
        sides = [self._only(self._part(segment, name, self.arms[arm]), metric) for arm in (0, contrast.arm)]
        return effect_of_moments(metric, sides[0], sides[1], self.spec)

    def days(self) -> list[str]:
        """The days on which units entered, in order."""
        return list(self.of.order.get(DAYS, ())) if self.spec.time is not None else []

    def effects_through(self, contrast: Contrast) -> Iterator[tuple[int, Effect]]:
        """The effect through each day; none for stratified metrics, whose days do not add up."""
        metric = contrast.metric
        if metric.strata:
            return
        parts = tuple(self._only(self._part(DAYS, day, arm), metric) for day in self.days() for arm in self.arms)
        yield from through(parts, metric, contrast.arm, len(self.arms), self.spec)

    def covariate(self, name: str) -> tuple[Moments, ...]:
        """One column's moments by arm.

        Raises:
            Refused: The column is not there.
        """
        if name not in self.of.columns:
            raise Refused("missing_column", value=name)
        index = [self.of.columns.index(name)]
        return tuple(_sub(self._whole(arm), index) for arm in self.arms)

    def _pair(self, metric: Metric, arm: int) -> Pair:
        if not metric.strata:
            sides = [self._only(self._whole(self.arms[index]), metric) for index in (0, arm)]
            return pair_of_moments(metric, sides[0], sides[1])
        grouping = strata_name(metric.strata)
        values = self.of.order.get(grouping, ())
        if not values:
            raise Refused("missing_column", value=", ".join(metric.strata))
        if len(values) > MOST_STRATA:
            raise Refused("too_many_strata", column=", ".join(metric.strata), value=len(values))
        cells = tuple(
            (
                self._only(self._part(grouping, value, self.arms[0]), metric),
                self._only(self._part(grouping, value, self.arms[arm]), metric),
            )
            for value in values
        )
        return stratified_pair(cells, lead=2 if metric.kind == "ratio" else 1)

    def _whole(self, arm: str) -> Moments:
        return self._part(WHOLE, "", arm)

    def _part(self, grouping: str, value: str, arm: str) -> Moments:
        return self.of.cells.get((grouping, value, arm), Moments.empty(len(self.of.columns)))

    def _only(self, part: Moments, metric: Metric) -> Moments:
        return _sub(part, [self.of.columns.index(name) for name in columns_of(metric)])

    def _not_binary(self, name: str) -> bool:
        """Somebody's value is neither 0 nor 1: by the count where there is one, else because sum x^2 is not sum x."""
        if name in self.of.not_binary:
            return self.of.not_binary[name] > 0
        index = self.of.columns.index(name)
        whole = [part for (grouping, _, _), part in self.of.cells.items() if grouping == WHOLE]
        squares = sum(part.m2[index, index] + part.n * part.mean[index] ** 2 for part in whole)
        sums = sum(part.n * part.mean[index] for part in whole)
        return not bool(np.isclose(squares, sums, rtol=1e-9))


def columns_of(metric: Metric) -> tuple[str, ...]:
    """The metric's columns, then its covariates."""
    names = (str(metric.numerator), str(metric.denominator)) if metric.kind == "ratio" else (column_of(metric),)
    return (*names, *metric.covariates)


def strata_name(names: tuple[str, ...]) -> str:
    """How a grouping by several columns is called."""
    return "strata:" + "|".join(names)


def total_of(parts: list[Aggregates]) -> Aggregates:
    """All of them together; at least one."""
    return reduce(Aggregates.__add__, parts)


def _sub(part: Moments, index: list[int]) -> Moments:
    return Moments(n=part.n, mean=part.mean[index], m2=part.m2[np.ix_(index, index)])


def _cell(cell: Mapping[str, Any], k: int) -> Moments:
    n = int(cell["n"])
    mean = np.array(cell["mean"], dtype=float)
    m2 = np.array([[np.nan if item is None else item for item in row] for row in cell["m2"]], dtype=float)
    if mean.shape != (k,) or m2.shape != (k, k):
        raise ValueError(f"a cell of arm {cell['arm']!r} has means {mean.shape} and squares {m2.shape}, not {k}")
    if n < 0 or (np.diag(m2) < 0.0).any():
        raise ValueError(f"a cell of arm {cell['arm']!r} has a negative count or sum of squares")
    return Moments(n=n, mean=mean, m2=m2)


def _counts(raw: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(value) for name, value in raw.items()}


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *right)}


def _day(value: str) -> tuple[float, str]:
    """Numbers by size, dates by the calendar."""
    try:
        return float(value), ""
    except ValueError:
        return 0.0, value
