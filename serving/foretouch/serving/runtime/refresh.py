"""Brings online features up to date after posted events, off the request path, within a second."""

import logging
import queue
import threading
from collections.abc import Callable
from datetime import datetime

from foretouch.core.clock import monotonic
from foretouch.serving.runtime.feature_read import FeatureStore
from foretouch.serving.web.telemetry import Telemetry

log = logging.getLogger("foretouch.refresh")

GROUP_SIZE = 50


class RefreshQueue:
    """A worker thread that recomputes the features of customers whose events came in.

    Several events of one customer that wait together cost one recomputation. A customer whose recomputation failed
    is tried once more with the next group, and counted.

    Args:
        refresher: Does the work.
        now: The workspace's time.
        telemetry: Counts it.
    """

    def __init__(self, refresher: FeatureStore, now: Callable[[], datetime], telemetry: Telemetry) -> None:
        self._refresher = refresher
        self._now = now
        self._telemetry = telemetry
        self._waiting: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="feature-refresh", daemon=True)
        self._thread.start()

    def add(self, customer_id: str) -> None:
        """Queues a customer."""
        self._waiting.put((customer_id, monotonic()))

    def close(self) -> None:
        """Finishes what is queued."""
        self._waiting.put(None)
        self._thread.join(10.0)

    def _run(self) -> None:
        open_ = True
        while open_:
            group: dict[str, float] = {}
            item = self._waiting.get()
            while item is not None:
                group.setdefault(item[0], item[1])
                if len(group) >= GROUP_SIZE:
                    break
                try:
                    item = self._waiting.get_nowait()
                except queue.Empty:
                    break
            open_ = item is not None
            if group:
                self._refresh(group)

    def _refresh(self, group: dict[str, float]) -> None:
        try:
            self._refresher.refresh(list(group), self._now())
        except Exception:
            log.exception("online features of %d customers could not be recomputed", len(group))
            self._telemetry.refreshes.labels("failed").inc(len(group))
            return
        self._telemetry.refreshes.labels("done").inc(len(group))
        for queued_at in group.values():
            self._telemetry.refresh_seconds.observe(monotonic() - queued_at)
