"""Long work of the pages: one at a time, in a process of its own, and remembered for a while.

An analysis takes seconds of pure computation; in the service's own process it would take the interpreter from the
decisions. So it runs aside, at a lower priority, and a page that needs it waits a moment, then says that it is being
worked out and comes back. Where an earlier answer was kept (``kept.py``), it shows that one meanwhile.
"""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from foretouch.core.clock import monotonic, utc_now
from foretouch.experiments.app.aside import FAILED
from foretouch.experiments.app.kept import KEPT, Kept

log = logging.getLogger("foretouch.pages")

CHILD = "foretouch.experiments.app.aside"
TIMEOUT_SECONDS = 600.0
"""So long one analysis may take; then its process is ended."""
MOST_KEPT = 128
FRESH_SECONDS = 60.0
"""So long a result stands although the log has grown: under traffic it always has."""
OLD_SECONDS = 3600.0
"""So long it stands at most although nothing was logged: windows close by themselves."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of an analysis.

    Attributes:
        value: Its result; None where it failed.
        failure: ``message`` and ``hint`` of a refusal.
        stamp: What it was made from.
        at: When it was finished, machine's time.
        moment: The same on the monotonic clock.
        kept: It can be shown while a newer one is being worked out.
        stale: A newer one is being worked out.
    """

    value: Any = None
    failure: Mapping[str, Any] | None = None
    stamp: str = ""
    at: datetime
    moment: float
    kept: bool = False
    stale: bool = False

    def stands(self, stamp: str) -> bool:
        """Whether it can still be shown as it is."""
        age = monotonic() - self.moment
        return age < (OLD_SECONDS if stamp == self.stamp else FRESH_SECONDS)


Key = tuple[str, str]


class Aside:
    """Runs jobs of ``foretouch.experiments.app.aside`` for the pages.

    Args:
        root: Of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept = Kept(root)
        self._found: dict[Key, Found] = {}
        self._waiting: dict[Key, threading.Event] = {}
        self._jobs: queue.SimpleQueue[tuple[Key, str]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, job: str, arguments: Mapping[str, Any], *, stamp: str, wait: float = 0.0) -> Found | None:
        """A result that still stands; else it is begun, and waited for.

        Args:
            job: A name of ``aside.JOBS``.
            arguments: JSON.
            stamp: What the result rests on: the log's position, a file's hash.
            wait: Seconds to wait for it.

        Returns:
            None while it is being worked out and none was kept; an earlier one that was kept is marked as such.
        """
        key = (job, json.dumps(arguments, sort_keys=True))
        with self._lock:
            found = self._found.get(key) or self._read(key)
            if found is not None and found.stands(stamp):
                return found
            event = self._waiting.get(key)
            if event is None:
                event = self._waiting[key] = threading.Event()
                self._jobs.put((key, stamp))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pages-aside", daemon=True)
                self._thread.start()
        if not event.wait(wait):
            return replace(found, stale=True) if found is not None and found.kept else None
        with self._lock:
            return self._found.get(key)

    def _read(self, key: Key) -> Found | None:
        told = self._kept.read(*key)
        if told is None:
            return None
        at: datetime = told["at"]
        since = max((utc_now() - at).total_seconds(), 0.0)
        found = Found(value=told["value"], stamp=told["stamp"], at=at, moment=monotonic() - since, kept=True)
        self._found[key] = found
        return found

    def _run(self) -> None:
        process = _Process(self._root)
        while True:
            key, stamp = self._jobs.get()
            answer = process.answer(*key)
            found = Found(
                value=answer.get("value"),
                failure=answer.get("failure"),
                stamp=stamp,
                at=utc_now(),
                moment=monotonic(),
                kept=answer.get("failure") is None and key[0] in KEPT,
            )
            if found.kept:
                self._kept.write(*key, value=found.value, stamp=stamp, at=found.at)
            with self._lock:
                self._found.pop(key, None)
                self._found[key] = found
                while len(self._found) > MOST_KEPT:
                    self._found.pop(next(iter(self._found)))
                self._waiting.pop(key).set()


class _Process:
    """The process beside: begun when it is needed, begun again when it has ended.

    Args:
        root: Of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._child: subprocess.Popen[str] | None = None

    def answer(self, job: str, arguments: str) -> dict[str, Any]:
        """Runs one job to its end: its value, or why there is none."""
        line = json.dumps({"job": job, "arguments": json.loads(arguments)})
        for _ in range(2):  # one that had nothing to do may have ended just now
            child = self._begun()
            clock = threading.Timer(TIMEOUT_SECONDS, child.kill)
            clock.start()
            try:
                said = self._asked(child, line)
            finally:
                clock.cancel()
            if said:
                found: dict[str, Any] = json.loads(said)
                return found
        log.error("the analysis %s gave no answer", job)
        return {"failure": FAILED}

    def _asked(self, child: "subprocess.Popen[str]", line: str) -> str:
        """The answer; empty when the process has ended instead."""
        if child.stdin is None or child.stdout is None:
            return ""
        try:
            child.stdin.write(line + "\n")
            child.stdin.flush()
            return child.stdout.readline()
        except OSError:
            return ""

    def _begun(self) -> "subprocess.Popen[str]":
        if self._child is None or self._child.poll() is not None:
            if self._child is not None:
                for pipe in (self._child.stdin, self._child.stdout):
                    with suppress(OSError):
                        if pipe is not None:
                            pipe.close()
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", CHILD, str(self._root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env={**os.environ, **ONE_THREAD},
            )
        return self._child
