"""What the service does, without a transport: HTTP, the command line and batch jobs translate to and from this.

A decision reads features before, and everything mutable inside, the transaction that logs it. Whatever is broken
behind, the caller gets an answer that can be acted on, and it says what was broken.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from foretouch.core.clock import monotonic
from foretouch.core.decisions import DecisionRecord, DecisionRequest, FeatureSnapshot
from foretouch.core.errors import ForetouchError
from foretouch.core.state.flights import Flights
from foretouch.core.state.log import read_decision
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.serving.history.replay import Replay
from foretouch.serving.history.replay_log import Replayer, replay_logged
from foretouch.serving.models.bundles import BundleStore
from foretouch.serving.runtime.decider import Begun, Decider, Given, repeat_of
from foretouch.serving.runtime.feature_read import FeatureReader, FeatureStore
from foretouch.serving.runtime.log_write import LOG_SECONDS
from foretouch.serving.runtime.readiness import readiness
from foretouch.serving.runtime.settings import SettingsReader
from foretouch.serving.web.telemetry import CountingWatcher, Telemetry
from foretouch.serving.words.explained import explained

FEATURE_SHARE = 0.6
"""Share of the deadline that the feature read may take; the rest is for deciding and logging."""
BATCH_READERS = 8
FALLBACK_SECONDS = 0.005
"""Kept back of a caller's deadline for making the answer that needs no log."""


