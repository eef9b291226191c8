"""What the service does, without a transport: HTTP, the command line and batch jobs translate to and from this.

A decision reads features before, and everything mutable inside, the transaction that logs it. Whatever is broken
behind, the caller gets an answer that can be acted on, and it says what was broken.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.clock import monotonic
from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.decisions import CounterSnapshot, Decision, DecisionRecord, DecisionRequest, FeatureSnapshot
from foretouch.core.errors import ForetouchError, NotFoundError, StateError
from foretouch.core.ids import new_id
from foretouch.core.offers import Catalogue
from foretouch.core.state.access import ReusedKeyError, find_answer
from foretouch.core.state.db import State
from foretouch.core.state.log import read_artifact, read_decision
from foretouch.core.workspace import Workspace
from foretouch.serving.bundles import BundleStore, Champions, load_scorers
from foretouch.serving.decide import DecisionInputs, decide, decision_seed
from foretouch.serving.feature_read import FeatureReader, FeatureStore
from foretouch.serving.log_write import DecisionWriter, Pending, Repeat, read_counters
from foretouch.serving.replay import Replay, replay, replay_inputs
from foretouch.serving.scoring import Scorer
from foretouch.serving.settings import ExperimentSet, PolicySet, Settings, SettingsReader
from foretouch.serving.telemetry import Telemetry

log = logging.getLogger("foretouch.dataplane")

FEATURE_SHARE = 0.6
"""Share of the deadline that the feature read may take; the rest is for deciding and logging."""
BATCH_READERS = 8
MAX_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Given:
    """A decision as it was given.

    Attributes:
        body: The answer as JSON, byte for byte the same when it is given again.
        record: The whole record; None when an earlier answer was given again.
        replayed: Whether this is an earlier answer.
    """

    body: bytes
    record: DecisionRecord | None = None
    replayed: bool = False

    @property
    def decision(self) -> Decision:
        """The answer."""
        return self.record.answer() if self.record is not None else Decision.from_line(self.body)


@dataclass(frozen=True, kw_only=True)
class _Begun:
    request: DecisionRequest
    features: FeatureSnapshot
    settings: Settings
    champions: Champions
    pending: Pending | None
    given: Given | None = None
    failure: Exception | None = None


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
        self.state = State(workspace.state_file)
        self.bundles = BundleStore(workspace.bundles, _CountingWatcher(self.telemetry))
        self.bundles.refresh()
        self.store = features if features is not None else _online_features(workspace)
        self.features = FeatureReader(self.store, self.telemetry)
        self._writer = DecisionWriter(self.state)
        self._seed_key = workspace.secret("seed")
        self._batch = ThreadPoolExecutor(max_workers=BATCH_READERS, thread_name_prefix="batch-read")

    def close(self) -> None:
        """Writes what is queued and lets go of everything."""
        self.bundles.close()
        self._batch.shutdown(wait=False, cancel_futures=True)
        self.features.close()
        self.state.close()

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
    ) -> Given:
        """Decides one touchpoint, logs it durably, and only then answers.

        Args:
            request: The touchpoint.
            caller: Id of the caller's key: idempotency keys of two callers never meet.
            idempotency_key: Makes the call repeatable; ``request.request_id`` serves as well.
            deadline_ms: Lowers the configured deadline.

        Raises:
            ReusedKeyError: The idempotency key came before with another request.
        """
        snapshot = None if request.options.dry_run else self._earlier(request, caller, idempotency_key)
        if snapshot is not None:
            return snapshot
        features = self.features.read(request.customer_id, self.feature_seconds(deadline_ms))
        if request.options.dry_run:
            return self._dry(request, features)
        return self._finish(self._begin(request, features, caller, idempotency_key))

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
            deadline_ms: Per item.
        """
        seconds = self.feature_seconds(deadline_ms)
        customers = list(dict.fromkeys(request.customer_id for request in requests))
        read = self._batch.map(lambda customer: self.features.read(customer, seconds), customers)
        features = dict(zip(customers, read, strict=True))
        begun: list[_Begun] = []
        for position, request in enumerate(requests):
            own = request.request_id or (f"{idempotency_key}#{position}" if idempotency_key else None)
            begun.append(self._begin(request, features[request.customer_id], caller, own))
        answers: list[Given | Exception] = []
        for item in begun:
            try:
                answers.append(self._finish(item))
            except ForetouchError as error:
                answers.append(error)
        return answers

    def get_decision(self, decision_id: str) -> DecisionRecord:
        """The record of one decision.

        Raises:
            NotFoundError: There is none of that id.
        """
        return read_decision(self.state.read(), decision_id)

    def replay(self, decision_id: str, *, policy: str | None = None) -> Replay:
        """Makes a logged decision again from its record, the configuration kept with it and the models it names.

        Args:
            decision_id: Which.
            policy: Decide under this policy of the workspace instead: what would have been different?

        Raises:
            NotFoundError: There is no such decision, or a model that it names is gone.
            ConfigError: There is no such policy, or it cannot be used.
        """
        record = self.get_decision(decision_id)
        connection, versions = self.state.read(), record.versions
        inputs = replay_inputs(
            record,
            models=self._models_of(record),
            catalogue=Catalogue.from_line(read_artifact(connection, versions.offers)),
            contact_policy=ContactPolicy.from_line(read_artifact(connection, versions.contact_policy)),
            policies=PolicySet.from_line(read_artifact(connection, versions.policy)).policies,
            experiments=ExperimentSet.from_line(read_artifact(connection, versions.experiments)).experiments,
            config=Config.from_line(read_artifact(connection, versions.config)),
        )
        changed = None if policy is None else self.workspace.policy(policy)
        return replay(record, inputs, policy=changed)

    def _models_of(self, record: DecisionRecord) -> Mapping[str, Scorer]:
        """The versions that a record names: those in memory, and the others from their bundles."""
        named = {ref.name: ref.version for ref in record.models}
        loaded = self.bundles.champions.scorers
        models = {
            name: loaded[name]
            for name, version in named.items()
            if name in loaded and loaded[name].card.version == version
        }
        scorers, refused = load_scorers(
            self.workspace.bundles, {name: version for name, version in named.items() if name not in models}
        )
        if refused:
            raise NotFoundError("; ".join(f"{name} {named[name]}: {reason}" for name, reason in refused.items()))
        return {**models, **scorers}

    def inputs(
        self,
        features: FeatureSnapshot,
        counters: CounterSnapshot,
        *,
        settings: Settings | None = None,
        champions: Champions | None = None,
        decision_id: str | None = None,
        customer_id: str = "",
        **changes: Any,
    ) -> DecisionInputs:
        """The pure decision's inputs under the settings and models in force now, with any of them replaced."""
        settings = settings or self.settings.current
        champions = champions or self.bundles.champions
        identity = decision_id or new_id("dec")
        values: dict[str, Any] = {
            "decision_id": identity,
            "decided_at": self.clock.now(),
            "seed": decision_seed(self._seed_key, customer_id, identity),
            "features": features,
            "counters": counters,
            "models": champions.scorers,
            "catalogue": settings.catalogue,
            "contact_policy": settings.contact_policy,
            "policies": settings.policies.policies,
            "experiments": settings.experiments.experiments,
            "config": settings.config,
            "versions": settings.versions,
        }
        return DecisionInputs(**{**values, **changes})

    def readiness(self) -> dict[str, Any]:
        """What answers and what is missing; ``ready`` is False only when decisions cannot be logged."""
        champions, settings = self.bundles.champions, self.settings.current
        trouble = self.state_trouble()
        wrong = [*champions.missing, *champions.refused, *([self.settings.error] if self.settings.error else [])]
        return {
            "ready": trouble is None,
            "status": "not_ready" if trouble else "degraded" if wrong else "ready",
            "workspace": settings.config.workspace.name,
            "now": self.clock.now().isoformat(),
            "models": {
                name: {"version": scorer.card.version, "trained_through": scorer.card.trained_through.isoformat()}
                for name, scorer in champions.scorers.items()
            },
            "missing": list(champions.missing),
            "refused": dict(champions.refused),
            "settings_error": self.settings.error,
            "log_error": trouble,
            "offers": len(settings.catalogue.offers),
            "versions": settings.versions.model_dump(),
        }

    def state_trouble(self) -> str | None:
        """Why decisions cannot be logged; None if they can."""
        try:
            self.state.read().execute("SELECT 1 FROM decisions LIMIT 1").fetchone()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return f"the state database cannot be read: {error}"
        return None

    def preview(self, request: DecisionRequest, features: FeatureSnapshot) -> DecisionRecord:
        """Decides without logging or reserving anything."""
        settings = self.settings.current
        now = self.clock.now()
        counters = self._counters_or_closed(request, settings)
        inputs = self.inputs(features, counters, settings=settings, customer_id=request.customer_id, decided_at=now)
        return decide(request, inputs).model_copy(update={"logged": False})

    def feature_seconds(self, deadline_ms: float | None) -> float:
        """How long a feature read may take: a share of the deadline, which a caller can lower but not raise."""
        configured = self.settings.current.config.serving.deadline_ms
        return FEATURE_SHARE * min(configured, deadline_ms or configured) / 1000.0

    def _repeat(self, request: DecisionRequest, caller: str, idempotency_key: str | None) -> Repeat | None:
        key = idempotency_key or request.request_id
        if key is None:
            return None
        return Repeat(scope=f"{caller}/decisions", key=key, body_sha256=content_hash(request))

    def _earlier(self, request: DecisionRequest, caller: str, idempotency_key: str | None) -> Given | None:
        """An earlier answer, before any work is done; the transaction looks again."""
        repeat = self._repeat(request, caller, idempotency_key)
        if repeat is None:
            return None
        try:
            body = find_answer(self.state.read(), repeat.scope, repeat.key, repeat.body_sha256)
        except ReusedKeyError:
            raise
        except Exception:
            log.exception("earlier answers cannot be read")
            return None
        return None if body is None else Given(body=body, replayed=True)

    def _dry(self, request: DecisionRequest, features: FeatureSnapshot) -> Given:
        record = self.preview(request, features)
        return Given(body=canonical_json(record.answer()), record=record)

    def _begin(
        self, request: DecisionRequest, features: FeatureSnapshot, caller: str, idempotency_key: str | None
    ) -> _Begun:
        settings, champions = self.settings.current, self.bundles.champions
        begun = _Begun(request=request, features=features, settings=settings, champions=champions, pending=None)
        if request.options.dry_run:
            return replace(begun, given=self._dry(request, features))
        started, now, decision_id = monotonic(), self.clock.now(), new_id("dec")

        def make(counters: CounterSnapshot) -> DecisionRecord:
            inputs = self.inputs(
                features,
                counters,
                settings=settings,
                champions=champions,
                decision_id=decision_id,
                customer_id=request.customer_id,
                decided_at=now,
            )
            before = monotonic()
            record = decide_or_fall_back(request, inputs)
            latency = {"queue": (before - started) * 1000.0, "decide": (monotonic() - before) * 1000.0}
            return record.model_copy(update={"latency_ms": {name: round(ms, 3) for name, ms in latency.items()}})

        try:
            pending = self._writer.submit(
                request,
                now=now,
                settings=settings,
                repeat=self._repeat(request, caller, idempotency_key),
                make=make,
            )
        except StateError as error:
            return replace(begun, failure=error)
        return replace(begun, pending=pending)

    def _finish(self, begun: _Begun) -> Given:
        if begun.given is not None:
            return begun.given
        failure: Exception
        if begun.pending is None:
            failure = begun.failure or StateError("the decision log is closed")
        else:
            try:
                logged = begun.pending.result()
            except ReusedKeyError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever failed, the caller gets an answer
                failure = error
            else:
                given = Given(body=logged.body, record=logged.record, replayed=logged.record is None)
                if logged.record is not None:
                    self.telemetry.decisions.labels(logged.record.status, logged.record.fallback_step).inc()
                return given
        return self._unlogged(begun, failure)

    def _unlogged(self, begun: _Begun, failure: Exception) -> Given:
        """The answer when the log cannot be written: no model decides, nothing is reserved, and it says so."""
        log.error("a decision was answered without being logged: %s", failure)
        self.telemetry.unlogged.inc()
        reason = "the decision log cannot be written, so no model decided and nothing was reserved"
        counters = self._counters_or_closed(begun.request, begun.settings)
        inputs = self.inputs(
            begun.features, counters, settings=begun.settings, models={}, customer_id=begun.request.customer_id
        )
        record = decide_or_fall_back(begun.request, inputs)
        record = record.model_copy(
            update={
                "status": "fallback",
                "status_reason": reason,
                "logged": False,
                "warnings": (*record.warnings, reason),
            }
        )
        self.telemetry.decisions.labels("fallback", "unlogged").inc()
        return Given(body=canonical_json(record.answer()), record=record)

    def _counters_or_closed(self, request: DecisionRequest, settings: Settings) -> CounterSnapshot:
        """The counters as last committed; if they cannot be read, a snapshot under which nobody may be contacted."""
        try:
            return read_counters(self.state.read(), request, self.clock.now(), settings)
        except Exception as error:  # noqa: BLE001 - fail closed on consent
            return CounterSnapshot(consent_error=f"consent cannot be read: {error}")


def decide_or_fall_back(request: DecisionRequest, inputs: DecisionInputs) -> DecisionRecord:
    """Decides; if a model or a feature makes that fail, decides again without any model."""
    try:
        return decide(request, inputs)
    except Exception:
        log.exception("decision %s failed and is made again without models", inputs.decision_id)
    bare = FeatureSnapshot(error="the decision failed with these features; they were left out")
    return decide(request, replace(inputs, models={}, features=bare))


def _online_features(workspace: Workspace) -> FeatureStore:
    from foretouch.features.online import OnlineFeatures  # noqa: PLC0415 - the command line decides without it too

    store: FeatureStore = OnlineFeatures(workspace)
    return store


class _CountingWatcher:
    """Tells metrics and the log what happens to the models."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def loaded(self, model: str, version: str, earlier: str | None) -> None:
        """A version answers from now on."""
        self._telemetry.show_model(model, version, earlier)
        log.info("model %s: version %s answers (before: %s)", model, version, earlier or "none")

    def refused(self, model: str, reason: str) -> None:
        """A bundle was refused."""
        self._telemetry.model_failures.labels(model).inc()
        log.error("model %s: %s; the earlier version goes on answering", model, reason)
