"""Options that several commands share."""

from datetime import datetime
from typing import Annotated

import typer

AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="A past time with its zone: the answer as it was then. Default: now."),
]


def as_of_time(text: str | None, now: datetime) -> datetime:
    """The time of an analysis: as asked for, not later than now."""
    if text is None:
        return now
    try:
        asked = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2026-03-01T09:00:00+00:00", param_hint="--as-of") from error
    if asked.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no zone; write {text}+00:00 for UTC", param_hint="--as-of")
    if asked > now:
        raise typer.BadParameter(f"{text} is later than the workspace's now, {now.isoformat()}", param_hint="--as-of")
    return asked
