"""The state on Postgres, through the same functions: a thin connection that speaks SQLite's placeholders.

One group of jobs writes at a time per workspace (that is, per Postgres schema): a transaction-scoped advisory lock does
what SQLite's write lock does, so caps are as exact, sequence numbers follow the order of commits, and nothing has to be
decided twice. Statements of a group see everything committed before it (READ COMMITTED, after the lock).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from foretouch.core.clock import monotonic
from foretouch.core.errors import ConfigError, StateError
from foretouch.core.state.connection import Rows
from foretouch.core.state.schema import VERSION, postgres_tables

CONNECT_SECONDS = 2
REFUSE_SECONDS = 0.5
"""After a failed connection nobody tries again for so long: every caller fails at once instead of waiting in turn."""
SETTINGS = {
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('foretouch ' || current_schema(), 0))"
BATCH = 500
HINT = (
    "start the server that state.url names, or correct state.url in foretouch.toml; the service tries again by itself"
)


@lru_cache(maxsize=512)
def translate(sql: str) -> str:
    """SQLite's placeholders as Postgres' own."""
    return sql.replace("%", "%%").replace("?", "%s")


def label_of(url: str) -> str:
    """The server that a url names, without user and password."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    port = f":{parts.port}" if parts.port else ""
    return f"postgresql://{host}{port}{parts.path}"


def without_secrets(text: str, url: str) -> str:
    """A message without the password and without the url that holds it."""
    password = urlsplit(url).password
    text = text.replace(url, label_of(url))
    if password:
        text = text.replace(password, "***")
    return re.sub(r"password=\S+", "password=***", " ".join(text.split()))


class PostgresConnection:
    """A connection to Postgres that looks like SQLite's.

    Args:
        raw: A psycopg connection in autocommit mode.
        label: Names the server in errors.
    """

    def __init__(self, raw: Any, label: str) -> None:
        self.mirrors_caps = False
        self._raw = raw
        self._label = label
        self._names = count()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Runs one statement.

        Raises:
            StateError: It failed.
        """
        try:
            found: Rows = self._raw.execute(translate(sql), parameters)
        except self._errors() as error:
            raise self._failure(error) from error
        return found

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Runs one statement for each row, in one round trip.

        Raises:
            StateError: It failed.
        """
        try:
            cursor = self._raw.cursor()
            cursor.executemany(translate(sql), parameters)
        except self._errors() as error:
            raise self._failure(error) from error
        found: Rows = cursor
        return found

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        """Rows of a query, a batch at a time; the server keeps the rest.

        Raises:
            StateError: It failed.
        """
        try:
            with self._raw.cursor(name=f"scan_{next(self._names)}", withhold=True) as cursor:
                cursor.itersize = BATCH
                cursor.execute(translate(sql), parameters)
                yield from cursor
        except self._errors() as error:
            raise self._failure(error) from error

    def script(self, sql: str) -> None:
        """Runs statements without parameters in one round trip.

        Raises:
            StateError: One of them failed.
        """
        try:
            self._raw.execute(sql)
        except self._errors() as error:
            raise self._failure(error) from error

    @property
    def usable(self) -> bool:
        """False once the server is gone."""
        return not (self._raw.closed or self._raw.broken)

    def close(self) -> None:
        """Closes; never fails."""
        with suppress(Exception):
            self._raw.close()

    def __del__(self) -> None:
        self.close()

    def _failure(self, error: Exception) -> StateError:
        return StateError(f"{self._label}: {' '.join(str(error).split())}", hint=HINT)

    @staticmethod
    def _errors() -> type[Exception]:
        import psycopg  # noqa: PLC0415 - an extra: only workspaces that use it need it

        return psycopg.Error


class PostgresDatabase:
    """A Postgres schema as a place for the state.

    Args:
        url: ``postgresql://…``, every ``${NAME}`` already filled in.

    Raises:
        ConfigError: The driver is not installed.
    """

    errors: tuple[type[Exception], ...] = (StateError,)
    hint = HINT

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # noqa: F401, PLC0415
        except ImportError as error:
            raise ConfigError(
                "state.url names Postgres, whose driver is not installed", hint="pip install 'foretouch[postgres]'"
            ) from error
        self._url = url
        self.label = label_of(url)
        self._open: WeakSet[PostgresConnection] = WeakSet()
        self._refuse_until = -1.0
        self._refusal = ""

    def writer(self) -> PostgresConnection:
        """The connection of the writer; the tables are made where they are missing.

        Raises:
            StateError: The server cannot be reached, or its tables are of a later release.
        """
        connection = self._connect()
        try:
            connection.script(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def reader(self) -> PostgresConnection:
        """A connection that only reads.

        Raises:
            StateError: The server cannot be reached.
        """
        connection = self._connect()
        connection.script("SET default_transaction_read_only = on")
        return connection

    def begin(self, connection: PostgresConnection) -> None:
        """Begins a group, once no other writer has one."""
        connection.script(f"BEGIN; {LOCK}")

    def end(self) -> None:
        """Nothing: the lock ends with the transaction, and Postgres lets waiters through in their order."""

    def usable(self, connection: PostgresConnection) -> bool:
        """Whether a connection can be used again after an error."""
        return connection.usable

    def close(self) -> None:
        """Closes every connection that is still open, also those of other threads."""
        for connection in list(self._open):
            connection.close()

    def _connect(self) -> PostgresConnection:
        import psycopg  # noqa: PLC0415

        if monotonic() < self._refuse_until:
            raise StateError(self._refusal, hint=HINT)
        try:
            raw = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name="foretouch",
                keepalives_idle=10,
                tcp_user_timeout=5000,
            )
        except (psycopg.Error, UnicodeError, ValueError) as error:
            self._refusal = f"{self.label} cannot be reached: {without_secrets(str(error), self._url)}"
            self._refuse_until = monotonic() + REFUSE_SECONDS
            raise StateError(self._refusal, hint=HINT) from None  # the cause may hold the password
        connection = PostgresConnection(raw, self.label)
        self._open.add(connection)
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(?, ?, false)", (name, value))
        return connection

    def _create(self, connection: PostgresConnection) -> None:
        found = self._version(connection)
        if found == str(VERSION):
            return
        self.begin(connection)
        try:
            found = self._version(connection)  # another process may just have made them
            if found not in {None, "2", str(VERSION)}:  # 2 lacks a table that is made here
                raise StateError(
                    f"{self.label} has schema version {found}, this release reads up to {VERSION}",
                    hint="use the release that wrote it, or a later one",
                )
            connection.script(postgres_tables())
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('schema_version', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(VERSION),),
            )
            connection.execute("COMMIT")
        except BaseException:
            with suppress(StateError):
                connection.execute("ROLLBACK")
            raise

    @staticmethod
    def _version(connection: PostgresConnection) -> str | None:
        if connection.execute("SELECT to_regclass(current_schema() || '.meta')").fetchone()[0] is None:
            return None
        row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
        return None if row is None else str(row[0])
