"""The effect on all units that had entered by each day: days add up, so each look costs one addition."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pandas as pd

from foretouch.experiments.analysis.aggregates import Codes, Moments
from foretouch.experiments.analysis.contrasts import Contrast, by_moments, effect_of_moments, part_effect
from foretouch.experiments.analysis.effects import Effect
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import Units
from foretouch.experiments.results import Look


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
    if pd.api.types.is_numeric_dtype(series):
        codes, days = pd.factorize(series, sort=True)
        return [f"{day:g}" for day in days], codes.astype(np.int64)
    times = pd.to_datetime(series, utc=True, errors="coerce")
    if times.isna().any():
        return None
    codes, days = pd.factorize(times.dt.floor("D"), sort=True)
    return [pd.Timestamp(day).date().isoformat() for day in days], codes.astype(np.int64)


def looks(units: Units, contrasts: list[Contrast]) -> tuple[Look, ...]:
    """One look per day and contrast; days on which an arm is still too small have none."""
    entered = entry_days(units)
    if entered is None:
        return ()
    days, codes = entered
    cached: dict[str, tuple[Moments, ...]] = {}
    found: list[Look] = []
    for contrast in contrasts:
        smallest = 1.0
        for index, effect in _effects(units, contrast, codes, len(days), cached):
            smallest = min(smallest, effect.anytime_p)
            found.append(
                Look(
                    through=days[index],
                    name=contrast.metric.name,
                    contrast=contrast.name,
                    n=effect.n_control + effect.n_treatment,
                    difference=effect.difference,
                    se=effect.se,
                    ci=effect.ci,
                    p=effect.p,
                    lift=effect.lift,
                    lift_ci=effect.lift_ci,
                    anytime_ci=effect.anytime_ci,
                    anytime_lift_ci=effect.anytime_lift_ci,
                    anytime_p_at_look=effect.anytime_p,
                    anytime_p=smallest,
                )
            )
    return tuple(found)


def _effects(
    units: Units, contrast: Contrast, codes: Codes, days: int, cached: dict[str, tuple[Moments, ...]]
) -> Iterator[tuple[int, Effect]]:
    """The effect through each day on which both arms can be compared."""
    metric, arms = contrast.metric, len(units.arms)
    if not by_moments(units, metric):
        for index in range(days):
            with suppress(Refused):
                yield index, part_effect(contrast, units, codes <= index)
        return
    if metric.name not in cached:
        cached[metric.name] = Moments.grouped(contrast.rows.columns, codes * arms + units.codes, days * arms)
    parts = cached[metric.name]
    control = treatment = Moments.empty(contrast.rows.columns.shape[1])
    for index in range(days):
        control = control + parts[index * arms]
        treatment = treatment + parts[index * arms + contrast.arm]
        with suppress(Refused):
            yield index, effect_of_moments(metric, control, treatment, units.spec)
