"""One decision as one transaction: counters, draw, reservation, record and idempotent answer, or nothing at all."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from datetime import datetime

from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import CounterSnapshot, DecisionRecord, DecisionRequest
from foretouch.core.errors import ForetouchError
from foretouch.core.state.access import find_answer, keep_answer
from foretouch.core.state.contacts import Contact, add_contacts, reservation_id
from foretouch.core.state.db import State
from foretouch.core.state.log import append_decision, keep_artifact
from foretouch.core.state.people import counter_snapshot
from foretouch.serving.settings import Settings

LOG_SECONDS = 2.0
"""How long a decision waits for the log before it is answered without."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """What makes a request the same request: key id and route, the caller's key, the content's hash."""

    scope: str
    key: str
    body_sha256: str


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What the transaction did.

    Attributes:
        body: The answer as JSON.
        record: The record that was written; None when an earlier answer was found.
    """

    body: bytes
    record: DecisionRecord | None


class AbandonedError(ForetouchError):
    """Nobody waits for this decision any more, so it is not made."""

    code = "abandoned"


class Claim:
    """Settles who was first: the writer that starts a job, or the caller that stops waiting for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: str | None = None

    def take(self, owner: str) -> bool:
        """True for the first who takes it."""
        with self._lock:
            if self._owner is None:
                self._owner = owner
            return self._owner == owner


class Pending:
    """A decision on its way into the log.

    Args:
        future: Resolves after the commit.
        claim: Shared with the job.
    """

    def __init__(self, future: "Future[Logged]", claim: Claim) -> None:
        self._future = future
        self._claim = claim

    def result(self, seconds: float = LOG_SECONDS) -> Logged:
        """Waits for the commit.

        A job that has not begun in time is given up and will never run; one that has begun is waited for, so that
        what is in the log is what was answered.

        Raises:
            AbandonedError: It had not begun in time.
            StateError: It could not be committed.
        """
        try:
            return self._future.result(timeout=seconds)
        except LateError:
            if self._claim.take("caller"):
                raise AbandonedError("the decision log did not answer in time") from None
            return self._future.result()


class DecisionWriter:
    """Writes decisions with everything that belongs to them.

    Args:
        state: The workspace's state database.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def submit(
        self,
        request: DecisionRequest,
        *,
        now: datetime,
        settings: Settings,
        repeat: Repeat | None,
        make: Callable[[CounterSnapshot], DecisionRecord],
    ) -> Pending:
        """Queues a decision for the writer's next group.

        Args:
            request: The touchpoint.
            now: The decision's time.
            settings: The configuration it is made under; kept, so that it can be replayed.
            repeat: What makes it repeatable, if anything does.
            make: Decides, given the counters that the transaction sees; pure.

        Raises:
            StateError: The state database is closed.
        """
        claim = Claim()

        def job(connection: sqlite3.Connection) -> Logged:
            if not claim.take("writer"):
                raise AbandonedError("nobody waits for this decision any more")
            if repeat is not None:
                earlier = find_answer(connection, repeat.scope, repeat.key, repeat.body_sha256)
                if earlier is not None:
                    return Logged(body=earlier, record=None)
            record = make(read_counters(connection, request, now, settings))
            _keep_artifacts(connection, settings)
            append_decision(connection, record)
            add_contacts(connection, reservations(record))
            body = canonical_json(record.answer())
            if repeat is not None:
                keep_answer(
                    connection,
                    scope=repeat.scope,
                    key=repeat.key,
                    body_sha256=repeat.body_sha256,
                    decision_id=record.decision_id,
                    response=body,
                    now=now,
                )
            return Logged(body=body, record=record)

        return Pending(self._state.submit(job), claim)


def _keep_artifacts(connection: sqlite3.Connection, settings: Settings) -> None:
    """Keeps the configuration once; asking whether it is there already is cheaper than writing it out."""
    wanted = settings.versions
    hashes = {wanted.policy, wanted.contact_policy, wanted.offers, wanted.experiments, wanted.config, wanted.engagement}
    marks = ", ".join("?" * len(hashes))
    query = f"SELECT COUNT(*) FROM artifacts WHERE sha256 IN ({marks})"  # noqa: S608 - question marks only
    if connection.execute(query, tuple(hashes)).fetchone()[0] != len(hashes):
        for kind, value in settings.artifacts.items():
            keep_artifact(connection, kind, value)


def read_counters(
    connection: sqlite3.Connection, request: DecisionRequest, now: datetime, settings: Settings
) -> CounterSnapshot:
    """The counters of one request's customer."""
    return counter_snapshot(
        connection,
        request.customer_id,
        request.household_id,
        now,
        settings.contact_policy,
        offers=settings.capped_offers,
    )


def reservations(record: DecisionRecord) -> list[Contact]:
    """The contacts that a decision's actions reserve; none when the caller asked for none."""
    options = record.request.options
    if not options.reserve_caps or options.defer_activation:
        return []
    return [
        Contact(
            contact_id=reservation_id(record.decision_id, action.rank),
            customer_id=record.customer_id,
            household_id=record.counters.household_id,
            offer_id=action.offer_id,
            channel=action.channel,
            at=action.send_at,
            status="reserved",
            decision_id=record.decision_id,
        )
        for action in record.action
    ]
