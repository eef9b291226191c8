"""``foretouch experiment decompose`` and ``experiment arms``: what standing arms and explored choices say."""

from typing import Annotated, Any

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption
from foretouch.experiments.commands_insights import time_option
from foretouch.experiments.options import AsOfOption, as_of_time


def register(group: typer.Typer) -> None:
    """Adds the commands to ``foretouch experiment``."""
    group.command("decompose")(decompose)
    group.command("arms")(arms)


def decompose(
    key: Annotated[str | None, typer.Argument(help="The experiment; the one with portfolio = true by default.")] = None,
    workspace: WorkspaceOption = None,
    window_days: Annotated[
        float | None, typer.Option("--window-days", min=0.01, help="Cap the metric's window, to look early.")
    ] = None,
    as_of: AsOfOption = None,
    lang: Annotated[str, typer.Option("--lang", help="en, zh or both.")] = "both",
    as_json: JsonOption = False,
) -> None:
    """What each part of the decision earns, from the standing arms: models, rules, levers, contacting at all."""
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.console_log import print_decomposition
    from foretouch.experiments.log.decompose import decompose as split

    _check_language(lang)
    opened = Workspace.open(workspace)
    found = split(opened, key, now=as_of_time(as_of, opened.clock.now()), shorten_to_days=window_days)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_decomposition(found, lang)


def arms(
    workspace: WorkspaceOption = None,
    by: Annotated[str, typer.Option("--by", help="offer or channel.")] = "offer",
    since: Annotated[str | None, typer.Option("--since", help="Decisions from then on, with zone.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Decisions before it, with zone.")] = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """What each offer earned where the policy explored: by logged probabilities (AIPW), plain means beside them."""
    from foretouch.core.workspace import Workspace
    from foretouch.experiments.console_log import print_arms
    from foretouch.experiments.log.arms import arms as read_arms

    wanted: Any = by
    if by not in {"offer", "channel"}:
        raise typer.BadParameter(f"{by!r} must be offer or channel", param_hint="--by")
    opened = Workspace.open(workspace)
    found = read_arms(
        opened,
        by=wanted,
        now=as_of_time(as_of, opened.clock.now()),
        since=time_option(since, "--since"),
        until=time_option(until, "--until"),
    )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_arms(found)


def _check_language(lang: str) -> None:
    if lang not in {"en", "zh", "both"}:
        raise typer.BadParameter(f"{lang!r} must be en, zh or both", param_hint="--lang")
