"""Whom to contact, from an experiment of the workspace: a score on its rows, at prices that somebody wants to try."""

import shlex
from dataclasses import replace
from datetime import datetime

import numpy as np

from foretouch.core.canonical import content_hash
from foretouch.core.errors import ConfigError, NotReadyError
from foretouch.core.experiment import ExperimentSpec, Metric
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.scored import DRAWS
from foretouch.experiments.analysis.table import SERVED, column_of
from foretouch.experiments.log.experiment import place_of
from foretouch.experiments.log.frame import build_frame
from foretouch.experiments.specs import spec_of
from foretouch.experiments.uplift.contract import UpliftResults
from foretouch.experiments.uplift.judge import Worth, judge_score

LEAST = 100
"""People of either group, with a complete window and a score."""


def judge_experiment(
    workspace: Workspace, key: str, *, score: str | None = None, worth: Worth | None = None, now: datetime
) -> UpliftResults:
    """A score on the first primary metric of an experiment, its largest treatment arm against the control.

    Args:
        workspace: Whose log and events.
        key: The experiment.
        score: A feature as it was known at the first decision; None is the one that the spec names, else the uplift
            model in force.
        worth: Prices, in the workspace's currency where they name none; None is what the spec says of the metric.
        now: The workspace's time.

    Raises:
        NotFoundError: There is no such experiment.
        ConfigError: Its arms were not drawn by lot, or no metric of it can be used.
        NotReadyError: There is no such score, or too few people have one.
    """
    spec = spec_of(workspace, key)
    if spec.assignment != "randomised":
        raise ConfigError(f"the arms of {key} were not drawn by lot: whom to contact cannot be read from it")
    wanted = spec if score in {None, "", SERVED} else spec.replace(score=score)
    if score == SERVED:
        wanted = spec.replace(score=None)
    frame = build_frame(workspace, wanted, now=now)
    metric, plain = _metric(frame.spec), _metric(spec)
    name = frame.spec.score
    if frame.rows.empty:
        raise NotReadyError(
            f"nobody of {key} has a complete window yet, {LEAST} people of either group are needed",
            hint=f"foretouch experiment analyze {key}",
        )
    if name is None or name not in frame.rows.columns:
        if score in {None, "", SERVED}:
            said = f"the uplift model in force has no score for {LEAST} people of either group of {key}"
            raise NotReadyError(said, hint="foretouch train uplift")
        raise NotReadyError(f"{score!r} was not known of the people of {key}", hint="foretouch features build")
    arm = max((item for item in spec.weights if item != spec.control), key=lambda item: spec.weights[item])
    rows = frame.rows[frame.rows[spec.arm].isin([spec.control, arm]) & frame.rows[name].notna()]
    treated = np.asarray(rows[spec.arm] == arm, dtype=np.float64)
    if min(treated.sum(), len(treated) - treated.sum()) < LEAST:
        raise NotReadyError(
            f"{int(treated.sum())} and {int(len(treated) - treated.sum())} people of {key} have a complete window,"
            f" {LEAST} of either group are needed",
            hint=f"foretouch experiment analyze {key}",
        )
    worth = _worth(workspace, plain) if worth is None else _in_currency(workspace, worth)
    given = rows[name].to_numpy(dtype=np.float64)
    found = judge_score(
        given,
        treated,
        rows[column_of(metric)].to_numpy(dtype=np.float64),
        names=(name, plain.name),
        title=spec.title.get("en", key),
        worth=worth,
        draws=DRAWS,
    )
    command = f"foretouch experiment uplift --experiment {shlex.quote(key)} --score {shlex.quote(name)}"
    if worth is not None:
        command += f" --value-per-outcome {worth.value:g} --cost-per-contact {worth.cost:g}"
    return found.replace(
        command=f"{command} --as-of {now.isoformat()} {place_of(workspace)} --out .",
        inputs={"rows_sha256": content_hash([given.tolist(), treated.tolist(), rows[column_of(metric)].tolist()])},
    )


def _metric(spec: ExperimentSpec) -> Metric:
    found = next((item for item in spec.metrics if item.role == "primary"), spec.metrics[0])
    if found.kind not in {"mean", "proportion"}:
        raise ConfigError(f"{spec.key}: {found.name} is a {found.kind}; a mean or a proportion is needed")
    return found


def _worth(workspace: Workspace, metric: Metric) -> Worth | None:
    """Prices as the spec has them; revenue is worth itself."""
    revenue = metric.event is not None and metric.measure == "value"
    if metric.value_per_unit is None and not revenue:
        return None
    value = 1.0 if metric.value_per_unit is None else metric.value_per_unit
    return Worth(value=value, cost=metric.cost_per_unit or 0.0, currency=workspace.config.workspace.currency)


def _in_currency(workspace: Workspace, worth: Worth) -> Worth:
    return replace(worth, currency=worth.currency or workspace.config.workspace.currency)
