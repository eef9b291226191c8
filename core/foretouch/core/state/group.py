"""The jobs of one group, in one transaction: each in a savepoint of its own, some in two stages.

A job that returns ``Later`` has done what the jobs after it must see, and leaves the rest until they have come as far.
Doing one kind of work for all of them and then the next keeps the processor's cache warm. A job of another kind finds
nothing put off, so that to everybody outside the stages make no difference.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from foretouch.core.state.connection import Connection

T = TypeVar("T")
Job = Callable[[Connection], T]
Ahead = tuple[Callable[[list[Any]], None], Any]
"""What a group does before its transaction: a function, and what one job hands to it."""
log = logging.getLogger("foretouch.state")


@dataclass(frozen=True, slots=True)
class Later(Generic[T]):
    """The second stage of a job.

    Attributes:
        finish: Reads, writes and computes, and gives what the job gives. Where it fails, the jobs of the group are run
            again, each of them alone from beginning to end.
    """

    finish: Job[T]


class Queued(NamedTuple):
    """A job that waits.

    Attributes:
        job: See ``State.submit``.
        future: Of what it gives.
        ahead: What it does with others before the transaction.
        staged: Whether it may run between the two stages of the jobs before it,
        key: unless one of them has an equal key; ``None`` equals nothing.
    """

    job: Job[Any]
    future: "Future[Any]"
    ahead: Ahead | None = None
    staged: bool = False
    key: Hashable = None


class Settled(NamedTuple):
    """What became of a job, once its group is committed.

    Attributes:
        future: To be resolved.
        result: What the job gave.
        error: What it raised.
    """

    future: "Future[Any]"
    result: Any = None
    error: BaseException | None = None


class _Unfinished(Exception):  # noqa: N818 - never leaves this module
    """A second stage failed, after jobs that cannot be taken back without the others."""


def run_group(connection: Connection, group: Sequence[Queued]) -> list[Settled]:
    """Runs the jobs of a group; what one that fails has written is undone.

    Args:
        connection: In a transaction.
        group: The jobs, in the order in which they came.
    """
    if not any(item.staged for item in group):
        return [_run(connection, item, whole=True) for item in group]
    connection.execute("SAVEPOINT jobs")
    try:
        settled = _in_stages(connection, group)
    except _Unfinished:
        log.exception("a second stage failed; the jobs of its group are run one after the other")
        connection.execute("ROLLBACK TO jobs")
        settled = [_run(connection, item, whole=True) for item in group]
    connection.execute("RELEASE jobs")
    return settled


def _in_stages(connection: Connection, group: Sequence[Queued]) -> list[Settled]:
    settled: list[Settled] = []
    open_: list[int] = []
    for item in group:
        if open_ and (not item.staged or (item.key is not None and any(group[at].key == item.key for at in open_))):
            _finish(connection, settled, open_)
        found = _run(connection, item, whole=not item.staged)
        if isinstance(found.result, Later):
            open_.append(len(settled))
        settled.append(found)
    _finish(connection, settled, open_)
    return settled


def _run(connection: Connection, item: Queued, *, whole: bool) -> Settled:
    """One job in a savepoint: all of it, or its first stage."""
    connection.execute("SAVEPOINT job")
    try:
        result = item.job(connection)
        if whole and isinstance(result, Later):
            result = result.finish(connection)
    except Exception as error:  # noqa: BLE001 - carried to the caller by its future
        connection.execute("ROLLBACK TO job")
        found = Settled(item.future, error=error)
    else:
        found = Settled(item.future, result)
    connection.execute("RELEASE job")
    return found


def _finish(connection: Connection, settled: list[Settled], open_: list[int]) -> None:
    """The second stages that were put off."""
    for place in open_:
        later: Later[Any] = settled[place].result
        try:
            settled[place] = settled[place]._replace(result=later.finish(connection))
        except Exception as error:
            raise _Unfinished from error
    open_.clear()


def go_ahead(group: Sequence[Queued]) -> None:
    """What jobs of a group do together before its transaction."""
    shared: dict[Callable[[list[Any]], None], list[Any]] = {}
    for item in group:
        if item.ahead is not None:
            shared.setdefault(item.ahead[0], []).append(item.ahead[1])
    for function, handed in shared.items():
        try:
            function(handed)
        except Exception:
            log.exception("what a group does together failed; each of its jobs does it alone")
