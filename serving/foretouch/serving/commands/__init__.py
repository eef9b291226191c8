"""Commands of the serving part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

import typer

from foretouch.serving.commands import bench, caps, decide, doctor, history, rewards, score, service, suppress


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    for part in (bench, caps, decide, doctor, history, rewards, score, service, suppress):
        part.register(app)
