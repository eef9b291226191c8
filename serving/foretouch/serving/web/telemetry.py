"""Metrics by route template, never by path: a fixed number of series, summed over the workers."""

import gc
import logging
from collections.abc import Mapping, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MutexValue, ValueClass

from foretouch.core.clock import monotonic
from foretouch.serving.web.tally import Counted, Tally

log = logging.getLogger("foretouch.models")

MULTIPROCESS = ValueClass is not MutexValue
"""Whether the library shares its values among processes: settled by the environment when it is imported."""
ROUTE_BUCKETS = (0.005, 0.025, 0.05, 0.15, 0.5, 2.5)
"""Of each route: few, because every route that was ever asked has a series per bucket."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)


class Telemetry:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "foretouch_requests_total", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "foretouch_request_seconds", "Time to answer.", ["route"], buckets=ROUTE_BUCKETS, registry=self.registry
        )
        self.decisions = Counter(
            "foretouch_decisions_total",
            "Decisions by status and step of the fallback ladder.",
            ["status", "step"],
            registry=self.registry,
        )
        self.unlogged = Counter(
            "foretouch_unlogged_decisions_total",
            "Decisions answered although the log could not be written.",
            registry=self.registry,
        )
        self.shadows = Counter(
            "foretouch_shadow_decisions_total",
            "Decisions that a shadow made too: agrees, differs, failed, dropped (too many waited) or unlogged.",
            ["result"],
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "foretouch_decision_commit_seconds",
            "From the draw of a decision to its commit.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.feature_errors = Counter(
            "foretouch_feature_read_errors_total",
            "Feature reads that failed or came too late.",
            ["kind"],
            registry=self.registry,
        )
        self.models = Gauge(
            "foretouch_model_loaded",
            "1 for the version of each model that answers.",
            ["model", "version"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.model_failures = Counter(
            "foretouch_model_load_failures_total",
            "Bundles that were refused; the earlier one goes on answering.",
            ["model"],
            registry=self.registry,
        )
        self.outcomes = Counter(
            "foretouch_outcomes_total", "Outcomes by type and result.", ["type", "result"], registry=self.registry
        )
        self.events = Counter("foretouch_events_total", "Events by result.", ["result"], registry=self.registry)
        self.refreshes = Counter(
            "foretouch_feature_refreshes_total",
            "Customers whose online features were recomputed after events.",
            ["result"],
            registry=self.registry,
        )
        self.refresh_seconds = Histogram(
            "foretouch_feature_refresh_seconds",
            "From an event's arrival to its features being online.",
            buckets=BUCKETS,
            registry=self.registry,
        )

        self.longest_pause = Gauge(
            "foretouch_collector_longest_pause_seconds",
            "The longest that the garbage collector has stopped a worker since it was ready.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.pauses = PauseWatch()
        self._shown_pause = 0.0
        self.tally = Tally(ROUTE_BUCKETS, self._take_over)
        self._decided: dict[tuple[str, str], Counter] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one request.

        Args:
            route: Its template.
            method: One of a few names.
            status: Of the answer.
            seconds: From its first byte to its answer.
        """
        self.tally.add((route, method, status), seconds)
        if self.pauses.longest > self._shown_pause:
            self._shown_pause = self.pauses.longest
            self.longest_pause.set(self._shown_pause)

    def _take_over(self, requests: Mapping[Counted, int], times: Mapping[str, tuple[float, Sequence[int]]]) -> None:
        for (route, method, status), count in requests.items():
            self.requests.labels(route, method, str(status)).inc(count)
        for route, (total, numbers) in times.items():
            timer = self.seconds.labels(route)
            timer._sum.inc(total)  # ``observe`` takes one at a time
            for bucket, number in zip(timer._buckets, numbers, strict=True):
                if number:
                    bucket.inc(number)

    def decided(self, status: str, step: str) -> None:
        """Counts one decision by its status and the step of the ladder that answered."""
        counter = self._decided.get((status, step))
        if counter is None:
            counter = self._decided[status, step] = self.decisions.labels(status, step)
        counter.inc()

    def show_model(self, model: str, version: str, earlier: str | None = None) -> None:
        """Says which version of a model answers now."""
        if earlier is not None and earlier != version:
            self.models.labels(model, earlier).set(0)
        self.models.labels(model, version).set(1)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics of all workers in Prometheus' text form, and its content type."""
        self.tally.move()
        registry = self.registry
        if MULTIPROCESS:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


class PauseWatch:
    """Times the garbage collector's pauses from now on.

    The collector may begin anywhere, also where a metric's lock is held, so nothing is counted here: whoever counts
    the next request shows what was found.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def start(self) -> None:
        """Times from now on."""
        if self not in gc.callbacks:
            gc.callbacks.append(self)

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        """Called by the collector before and after it works."""
        if phase == "start":
            self._began = monotonic()
        else:
            self.longest = max(self.longest, monotonic() - self._began)

    def stop(self) -> None:
        """Looks no more."""
        if self in gc.callbacks:
            gc.callbacks.remove(self)


class CountingWatcher:
    """Tells metrics and the log what happens to the models.

    Args:
        telemetry: Counts it.
    """

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
