"""Commands of the training part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

import typer


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
