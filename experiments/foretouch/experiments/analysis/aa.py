"""A/A: past units are split by lot many times with nothing done to anybody. How often does the analysis see an effect?

The same code analyses the splits that will analyse the experiment: covariates, caps, strata, ratios and clusters. The
share of false alarms must be near the error rate; where it is above what chance allows, the metric's intervals are too
narrow on these data (a few giants, few clusters, a rare ratio), whatever a formula says.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.core.rng import derive_seed
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.aggregates import Codes, Floats
from foretouch.experiments.analysis.contrasts import effect_of_pair, pair_of
from foretouch.experiments.analysis.multiplicity import holm
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import MetricRows, Units, metric_rows

if TYPE_CHECKING:
    import pandas as pd

LEAST_UNITS = 100
LEAST_DIFFERENT = 20
"""Units whose value is not the commonest one: with fewer, no rate of false alarms can be told."""
MOST_UNITS = 100_000
"""More are sampled down to this many."""
BAND = 0.999
FAMILY = "any decision"
Code = Literal["ok", "too_many", "too_few"]
Untold = tuple[str, str, str, str]
"""A metric without a rate: its name, the reason's code, and the reason in English and Chinese."""


@dataclass(frozen=True, kw_only=True)
class FalseAlarms:
    """How often one test was wrong.

    Attributes:
        name: The metric; ``any decision`` for the family after Holm.
        splits: How many splits could be analysed.
        alarms: How many of them called an effect.
        share: ``alarms / splits``.
        ci: 95 % interval of the true share (Clopper and Pearson 1934).
        expected: The error rate that was asked for.
        band: What chance allows a correct analysis in 99.9 of 100 such runs.
        code: ``ok``, ``too_many`` (intervals too narrow) or ``too_few`` (wider than they need be).
    """

    name: str
    splits: int
    alarms: int
    share: float
    ci: tuple[float, float]
    expected: float
    band: tuple[float, float]
    code: Code


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The answer of an A/A trial.

    Attributes:
        units: That were split.
        of: How many there are.
        splits: How often.
        metrics: One rate per metric, then one of the family of decisions after Holm's correction.
        refused: Metrics without a rate, with the reason's code and its texts.
    """

    units: int
    of: int
    splits: int
    metrics: tuple[FalseAlarms, ...]
    refused: tuple[Untold, ...]


def trial(rows: "pd.DataFrame", spec: ExperimentSpec, *, splits: int, seed: int = 0) -> Trial:
    """Splits past units by lot, again and again, and analyses every split.

    Args:
        rows: One row per unit with the metrics' columns; an arm column is not needed and not looked at.
        spec: The experiment: its metrics, cluster, alpha; the control's share and the largest treatment's.
        splits: How often.
        seed: Of the draws.

    Raises:
        DataError: There are fewer than 100 units, or no metric can be analysed.
    """
    if len(rows) < LEAST_UNITS:
        raise DataError(
            f"{len(rows)} past units are too few for an A/A trial, at least {LEAST_UNITS} are needed",
            hint="foretouch ingest more history, or --rows FILE with one row per unit",
        )
    rng = np.random.default_rng(derive_seed(str(seed), "a-a-trial"))
    total = len(rows)
    if total > MOST_UNITS:
        rows = rows.iloc[np.sort(rng.choice(total, MOST_UNITS, replace=False))]
    rows = rows.reset_index(drop=True)
    treatment = max((arm for arm in spec.weights if arm != spec.control), key=lambda arm: spec.weights[arm])
    share = spec.weights[treatment] / (spec.weights[treatment] + spec.weights[spec.control])
    units = Units(rows=rows, spec=spec, arms=(spec.control, treatment), codes=np.zeros(len(rows), dtype=np.int64))
    ready, refused = _ready(units)
    p = np.full((splits, len(ready)), np.nan)
    groups = np.arange(len(rows)) if spec.cluster is None else units.clusters()
    for split in range(splits):
        drawn = replace(units, codes=_drawn(groups, share, rng))
        for index, (metric, columns) in enumerate(ready):
            with suppress(Refused):
                p[split, index] = effect_of_pair(pair_of(drawn, metric, columns, 1), spec).p
    found = []
    for index, (metric, _) in enumerate(ready):
        counted = p[np.isfinite(p[:, index]), index]
        if len(counted) < splits / 2:
            refused.append(_told(metric, Refused("too_few_splits", value=splits - len(counted))))
        else:
            found.append(rate(metric.name, int((counted < spec.alpha).sum()), len(counted), spec.alpha))
    decisive = p[:, [index for index, (metric, _) in enumerate(ready) if metric.role != "secondary"]]
    whole = decisive[np.isfinite(decisive).all(axis=1)]
    if decisive.shape[1] > 1 and len(whole):
        alarms = sum(min(holm(list(line))) < spec.alpha for line in whole)
        found.append(rate(FAMILY, alarms, len(whole), spec.alpha))
    return Trial(units=len(rows), of=total, splits=splits, metrics=tuple(found), refused=tuple(refused))


def _ready(units: Units) -> tuple[list[tuple[Metric, MetricRows]], list[Untold]]:
    """Metrics that can be tried with their columns, and those that cannot with the reason."""
    ready: list[tuple[Metric, MetricRows]] = []
    refused: list[Untold] = []
    for metric in units.spec.metrics:
        try:
            columns = metric_rows(units, metric)
            _varied(metric, columns.columns[:, 0])
        except Refused as reason:
            refused.append(_told(metric, reason))
        else:
            ready.append((metric, columns))
    if not ready:
        raise DataError("no metric can be tried: " + "; ".join(f"{name}: {text}" for name, _, text, _ in refused))
    return ready, refused


def rate(name: str, alarms: int, splits: int, expected: float) -> FalseAlarms:
    """A share of false alarms beside what a correct analysis may have.

    Args:
        name: Whose.
        alarms: How many.
        splits: Of how many.
        expected: The error rate asked for; of a family after Holm it is the most.
    """
    low = float(special.betaincinv(alarms, splits - alarms + 1, 0.025)) if alarms else 0.0
    high = float(special.betaincinv(alarms + 1, splits - alarms, 0.975)) if alarms < splits else 1.0
    counts = np.arange(splits + 1)
    below = special.bdtr(counts, splits, expected)
    least = int(np.searchsorted(below, (1.0 - BAND) / 2.0))
    most = int(np.searchsorted(below, (1.0 + BAND) / 2.0))
    code: Code = "too_many" if alarms > most else "too_few" if alarms < least and name != FAMILY else "ok"
    return FalseAlarms(
        name=name,
        splits=splits,
        alarms=alarms,
        share=alarms / splits,
        ci=(low, high),
        expected=expected,
        band=(least / splits, most / splits),
        code=code,
    )


def _drawn(groups: Codes, share: float, rng: np.random.Generator) -> Codes:
    """Arms by unit, or by cluster where units come in clusters."""
    of_group = (rng.random(int(groups.max()) + 1) < share).astype(np.int64)
    return of_group[groups]


def _varied(metric: Metric, values: Floats) -> None:
    """Raises ``Refused`` unless enough units have another value than the commonest."""
    _, counts = np.unique(values, return_counts=True)
    different = int(len(values) - counts.max())
    if different < LEAST_DIFFERENT:
        raise Refused("too_few_different", column=metric.name, value=different)


def _told(metric: Metric, reason: Refused) -> Untold:
    return metric.name, reason.code, reason.text("en"), reason.text("zh")
