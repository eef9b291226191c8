"""Analysing an experiment of a workspace: spec, log and events in, results out."""

from datetime import datetime

from foretouch.core.errors import NotFoundError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis import Context, analyze
from foretouch.experiments.frame import build_frame
from foretouch.experiments.results import Results
from foretouch.features.assumptions import assumptions


def spec_of(workspace: Workspace, key: str) -> ExperimentSpec:
    """The spec of one experiment.

    Raises:
        NotFoundError: The workspace has no such experiment; the message lists those it has.
    """
    specs = {spec.key: spec for spec in workspace.experiments()}
    if key not in specs:
        known = ", ".join(sorted(specs)) or "none"
        raise NotFoundError(
            f"no experiment {key!r} in {workspace.experiments_folder} (there: {known})",
            hint=f"write {workspace.experiments_folder / key}.toml",
        )
    return specs[key]


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
        NotReadyError: There is no decision log yet.
    """
    spec = spec_of(workspace, key)
    frame = build_frame(workspace, spec, now=now, shorten_to_days=shorten_to_days)
    option = "" if shorten_to_days is None else f" --window-days {shorten_to_days:g}"
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
        command=f"foretouch experiment analyze {key}{option} --workspace {workspace.root.name} --json",
    )
    return analyze(frame.rows, frame.spec, context)
