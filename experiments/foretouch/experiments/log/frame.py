"""From a workspace to the table that is analysed: the decision log's units, their goals, covariates and segments.

Rules: a unit has one row. It starts at its first logged exposure and takes the arm logged there; later decisions, whose
windows would overlap the first, open no row of their own. A unit is analysed when the longest window of the metrics is
over (``shorten_to_days`` caps every window, for all arms alike). Units logged in two arms are counted and left out.
Events posted or ingested count once; bots and machine events never do.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.table import SERVED
from foretouch.experiments.log.bots import Bots
from foretouch.experiments.log.exposed import newest_outcome, reached_units, shares_by_arm
from foretouch.experiments.log.exposures import Exposure, logged, read_exposures
from foretouch.experiments.log.lights import (
    MOST_MISMATCHES,
    assignment_lights,
    bot_light,
    delivery_light,
    fresh_light,
)
from foretouch.experiments.log.measures import (
    Measure,
    measure,
    members_of,
    metric_measures,
    named_measure,
    newest_event,
)
from foretouch.experiments.log.served_score import served_score
from foretouch.experiments.results import Check, Enrolment
from foretouch.features.tables import connect, read_table, resolve_aliases

TIME = "first_exposed_at"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One row per unit, ready for ``analyze``.

    Attributes:
        rows: The units whose windows are over.
        spec: The spec with its columns named as they are in ``rows``.
        enrolment: How many came from where.
        checks: Lights that only the log can tell.
        refused: What is wrong with the whole.
        running: The planned end, windows included, has not come.
    """

    rows: pd.DataFrame
    spec: ExperimentSpec
    enrolment: Enrolment
    checks: tuple[Check, ...]
    refused: tuple[Refused, ...]
    running: bool


def windows_of(spec: ExperimentSpec, shorten_to_days: float | None) -> dict[str, float]:
    """Each metric's window in days."""
    cap = float("inf") if shorten_to_days is None else shorten_to_days
    return {metric.name: min(metric.window_days, cap) for metric in spec.metrics}


def build_frame(
    workspace: Workspace, spec: ExperimentSpec, *, now: datetime, shorten_to_days: float | None = None
) -> Frame:
    """Reads the log and the events and makes one row per unit.

    Args:
        workspace: Whose log and events.
        spec: The experiment.
        now: The workspace's time; later exposures and events are not known yet.
        shorten_to_days: Caps every window, to read a young experiment early.

    Raises:
        ConfigError: A ratio or covariate names no measure.
    """
    aliases = read_table(workspace, "aliases")
    roots = resolve_aliases(dict(zip(aliases["customer_id"], aliases["alias_of"], strict=True)))
    exposures = read_exposures(workspace, spec, until=now, aliases=roots)
    windows = windows_of(spec, shorten_to_days)
    longest = timedelta(days=max(windows.values()))
    clean = [item for item in exposures if len(item.arms) == 1]
    mature = [item for item in clean if item.at + longest <= now]
    mismatched = sum(item.arm != item.assigned for item in exposures)
    ready, measures = measured(spec, windows)
    with closing(connect(workspace)) as connection:
        units = pd.DataFrame(
            {"unit": [item.unit for item in mature], "customer_id": [item.customer_id for item in mature]}
        )
        rows = pd.DataFrame({spec.unit: units["unit"], spec.arm: [item.arm for item in mature]})
        rows[TIME] = pd.DatetimeIndex([item.at for item in mature], tz="UTC")
        lights: tuple[Check, ...] = ()
        if mature:
            members = members_of(connection, units, households=spec.unit == "household_id")
            for name, wanted in measures.items():
                at = [item.at for item in mature]
                rows[name] = measure(connection, members, at, wanted, received_by=now)
            bots = Bots.of(workspace, connection, members, mature, received_by=now, aliases=roots)
            lights += bot_light(spec, mature, bots)
        newest_goal = newest_event(connection, sorted({wanted.event for wanted in measures.values()}), now)
        seen = (newest_event(connection, None, now), newest_outcome(workspace, now))
    _known_before(rows, ready, mature)
    if spec.score is None:
        served = served_score(workspace, spec, mature)
        if served is not None:
            rows[SERVED] = served
            ready = ready.replace(score=SERVED)
    reached = reached_units(workspace, mature, window=longest, received_by=now, aliases=roots)
    enrolment = Enrolment(
        as_of=now,
        entered=len(exposures),
        mature=len(mature),
        not_mature=len(clean) - len(mature),
        in_two_arms=len(exposures) - len(clean),
        assignment_mismatches=mismatched,
        first_exposure=min((item.at for item in exposures), default=None),
        last_exposure=max((item.at for item in exposures), default=None),
        last_event=newest_goal,
        contacted=_contacted(exposures),
        exposed={} if reached is None else shares_by_arm(mature, reached),
        entered_by_arm=_by_arm(exposures),
        window_days=windows,
        shortened_to_days=shorten_to_days,
    )
    refused = _misplaced(exposures, spec)
    if mismatched > MOST_MISMATCHES * max(len(exposures), 1):
        refused.append(Refused("assignment_mismatch", value=mismatched))
    if not exposures and not logged(workspace):
        refused.append(Refused("no_log"))
    if clean and not mature:
        first = min(item.at for item in clean) + longest
        refused.append(Refused("none_mature", value=len(clean), column=first.date()))
    return Frame(
        rows=rows,
        spec=ready,
        enrolment=enrolment,
        checks=(
            *assignment_lights(enrolment),
            *delivery_light(spec, mature, reached),
            *lights,
            fresh_light(enrolment, longest, max((time for time in seen if time is not None), default=None)),
        ),
        refused=tuple(refused),
        running=spec.ends_at is None or now < spec.ends_at + longest,
    )


