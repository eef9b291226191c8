"""Commands of the training part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

from enum import StrEnum
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.core.models import MODEL_NAMES, SERVED_NAMES, ModelName
from foretouch.training import (
    commands_associations,
    commands_bench,
    commands_drift,
    commands_policy,
    commands_segments,
    commands_skew,
)

UPLIFT: ModelName = "uplift"
"""Trained with all others where the log can tell it; where not, that is no failure."""


class Model(StrEnum):
    """A model, or all of them."""

    lead = "lead"
    churn = "churn"
    value = "value"
    offer = "offer"
    send_time = "send-time"
    uplift = "uplift"


class Trainable(StrEnum):
    """What can be trained."""

    lead = "lead"
    churn = "churn"
    value = "value"
    offer = "offer"
    send_time = "send-time"
    uplift = "uplift"
    all = "all"


class Target(StrEnum):
    """Where a model can be promoted to."""

    champion = "champion"


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    app.command("train")(train)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("models")(models)
    commands_bench.register(app)
    commands_associations.register(app)
    commands_skew.register(app)
    commands_drift.register(app)
    commands_segments.register(app)
    commands_policy.register(app)


def _names(model: str) -> tuple[ModelName, ...]:
    return MODEL_NAMES if model == "all" else tuple(name for name in SERVED_NAMES if name == model)


def train(
    model: Annotated[Trainable, typer.Argument(help="Which model.")] = Trainable.all,
    trials: Annotated[
        int | None, typer.Option("--trials", min=0, help="Tuning trials; default from foretouch.toml, 0: defaults.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Only models with enough rows matured since: 'last' training, 7d, or a date."),
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Tunes, fits, calibrates, judges on later data, logs to MLflow, registers as challenger.

    With all, uplift too where the log can tell it; where not, it says why.

    Exits 0 (trained, or nothing to do), 1 (could not be trained), 2 (the call is wrong), 75 (another one is at work).
    """
    from foretouch.core.errors import ConfigError
    from foretouch.core.workspace import Workspace
    from foretouch.training.each import Refused, for_each, if_possible
    from foretouch.training.output import say_left_out, show_busy, show_trained, steps
    from foretouch.training.pipeline import train as train_model
    from foretouch.training.pipeline import training_run
    from foretouch.training.schedule import BUSY, BusyError, Due, due_models, parse_since, training_lock

    opened = Workspace.open(workspace)
    names, waiting = _names(model), list[Due]()
    if model is Trainable.all:
        names = (*names, UPLIFT)
    try:
        moment = None if since is None else parse_since(since, opened.clock.now())
    except ConfigError as error:
        raise typer.BadParameter(error.message, param_hint="--since") from error
    try:
        with training_lock(opened), steps() as say:
            run = training_run(opened, trials=trials, say=say)
            lacking = list[Refused]()
            if since is not None:
                names, waiting, lacking = due_models(opened, names, moment)
            without = [item for item in lacking if model is Trainable.all and item.model == UPLIFT]
            lacking = [item for item in lacking if item not in without]
            mine = tuple(name for name in names if model is not Trainable.all or name != UPLIFT)
            trained, refused = for_each(mine, lambda name: train_model(run, name))
            if len(mine) < len(names):
                also, refusal = if_possible(UPLIFT, lambda name: train_model(run, name))
                trained, without = [*trained, *also], [*without, *refusal]
    except BusyError as error:
        show_busy(error, as_json=json)
        raise typer.Exit(BUSY) from error
    refused = [*lacking, *refused]
    say_left_out(without)
    show_trained(trained, refused, opened, as_json=json, waiting=waiting)
    if refused:
        raise typer.Exit(1)


def promote(
    model: Annotated[Trainable, typer.Argument(help="Which model.")],
    to: Annotated[Target, typer.Option("--to", help="The alias that moves.")] = Target.champion,
    version: Annotated[str | None, typer.Option("--version", help="Another version than the challenger.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; recorded in the audit trail.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Makes the challenger the champion if nothing in the gate's table stands against it; else exit 1."""
    from foretouch.core.workspace import Workspace
    from foretouch.training.each import Refused, for_each
    from foretouch.training.output import show_moved
    from foretouch.training.promotion import PromotionRefusedError
    from foretouch.training.promotion import promote as promote_model

    del to  # champion is the only alias that is promoted to
    if version is not None and model is Trainable.all:
        raise typer.BadParameter("name one model: versions differ between models", param_hint="--version")
    opened = Workspace.open(workspace)
    try:
        moved, refused = for_each(_names(model), lambda name: promote_model(opened, name, force=force, version=version))
    except PromotionRefusedError as error:
        moved, refused = [], [Refused(model=_names(model)[0], error=error)]
    show_moved(moved, refused, as_json=json)
    if refused:
        raise typer.Exit(1)


def rollback(
    model: Annotated[Model, typer.Argument(help="Which model.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Puts the previous champion back."""
    from foretouch.core.workspace import Workspace
    from foretouch.training.output import show_moved
    from foretouch.training.promotion import rollback as roll_back

    opened = Workspace.open(workspace)
    show_moved([roll_back(opened, name) for name in _names(model)], [], as_json=json)


def models(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Every version of every model: aliases, figures on later data, how far it was trained."""
    from foretouch.core.workspace import Workspace
    from foretouch.training.output import show_versions
    from foretouch.training.versions import list_versions

    show_versions(list_versions(Workspace.open(workspace)), as_json=json)
