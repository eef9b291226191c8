"""A table of units, made ready: arms and segments as codes, columns as checked arrays of floats."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.experiments.analysis.aggregates import Codes, Floats
from foretouch.experiments.analysis.arm_names import arm_named
from foretouch.experiments.analysis.refusals import Refused

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 60
MOST_STRATA = 500
MISSING = "(missing)"
SERVED = "uplift_model"
"""Column with the score of the uplift model in force; rows that it may have learnt from have none."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """One row per unit of the arms that the spec names.

    Attributes:
        rows: The rows.
        spec: The experiment.
        arms: Every arm of the spec, the control first.
        codes: Arm of each row, an index into ``arms``.
        refused: What is wrong with the rows as a whole.
    """

    rows: "pd.DataFrame"
    spec: ExperimentSpec
    arms: tuple[str, ...]
    codes: Codes
    refused: tuple[Refused, ...] = ()
    _columns: dict[str, Floats] = field(default_factory=dict)
    _clusters: list[Codes] = field(default_factory=list)
    _strata: dict[tuple[str, ...], tuple[int, Codes]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: "pd.DataFrame", spec: ExperimentSpec) -> "Units":
        """Checks units and arms; rows of other arms are counted and left out.

        Raises:
            DataError: The arm or unit column is not in the table.
        """
        for name in (spec.arm, spec.unit):
            if name not in rows.columns:
                raise DataError(
                    f"the rows have no column {name!r}; they have {', '.join(map(str, rows.columns))}",
                    hint="name the columns in the spec: unit = …, arm = …",
                )
        refused: list[Refused] = []
        missing = rows[spec.arm].isna() | rows[spec.unit].isna()
        if missing.any():
            refused.append(Refused("missing_arm", value=int(missing.sum())))
            rows = rows[~missing]
        arm = _names(rows[spec.arm], spec)
        repeated = rows[spec.unit].duplicated(keep=False)
        if repeated.any():
            arms_of = arm[repeated].groupby(rows.loc[repeated, spec.unit]).nunique()
            both = int((arms_of > 1).sum())
            refused.append(Refused("unit_in_two_arms", value=both) if both else _twice(rows, spec))
        arms = (spec.control, *(name for name in spec.weights if name != spec.control))
        place = {name: index for index, name in enumerate(arms)}
        codes: Codes = arm.map(place).fillna(-1).to_numpy().astype(np.int64)
        strange = codes < 0
        if strange.any():
            names = ", ".join(sorted(arm[strange].unique())[:5])
            refused.append(Refused("unknown_arm", value=int(strange.sum()), column=names))
            rows, codes = rows[~strange], codes[~strange]
        idle = {index: name for index, name in enumerate(arms) if spec.weights[name] == 0.0}
        traffic = np.isin(codes, list(idle))
        if traffic.any():
            names = ", ".join(idle[index] for index in sorted(set(codes[traffic].tolist())))
            refused.append(Refused("zero_weight_traffic", value=int(traffic.sum()), column=names))
        return cls(rows=rows.reset_index(drop=True), spec=spec, arms=arms, codes=codes, refused=tuple(refused))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Units per arm."""
        sizes = np.bincount(self.codes, minlength=len(self.arms))
        return {arm: int(size) for arm, size in zip(self.arms, sizes, strict=True)}

    def column(self, name: str) -> Floats:
        """A column as finite floats, shape (n,).

        Raises:
            Refused: It is not there, not numeric, or has missing or infinite values.
        """
        if name not in self._columns:
            if name not in self.rows.columns:
                raise Refused("missing_column", value=name)
            series = self.rows[name]
            try:
                values = np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
            except (TypeError, ValueError) as error:
                raise Refused("not_numeric", value=name) from error
            bad = int((~np.isfinite(values)).sum())
            if bad:
                raise Refused("missing_values", value=bad, column=name)
            self._columns[name] = values
        return self._columns[name]

    def clusters(self) -> Codes:
        """The cluster of each row, codes from 0, shape (n,).

        Raises:
            Refused: The column is not there or has gaps.
        """
        name = str(self.spec.cluster)
        if name not in self.rows.columns:
            raise Refused("missing_column", value=name)
        if self._clusters:
            return self._clusters[0]
        codes = self.rows[name].factorize()[0].astype(np.int64)
        if (codes < 0).any():
            raise Refused("missing_values", value=int((codes < 0).sum()), column=name)
        self._clusters.append(codes)
        return codes

    def strata(self, names: tuple[str, ...]) -> tuple[int, Codes]:
        """How many strata the columns make together, and the stratum of each row.

        Raises:
            Refused: A column is not there, or there are too many strata.
        """
        if names not in self._strata:
            codes = np.zeros(len(self.rows), dtype=np.int64)
            for name in names:
                if name not in self.rows.columns:
                    raise Refused("missing_column", value=name)
                own, uniques = self.rows[name].factorize(sort=True, use_na_sentinel=False)
                crossed, codes = np.unique(codes * len(uniques) + own, return_inverse=True)
                if len(crossed) > MOST_STRATA:
                    raise Refused("too_many_strata", column=", ".join(names), value=len(crossed))
            self._strata[names] = (int(codes.max(initial=0)) + 1, codes.astype(np.int64))
        return self._strata[names]

    def levels(self, name: str) -> tuple[list[str], Codes]:
        """A segment's values in order, and the code of each row.

        Raises:
            Refused: The column is not there or has too many values.
        """
        if name not in self.rows.columns:
            raise Refused("missing_column", value=name)
        codes, uniques = self.rows[name].factorize(sort=True, use_na_sentinel=True)
        levels = [str(item) for item in uniques]
        if len(levels) > MOST_LEVELS:
            raise Refused("too_many_levels", column=name, value=len(levels))
        codes = codes.astype(np.int64)
        if (codes < 0).any():
            levels.append(MISSING)
            codes[codes < 0] = len(levels) - 1
        return levels, codes


