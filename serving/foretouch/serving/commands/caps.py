"""Commands for a store of caps beside the log: ``caps rebuild``."""

import json

import typer

from foretouch.core.cli import JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    """Adds these commands to the root application."""
    caps = typer.Typer(
        name="caps", help="Counters of caps kept apart from the log.", no_args_is_help=True, rich_markup_mode=None
    )
    caps.callback()(_group)
    caps.command("rebuild")(rebuild)
    app.add_typer(caps)


def _group() -> None:
    """Counters of caps kept apart from the log."""


def rebuild(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Fill the store that state.caps_url names from the log: after it was lost, emptied or restarted."""
    from foretouch.core.errors import ConfigError
    from foretouch.core.state.caps import rebuild_caps
    from foretouch.core.state.opening import open_state
    from foretouch.core.workspace import Workspace

    opened = Workspace.open(workspace)
    with open_state(opened) as state:
        store = state.caps
        if store is None:
            raise ConfigError(
                "state.caps_url is not set: caps are counted with the log and need no rebuilding",
                hint="edit [state] in foretouch.toml",
            )
        counted = state.write(lambda connection: rebuild_caps(connection, store))
    said = f"{store.label} counts {counted} contacts"
    typer.echo(json.dumps({"store": store.label, "contacts": counted}) if as_json else said)
