"""Every place where the state can be kept, and every store of caps, as one kind of thing that a suite is run on."""

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import foretouch.core.state
from foretouch.core.state.caps import CapStore, read_generation, rebuild_caps
from foretouch.core.state.db import Database, State
from foretouch.core.state.postgres import PostgresDatabase
from foretouch.core.state.redis_caps import RedisCaps
from foretouch.core.state.sqlite import SqliteDatabase
from tests.suites.state_servers import PostgresServer, RedisServer

_NAMES = itertools.count()


@dataclass
class Store:
    """One store; ``open`` gives what another process on it would have."""

    make: Callable[[], Database]
    caps: Callable[[], CapStore] | None = None
    opened: list[State] = field(default_factory=list)

    def open(self) -> State:
        caps = None if self.caps is None else self.caps()
        state = State(self.make(), caps=caps)
        self.opened.append(state)
        if caps is not None and read_generation(state.read()) is None:
            state.write(lambda connection: rebuild_caps(connection, caps))
        return state

    def close(self) -> None:
        for state in self.opened:
            state.close()


def sqlite(folder: Path) -> Store:
    """A file."""
    return Store(make=lambda: SqliteDatabase(folder / "state.db"))


def postgres(server: PostgresServer) -> Store:
    """A schema of a real server."""
    url = server.fresh()
    return Store(make=lambda: PostgresDatabase(url))


def redis(server: RedisServer, folder: Path) -> Store:
    """Caps in a real Redis, the log in a file."""
    name = f"w{next(_NAMES)}"
    return Store(
        make=lambda: SqliteDatabase(folder / "state.db"),
        caps=lambda: RedisCaps(server.url, name=name, call_seconds=5.0),
    )


TESTED: dict[type, str] = {SqliteDatabase: "sqlite", PostgresDatabase: "postgres", RedisCaps: "redis"}
"""What each implementation is called in the suite."""


def implementations() -> set[type]:
    """Every class of the state that keeps it or counts caps, found by what it can do."""
    found: set[type] = set()
    for module in pkgutil.iter_modules(foretouch.core.state.__path__):
        loaded = importlib.import_module(f"foretouch.core.state.{module.name}")
        for _, item in inspect.getmembers(loaded, inspect.isclass):
            protocol = getattr(item, "_is_protocol", False)
            keeps = all(hasattr(item, name) for name in ("writer", "reader", "begin"))
            counts = all(hasattr(item, name) for name in ("look", "reserve", "apply", "rebuild"))
            if (keeps or counts) and not protocol:
                found.add(item)
    return found
