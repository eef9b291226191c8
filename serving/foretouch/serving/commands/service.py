"""Commands that run the service and its keys: ``serve``, ``keys create|revoke|list``."""

import json
from typing import Annotated

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption

ScopeOption = Annotated[
    list[str], typer.Option("--scope", help="decide, events, report:read or admin; may be given several times.")
]


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    app.command("serve")(serve)
    keys = typer.Typer(name="keys", help="API keys of the service.", no_args_is_help=True, rich_markup_mode=None)
    keys.command("create")(create)
    keys.command("revoke")(revoke)
    keys.command("list")(list_all)
    app.add_typer(keys)


def serve(
    workspace: WorkspaceOption = None,
    port: Annotated[int, typer.Option(help="TCP port.", min=1, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=256)] = 1,
) -> None:
    """Run the service in the foreground until it gets SIGTERM or Ctrl-C."""
    from foretouch.core.workspace import Workspace
    from foretouch.serving.runtime.run import run

    run(Workspace.open(workspace), host=host, port=port, workers=workers)


def create(
    scope: ScopeOption,
    workspace: WorkspaceOption = None,
    note: Annotated[str, typer.Option(help="What the key is for.")] = "",
    days: Annotated[float | None, typer.Option(help="Days until it expires; absent is never.", min=0.001)] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once; only its hash is kept."""
    from datetime import timedelta

    from foretouch.core.state.access import create_key
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace

    opened = Workspace.open(workspace)
    now = opened.clock.now()
    expires = None if days is None else now + timedelta(days=days)
    with open_state(opened) as state:
        made = state.write(lambda connection: create_key(connection, scope, now, expires_at=expires, note=note))
    typer.echo(json.dumps(made) if as_json else f"{made['key']}\n(key {made['id']}; it is not shown again)")


def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as 'keys list' shows it.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key; it is refused from now on."""
    from foretouch.core.state.access import revoke_key
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace

    opened = Workspace.open(workspace)
    now = opened.clock.now()
    with open_state(opened) as state:
        changed = state.write(lambda connection: revoke_key(connection, key_id, now))
    said = "revoked" if changed else "was revoked before"
    typer.echo(json.dumps({"id": key_id, "revoked": True}) if as_json else f"key {key_id} {said}")


def list_all(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show every key without its secret."""
    from foretouch.core.state.access import list_keys
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace

    opened = Workspace.open(workspace)
    now = opened.clock.now()
    with open_state(opened) as state:
        keys = list_keys(state.read())
    if as_json:
        rows = [
            {
                "id": key.id,
                "scopes": list(key.scopes),
                "created_at": key.created_at.isoformat(),
                "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
                "usable": key.usable(now),
                "note": key.note,
            }
            for key in keys
        ]
        typer.echo(json.dumps(rows))
        return
    for key in keys:
        shown = "usable" if key.usable(now) else "ended"
        typer.echo(f"{key.id}  {shown:7}  {','.join(key.scopes):24}  {key.created_at:%Y-%m-%d %H:%M}  {key.note}")
    if not keys:
        typer.echo("no keys yet; next: foretouch keys create --scope decide")
