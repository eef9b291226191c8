"""One decision as one transaction: counters, draw, reservation, record and idempotent answer, or nothing at all."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from datetime import datetime

from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import ForetouchError
from foretouch.core.state.access import find_answer, keep_answer
from foretouch.core.state.caps import CapQuestion, CapsError, CapStore, SeenCaps, read_generation, tell_additions
from foretouch.core.state.connection import Connection
from foretouch.core.state.contacts import add_contacts, window_start
from foretouch.core.state.counts import expire_contacts
from foretouch.core.state.db import State
from foretouch.core.state.group import Ahead, Later
from foretouch.core.state.log import append_decision, keep_artifact
from foretouch.core.state.people import counter_snapshot, household_of
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.runtime.draft import Draft
from foretouch.serving.runtime.settings import Settings

Make = Callable[[CounterSnapshot], Draft]
"""Decides, given the counters; pure."""

RESERVE_TRIES = 8
"""How often a decision is made again because a counter moved, before nothing is sent."""
LOG_SECONDS = 2.0
"""How long a decision waits for the log before it is answered without."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """What makes a request the same request: key id and route, the caller's key, the content's hash."""

    scope: str
    key: str
    body_sha256: str

    @property
    def flight(self) -> tuple[str, str]:
        """What two calls share that must not be made twice."""
        return self.scope, self.key


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What the transaction did.

    Attributes:
        body: The answer as JSON.
        stored: The record that was written; None when an earlier answer was found.
    """

    body: bytes
    stored: StoredRecord | None


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

    @property
    def future(self) -> "Future[Logged]":
        """Resolves after the commit, or when there will be none."""
        return self._future

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
        self._kept: Settings | None = None
        """The configuration that stands in the log, for sure: the last one that was committed with a decision."""

    def submit(
        self,
        request: DecisionRequest,
        *,
        now: datetime,
        settings: Settings,
        repeat: Repeat | None,
        make: Make,
        ahead: Ahead | None = None,
    ) -> Pending:
        """Queues a decision for the writer's next group.

        Args:
            request: The touchpoint.
            now: The decision's time.
            settings: The configuration it is made under; kept, so that it can be replayed.
            repeat: What makes it repeatable, if anything does.
            make: Decides, given the counters that the transaction sees; pure.
            ahead: What the decisions of a group do together before its transaction.

        Raises:
            StateError: The state database is closed.
        """
        claim = Claim()

        def job(connection: Connection) -> Logged | Later[Logged]:
            if not claim.take("writer"):
                raise AbandonedError("nobody waits for this decision any more")
            if repeat is not None:
                earlier = find_answer(connection, repeat.scope, repeat.key, repeat.body_sha256)
                if earlier is not None:
                    return Logged(body=earlier, stored=None)
            expire_contacts(connection, now)
            draft = self._decide_and_reserve(connection, request, now, settings, make)
            return Later(lambda connection: self._write(connection, draft, now, settings, repeat))

        # Those that only the counters bind together are all made before the first is written. A repeat must find the
        # answer of the call before it, and a store of caps takes nothing back.
        key = None if repeat is None else (repeat.scope, repeat.key)
        future = self._state.submit(job, ahead=ahead, staged=self._state.caps is None, key=key)
        if settings is not self._kept:
            future.add_done_callback(lambda done: self._note(settings, done))
        return Pending(future, claim)

    def _write(
        self, connection: Connection, draft: Draft, now: datetime, settings: Settings, repeat: Repeat | None
    ) -> Logged:
        """Writes a decision down, and its answer where it can be asked for again."""
        stored = draft.write()
        if settings is not self._kept:
            _keep_artifacts(connection, settings)
        append_decision(connection, stored)
        body = stored.answer_bytes
        if repeat is not None:
            keep_answer(
                connection,
                scope=repeat.scope,
                key=repeat.key,
                body_sha256=repeat.body_sha256,
                decision_id=stored.decision_id,
                response=body,
                now=now,
            )
        return Logged(body=body, stored=stored)

    def _note(self, settings: Settings, done: "Future[Logged]") -> None:
        """After a commit, the configuration need not be looked for any more."""
        if not done.cancelled() and done.exception() is None and done.result().stored is not None:
            self._kept = settings

    def _decide_and_reserve(
        self, connection: Connection, request: DecisionRequest, now: datetime, settings: Settings, make: Make
    ) -> Draft:
        """Decides on a snapshot of the counters and reserves what was chosen.

        In the log nobody else writes meanwhile. A store of caps has other writers: it refuses if a counter has moved
        since the snapshot, and the decision is made again on a fresh one, so that the logged probabilities are those
        of the counters that the reservation met. What still cannot be reserved is decided as if nothing might be sent.
        """
        caps = self._state.caps
        if caps is None:
            draft = make(_snapshot(connection, request, now, settings, settled=True))
            add_contacts(connection, draft.contacts)
            return draft
        reason = f"the counters of caps moved {RESERVE_TRIES} times while this was decided"
        try:
            for _ in range(RESERVE_TRIES):
                seen = _look(connection, request, now, settings, caps)
                draft = make(_snapshot(connection, request, now, settings, seen=seen))
                if caps.reserve(seen, draft.contacts):
                    add_contacts(connection, draft.contacts, mirrored=True)
                    return draft
        except CapsError as error:
            reason = str(error)
        draft = make(_snapshot(connection, request, now, settings, caps_error=reason))
        add_contacts(connection, draft.contacts)  # what no cap can stop
        return draft