def _names(arm: "pd.Series", spec: ExperimentSpec) -> "pd.Series":
    return arm.map({value: arm_named(value, spec.weights) for value in arm.unique()})


def _twice(rows: "pd.DataFrame", spec: ExperimentSpec) -> Refused:
    return Refused("duplicate_units", value=int(rows.loc[rows[spec.unit].duplicated(), spec.unit].nunique()))


@dataclass(frozen=True, kw_only=True)
class MetricRows:
    """The columns of one metric for every unit.

    Attributes:
        columns: (y, x...) or (numerator, denominator, x...), shape (n, k).
        lead: How many columns are the metric itself.
        cap: Where a winsorised metric was capped.
        uncapped: The first column as it was.
    """

    columns: Floats
    lead: int
    cap: float | None = None
    uncapped: Floats | None = None


def column_of(metric: Metric) -> str:
    """The column of a metric that is no ratio."""
    return metric.column or metric.name


def cap_of(values: Floats, metric: Metric) -> float:
    """Where a winsorised metric is capped: numpy's linear quantile of all arms' values, or of those above zero.

    Args:
        values: Finite, shape (n,), at least one.
        metric: With ``winsor``.
    """
    above = values[values > 0.0] if metric.winsor_ignore_zero else values
    return float(np.quantile(above if len(above) else values, metric.winsor or 1.0))


def metric_rows(units: Units, metric: Metric) -> MetricRows:
    """The checked columns of one metric.

    Raises:
        Refused: The reason why this metric cannot be computed.
    """
    names = [str(metric.numerator), str(metric.denominator)] if metric.kind == "ratio" else [column_of(metric)]
    lead = len(names)
    columns = [units.column(name) for name in (*names, *metric.covariates)]
    if metric.kind == "proportion" and not np.isin(columns[0], (0.0, 1.0)).all():
        raise Refused("not_binary", value=names[0])
    if metric.kind == "quantile" and metric.covariates:
        raise Refused("covariates_not_for_quantile")
    if metric.strata and (metric.kind == "quantile" or units.spec.cluster is not None):
        raise Refused("strata_not_offered")
    cap = uncapped = None
    if metric.winsor is not None and len(columns[0]):
        cap, uncapped = cap_of(columns[0], metric), columns[0]
        columns[0] = np.minimum(columns[0], cap)
    return MetricRows(columns=np.column_stack(columns), lead=lead, cap=cap, uncapped=uncapped)
