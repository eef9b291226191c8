"""Starts the service in the foreground: BentoML's supervisor with its workers, in a run folder of its own."""

import errno
import os
import shutil
import socket
import tempfile
from importlib import import_module
from pathlib import Path

from foretouch.core.cli import QUIET_LIBRARIES
from foretouch.core.errors import ConfigError
from foretouch.core.workspace import WORKSPACE_VARIABLE, Workspace

RUN_VARIABLE = "FORETOUCH_RUN_FOLDER"
"""Where a worker that cannot start says why."""
FAILED_FILE, STARTED_FILE = "failed", "started"
SERVICE = "foretouch.serving.service"
RUN_SETTINGS = {"OTEL_SDK_DISABLED": "true"}
"""BentoML traces every request, exporter or not: a third of a millisecond for nothing."""


def check_port(host: str, port: int) -> None:
    """Finds out early whether the address can be listened on.

    Raises:
        ConfigError: It is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} cannot be listened on: {error.strerror}", hint="foretouch serve --port ANOTHER"
            ) from error


def run(workspace: Workspace, *, host: str, port: int, workers: int) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        workspace: What to serve; a workspace without models serves fallback answers.
        host: Address to listen on.
        port: TCP port.
        workers: Worker processes; they share the workspace's state.

    Raises:
        ConfigError: The configuration is wrong or the port is taken.
    """
    check_port(host, port)
    workspace.config  # noqa: B018 - a wrong configuration is said now, not by a worker
    workspace.policy()
    workspace.contact_policy()
    workspace.experiments()
    folder = tempfile.mkdtemp(prefix="foretouch-run-")
    os.environ.update(QUIET_LIBRARIES)
    os.environ.update({WORKSPACE_VARIABLE: str(workspace.root), RUN_VARIABLE: folder, **RUN_SETTINGS})
    os.environ.setdefault("BENTOML_HOME", folder)  # its metrics folder is emptied at start: never share it
    try:
        service = import_module(SERVICE).Foretouch
        service.config["workers"] = workers
        try:
            service.serve_http(host=host, port=port)
        except Exception as error:
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise
            raise ConfigError(
                "a port of BentoML's supervisor was taken by another process while the service was starting",
                hint="foretouch serve",
            ) from error
        failed = Path(folder) / FAILED_FILE
        if failed.exists():
            message, _, hint = failed.read_text(encoding="utf-8").partition("\n")
            raise ConfigError(message, hint=hint or None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
