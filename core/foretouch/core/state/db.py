"""Writing to the state: one writer thread per process with group commit, and a reading connection per thread.

A caller that must read, decide and write as one step hands a function to ``State.write``. The writer runs all
waiting functions in one transaction, each in a savepoint of its own, and answers after the commit is durable.
"""

import logging
import queue
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from foretouch.core.errors import StateError
from foretouch.core.state.caps import CapStore, mirror_changes
from foretouch.core.state.connection import DATABASE_ERRORS, Connection, from_micros, to_micros
from foretouch.core.state.group import Ahead, Later, Queued, Settled, go_ahead, run_group
from foretouch.core.state.settling import settling
from foretouch.core.state.sqlite import SqliteDatabase, connect

__all__ = ["State", "connect", "from_micros", "to_micros"]

T = TypeVar("T")
log = logging.getLogger("foretouch.state")

GROUP_SIZE = 64


class Database(Protocol):
    """A place for the state."""

    label: str
    """Names it in errors, without a password."""
    hint: str
    """What to do when it cannot be used."""
    errors: tuple[type[Exception], ...]
    """What its own statements raise."""

    def writer(self) -> Any:
        """The connection of the writer; tables are made where they are missing."""

    def reader(self) -> Any:
        """A connection that only reads."""

    def begin(self, connection: Any) -> None:
        """Begins a group, once no other process has one."""

    def end(self) -> None:
        """After every group that began, well or badly: the next writer's turn."""

    def usable(self, connection: Any) -> bool:
        """Whether a connection can be used again after an error."""

    def close(self) -> None:
        """Lets go of what is still open."""


class State:
    """The state of one workspace, for one process.

    Args:
        where: The file ``state.db`` (made if absent), or another database.
        caps: The store that counts contacts against caps; None counts them with the log.

    Raises:
        StateError: It cannot be opened.
    """

    def __init__(self, where: Path | Database, *, caps: CapStore | None = None) -> None:
        self._database: Database = SqliteDatabase(where) if isinstance(where, Path) else where
        self.label = self._database.label
        self.local = isinstance(self._database, SqliteDatabase)
        """Whether a read waits for no network."""
        self.caps = caps
        self._writer_connection: Any = None
        self._open_writer()
        self._local = threading.local()
        self._jobs: queue.SimpleQueue[Queued | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="state-writer", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The file; only where the state is one.

        Raises:
            StateError: It is on a server.
        """
        if isinstance(self._database, SqliteDatabase):
            return self._database.path
        raise StateError(f"{self.label} is no file")

    def submit(
        self,
        job: Callable[[Connection], T | Later[T]],
        *,
        ahead: Ahead | None = None,
        staged: bool = False,
        key: Hashable = None,
    ) -> "Future[T]":
        """Queues a function for the writer; the future resolves after its commit is durable.

        The function may run on a connection inside a transaction with others of its group, so it must do
        nothing but read and write through that connection and compute. If it raises, only its own writes are
        undone and the future carries its error.

        Args:
            job: The function.
            ahead: Called by the writer once per group, outside its transaction, with what all jobs of the group hand
                to it, so that they can share work that needs no connection. The jobs run even where it fails.
            staged: It may be run before the second stages (``Later``) of jobs that came earlier: it reads nothing that
                those write. Others find all of that done.
            key: What a staged job reads of such a second stage all the same: it waits for those that came with an equal
                one; ``None`` equals nothing.
        """
        if self._closed:
            raise StateError(f"{self.label} is closed")
        future: Future[T] = Future()
        self._jobs.put(Queued(job, future, ahead, staged, key))
        return future

    def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a function in a durable transaction and returns what it returned."""
        return self.submit(job).result()

    def read(self) -> Connection:
        """This thread's reading connection: it sees every committed write.

        Raises:
            StateError: The state cannot be reached.
        """
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is not None and not self._database.usable(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = self._local.connection = self._database.reader()
        return connection

    def close(self) -> None:
        """Writes what is queued and closes."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            if self._writer_connection is not None:
                self._writer_connection.close()
            self._database.close()
            if self.caps is not None:
                self.caps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_writer(self) -> None:
        self._writer_connection = self._database.writer()
        self._writer_connection.mirrors_caps = self.caps is not None

    def _run(self) -> None:
        open_ = True
        while open_:
            group: list[Queued] = []
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

    def _commit(self, group: list[Queued]) -> None:
        go_ahead(group)
        try:
            connection = self._begin()
            settled = run_group(connection, group)
            connection.execute("COMMIT")
        except DATABASE_ERRORS as error:
            self._give_up()
            self._database.end()
            failure = StateError(f"{self.label} cannot be written: {error}", hint=self._database.hint)
            failure.__cause__ = error
            settled = [Settled(item.future, error=failure) for item in group]
        else:
            self._database.end()
            if self.caps is not None:
                self._mirror(self.caps)
        with settling():
            for future, result, failed in settled:
                if failed is not None:
                    future.set_exception(failed)
                else:
                    future.set_result(result)

    def _begin(self) -> Connection:
        """A connection in a transaction; a connection that died while nothing was under way is replaced."""
        if self._writer_connection is None:
            self._open_writer()
        try:
            self._database.begin(self._writer_connection)
        except self._database.errors:
            if self._database.usable(self._writer_connection):
                raise
            self._writer_connection.close()
            self._writer_connection = None
            self._open_writer()
            self._database.begin(self._writer_connection)
        found: Connection = self._writer_connection
        return found

    def _give_up(self) -> None:
        """Leaves the transaction, and a connection that is of no more use."""
        if self._writer_connection is None:
            return
        with suppress(*DATABASE_ERRORS):
            self._writer_connection.execute("ROLLBACK")
        if not self._database.usable(self._writer_connection):
            self._writer_connection.close()
            self._writer_connection = None

    def _mirror(self, caps: CapStore) -> None:
        """Tells the store of caps what has changed; what it cannot be told now, it is told after the next group."""
        connection = self._writer_connection
        if connection is None:
            return
        try:
            while mirror_changes(connection, caps, lambda: self._database.begin(connection)):
                self._database.end()
        except Exception as error:  # noqa: BLE001 - contacts go on counting there: nothing is sent too often
            log.warning("the store of caps could not be told of changes: %s", error)
            with suppress(*DATABASE_ERRORS):
                connection.execute("ROLLBACK")
        self._database.end()