def measured(spec: ExperimentSpec, windows: Mapping[str, float]) -> tuple[ExperimentSpec, dict[str, Measure]]:
    """Gives every measure a column of its own, and a spec that names those columns.

    Two metrics may count one event over different windows, so that a measure's column carries its metric's name.
    """
    measures: dict[str, Measure] = {}
    metrics = []
    for metric in spec.metrics:
        days = windows[metric.name]
        changes: dict[str, Any] = {}
        own = metric_measures(metric, days)
        for name, wanted in own.items():
            column = f"{metric.name}: {name}"
            measures[column] = wanted
            field = "column" if metric.kind != "ratio" else "numerator" if name == metric.numerator else "denominator"
            changes[field] = column
        covariates = []
        for name in metric.covariates:
            before = named_measure(name, days=days, before=True)
            column = name if before is None else f"{name} in the {days:g} days before"
            if before is not None:
                measures[column] = before
            covariates.append(column)
        metrics.append(metric.replace(**changes, covariates=tuple(covariates)))
    return spec.replace(metrics=tuple(metrics), time=TIME), measures


def _known_before(rows: pd.DataFrame, spec: ExperimentSpec, mature: list[Exposure]) -> None:
    """Adds covariates, the score, segments and clusters as they were known at the decision.

    A missing covariate takes the mean of all arms: it is older than the assignment, so that this favours no arm.
    """
    wanted = {name for metric in spec.metrics for name in metric.covariates} | ({spec.score} if spec.score else set())
    covariates = wanted - set(rows.columns)
    for name in sorted(covariates):
        values = pd.to_numeric(pd.Series([item.known.get(name) for item in mature]), errors="coerce")
        if values.notna().any():
            rows[name] = values.fillna(values.mean()).to_numpy(dtype=np.float64)
    others = [*spec.segments, *([spec.cluster] if spec.cluster else [])]
    for name in others:
        found = [item.known.get(name) for item in mature]
        if name not in rows.columns and any(item is not None for item in found):
            rows[name] = pd.Series([None if item is None else str(item) for item in found], dtype=object)


def _by_arm(exposures: list[Exposure]) -> dict[str, int]:
    return dict(sorted(Counter(item.arm for item in exposures).items()))


def _misplaced(exposures: list[Exposure], spec: ExperimentSpec) -> list[Refused]:
    """Whoever was logged in an arm that the spec does not name, or in one of weight 0, mature or not."""
    found = []
    strange = [item.arm for item in exposures if item.arm not in spec.weights]
    if strange:
        found.append(Refused("unknown_arm", value=len(strange), column=", ".join(sorted(set(strange))[:5])))
    idle = [item.arm for item in exposures if spec.weights.get(item.arm) == 0.0]
    if idle:
        found.append(Refused("zero_weight_traffic", value=len(idle), column=", ".join(sorted(set(idle)))))
    return found


def _contacted(exposures: list[Exposure]) -> dict[str, float]:
    arms: dict[str, list[bool]] = {}
    for item in exposures:
        arms.setdefault(item.arm, []).append(item.contacted)
    return {arm: sum(flags) / len(flags) for arm, flags in sorted(arms.items())}
