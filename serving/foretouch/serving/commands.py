"""Commands of the serving part. Heavy imports happen inside each command, so that ``--help`` stays fast."""

import typer

from foretouch.serving import (
    commands_bench,
    commands_caps,
    commands_decide,
    commands_history,
    commands_rewards,
    commands_score,
    commands_service,
    commands_suppress,
)


def register(app: typer.Typer) -> None:
    """Adds this part's commands to the root application."""
    commands_bench.register(app)
    commands_caps.register(app)
    commands_decide.register(app)
    commands_history.register(app)
    commands_rewards.register(app)
    commands_score.register(app)
    commands_service.register(app)
    commands_suppress.register(app)
