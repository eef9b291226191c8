"""From a request and its features to a logged answer, or to an answer that says why it could not be logged."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from foretouch.core.canonical import content_hash
from foretouch.core.clock import Clock, monotonic
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import Decision, DecisionRecord, DecisionRequest, FeatureSnapshot
from foretouch.core.errors import ConflictError, StateError
from foretouch.core.ids import new_id
from foretouch.core.state.access import ReusedKeyError, find_answer
from foretouch.core.state.db import State
from foretouch.core.state.flights import Flights
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.decide import DecisionInputs, decide_course, decision_seed
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.early_scores import Expected
from foretouch.serving.decision.record import store_course
from foretouch.serving.history.shadow import wants_shadow
from foretouch.serving.history.shadow_run import Cast, ShadowRunner
from foretouch.serving.models.bundles import BundleStore, Champions
from foretouch.serving.runtime.draft import Draft, reservations
from foretouch.serving.runtime.log_write import (
    LOG_SECONDS,
    AbandonedError,
    DecisionWriter,
    Pending,
    Repeat,
    read_counters,
)
from foretouch.serving.runtime.scoring_turn import Turn, Turns
from foretouch.serving.runtime.settings import Settings, SettingsReader
from foretouch.serving.web.telemetry import Telemetry
from foretouch.serving.words.texts import language_of
from foretouch.serving.words.translations import translated

log = logging.getLogger("foretouch.decider")


@dataclass(frozen=True, kw_only=True)
class Given:
    """A decision as it was given.

    Attributes:
        body: The answer as JSON, byte for byte the same when it is given again.
        stored: The record as it is logged; None when an earlier answer was given again.
        replayed: Whether this is an earlier answer.
    """

    body: bytes
    stored: StoredRecord | None = None
    replayed: bool = False

    @property
    def record(self) -> DecisionRecord | None:
        """The whole record; None when an earlier answer was given again."""
        return None if self.stored is None else self.stored.record

    @property
    def decision(self) -> Decision:
        """The answer."""
        return Decision.from_line(self.body)


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A decision that waits for its commit, or was answered without one.

    Attributes:
        request: The touchpoint.
        features: The customer's.
        settings: The configuration it is made under.
        pending: Its way into the log; None where there is none.
        made: What was decided, once it is; empty until the log's writer has come to it.
        given: The answer of a dry run.
        failure: Why there is no way into the log.
        repeat: What makes it repeatable, if anything does.
        first: Whether no call of the same key was under way when it began.
    """

    request: DecisionRequest
    features: FeatureSnapshot
    settings: Settings
    pending: Pending | None = None
    made: list["Made"] = field(default_factory=list)
    given: Given | None = None
    failure: Exception | None = None
    repeat: Repeat | None = None
    first: bool = True


