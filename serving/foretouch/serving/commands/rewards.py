"""``foretouch rewards``: what every decision earned, for learning and evaluation."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds this command to the root application."""
    app.command("rewards")(rewards)


def rewards(
    out: Annotated[Path, typer.Option("--out", help="A .parquet or .csv file.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Time with an offset, e.g. 2026-03-01T00:00:00Z; absent is now.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what every logged decision earned by a time: one row per contact, and one per decision for no contact."""
    from rich.console import Console

    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.history.rewards import write_rewards

    opened = Workspace.open(workspace)
    console = Console(stderr=True)
    status = console.status("Rewards")
    if console.is_terminal:
        status.start()
    try:
        run = write_rewards(
            opened, out, as_of=time_of(as_of), progress=lambda done: status.update(f"Rewards: {done:,} rows")
        )
    finally:
        status.stop()
    if as_json:
        print_json({**vars(run), "out": str(run.out), "as_of": run.as_of.isoformat()})
        return
    section = opened.config.reward
    typer.echo(
        f"{run.decisions:,} rows as known at {run.as_of.isoformat(timespec='seconds')}: {run.activated:,} activated"
        f" contacts, {run.mature:,} with a closed window of {section.window_days:g} days, reward {run.reward:,.6g}"
        f" ({section.goal}): {run.out}"
    )
    for warning in run.warnings:
        typer.echo(f"  {warning}", err=True)


def time_of(text: str | None) -> datetime | None:
    """A time as people write it.

    Raises:
        DataError: It is no ISO 8601 time with an offset.
    """
    from foretouch.core.errors import DataError

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--as-of == {text!r}, must be a time such as 2026-03-01T00:00:00Z") from error
    if at.tzinfo is None:
        raise DataError(f"--as-of == {text!r}, must carry an offset, e.g. {text}Z")
    return at
