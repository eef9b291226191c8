"""Where the CPU time of one answered decision goes: the service's own front, rules, models and log, in one process.

``OMP_WAIT_POLICY=PASSIVE python benchmarks/profile_decision.py [--decisions 2000] [--clients 32] [--out docs/results]``
makes the workspace of ``foretouch bench serve``, sends whole requests through the ASGI front in a closed loop, and
writes ``profile-decision.txt``: CPU microseconds per answer by part, then the functions of both threads by own time.
Parts are timed by their thread's CPU clock; the list of functions is of a second run, under cProfile, which makes
calls look dearer than they are.
"""

import argparse
import asyncio
import cProfile
import io
import json
import os
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from result import machine

from foretouch.core.clock import utc_now
from foretouch.core.state import db
from foretouch.core.state.access import create_key
from foretouch.core.workspace import WORKSPACE_VARIABLE, Workspace
from foretouch.serving.bench.servers import question
from foretouch.serving.bench.world import Size, build_world
from foretouch.serving.runtime import dataplane, decider, log_write, scoring_turn, start
from foretouch.serving.web import front
from foretouch.serving.web import soon as http_soon

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("loop: the request as its contract", http_soon, "checked"),
    ("loop: reading the features", dataplane.Dataplane, "read_features"),
    ("loop: before the log, in all", dataplane.Dataplane, "begin_one"),
    ("loop: after the log", dataplane.Dataplane, "finish_one"),
    ("writer: reading the counters", log_write, "counter_snapshot"),
    ("writer: scoring the group, trees included", scoring_turn.Turns, "take"),
    ("writer: deciding", decider, "decide_course"),
    ("writer: the record's document", decider, "store_course"),
    ("writer: appending the record", log_write, "append_decision"),
    ("writer: the group with its commit, in all", db.State, "_commit"),
)
TOP = 40
COMMAND = "OMP_WAIT_POLICY=PASSIVE python benchmarks/profile_decision.py"


class Probe:
    """Adds up the CPU time that threads spend in some functions."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = {}

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*values: Any, **named: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return function(*values, **named)
            finally:
                self.spent[name] = self.spent.get(name, 0) + time.thread_time_ns() - began

        return timed


@contextmanager
def replaced(changes: Sequence[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """Some functions replaced for a while."""
    before = [(where, name, getattr(where, name)) for where, name, _ in changes]
    for where, name, function in changes:
        setattr(where, name, function)
    try:
        yield
    finally:
        for where, name, function in before:
            setattr(where, name, function)


class Clients:
    """A closed loop of callers without a network.

    Args:
        app: The front.
        key: An API key.
        bodies: Requests, taken in turns.
        clients: How many call at once.
    """

    def __init__(self, app: front.Front, key: str, bodies: Sequence[bytes], clients: int) -> None:
        self._app, self._bodies, self._clients = app, bodies, clients
        self._headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
        self._loop = asyncio.new_event_loop()

    def run(self, count: int) -> None:
        """Sends so many requests; every answer must be a decision that was logged."""
        numbers = iter(range(count))

        async def client() -> None:
            for number in numbers:
                await self._one(self._bodies[number % len(self._bodies)])

        async def all_of_them() -> None:
            await asyncio.gather(*(client() for _ in range(self._clients)))

        self._loop.run_until_complete(all_of_them())

    async def _one(self, body: bytes) -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/decisions", "raw_path": b"/v1/decisions"}
        scope |= {"query_string": b"", "headers": self._headers, "client": ("127.0.0.1", 1)}
        await self._app(scope, receive, send)
        if sent[0]["status"] != 200 or b'"logged":true' not in sent[1]["body"]:
            raise RuntimeError(f"answered {sent[0]['status']}: {sent[1]['body'][:300]!r}")

    def close(self) -> None:
        """Closes the loop."""
        self._loop.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints, and keeps the text where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--out", type=Path, help="a folder for profile-decision.txt")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        world = build_world(Path(folder) / "w", Size(customers=given.customers, rows=8000))
        os.environ[WORKSPACE_VARIABLE] = str(world.workspace.root)
        text = profile(world.workspace, world.customers, given.decisions, given.clients)
    command = f"{COMMAND} --decisions {given.decisions} --clients {given.clients}"
    head = f"{command}\n{utc_now().date().isoformat()}, {machine()}, load {os.getloadavg()[0]:.1f}\n\n"
    print(head + text)
    if given.out is not None:
        (given.out / "profile-decision.txt").write_text(head + text, encoding="utf-8")


def profile(workspace: Workspace, customers: Sequence[str], count: int, clients: int) -> str:
    """Both tables as text."""
    api, stop = start.start()
    key = api.plane.state.write(
        lambda connection: create_key(connection, ["decide"], workspace.clock.now(), note="profile")
    )["key"]
    bodies = [json.dumps(question(customer)).encode() for customer in customers]
    callers = Clients(front.Front(_nothing, lambda: api), key, bodies, clients)
    callers.run(count // 4)
    probe = Probe()
    with replaced([(where, name, probe.around(part, getattr(where, name))) for part, where, name in PARTS]):
        began = time.process_time()
        callers.run(count)
        whole = (time.process_time() - began) / count * 1e6
    lines = [f"{spent / count / 1000.0:8.0f}  {part}" for part, spent in probe.spent.items()]
    table = "\n".join(["CPU µs per answer", f"{whole:8.0f}  the process, in all", *sorted(lines, key=_part)])
    loop, writer = cProfile.Profile(), cProfile.Profile()
    commit = db.State._commit

    def profiled(state: Any, group: Any) -> None:
        writer.runcall(commit, state, group)

    with replaced([(db.State, "_commit", profiled)]):
        loop.runcall(callers.run, count)
    callers.close()
    stop()
    return f"{table}\n\nthe log's writer\n{functions(writer)}\nthe event loop\n{functions(loop)}"


def _part(line: str) -> str:
    return line[8:].partition(":")[0]


def functions(found: cProfile.Profile) -> str:
    """The functions with the most time of their own, their folders left out."""
    out = io.StringIO()
    pstats.Stats(found, stream=out).strip_dirs().sort_stats("tottime").print_stats(TOP)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip()) + "\n"


async def _nothing(*_: Any) -> None:
    """What is behind the front: nothing is asked of it."""


if __name__ == "__main__":
    main()
