"""Commands of the features part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.features import commands_simulate


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    app.command("init")(init)
    app.command("ingest")(ingest)
    features = typer.Typer(name="features", help="As-of features: history, Feast, online.", no_args_is_help=True)
    features.command("build")(build)
    features.command("apply")(apply)
    features.command("materialize")(materialize)
    features.command("show")(show)
    app.add_typer(features)
    commands_simulate.register(app)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new workspace's folder.")],
    sample: Annotated[
        Literal["complete-journey", "simulated"] | None, typer.Option("--sample", help="Data to start with.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Makes a workspace ready to run: configuration, keys and, on request, sample data."""
    from foretouch.features.initialise import initialise
    from foretouch.features.output import progress, show_initialised

    with progress(f"making {folder}") as say:
        made = initialise(folder, sample, say=say)
    show_initialised(made, as_json=json)


FileOption = Annotated[Path | None, typer.Option(metavar="FILE", help="CSV, Parquet, or a folder of Parquet parts.")]


def ingest(
    customers: FileOption = None,
    consents: FileOption = None,
    aliases: FileOption = None,
    events: FileOption = None,
    offers: FileOption = None,
    treatments: FileOption = None,
    touches: FileOption = None,
    suppressions: FileOption = None,
    update: Annotated[
        bool, typer.Option("--update", help="Changed customers, offers, treatments and aliases replace stored ones.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Takes tables in: validates, deduplicates, quarantines with reasons, and reports the quality of the data."""
    given = {
        "customers": customers,
        "consents": consents,
        "aliases": aliases,
        "events": events,
        "offers": offers,
        "treatments": treatments,
        "touches": touches,
        "suppressions": suppressions,
    }
    sources = {table: file for table, file in given.items() if file is not None}
    if not sources:
        raise typer.BadParameter("name at least one table, for example --events FILE")
    from foretouch.core.workspace import Workspace
    from foretouch.features.ingest import ingest_tables
    from foretouch.features.output import progress, show_quality
    from foretouch.features.quality import all_refused

    opened = Workspace.open(workspace)
    with progress("ingesting") as say:
        report = ingest_tables(opened, sources, update=update, say=say)
    show_quality(report, opened, as_json=json)
    if report.lost:
        raise all_refused(report)


def build(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Computes every feature at every snapshot time from the tables and the posted events."""
    from foretouch.core.workspace import Workspace
    from foretouch.features.build import build_history
    from foretouch.features.output import progress, show_counts

    with progress("building features") as say:
        rows = build_history(Workspace.open(workspace), say=say)
    show_counts("snapshots", rows, "foretouch features apply", as_json=json)


def apply(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Registers entity, feature views and services with Feast."""
    from foretouch.core.terminal import waiting
    from foretouch.core.workspace import Workspace
    from foretouch.features.output import show_counts

    with waiting("registering with Feast"):
        from foretouch.features import store

        counts = store.apply(Workspace.open(workspace))
    show_counts("registered", counts, "foretouch features materialize", as_json=json)


def materialize(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Writes everyone's latest features to the online store."""
    from foretouch.core.terminal import waiting
    from foretouch.core.workspace import Workspace
    from foretouch.features.online import OnlineFeatures
    from foretouch.features.output import show_counts

    opened = Workspace.open(workspace)
    with waiting("writing the online store"):
        from foretouch.features import store

        store.materialize(opened)
        customers = OnlineFeatures(opened).count()
    show_counts("online", {"customers": customers}, "foretouch train all", as_json=json)


def show(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Shows a customer's profile: readable tags in four groups."""
    from foretouch.core.workspace import Workspace
    from foretouch.features.output import show_profile
    from foretouch.features.profile import read_profile

    show_profile(read_profile(Workspace.open(workspace), customer_id), as_json=json)
