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
    """

    def __init__(self, requests: Iterator[bytes], until: float, latencies: list[float]) -> None:
        self._requests = requests
        self._until = until
        self._latencies = latencies
        self._received = bytearray()
        self._missing = -1
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
        """Counts bytes until the answer is whole, then sends the next request."""
        if self._missing < 0:
            self._received += data
            end = self._received.find(END)
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            if b" 200" not in head[:15]:
                self._fail(f"answered {head[:30].decode('latin-1')!r}: {bytes(self._received[end : end + 400])!r}")
                return
            start = head.find(LENGTH)
            stop = head.find(b"\r", start)
            length = int(head[start + len(LENGTH) : stop if stop > 0 else len(head)])
            self._missing = length - (len(self._received) - end - len(END))
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            now = monotonic()
            self._latencies.append(now - self._sent_at)
            self._received.clear()
            self._missing = -1
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


def run_load(port: int, requests: Sequence[bytes], *, clients: int, seconds: float, pid: int | None = None) -> Load:
    """Sends requests for a while.

    Args:
        port: Of a server on this machine.
        requests: Taken in turns.
        clients: Connections.
        seconds: How long.
        pid: The server's process, whose CPU time, with that of its children, is taken.

    Raises:
        NotReadyError: The server refused a request or hung up.
    """
    latencies: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        shared = cycle(requests)
        until = monotonic() + seconds
        made = [
            await loop.create_connection(lambda: Connection(shared, until, latencies), "127.0.0.1", port)
            for _ in range(clients)
        ]
        try:
            await asyncio.gather(*(protocol.done for _, protocol in made))
        finally:
            for transport, protocol in made:
                transport.close()
                await asyncio.wait([protocol.closed])

    server, own, started = None if pid is None else cpu_seconds(pid), _own_cpu(), monotonic()
    _runner()(work)
    elapsed = monotonic() - started
    used = None if server is None or pid is None else (cpu_seconds(pid) or server) - server
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


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and all its living children; None where there is no ``/proc``."""
    total, waiting, seen = 0.0, [pid], False
    while waiting:
        process = waiting.pop()
        try:
            with open(f"/proc/{process}/stat", encoding="utf-8") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{process}/task/{process}/children", encoding="utf-8") as file:  # noqa: PTH123
                waiting += [int(child) for child in file.read().split()]
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS
        seen = True
    return total if seen else None
