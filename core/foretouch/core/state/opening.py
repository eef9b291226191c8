"""Opens the state that a workspace's configuration names: ``state.db`` in its folder, or servers."""

import os
import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from foretouch.core.errors import ConfigError
from foretouch.core.state.caps import CapStore, read_generation, rebuild_caps
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import Database, State
from foretouch.core.state.postgres import PostgresDatabase
from foretouch.core.state.redis_caps import RedisCaps
from foretouch.core.state.sqlite import connect
from foretouch.core.workspace import Workspace

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def open_state(workspace: Workspace) -> State:
    """The state of a workspace, for reading and writing; the caller closes it.

    A store of caps that this log has never filled is filled from it; one that was lost stays shut until
    ``foretouch caps rebuild``.

    Raises:
        ConfigError: ``state.url`` or ``state.caps_url`` is no address that is understood, or names a variable that the
            environment does not have.
        StateError: The state cannot be opened.
    """
    store = open_caps(workspace)
    state = State(_database(workspace) or workspace.state_file, caps=store)
    if store is not None and read_generation(state.read()) is None:
        state.write(lambda connection: _fill(connection, store))
    return state


def _fill(connection: Connection, store: CapStore) -> None:
    if read_generation(connection) is None:  # another process may just have done it
        rebuild_caps(connection, store)


def read_state(workspace: Workspace) -> Connection | None:
    """A connection that only reads the state of a workspace; None where nothing was ever written.

    The caller closes it.

    Raises:
        ConfigError: See ``open_state``.
        StateError: The state cannot be opened.
    """
    database = _database(workspace)
    if database is not None:
        connection = database.writer()  # makes the tables where they are missing, so that reading finds them empty
        connection.execute("SET default_transaction_read_only = on")
        found: Connection = connection
        return found
    if not workspace.state_file.is_file():
        return None
    return connect(workspace.state_file, read_only=True)


def open_caps(workspace: Workspace) -> CapStore | None:
    """The store of caps of a workspace; None where they are counted with the log.

    Raises:
        ConfigError: See ``open_state``.
    """
    url = workspace.config.state.caps_url
    if url is None:
        return None
    filled = filled_in(url, "state.caps_url", {"redis", "rediss", "unix"})
    return RedisCaps(filled, name=workspace.config.workspace.name)


def _database(workspace: Workspace) -> Database | None:
    url = workspace.config.state.url
    if url is None:
        return None
    return PostgresDatabase(filled_in(url, "state.url", {"postgresql", "postgres"}))


def filled_in(url: str, field: str, schemes: set[str]) -> str:
    """An address with every ``${NAME}`` taken from the environment.

    Raises:
        ConfigError: A variable is not set, the scheme is another one, or a password stands in the file itself.
    """
    hint = f"edit [state] in foretouch.toml; {field} reads like {min(schemes, key=len)}://user:${{NAME}}@host/name"
    if _split(url, field, hint).password not in {None, ""} and not _is_variable(
        _split(url, field, hint).password or ""
    ):
        raise ConfigError(
            f"{field} holds a password, must name a variable of the environment instead, as ${{NAME}}", hint=hint
        )
    filled = _NAME.sub(_variable(field), url)
    scheme = _split(filled, field, hint).scheme
    if scheme not in schemes:
        raise ConfigError(f"{field} begins with {scheme or url[:1]!r}, must be one of {sorted(schemes)}", hint=hint)
    return filled


def _is_variable(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _split(url: str, field: str, hint: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        if _NAME.search(url):
            return SplitResult("", "", "", "", "")
        raise ConfigError(f"{field} is no address", hint=hint) from None
    return parts


def _variable(field: str) -> Callable[[re.Match[str]], str]:
    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"{field} names ${{{name}}}, which the environment does not have", hint=f"export {name}=…"
            )
        return os.environ[name]

    return value
