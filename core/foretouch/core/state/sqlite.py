"""The state in one file, ``state.db``: WAL, synchronous FULL, made or brought up to date when it is opened."""

import fcntl
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

import orjson

from foretouch.core.errors import StateError
from foretouch.core.outcomes import ANSWERS
from foretouch.core.state.contacts import reservation_id
from foretouch.core.state.counts import recount
from foretouch.core.state.schema import FROM_1_TO_2, TABLES, VERSION, statements

SWITCH_TRIES, SWITCH_SECONDS = 100, 0.05
UNUSABLE = "make the file and its folder writable, on a local disk with free space; then the same command again"


class SqliteConnection(sqlite3.Connection):
    """SQLite's own connection, with what the state needs to know of it.

    Attributes:
        mirrors_caps: Caps are kept in a store of their own, which is told of every change.
    """

    mirrors_caps = False


def connect(path: Path, *, read_only: bool = False) -> SqliteConnection:
    """A connection with the settings every user of ``state.db`` must have.

    Raises:
        StateError: The file cannot be opened or is of a later release.
    """
    try:
        if read_only:
            connection = _read_only(path)
            if _version(connection) != str(VERSION):  # of an earlier release: brought up to date first
                connection.close()
                connect(path).close()
                connection = _read_only(path)
            return connection
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=SqliteConnection)
        try:
            connection.execute("PRAGMA busy_timeout = 5000")
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            _create(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be opened: {error}", hint=UNUSABLE) from error
    return connection


def _read_only(path: Path) -> SqliteConnection:
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, factory=SqliteConnection
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _version(connection: sqlite3.Connection) -> str | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return None
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return None if row is None else str(row[0])


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switches to WAL; SQLite does not wait here by itself when another process is just switching the same file."""
    for patience in range(SWITCH_TRIES, -1, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if patience == 0:
                raise
            threading.Event().wait(SWITCH_SECONDS)
        else:
            return


def _create(connection: SqliteConnection) -> None:
    """Makes the tables, or brings those of an earlier release up to date, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)
        if found not in {None, "1", "2", str(VERSION)}:
            raise StateError(
                f"state.db has schema version {found}, this release reads up to {VERSION}",
                hint="use the release that wrote it, or a later one",
            )
        if found == "1":
            for statement in statements(FROM_1_TO_2):
                connection.execute(statement)
        if found != str(VERSION):
            for statement in statements(TABLES):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('schema_version', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(VERSION),),
            )
        if found == "1":
            _fill_in(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _fill_in(connection: SqliteConnection) -> None:
    """What version 1 did not keep beside the bodies: which contact an outcome is about, and the counters."""
    connection.execute("UPDATE contacts SET answered = 0 WHERE decision_id IS NOT NULL")
    for outcome_id, decision_id, kind, body in connection.execute(
        "SELECT outcome_id, decision_id, type, body FROM outcomes"
    ).fetchall():
        outcome = orjson.loads(body)
        contact_id, is_bot = reservation_id(decision_id, outcome.get("rank", 1)), bool(outcome.get("is_bot", False))
        row = connection.execute(
            "SELECT channel, offer_id FROM contacts WHERE contact_id = ?", (contact_id,)
        ).fetchone()
        connection.execute(
            "UPDATE outcomes SET is_bot = ?, channel = ?, offer_id = ? WHERE outcome_id = ?",
            (int(is_bot), *(row or (None, None)), outcome_id),
        )
        if kind in ANSWERS and not is_bot:
            connection.execute("UPDATE contacts SET answered = 1 WHERE contact_id = ?", (contact_id,))
    recount(connection)


class Turnstile:
    """Lets the writers of one file take turns.

    SQLite's own wait is not fair: who waits sleeps up to a tenth of a second and asks again, while the process that has
    just committed begins its next group at once; under load one worker can wait for seconds. Here the next in line
    holds the queue, so that nobody can pass it. The locks are the operating system's: they end with their process.

    Args:
        path: Of the database; the two lock files stand beside it.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(f"{path.name}-{part}") for part in ("queue", "turn")]
        self._files: list[int] = []

    def take(self) -> None:
        """Waits for one's turn.

        Raises:
            StateError: The lock files cannot be made.
        """
        try:
            while len(self._files) < len(self._paths):
                path = self._paths[len(self._files)]
                self._files.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            queue, turn = self._files
            fcntl.flock(queue, fcntl.LOCK_EX)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX)
            finally:
                fcntl.flock(queue, fcntl.LOCK_UN)
        except OSError as error:
            raise StateError(f"{self._paths[0]} cannot be locked: {error}", hint=UNUSABLE) from error

    def give(self) -> None:
        """Lets the next one through."""
        if len(self._files) == len(self._paths):
            fcntl.flock(self._files[1], fcntl.LOCK_UN)

    def close(self) -> None:
        """Leaves."""
        while self._files:
            os.close(self._files.pop())


class SqliteDatabase:
    """``state.db`` as a place for the state.

    Args:
        path: The file; made if absent.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    hint = UNUSABLE

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label = str(path)
        self._turn = Turnstile(path)

    def writer(self) -> SqliteConnection:
        """The connection of the writer."""
        if not self.path.exists():
            return connect(self.path)
        self._turn.take()
        try:
            return connect(self.path)
        finally:
            self._turn.give()

    def reader(self) -> SqliteConnection:
        """A connection that only reads."""
        return connect(self.path, read_only=True)

    def begin(self, connection: SqliteConnection) -> None:
        """Begins a group, in its turn; no other writer has one at the same time."""
        self._turn.take()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._turn.give()
            raise

    def end(self) -> None:
        """The group is over, well or badly: the next writer's turn."""
        self._turn.give()

    def usable(self, connection: SqliteConnection) -> bool:  # noqa: ARG002 - a file does not go away
        """Whether a connection can be used again after an error."""
        return True

    def close(self) -> None:
        """Closes the turnstile; a reading connection ends with its thread."""
        self._turn.close()
