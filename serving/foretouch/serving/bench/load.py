"""A load generator that costs less than what it measures: prebuilt requests, one protocol object per connection.

Closed loop: each connection sends its next request when the last is answered. Answers are delimited by their
``Content-Length``; nothing of them is parsed but that and the status.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

from foretouch.core.clock import monotonic
from foretouch.core.errors import NotReadyError

END = b"\r\n\r\n"
LENGTH = b"content-length:"
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run found.

    Attributes:
        latencies: Seconds per answer, in the order in which they came.
        seconds: How long the run took.
        server_cpu: CPU seconds of the server's processes meanwhile; None where the machine does not say.
        client_cpu: CPU seconds of the generator itself.
    """

    latencies: Sequence[float]
    seconds: float
    server_cpu: float | None
    client_cpu: float


class Connection(asyncio.Protocol):
    """One connection in a closed loop.

    Args:
        requests: Whole requests, as they go over the wire.
        until: When to send no more, on the monotonic clock.
        latencies: Where they are kept.
        expected: What every body holds.
    """

    def __init__(self, requests: Iterator[bytes], until: float, latencies: list[float], expected: bytes = b"") -> None:
        self._requests = requests
        self._until = until
        self._latencies = latencies
        self._expected = expected
        self._received = bytearray()
        self._whole = -1
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass of it
        self._send()

    def _send(self) -> None:
        if self._transport is not None:
            self._sent_at = monotonic()
            self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Collects an answer until it is whole, looks at its status and body, and sends the next request."""
        self._received += data
        if self._whole < 0:
            end = self._received.find(END)
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            if b" 200" not in head[:15] or LENGTH not in head:
                self._fail(f"answered {head[:30].decode('latin-1')!r}: {bytes(self._received[end : end + 400])!r}")
                return
            start = head.find(LENGTH) + len(LENGTH)
            stop = head.find(b"\r", start)
            self._whole = end + len(END) + int(head[start : stop if stop > 0 else len(head)])
        if len(self._received) >= self._whole:
            now = monotonic()
            if self._expected not in self._received:
                self._fail(f"answered without {self._expected.decode()!r}: {bytes(self._received[-400:])!r}")
                return
            self._latencies.append(now - self._sent_at)
            self._received.clear()
            self._whole = -1
            if now < self._until:
                self._send()
            else:
                self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up; between two answers that is a fault."""
        if not self.done.done():
            self._fail(f"closed the connection: {exc}")
        self.closed.set_result(None)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def _fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(NotReadyError(f"a server under load {what}", hint="foretouch bench serve"))
        if self._transport is not None:
            self._transport.close()


def run_load(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    mark: str | None = None,
    expected: bytes = b"",
) -> Load:
    """Sends requests for a while.

    Args:
        port: Of a server on this machine.
        requests: Taken in turns.
        clients: Connections.
        seconds: How long.
        mark: What the environment of every process of the server says; their CPU time is taken.
        expected: Every answer's body holds this; else the server is no peer.

    Raises:
        NotReadyError: The server refused a request or hung up.
    """
    latencies: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        shared = cycle(requests)
        until = monotonic() + seconds
        made = [
            await loop.create_connection(lambda: Connection(shared, until, latencies, expected), "127.0.0.1", port)
            for _ in range(clients)
        ]
        try:
            await asyncio.gather(*(protocol.done for _, protocol in made))
        finally:
            for transport, protocol in made:
                transport.close()
                await asyncio.wait([protocol.closed])

    before, own, started = {} if mark is None else cpu_by_process(mark), _own_cpu(), monotonic()
    _runner()(work)
    elapsed = monotonic() - started
    used = None
    if mark is not None and before:  # a process that came meanwhile counts whole; one that ended, with its parent
        used = sum(taken - before.get(process, 0.0) for process, taken in cpu_by_process(mark).items())
    return Load(latencies=latencies, seconds=elapsed, server_cpu=used, client_cpu=_own_cpu() - own)


def _runner() -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Runs a coroutine, on the faster event loop where there is one."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        factory = uvloop.new_event_loop

    def run(work: Callable[[], Awaitable[None]]) -> None:
        loop = factory()
        try:
            loop.run_until_complete(work())
        finally:
            loop.close()

    return run


def _own_cpu() -> float:
    taken = os.times()
    return taken.user + taken.system


def cpu_by_process(mark: str) -> dict[int, float]:
    """User and system seconds of each process whose environment holds a text, with those of its ended children.

    Whoever starts a server cannot know which processes it starts in turn, in which sessions, and whose children they
    become; what they all inherit is the environment. Empty where there is no ``/proc``.
    """
    found: dict[int, float] = {}
    wanted = mark.encode()
    for process in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):  # noqa: PTH112, PTH208
        try:
            with open(f"/proc/{process}/environ", "rb") as file:  # noqa: PTH123
                if wanted not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{process}/stat", encoding="utf-8") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(process)] = sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS
    return found
