"""What the analysis asks of its data, and what a table of rows answers; ``summary.py`` answers from aggregates."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Codes, Floats, Moments
from foretouch.experiments.analysis.contrasts import (
    Contrast,
    by_moments,
    contrast_of,
    effect_of_moments,
    part_effect,
)
from foretouch.experiments.analysis.effects import Effect
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import MetricRows, Units, metric_rows

NUMERIC = "biuf"
"""Kinds of columns whose values count as they are: flags, whole numbers, floats."""


class Source(Protocol):
    """Where effects come from. Every method that cannot answer raises ``Refused``."""

    @property
    def spec(self) -> ExperimentSpec:
        """The experiment."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm of the spec, the control first."""

    @property
    def counts(self) -> dict[str, int]:
        """Units per arm."""

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What is wrong with the whole."""

    def prepare(self, metric: Metric) -> None:
        """Checks a metric's columns."""

    def contrast(self, metric: Metric, arm: int) -> Contrast:
        """A metric in one arm against the control."""

    def values_of(self, segment: str) -> list[str]:
        """The values of a segment, in order."""

    def sizes_by(self, segment: str) -> Floats:
        """Units by value and arm, shape (values, arms)."""

    def effect_in(self, contrast: Contrast, segment: str, value: int) -> Effect:
        """The effect in one value of a segment; without strata, which may be that very segment."""

    def days(self) -> list[str]:
        """The days on which units entered, in order; empty without a usable time."""

    def effects_through(self, contrast: Contrast) -> Iterator[tuple[int, Effect]]:
        """The effect through each day on which both arms can be compared."""

    def covariate(self, name: str) -> tuple[Moments, ...]:
        """One column's moments by arm."""


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """A table of units.

    Attributes:
        units: The table, checked.
    """

    units: Units
    _metrics: dict[str, MetricRows] = field(default_factory=dict)
    _levels: dict[str, tuple[list[str], Codes]] = field(default_factory=dict)
    _parts: dict[tuple[str, str], tuple[Moments, ...]] = field(default_factory=dict)

    @property
    def spec(self) -> ExperimentSpec:
        """The experiment."""
        return self.units.spec

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm of the spec, the control first."""
        return self.units.arms

    @property
    def counts(self) -> dict[str, int]:
        """Units per arm."""
        return self.units.counts

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What is wrong with the whole."""
        return self.units.refused

    def prepare(self, metric: Metric) -> None:
        """Checks a metric's columns."""
        self._metrics[metric.name] = metric_rows(self.units, metric)

    def contrast(self, metric: Metric, arm: int) -> Contrast:
        """A metric in one arm against the control."""
        return contrast_of(self.units, metric, self._metrics[metric.name], arm)

    def values_of(self, segment: str) -> list[str]:
        """The values of a segment, in order."""
        return self._of_segment(segment)[0]

    def sizes_by(self, segment: str) -> Floats:
        """Units by value and arm, shape (values, arms)."""
        levels, codes = self._of_segment(segment)
        arms = len(self.arms)
        sizes = np.bincount(codes * arms + self.units.codes, minlength=len(levels) * arms)
        table: Floats = sizes.reshape(len(levels), arms).astype(float)
        return table

    def effect_in(self, contrast: Contrast, segment: str, value: int) -> Effect:
        """The effect in one value of a segment."""
        levels, codes = self._of_segment(segment)
        metric = contrast.metric.replace(strata=()) if contrast.metric.strata else contrast.metric
        if not by_moments(self.units, metric):
            return part_effect(contrast, self.units, codes == value)
        parts, arms = self._moments(metric, segment, codes, len(levels)), len(self.arms)
        return effect_of_moments(metric, parts[value * arms], parts[value * arms + contrast.arm], self.spec)

    def days(self) -> list[str]:
        """The days on which units entered, in order."""
        entered = entry_days(self.units)
        if entered is None:
            return []
        self._levels["\x00days"] = entered
        return entered[0]

    def effects_through(self, contrast: Contrast) -> Iterator[tuple[int, Effect]]:
        """The effect through each day."""
        days, codes = self._levels["\x00days"]
        metric = contrast.metric
        if not by_moments(self.units, metric):
            for index in range(len(days)):
                with suppress(Refused):
                    yield index, part_effect(contrast, self.units, codes <= index)
            return
        parts = self._moments(metric, "\x00days", codes, len(days))
        yield from through(parts, metric, contrast.arm, len(self.arms), self.spec)

    def covariate(self, name: str) -> tuple[Moments, ...]:
        """One column's moments by arm."""
        return Moments.grouped(self.units.column(name)[:, None], self.units.codes, len(self.arms))

    def rows_of(self, metrics: list[Metric]) -> list[tuple[Metric, MetricRows]]:
        """Prepared metrics with their columns."""
        return [(metric, self._metrics[metric.name]) for metric in metrics]

    def _of_segment(self, segment: str) -> tuple[list[str], Codes]:
        if segment not in self._levels:
            self._levels[segment] = self.units.levels(segment)
        return self._levels[segment]

    def _moments(self, metric: Metric, grouping: str, codes: Codes, groups: int) -> tuple[Moments, ...]:
        key = (metric.name, grouping)
        if key not in self._parts:
            arms = len(self.arms)
            columns = self._metrics[metric.name].columns
            self._parts[key] = Moments.grouped(columns, codes * arms + self.units.codes, groups * arms)
        return self._parts[key]


def through(
    parts: tuple[Moments, ...], metric: Metric, arm: int, arms: int, spec: ExperimentSpec
) -> Iterator[tuple[int, Effect]]:
    """The effect on all units through each day: days add up, so that each look costs one addition.

    Args:
        parts: Moments by day and arm, ``parts[day * arms + arm]``.
        metric: What is compared.
        arm: The treatment's index.
        arms: How many arms there are.
        spec: The experiment.
    """
    control = treatment = Moments.empty(len(parts[0].mean))
    for index in range(len(parts) // arms):
        control = control + parts[index * arms]
        treatment = treatment + parts[index * arms + arm]
        with suppress(Refused):
            yield index, effect_of_moments(metric, control, treatment, spec)


def entry_days(units: Units) -> tuple[list[str], Codes] | None:
    """The days on which units entered, in order, and each unit's day; ``None`` without a usable ``time`` column.

    Times count by UTC day; numbers (a day's index) count as they are.
    """
    name = units.spec.time
    if name is None or name not in units.rows.columns or len(units.rows) == 0:
        return None
    series = units.rows[name]
    if series.isna().any():
        return None
    if series.dtype.kind in NUMERIC:
        codes, days = series.factorize(sort=True)
        return [f"{day:g}" for day in days], codes.astype(np.int64)
    import pandas as pd  # noqa: PLC0415 - whoever has rows has it already

    times = pd.to_datetime(series, utc=True, errors="coerce")
    if times.isna().any():
        return None
    codes, days = times.dt.floor("D").factorize(sort=True)
    return [day.date().isoformat() for day in days], codes.astype(np.int64)
