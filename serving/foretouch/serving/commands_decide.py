"""Commands about decide: see ``commands.py`` of this part."""

import typer


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
