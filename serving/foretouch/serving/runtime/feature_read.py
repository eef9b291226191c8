"""Reading a customer's features within a deadline: bounded threads, a breaker, and never an exception."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from datetime import datetime
from typing import Protocol

from foretouch.core.clock import monotonic
from foretouch.core.decisions import FeatureSnapshot
from foretouch.serving.web.telemetry import Telemetry

THREADS = 16
OPEN_AFTER_FAILURES = 5
FAILURE_WINDOW_SECONDS = 10.0
CLOSED_AGAIN_AFTER_SECONDS = 2.0


class FeatureStore(Protocol):
    """Where customers' online features are: ``OnlineFeatures`` is one.

    A store with a true attribute ``local`` is a file on this machine's disk, like the log itself: it is read on the
    caller's own thread, because handing a read of 30 microseconds to another thread costs twice as much. Any other
    store is read in a bounded pool under the deadline.
    """

    def read(self, customer_id: str) -> FeatureSnapshot:
        """What is known of a customer."""
        ...

    def refresh(self, customer_ids: Sequence[str], now: datetime) -> None:
        """Recomputes customers' features after events, and pushes them; late values never overwrite newer ones."""
        ...


class Breaker:
    """Stops asking a store that keeps failing, and tries it again after a while.

    Opens after 5 failures in 10 s; every 2 s one call is let through as a trial.
    """

    def __init__(self) -> None:
        self._failures: list[float] = []
        self._open_since: float | None = None
        self._lock = threading.Lock()

    def allows(self, now: float) -> bool:
        """Whether to ask now."""
        with self._lock:
            if self._open_since is None:
                return True
            if now - self._open_since < CLOSED_AGAIN_AFTER_SECONDS:
                return False
            self._open_since = now  # this call is the trial; the next one comes in another 2 s
            return True

    def succeeded(self) -> None:
        """The store answered."""
        if self._failures:
            with self._lock:
                self._failures.clear()
                self._open_since = None

    def failed(self, now: float) -> None:
        """The store failed or was late."""
        with self._lock:
            self._failures = [at for at in self._failures if now - at < FAILURE_WINDOW_SECONDS] + [now]
            if len(self._failures) >= OPEN_AFTER_FAILURES and self._open_since is None:
                self._open_since = now


class FeatureReader:
    """Reads features under a deadline; what goes wrong is in the snapshot's ``error``.

    Args:
        store: Where they are.
        telemetry: Counts failures.
    """

    def __init__(self, store: FeatureStore, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="feature-read")
        self._free = threading.BoundedSemaphore(THREADS)
        self._breaker = Breaker()
        self.local = bool(getattr(store, "local", False))
        """Whether a read may run on an event loop."""

    def read(self, customer_id: str, seconds: float, *, hurried: bool = False) -> FeatureSnapshot:
        """A customer's features, or a snapshot that says why there are none.

        Args:
            customer_id: Whose.
            seconds: How long to wait at most.
            hurried: The caller gives less time than the configuration: being late is then no failure of the store.
        """
        if not self._breaker.allows(monotonic()):
            return self._failure("open", "the feature store keeps failing and is left alone for a moment")
        read = self._read_here if self.local else self._read_there
        return read(customer_id, seconds, hurried=hurried)

    def _read_there(self, customer_id: str, seconds: float, *, hurried: bool) -> FeatureSnapshot:
        """Reads in the pool, and waits no longer than the deadline."""
        if not self._free.acquire(blocking=False):
            return self._failure("busy", f"{THREADS} feature reads are under way already")
        try:
            future = self._pool.submit(self._store.read, customer_id)
        except RuntimeError as error:  # the pool is shut down: the service is stopping
            self._free.release()
            return self._failure("error", f"the feature store cannot be read: {error}")
        future.add_done_callback(self._release)
        try:
            snapshot = future.result(timeout=seconds)
        except LateError:
            if not hurried:
                self._breaker.failed(monotonic())
            return self._failure("late", f"the feature store did not answer within {seconds * 1000:g} ms")
        except Exception as error:  # noqa: BLE001 - whatever the store raises, the decision goes on
            self._breaker.failed(monotonic())
            return self._failure("error", f"the feature store cannot be read: {type(error).__name__}: {error}")
        self._breaker.succeeded()
        return snapshot

    def _read_here(self, customer_id: str, seconds: float, *, hurried: bool) -> FeatureSnapshot:
        """Reads on this thread; what came too late is used, for it is there, but counts against the store."""
        started = monotonic()
        try:
            snapshot = self._store.read(customer_id)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, the decision goes on
            self._breaker.failed(monotonic())
            return self._failure("error", f"the feature store cannot be read: {type(error).__name__}: {error}")
        ended = monotonic()
        if ended - started > seconds and not hurried:
            self._breaker.failed(ended)
            self._telemetry.feature_errors.labels("late").inc()
        else:
            self._breaker.succeeded()
        return snapshot

    def close(self) -> None:
        """Lets go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _release(self, _: "Future[FeatureSnapshot]") -> None:
        self._free.release()

    def _failure(self, kind: str, reason: str) -> FeatureSnapshot:
        self._telemetry.feature_errors.labels(kind).inc()
        return FeatureSnapshot(error=reason)
