"""``foretouch skew``: the features that the service saw beside those of the history."""

from datetime import datetime
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds the command to the root application."""
    app.command("skew")(skew)


def skew(
    since: Annotated[
        datetime | None, typer.Option("--since", help="Decisions from then on (UTC); default: the whole log.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Decisions that are compared, evenly drawn.")] = 5_000,
    top: Annotated[int, typer.Option("--top", min=1, help="Features that are shown.")] = 15,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Compares logged feature values with the history's, and says why they differ.

    Exits 0 where every difference has a cause (an older snapshot, a late event), 1 where one has none.
    """
    from datetime import UTC

    from foretouch.core.workspace import Workspace
    from foretouch.training.log.skew import measure_skew
    from foretouch.training.log.skew_output import show_skew

    start = None if since is None else since.replace(tzinfo=since.tzinfo or UTC)
    found = measure_skew(Workspace.open(workspace), since=start, most=most)
    show_skew(found, top=top, as_json=json)
    if found.faults:
        raise typer.Exit(1)
