"""Analysing an experiment of a workspace: spec, log and events in, results out."""

import shlex
from datetime import datetime
from pathlib import Path

import pandas as pd

from foretouch.core.errors import ForetouchError, NotReadyError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.analyze import Context, analyze
from foretouch.experiments.analysis.definitions import DEFINITIONS
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.log.design import design
from foretouch.experiments.log.frame import build_frame
from foretouch.experiments.past_trials import past_trials
from foretouch.experiments.report.needed import POWER
from foretouch.experiments.report.verdict import WAITING
from foretouch.experiments.results import PlannedMetric, Results
from foretouch.experiments.specs import spec_of
from foretouch.features.assumptions import assumptions


def place_of(workspace: Workspace) -> str:
    """The option that names the workspace in a command run from here."""
    root, here = workspace.root.resolve(), Path.cwd()
    return f"--workspace {shlex.quote(str(root.relative_to(here) if root.is_relative_to(here) else root))}"


def refused_experiment(workspace: Workspace, spec: ExperimentSpec, error: ForetouchError) -> Results:
    """The results of an experiment whose spec cannot be carried out: a reason and no number.

    Args:
        workspace: Where the spec stands.
        spec: The experiment.
        error: What is wrong.
    """
    place = place_of(workspace)
    context = Context(
        origin=workspace.config.workspace.origin,
        refused=(Refused("spec_wrong", value=error.message),),
        command=f"foretouch experiment analyze {spec.key} {place} --json",
        workspace=place,
    )
    return analyze(pd.DataFrame({spec.unit: [], spec.arm: []}), spec, context)


def analyze_experiment(
    workspace: Workspace, key: str, *, now: datetime, shorten_to_days: float | None = None
) -> Results:
    """Analyses an experiment from the decision log.

    Args:
        workspace: Whose log, events and spec.
        key: The experiment.
        now: The workspace's time.
        shorten_to_days: Caps every metric's window, for all arms alike.

    Raises:
        NotFoundError: There is no such experiment.
        ConfigError: The spec names measures that there are not.
    """
    spec = spec_of(workspace, key)
    frame = build_frame(workspace, spec, now=now, shorten_to_days=shorten_to_days)
    place = place_of(workspace)
    shorter = "" if shorten_to_days is None else f" --window-days {shorten_to_days:g}"
    command = f"foretouch experiment analyze {key}{shorter} --as-of {now.isoformat()} {place} --json"
    context = Context(
        running=frame.running,
        currency=workspace.config.workspace.currency,
        origin=workspace.config.workspace.origin,
        money_is_revenue=frozenset(
            metric.name for metric in spec.metrics if metric.event is not None and metric.measure == "value"
        ),
        enrolment=frame.enrolment,
        checks=frame.checks,
        refused=frame.refused,
        assumptions=tuple(item.model_dump(mode="json") for item in assumptions(workspace)),
        command=command,
        workspace=place,
    )
    results = analyze(frame.rows, frame.spec, context)
    trials = past_trials(workspace, key, until=now)
    if trials:
        told = {**results.definitions, "past_trials": DEFINITIONS["past_trials"]}
        results = results.replace(past_trials=trials, definitions=told)
    if results.verdict.code == "broken" or not any(item.code in WAITING for item in results.refusals):
        return results
    return results.replace(plan=_plan(workspace, key, now))


def _plan(workspace: Workspace, key: str, now: datetime) -> tuple[PlannedMetric, ...]:
    """What past data say about the size of the test; nothing where there are none."""
    try:
        plan = design(workspace, key, now=now, power=POWER)
    except NotReadyError:
        return ()
    return tuple(
        PlannedMetric(
            name=metric.name,
            baseline=metric.baseline,
            units={f"{lift:g}": units for lift, units in metric.units.items()},
            detectable_lift=metric.detectable_lift,
            audience=plan.audience,
        )
        for metric in plan.metrics
    )
