"""``foretouch insights``: what happened in a period, and why."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.experiments.options import AsOfOption, as_of_time


def register(app: typer.Typer) -> None:
    """Adds the command to the root application."""
    app.command("insights")(insights)


def insights(
    workspace: WorkspaceOption = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Decisions from then on, with zone. Default: the first one.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Decisions before it, with zone. Default: now.")] = None,
    as_of: AsOfOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the files; reports/ of the workspace by default.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="en, zh or both.")] = "both",
    as_json: JsonOption = False,
) -> None:
    """What happened and why: funnels, attribution beside the holdout, cost, and days that stand out.

    Writes a page per language and the numbers as JSON; with --json the numbers go to stdout too.
    """
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.insights.insights import insights as read_insights
    from foretouch.experiments.insights.page import write_insights

    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
    opened = Workspace.open(workspace)
    now = as_of_time(as_of, opened.clock.now())
    found = read_insights(opened, time_option(since, "--since"), time_option(until, "--until"), as_of=now)
    written = write_insights(found, out or opened.reports, ("en", "zh") if lang == "both" else (lang,))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for item in found.summary:
        typer.echo(item.text_zh if lang == "zh" else item.text_en)
    for path in written.values():
        typer.echo(f"  {path}")


def time_option(text: str | None, option: str) -> datetime | None:
    """A time as it was asked for."""
    if text is None:
        return None
    try:
        asked = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2026-03-01T09:00:00+00:00", param_hint=option) from error
    if asked.tzinfo is None:
        raise typer.BadParameter(f"{text!r} names no zone; write {text}T00:00:00+00:00 or the like", param_hint=option)
    return asked
