"""Commands about one decision: ``decide`` and ``replay``."""

from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    app.command("decide")(decide_command)
    app.command("replay")(replay_command)


def decide_command(
    customer: Annotated[str, typer.Option("--customer", help="Whom the touchpoint is about.")],
    workspace: WorkspaceOption = None,
    touchpoint: Annotated[str, typer.Option("--touchpoint", help="Which occasion this is.")] = "default",
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="A channel that can be used now; repeat it for several.")
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option("--purpose", help="marketing, retention, service or transactional; else the touchpoint's."),
    ] = None,
    placement: Annotated[
        list[str] | None, typer.Option("--placement", help="Where an offer is shown; repeat it, first filled first.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Of reasons and rules: en or zh; else the customer's.")
    ] = None,
    explain: Annotated[str, typer.Option("--explain", help="How many reasons: none, brief or full.")] = "full",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Log nothing and reserve nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Decide one touchpoint, and explain the answer: what, why, and what was dropped by which rule."""
    from rich.console import Console

    from foretouch.core.hints import with_workspace
    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.commands.ask import ask, request_of
    from foretouch.serving.words.explain import next_step, show_decision

    request = request_of(
        customer,
        touchpoint,
        channels=channel,
        purpose=purpose,
        placements=placement,
        language=language,
        explain=explain,
        dry_run=dry_run,
    )
    record = ask(Workspace.open(workspace), request, lambda text: typer.echo(f"foretouch: warning: {text}", err=True))
    if as_json:
        print_json(record)
    else:
        console = Console()
        show_decision(record, console)
        console.print(f"next: {with_workspace(next_step(record))}", highlight=False, soft_wrap=True)


def replay_command(
    decision_id: Annotated[str, typer.Argument(help="A logged decision.")],
    workspace: WorkspaceOption = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Decide under policies/<name>.toml instead: what would change?")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decide a logged decision again: identical, or every difference. Exits 1 if it should be identical and is not."""
    from rich.console import Console

    from foretouch.core.terminal import print_json
    from foretouch.core.workspace import Workspace
    from foretouch.serving.commands.ask import ask_again
    from foretouch.serving.words.explain import show_replay

    record, found = ask_again(Workspace.open(workspace), decision_id, policy)
    if as_json:
        print_json(found)
    else:
        show_replay(found, record, policy, Console())
    if policy is None and not found.identical:
        raise typer.Exit(1)