class Dataplane:
    """Decisions of one workspace.

    Args:
        workspace: Whose.
        features: Where online features are; by default the workspace's online store.
        telemetry: Counts what happens.

    Raises:
        ForetouchError: A configuration file is missing or wrong, or the state database cannot be opened.
    """

    def __init__(
        self, workspace: Workspace, features: FeatureStore | None = None, telemetry: Telemetry | None = None
    ) -> None:
        self.workspace = workspace
        self.clock = workspace.clock
        self.telemetry = telemetry or Telemetry()
        self.settings = SettingsReader(workspace)
        self.state = open_state(workspace)
        self.bundles = BundleStore(workspace.bundles, CountingWatcher(self.telemetry), quick=True)
        self.bundles.refresh()
        self.store = features if features is not None else _online_features(workspace)
        self.features = FeatureReader(self.store, self.telemetry)
        self._flights = Flights(workspace.state_file.with_name(f"{workspace.state_file.name}-flights"))
        self._decider = Decider(
            state=self.state,
            settings=self.settings,
            bundles=self.bundles,
            clock=self.clock,
            telemetry=self.telemetry,
            seed_key=workspace.secret("seed"),
            flights=self._flights,
        )
        self._batch = ThreadPoolExecutor(max_workers=BATCH_READERS, thread_name_prefix="batch-read")

    def close(self) -> None:
        """Writes what is queued and lets go of everything."""
        self._decider.close()
        self.bundles.close()
        self._batch.shutdown(wait=False, cancel_futures=True)
        self.features.close()
        self.state.close()
        self._flights.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def decide_one(
        self,
        request: DecisionRequest,
        *,
        caller: str = "cli",
        idempotency_key: str | None = None,
        deadline_ms: float | None = None,
        arrived: float | None = None,
    ) -> Given:
        """Decides one touchpoint, logs it durably, and only then answers.

        A caller's own deadline holds for the whole: what the log has not begun by then is given up, never to be
        logged, and the answer is a fallback that says so. What it has begun is waited for.

        Args:
            request: The touchpoint.
            caller: Id of the caller's key: idempotency keys of two callers never meet.
            idempotency_key: Makes the call repeatable; ``request.request_id`` serves as well.
            deadline_ms: Lowers the configured deadline.
            arrived: When the request came in, on the monotonic clock, s; now if absent.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
            InFlightError: A call of the same key is under way, and has not ended in time.
        """
        begun = self.begin_one(
            request, caller=caller, idempotency_key=idempotency_key, deadline_ms=deadline_ms, arrived=arrived
        )
        return begun if isinstance(begun, Given) else self.finish_one(*begun)

    def begin_one(
        self,
        request: DecisionRequest,
        *,
        caller: str = "cli",
        idempotency_key: str | None = None,
        deadline_ms: float | None = None,
        arrived: float | None = None,
    ) -> Given | tuple[Begun, float]:
        """The first half of ``decide_one``: everything before the wait for the log.

        Returns:
            An earlier answer, or the decision on its way into the log and how long to wait for that, s.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
        """
        started = monotonic()
        due = None if deadline_ms is None else (started if arrived is None else arrived) + deadline_ms / 1000.0
        repeat = None if request.options.dry_run else repeat_of(request, caller, idempotency_key)
        earlier = self._decider.earlier(repeat)
        if earlier is not None:
            return earlier
        reading = monotonic()
        features = self.read_features(request.customer_id, None if due is None else _left_ms(due, reading))
        read = monotonic()
        begun = self._decider.begin(request, features, repeat, features_ms=(read - reading) * 1000.0)
        seconds = LOG_SECONDS if due is None else min(LOG_SECONDS, max(due - FALLBACK_SECONDS - monotonic(), 0.0))
        return begun, seconds

    def finish_one(self, begun: Begun, seconds: float) -> Given:
        """The second half of ``decide_one``: waits for the log and answers.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
            InFlightError: A call of the same key is under way, and has not ended in time.
        """
        return self._decider.finish(begun, seconds=seconds)

    @property
    def at_hand(self) -> bool:
        """Whether everything read before the wait for the log is on this machine's disk: no thread is needed for it."""
        return self.features.local and self.state.local

    def decide_many(
        self,
        requests: Sequence[DecisionRequest],
        *,
        caller: str = "cli",
        idempotency_key: str | None = None,
        deadline_ms: float | None = None,
    ) -> list[Given | Exception]:
        """Decides many touchpoints, in their order; one that fails leaves the others alone.

        Args:
            requests: The touchpoints.
            caller: As in ``decide_one``.
            idempotency_key: Makes each item repeatable as ``<key>#<position>`` unless it has a ``request_id``.
            deadline_ms: Of each item's features.
        """
        customers = list(dict.fromkeys(request.customer_id for request in requests))
        read = self._batch.map(lambda customer: self.read_features(customer, deadline_ms), customers)
        features = dict(zip(customers, read, strict=True))
        begun: list[Begun] = []
        for position, request in enumerate(requests):
            own = request.request_id or (f"{idempotency_key}#{position}" if idempotency_key else None)
            repeat = repeat_of(request, caller, own)
            begun.append(self._decider.begin(request, features[request.customer_id], repeat))
        answers: list[Given | Exception] = []
        for item in begun:
            try:
                answers.append(self._decider.finish(item))
            except ForetouchError as error:
                answers.append(error)
        return answers

    def preview(self, request: DecisionRequest, features: FeatureSnapshot) -> DecisionRecord:
        """Decides without logging or reserving anything."""
        return self._decider.preview(request, features)

    def get_decision(self, decision_id: str) -> DecisionRecord:
        """The record of one decision.

        Raises:
            NotFoundError: There is none of that id.
        """
        return read_decision(self.state.read(), decision_id)

    def explain(self, record: DecisionRecord, *, language: str | None = None) -> DecisionRecord:
        """A logged decision with every reason in full, from the record, its configuration and its models.

        Args:
            record: The decision.
            language: Of its texts; as it was answered if absent.

        Raises:
            NotFoundError: A configuration or model that it names is gone.
        """
        replayer = Replayer(self.state, self.workspace.bundles, self.bundles.champions.scorers)
        return explained(record, replayer.inputs_of(record), language=language)

    def replay(self, decision_id: str, *, policy: str | None = None) -> Replay:
        """Makes a logged decision again from its record, the configuration kept with it and the models it names.

        Args:
            decision_id: Which.
            policy: Decide under this policy of the workspace instead: what would have been different?

        Raises:
            NotFoundError: There is no such decision or policy, or a configuration or model that it names is gone.
            ConfigError: The policy cannot be used.
        """
        spec = None if policy is None else self.workspace.policy(policy)
        loaded = self.bundles.champions.scorers
        return replay_logged(self.state, self.workspace.bundles, loaded, decision_id, policy=spec)

    def readiness(self) -> dict[str, Any]:
        """What answers and what is missing; ``ready`` is False only when decisions cannot be logged."""
        return readiness(self.state, self.bundles.champions, self.settings, self.clock.now())

    def read_features(self, customer_id: str, deadline_ms: float | None = None) -> FeatureSnapshot:
        """A customer's features, or why there are none.

        Args:
            customer_id: Whose.
            deadline_ms: Of the whole answer; lowers the configured one and never raises it. A read that fails a
                caller's own, shorter deadline says nothing about the store.
        """
        configured = self.settings.current.config.serving.deadline_ms
        given = min(configured, deadline_ms or configured)
        return self.features.read(customer_id, FEATURE_SHARE * given / 1000.0, hurried=given < configured)


def _left_ms(due: float, now: float) -> float:
    """Milliseconds until a moment; a moment that has passed leaves next to nothing, never nothing."""
    return max((due - now) * 1000.0, 0.01)


def _online_features(workspace: Workspace) -> FeatureStore:
    from foretouch.features.online import OnlineFeatures  # noqa: PLC0415 - the command line decides without it too

    store: FeatureStore = OnlineFeatures(workspace)
    return store
