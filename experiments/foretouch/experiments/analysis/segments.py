"""Effects by segment, with one family of p, intervals at the false coverage rate, and Cochran's Q."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.contrasts import Contrast
from foretouch.experiments.analysis.effects import Effect, t_quantile
from foretouch.experiments.analysis.multiplicity import benjamini_hochberg, fcr_level
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.source import Source
from foretouch.experiments.results import Heterogeneity, SegmentResult

Problem = tuple[Refused, str, str]
"""Reason, metric, and the segment it concerns."""


@dataclass(frozen=True, kw_only=True)
class _Cell:
    segment: str
    value: str
    contrast: Contrast
    effect: Effect


def segment_results(
    source: Source, contrasts: list[Contrast], *, without: Collection[tuple[str, str]] = ()
) -> tuple[tuple[SegmentResult, ...], tuple[Heterogeneity, ...], list[Problem]]:
    """Every segment of the spec for every contrast.

    Args:
        source: Everyone.
        contrasts: The whole's comparisons.
        without: Segments and values that cannot be read, because their split is wrong.

    Returns:
        Segment rows, one heterogeneity test per (segment, metric, arm), and what was refused.
    """
    cells: list[_Cell] = []
    problems: list[Problem] = []
    refused = frozenset(without)
    for segment in source.spec.segments:
        try:
            levels = source.values_of(segment)
        except Refused as reason:
            problems.append((reason, "*", segment))
            continue
        fit = [(level, value) for level, value in enumerate(levels) if (segment, value) not in refused]
        unfit = [value for value in levels if (segment, value) in refused]
        problems += [(Refused("segment_split_mismatch"), "*", f"{segment} = {value}") for value in unfit]
        for contrast in contrasts:
            for level, value in fit:
                try:
                    effect = source.effect_in(contrast, segment, level)
                except Refused as reason:
                    problems.append((reason, contrast.metric.name, f"{segment} = {value}"))
                    continue
                cells.append(_Cell(segment=segment, value=value, contrast=contrast, effect=effect))
    adjusted = benjamini_hochberg([cell.effect.p for cell in cells])
    level_fcr = fcr_level(adjusted, source.spec.alpha)
    rows = tuple(_row(cell, p, level_fcr) for cell, p in zip(cells, adjusted, strict=True))
    return rows, _heterogeneity(cells), problems


def _row(cell: _Cell, p_adjusted: float, level: float) -> SegmentResult:
    effect = cell.effect
    half = t_quantile(1.0 - level / 2.0, effect.df) * effect.se
    return SegmentResult(
        segment=cell.segment,
        value=cell.value,
        name=cell.contrast.metric.name,
        contrast=cell.contrast.name,
        n_control=effect.n_control,
        n_treatment=effect.n_treatment,
        control_mean=effect.control_mean,
        treatment_mean=effect.treatment_mean,
        difference=effect.difference,
        se=effect.se,
        ci=effect.ci,
        ci_fcr=(effect.difference - half, effect.difference + half),
        p=effect.p,
        p_adjusted=p_adjusted,
        lift=effect.lift,
        lift_ci=effect.lift_ci,
    )


def _heterogeneity(cells: list[_Cell]) -> tuple[Heterogeneity, ...]:
    families: dict[tuple[str, str, str], list[Effect]] = {}
    for cell in cells:
        key = (cell.segment, cell.contrast.metric.name, cell.contrast.name)
        families.setdefault(key, []).append(cell.effect)
    tests = []
    for (segment, name, contrast), effects in families.items():
        if len(effects) < 2:
            continue
        differences = np.array([effect.difference for effect in effects])
        weights = 1.0 / np.array([effect.se for effect in effects]) ** 2
        centre = float(np.average(differences, weights=weights))
        q = float((weights * (differences - centre) ** 2).sum())
        df = len(effects) - 1
        tests.append(
            Heterogeneity(segment=segment, name=name, contrast=contrast, q=q, df=df, p=float(special.chdtrc(df, q)))
        )
    return tuple(tests)
