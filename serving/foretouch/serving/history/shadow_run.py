"""Runs shadows after the answer, on a thread of its own: a shadow that is slow or fails never costs an answer.

The choice is kept in a table of its own, one row per decision, because the decision's record is on disk before the
shadow begins and is never rewritten. A shadow that was still waiting when the process died is missing, and the count
of shadows says so; nothing else depends on it.
"""

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from foretouch.core.decisions import DecisionRequest, ShadowChoice
from foretouch.core.errors import ForetouchError
from foretouch.core.state.db import State
from foretouch.core.state.log import append_shadow
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.history.shadow import shadow_choice, summary_line
from foretouch.serving.web.telemetry import Telemetry

log = logging.getLogger("foretouch.shadow")

WAITING = 1000
"""Most decisions that wait for their shadow; further ones go without."""
GROUP = 64


@dataclass(frozen=True, kw_only=True)
class Cast:
    """A decision whose shadow is to be found."""

    request: DecisionRequest
    inputs: DecisionInputs
    course: Course


class ShadowRunner:
    """Finds shadows and logs them.

    Args:
        state: The log.
        telemetry: Counts agreement, failures and those that went without.
    """

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        self._state = state
        self._telemetry = telemetry
        self._waiting: queue.Queue[Cast | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def offer(self, cast: Cast) -> None:
        """Puts a decision's shadow off until later; never waits."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(cast)
        except queue.Full:
            self._telemetry.shadows.labels("dropped").inc()

    def close(self) -> None:
        """Finds what is waiting, and ends."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        open_ = True
        while open_:
            group = [self._waiting.get()]
            while len(group) < GROUP:
                try:
                    group.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            open_ = None not in group
            self._write({item.inputs.decision_id: self._find(item) for item in group if item is not None})

    def _find(self, cast: Cast) -> tuple[ShadowChoice, ...]:
        try:
            choices = (shadow_choice(cast.request, cast.inputs, cast.course),)
        except Exception as error:  # noqa: BLE001 - a challenger may fail in any way
            log.warning("the shadow of decision %s failed: %s", cast.inputs.decision_id, error)
            self._telemetry.shadows.labels("failed").inc()
            return ()
        self._telemetry.shadows.labels(summary_line(choices)).inc()
        return choices

    def _write(self, found: dict[str, tuple[ShadowChoice, ...]]) -> None:
        kept = {decision_id: choices for decision_id, choices in found.items() if choices}
        if not kept:
            return
        try:
            self._state.write(partial(_append, kept=kept))
        except ForetouchError as error:
            log.error("%d shadows could not be logged: %s", len(kept), error)
            self._telemetry.shadows.labels("unlogged").inc(len(kept))


def _append(connection: Any, *, kept: Mapping[str, Sequence[ShadowChoice]]) -> None:
    for decision_id, choices in kept.items():
        append_shadow(connection, decision_id, choices)
