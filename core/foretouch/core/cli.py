"""The root of the ``foretouch`` command. Parts add their commands through entry points, without importing more.

``--help`` stays fast because a part's ``commands`` module imports nothing heavy: each command imports what it
needs when it runs.
"""

import errno
import os
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from foretouch.core.errors import ForetouchError
from foretouch.core.hints import note_workspace, with_workspace

QUIET_LIBRARIES = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "FEAST_USAGE": "False",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Set in every process: no telemetry, no pickle, and LightGBM's threads sleep while they wait (spinning made training
ten times slower on a busy machine)."""


def _noted(context: typer.Context, value: str | None) -> str | None:
    """Keeps what the option said, so that the next command can be written out whole."""
    source = context.get_parameter_source("workspace")
    note_workspace(value if source is not None and source.name == "COMMANDLINE" else None)
    return value


WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace", "-w", help="Folder with foretouch.toml.", envvar="FORETOUCH_WORKSPACE", callback=_noted
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]

_OF_THE_MACHINE = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EROFS, errno.ENOSPC})
"""What goes wrong with a path that somebody gave us; any other is a fault of ours and keeps its traceback."""
COMMANDS_GROUP = "foretouch.commands"


def build_app() -> typer.Typer:
    """The command-line application with every installed part's commands."""
    app = typer.Typer(
        name="foretouch",
        help="Decides before you touch a customer: whom, with what, where, when, or better not at all.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help renders in a third of the time
    )

    @app.callback()
    def root() -> None:
        """Decides before you touch a customer: whom, with what, where, when, or better not at all."""

    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda item: item.name):
        entry.load()(app)
    return app


def main() -> None:
    """Runs the command line; exits 0 (done), 1 (could not be done) or 2 (the call is wrong)."""
    os.environ.update(QUIET_LIBRARIES)
    try:
        build_app()()
    except ForetouchError as error:
        print(f"foretouch: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  next: {with_workspace(error.hint)}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE or error.filename is None:
            raise
        print(f"foretouch: {error.filename}: {error.strerror}", file=sys.stderr)
        print("  next: make room, or give a path that can be written", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