def _keep_artifacts(connection: Connection, settings: Settings) -> None:
    """Keeps the configuration once; asking whether it is there already is cheaper than writing it out."""
    wanted = settings.versions
    hashes = {wanted.policy, wanted.contact_policy, wanted.offers, wanted.experiments, wanted.config, wanted.engagement}
    marks = ", ".join("?" * len(hashes))
    query = f"SELECT COUNT(*) FROM artifacts WHERE sha256 IN ({marks})"  # noqa: S608 - question marks only
    if connection.execute(query, tuple(hashes)).fetchone()[0] != len(hashes):
        for kind, value in settings.artifacts.items():
            keep_artifact(connection, kind, value)


def read_counters(
    connection: Connection,
    request: DecisionRequest,
    now: datetime,
    settings: Settings,
    *,
    caps: CapStore | None = None,
) -> CounterSnapshot:
    """The counters of one request's customer; where the store of caps cannot be read, a snapshot that says so."""
    return look_at_counters(connection, request, now, settings, caps=caps)[0]


def look_at_counters(
    connection: Connection, request: DecisionRequest, now: datetime, settings: Settings, *, caps: CapStore | None
) -> tuple[CounterSnapshot, SeenCaps | None]:
    """The same, with what the store of caps must still know when something is reserved on these counters."""
    if caps is None:
        return _snapshot(connection, request, now, settings), None
    try:
        seen = _look(connection, request, now, settings, caps)
    except CapsError as error:
        return _snapshot(connection, request, now, settings, caps_error=str(error)), None
    return _snapshot(connection, request, now, settings, seen=seen), seen


def _look(
    connection: Connection, request: DecisionRequest, now: datetime, settings: Settings, caps: CapStore
) -> SeenCaps:
    generation = read_generation(connection)
    if generation is None:
        raise CapsError(f"the counters of caps at {caps.label} were never filled", hint="foretouch caps rebuild")
    tell_additions(connection, caps, generation)
    policy, offers = settings.contact_policy, settings.offers_by_id
    return caps.look(
        CapQuestion.of(
            policy,
            customer_id=request.customer_id,
            household_id=household_of(connection, request.customer_id, request.household_id),
            now=now,
            since=window_start(policy, now),
            offers={offer_id: offers[offer_id].caps for offer_id in settings.capped_offers},
        ),
        generation,
    )


def _snapshot(
    connection: Connection,
    request: DecisionRequest,
    now: datetime,
    settings: Settings,
    *,
    seen: SeenCaps | None = None,
    caps_error: str | None = None,
    settled: bool = False,
) -> CounterSnapshot:
    return counter_snapshot(
        connection,
        request.customer_id,
        request.household_id,
        now,
        settings.contact_policy,
        offers=settings.capped_offers,
        evidence=_considered(request, settings),
        seen=seen,
        caps_error=caps_error,
        asked=settings.asked,
        settled=settled,
    )


def _considered(request: DecisionRequest, settings: Settings) -> Sequence[str]:
    """The offers whose evidence a policy may ask for: those that the request is about."""
    if not settings.asks_evidence:
        return ()
    if request.candidates is not None:
        return tuple(sorted({item.offer_id for item in request.candidates} & settings.offers_by_id.keys()))
    if request.collection is not None:
        return settings.offers_by_category.get(request.collection, ())
    return settings.offer_ids
