"""What the state needs of a database: a connection that SQLite's own and the Postgres wrapper both are.

SQL is written once, in what both understand: ``?`` placeholders, ``ON CONFLICT``, ``RETURNING``, integers for times and
truth values, ``CASE`` where SQLite would add up comparisons.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from foretouch.core.errors import StateError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DATABASE_ERRORS = (sqlite3.Error, StateError)
"""What a statement can raise, whichever the database."""


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """Every row that is left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to the state, inside a transaction or reading."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Runs one statement; ``?`` stands for a parameter."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Runs one statement for each row of parameters."""

    def close(self) -> None:
        """Lets go of it."""


@runtime_checkable
class Streaming(Protocol):
    """A connection that reads a long result only by an extra word."""

    def stream(self, sql: str, parameters: Sequence[Any] = ..., /) -> Iterator[Any]:
        """Rows of a query, a batch at a time."""


def stream(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
    """Rows of a query that may be as long as the log, never all in memory."""
    if isinstance(connection, Streaming):
        return connection.stream(sql, parameters)
    return iter(connection.execute(sql, parameters))


def marks(count: int) -> str:
    """``?, ?, …`` for an ``IN`` list; nothing else is ever put into a statement."""
    return ", ".join("?" * count)


def to_micros(at: datetime) -> int:
    """A tz-aware time as microseconds since 1970 UTC."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """The tz-aware UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)