class InFlightError(ConflictError):
    """The same call is under way, and did not end while this one waited for its answer."""

    code = "in_flight"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was decided, and when: for the shadow and the counters, after the answer."""

    inputs: DecisionInputs
    course: Course
    at: float


class Decider:
    """Decides and logs, under the settings and models in force.

    Args:
        state: The log.
        settings: The configuration.
        bundles: The models.
        clock: The workspace's.
        telemetry: Counts.
        seed_key: The workspace's secret ``seed``.
        flights: Which repeatable calls are under way.
    """

    def __init__(
        self,
        *,
        state: State,
        settings: SettingsReader,
        bundles: BundleStore,
        clock: Clock,
        telemetry: Telemetry,
        seed_key: str,
        flights: Flights,
    ) -> None:
        self._state = state
        self._settings = settings
        self._bundles = bundles
        self._clock = clock
        self._telemetry = telemetry
        self._seed_key = seed_key
        self._flights = flights
        self._writer = DecisionWriter(state)
        self._turns = Turns()
        self._shadows = ShadowRunner(state, telemetry)

    def begin(
        self,
        request: DecisionRequest,
        features: FeatureSnapshot,
        repeat: Repeat | None,
        *,
        features_ms: float | None = None,
    ) -> Begun:
        """Puts a decision on its way into the log; a dry run is answered at once.

        Args:
            request: The touchpoint.
            features: The customer's.
            repeat: What makes it repeatable, if anything does.
            features_ms: How long the features took, for the record.
        """
        settings, champions = self._settings.current, self._bundles.champions
        if request.options.dry_run:
            stored = self._preview(request, features)
            given = Given(body=stored.answer_bytes, stored=stored)
            return Begun(request=request, features=features, settings=settings, given=given)
        all_made: list[Made] = []
        started, now, decision_id = monotonic(), self._clock.now(), new_id("dec")
        turn = Turn(self._expected(request, features, settings, champions, now))

        def make(counters: CounterSnapshot) -> Draft:
            inputs = self._inputs(
                request,
                features,
                counters,
                settings,
                champions,
                decision_id=decision_id,
                decided_at=now,
                early=turn.scores,
            )
            before = monotonic()
            inputs, course = course_or_fall_back(request, inputs)
            decided = monotonic()
            self._turns.note(used=course.found.scorer is not None)

            def write() -> StoredRecord:
                began = monotonic()
                stored = store_course(request, inputs, course)
                after = monotonic()
                all_made.append(Made(inputs=inputs, course=course, at=after))
                parts = {
                    "features": features_ms,
                    "queue": (before - started) * 1000.0 - turn.ms,
                    "decide": (decided - before + after - began) * 1000.0 + turn.ms,
                }
                rounded = {name: round(ms, 3) for name, ms in parts.items() if ms is not None}
                return stored.with_fields(latency_ms=rounded)

            return Draft(contacts=reservations(request, inputs, course, settings), write=write)

        try:
            pending = self._writer.submit(
                request, now=now, settings=settings, repeat=repeat, make=make, ahead=(self._turns.take, turn)
            )
        except StateError as error:
            return Begun(request=request, features=features, settings=settings, failure=error)
        first = repeat is None or self._flights.enter(repeat.flight)
        if repeat is not None and first:  # let go when it is settled, should nobody come to finish it
            flight = repeat.flight
            pending.future.add_done_callback(lambda _: self._flights.leave(flight))
        return Begun(
            request=request,
            features=features,
            settings=settings,
            pending=pending,
            made=all_made,
            repeat=repeat,
            first=first,
        )

    def finish(self, begun: Begun, *, seconds: float = LOG_SECONDS) -> Given:
        """Waits for the commit and answers; if there is none, the answer says so.

        Args:
            begun: The decision.
            seconds: How long to wait for the log to begin with it.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
            InFlightError: A call of the same key is under way, and has not ended in time.
        """
        if begun.given is not None:
            return begun.given
        if begun.pending is None:
            return self._unlogged(begun, begun.failure or StateError("the decision log is closed"))
        try:
            logged = begun.pending.result(seconds)
        except ReusedKeyError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever failed, the caller gets an answer
            return self._given_up(begun, error)
        if logged.stored is not None:
            self._telemetry.decided(logged.stored.status, logged.stored.fallback_step)
            self._after(begun)
        return Given(body=logged.body, stored=logged.stored, replayed=logged.stored is None)

    def _given_up(self, begun: Begun, failure: Exception) -> Given:
        """The answer without the log; a repeat leaves that answer to the first call as long as that one may get it."""
        if begun.repeat is None:
            return self._unlogged(begun, failure)
        if not begun.first and self._flights.busy(begun.repeat.flight):
            raise InFlightError("the same call is under way and did not end in time; send it again") from failure
        try:
            return self._unlogged(begun, failure)
        finally:
            if begun.first:
                self._flights.leave(begun.repeat.flight)

    def _after(self, begun: Begun) -> None:
        """What follows a committed decision: its shadow, if it has one, and how long the log took."""
        made = begun.made[-1]  # the last, should the transaction have been made again
        self._telemetry.commit_seconds.observe(monotonic() - made.at)
        try:
            if wants_shadow(made.inputs, made.course):
                self._shadows.offer(Cast(request=begun.request, inputs=made.inputs, course=made.course))
        except Exception:
            log.exception("a decision goes without its shadow")

    def close(self) -> None:
        """Finds the shadows that wait."""
        self._shadows.close()

    def preview(self, request: DecisionRequest, features: FeatureSnapshot) -> DecisionRecord:
        """Decides without logging or reserving anything."""
        return self._preview(request, features).record

    def _preview(self, request: DecisionRequest, features: FeatureSnapshot) -> StoredRecord:
        settings = self._settings.current
        counters = self._counters_or_closed(request, settings)
        inputs = self._inputs(request, features, counters, settings, self._bundles.champions)
        return store_course(request, *course_or_fall_back(request, inputs)).with_fields(logged=False)

    def earlier(self, repeat: Repeat | None) -> Given | None:
        """An earlier answer, before any work is done; the transaction looks again.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
        """
        if repeat is None:
            return None
        try:
            body = find_answer(self._state.read(), repeat.scope, repeat.key, repeat.body_sha256)
        except ReusedKeyError:
            raise
        except Exception:
            log.exception("earlier answers cannot be read")
            return None
        return None if body is None else Given(body=body, replayed=True)

    def _inputs(
        self,
        request: DecisionRequest,
        features: FeatureSnapshot,
        counters: CounterSnapshot,
        settings: Settings,
        champions: Champions,
        *,
        decision_id: str | None = None,
        **changes: Any,
    ) -> DecisionInputs:
        identity = decision_id or new_id("dec")
        values: dict[str, Any] = {
            "decision_id": identity,
            "decided_at": self._clock.now(),
            "seed": decision_seed(self._seed_key, request.customer_id, identity),
            "features": features,
            "counters": counters,
            "models": champions.scorers,
            "catalogue": settings.catalogue,
            "contact_policy": settings.contact_policy,
            "policies": settings.policies.policies,
            "experiments": settings.experiments.experiments,
            "config": settings.config,
            "versions": settings.versions,
            "engagement": settings.engagement,
            "previous": champions.previous,
            "challengers": champions.challengers,
            "plans": settings.plans,
        }
        return DecisionInputs(**{**values, **changes})

    @staticmethod
    def _expected(
        request: DecisionRequest, features: FeatureSnapshot, settings: Settings, champions: Champions, now: datetime
    ) -> Expected:
        return Expected(
            request=request,
            features=features,
            models=champions.scorers,
            previous=champions.previous,
            catalogue=settings.catalogue,
            config=settings.config,
            plans=settings.plans,
            at=now,
        )

    def _unlogged(self, begun: Begun, failure: Exception) -> Given:
        """The answer when the log cannot be written: no model decides, nothing is reserved, and it says so."""
        log.error("a decision was answered without being logged: %s", failure)
        self._telemetry.unlogged.inc()
        reason = "the decision log cannot be written, so no model decided and nothing was reserved"
        if isinstance(failure, AbandonedError):
            reason = "the decision log did not take it in time, so no model decided and nothing was reserved"
        counters = self._counters_or_closed(begun.request, begun.settings)
        reason = translated(reason, language_of(begun.request, counters))
        inputs = self._inputs(
            begun.request, begun.features, counters, begun.settings, self._bundles.champions, models={}
        )
        inputs, course = course_or_fall_back(begun.request, inputs)
        stored = store_course(begun.request, inputs, course)
        stored = stored.with_fields(
            status="fallback",
            status_reason=reason,
            logged=False,
            warnings=[*stored.document.get("warnings", ()), reason],
            action=[{**action, "reservation_id": None} for action in stored.actions],
        )
        self._telemetry.decided("fallback", "unlogged")
        return Given(body=stored.answer_bytes, stored=stored)

    def _counters_or_closed(self, request: DecisionRequest, settings: Settings) -> CounterSnapshot:
        """The counters as last committed; if they cannot be read, a snapshot under which nobody may be contacted."""
        try:
            return read_counters(self._state.read(), request, self._clock.now(), settings, caps=self._state.caps)
        except Exception as error:  # noqa: BLE001 - fail closed on consent
            return CounterSnapshot(consent_error=f"consent cannot be read: {error}")


def repeat_of(request: DecisionRequest, caller: str, idempotency_key: str | None) -> Repeat | None:
    """What makes a request repeatable: the caller's key, else its ``request_id``; None without either."""
    key = idempotency_key or request.request_id
    if key is None:
        return None
    return Repeat(scope=f"{caller}/decisions", key=key, body_sha256=content_hash(request))


def course_or_fall_back(request: DecisionRequest, inputs: DecisionInputs) -> tuple[DecisionInputs, Course]:
    """Decides; if a model or a feature makes that fail, decides again without any model.

    Returns:
        What it was decided from, and what was found.
    """
    try:
        return inputs, decide_course(request, inputs)
    except Exception:
        log.exception("decision %s failed and is made again without models", inputs.decision_id)
    bare = FeatureSnapshot(error="the decision failed with these features; they were left out")
    inputs = replace(inputs, models={}, previous={}, features=bare)
    return inputs, decide_course(request, inputs)
