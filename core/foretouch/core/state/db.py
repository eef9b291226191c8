"""Opening ``state.db`` and writing to it: WAL, synchronous FULL, one writer thread with group commit.

A caller that must read, decide and write as one step hands a function to ``State.write``. The writer runs all
waiting functions in one transaction, each in a savepoint of its own, and answers after the commit is durable.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from foretouch.core.errors import StateError
from foretouch.core.state.schema import TABLES, VERSION

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GROUP_SIZE = 64
SWITCH_TRIES, SWITCH_SECONDS = 100, 0.05
UNUSABLE = "make the file and its folder writable, on a local disk with free space; then the same command again"


def to_micros(at: datetime) -> int:
    """A tz-aware time as microseconds since 1970 UTC."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The tz-aware UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the settings every user of ``state.db`` must have.

    Raises:
        StateError: The file cannot be opened or is not a state database of this version.
    """
    try:
        if read_only:
            connection = sqlite3.connect(
                f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout = 5000")
        if not read_only:
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            _create(connection)
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be opened: {error}", hint=UNUSABLE) from error
    return connection


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


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema_version', ?)", (str(VERSION),))
        found = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()[0]
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    if int(found) != VERSION:
        raise StateError(f"state.db has schema version {found}, this release reads {VERSION}")


class State:
    """The state database of one workspace, for one process.

    Args:
        path: The database file; made if absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer_connection = connect(path)
        self._local = threading.local()
        self._jobs: queue.SimpleQueue[tuple[Job[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job[T]) -> "Future[T]":
        """Queues a function for the writer; the future resolves after its commit is durable.

        The function may run on a connection inside a transaction with others of its group, so it must do
        nothing but read and write through that connection and compute. If it raises, only its own writes are
        undone and the future carries its error.
        """
        if self._closed:
            raise StateError(f"{self.path} is closed")
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def write(self, job: Job[T]) -> T:
        """Runs a function in a durable transaction and returns what it returned."""
        return self.submit(job).result()

    def read(self) -> sqlite3.Connection:
        """This thread's reading connection: it sees every committed write."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self.path, read_only=True)
        return connection

    def close(self) -> None:
        """Writes what is queued and closes."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._writer_connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            group: list[tuple[Job[Any], Future[Any]]] = []
            item = self._jobs.get()
            while item is not None:
                group.append(item)
                if len(group) >= GROUP_SIZE:
                    break
                try:
                    item = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if item is None:
                open_ = False
            if group:
                self._commit(group)

    def _commit(self, group: list[tuple[Job[Any], Future[Any]]]) -> None:
        connection = self._writer_connection
        settled: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job, future in group:
                connection.execute("SAVEPOINT job")
                try:
                    result = job(connection)
                except Exception as error:  # noqa: BLE001 - carried to the caller by its future
                    connection.execute("ROLLBACK TO job")
                    settled.append((future, None, error))
                else:
                    settled.append((future, result, None))
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            failure = StateError(f"{self.path} cannot be written: {error}", hint=UNUSABLE)
            failure.__cause__ = error
            settled = [(future, None, failure) for _, future in group]
        for future, result, failed in settled:
            if failed is not None:
                future.set_exception(failed)
            else:
                future.set_result(result)
