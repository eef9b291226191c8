"""Commands of the features part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from foretouch.core.cli import JsonOption
from foretouch.features import commands_simulate


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    app.command("init")(init)
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
    from foretouch.features.output import show_initialised, waiting

    with waiting(f"making {folder}"):
        made = initialise(folder, sample)
    show_initialised(made, as_json=json)
