"""Commands of the features part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

import typer

from foretouch.features import commands_simulate


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    commands_simulate.register(app)
