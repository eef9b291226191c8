"""Commands over the decision log: ``what-if``, ``shadow`` and ``decisions export``."""

from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption

Since = Annotated[str | None, typer.Option("--since", help="Decided at or after: 2026-03-01 or a time with an offset.")]
Until = Annotated[str | None, typer.Option("--until", help="Decided before: 2026-03-01 or a time with an offset.")]


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    decisions = typer.Typer(name="decisions", help="The decision log.", no_args_is_help=True)
    decisions.command("export")(export_command)
    app.add_typer(decisions)
    app.command("what-if")(what_if_command)
    app.command("shadow")(shadow_command)


def what_if_command(
    policy: Annotated[str, typer.Option("--policy", help="policies/<name>.toml, or policy for policy.toml.")],
    workspace: WorkspaceOption = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Most decisions, evenly spread over the range.")
    ] = 1000,
    since: Since = None,
    until: Until = None,
    segment: Annotated[
        list[str] | None, typer.Option("--segment", help="A customer attribute or feature to show apart; repeat it.")
    ] = None,
    losers: Annotated[int, typer.Option("--losers", min=0, help="Most customers named among those who lose.")] = 20,
    evidence: Annotated[bool, typer.Option(help="Also what the logged outcomes say.")] = True,
    as_json: JsonOption = False,
) -> None:
    """What another policy would have changed: reach, spend, mix, who loses; model-based and logged evidence apart."""
    from rich.console import Console

    from foretouch.core.moments import moment_of
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.history.what_if_log import what_if_here
    from foretouch.serving.words.history_words import show_what_if

    found = what_if_here(
        Workspace.open(workspace),
        policy,
        sample=sample,
        since=moment_of("--since", since),
        until=moment_of("--until", until),
        segments=tuple(segment or ()),
        losers=losers,
        evidence=evidence,
    )
    if as_json:
        print_json(found)
    else:
        show_what_if(found, Console())


def shadow_command(
    workspace: WorkspaceOption = None,
    since: Since = None,
    until: Until = None,
    as_json: JsonOption = False,
) -> None:
    """How often the shadow (challenger models or another policy) chose otherwise, where, and what that is worth."""
    from contextlib import closing

    from rich.console import Console

    from foretouch.core.errors import NotFoundError
    from foretouch.core.moments import moment_of
    from foretouch.core.state.log import read_decisions
    from foretouch.core.state.opening import read_state
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.history.shadow_report import shadow_reports
    from foretouch.serving.words.history_words import show_shadow

    opened = Workspace.open(workspace)
    connection = read_state(opened)
    if connection is None:
        raise NotFoundError("nothing was decided yet", hint="foretouch decide --customer ID")
    with closing(connection):
        first, last = moment_of("--since", since), moment_of("--until", until)
        reports = shadow_reports(read_decisions(connection, since=first, until=last))
    if as_json:
        print_json({"shadows": reports})
    else:
        show_shadow(reports, opened.config.shadow, Console())


def export_command(
    out: Annotated[str, typer.Option("--out", help="A folder: made if absent, gone on with if it holds this export.")],
    workspace: WorkspaceOption = None,
    since: Since = None,
    until: Until = None,
    as_json: JsonOption = False,
) -> None:
    """The decision log as Parquet: one row per decision and one per candidate, a folder per day."""
    from contextlib import closing
    from pathlib import Path

    from rich.console import Console

    from foretouch.core.errors import NotFoundError
    from foretouch.core.moments import moment_of
    from foretouch.core.state.opening import read_state
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.history.export import export_decisions

    connection = read_state(Workspace.open(workspace))
    if connection is None:
        raise NotFoundError("nothing was decided yet", hint="foretouch decide --customer ID")
    with closing(connection):
        done = export_decisions(
            connection, Path(out), since=moment_of("--since", since), until=moment_of("--until", until)
        )
    if as_json:
        print_json(done)
    else:
        Console().print(f"{out}: {done.decisions} decisions, {done.candidates} candidates", highlight=False)
