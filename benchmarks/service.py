"""One decision over HTTP, beside what the machine could do at best: ``python benchmarks/service.py --workspace W``.

Three servers answer the same requests on one machine in turns: uvicorn with an ASGI application that does nothing but
read the body and return one of our answers (the floor), the service with its front, and the service through BentoML's
own endpoints (``[serving] front = false``). The client is a closed loop: each of c connections sends its next request
when the last is answered, and shares the machine with the server. The workspace is copied, never written.

Every decision is logged durably before it is answered. Requests reserve no contact (``reserve_caps = false``), so that
caps do not make later requests cheaper than the first.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from result import write

from foretouch.core.state.access import create_key
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = (1, 16)
CUSTOMERS = 1000
SERVERS = ("floor", "front", "plain")


async def floor(scope: Any, receive: Any, send: Any) -> None:
    """The least that an ASGI application can do: reads the body, answers with a fixed one of the usual size."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(FIXED)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": FIXED})


FIXED = b'{"floor":"' + b"x" * 6988 + b'"}'
"""7 kB, the size of a decision with its reasons on the sample."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server process until it has been used; gives its port once it answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60.0
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2.0).read()
                break
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > until or process.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} does not answer: {error}") from error
                time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def prepared(source: Path, folder: Path, *, front: bool) -> tuple[Workspace, str, list[str]]:
    """A copy of a workspace with a key of its own, and customers of it."""
    shutil.copytree(source, folder)
    path = folder / "foretouch.toml"
    text = path.read_text(encoding="utf-8")
    if "[serving]" in text:
        raise SystemExit(f"{path} has a [serving] section of its own; give a workspace without")
    path.write_text(f"{text}\n[serving]\nfront = {str(front).lower()}\n", encoding="utf-8")
    workspace = Workspace.open(folder)
    now = workspace.clock.now()
    with State(workspace.state_file) as state:
        key = state.write(lambda connection: create_key(connection, ["decide"], now))["key"]
        rows = state.read().execute("SELECT customer_id FROM customers ORDER BY customer_id LIMIT ?", (CUSTOMERS,))
        return workspace, key, [str(name) for (name,) in rows]


async def connection_loop(port: int, requests: Iterator[bytes], until: float, seconds: list[float]) -> None:
    """One connection: request, answer, next request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(next(requests))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        seconds.append(time.perf_counter() - started)
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise SystemExit(f"no decision: {body[:300]!r}")
    writer.close()


async def closed_loop(port: int, requests: Iterator[bytes], connections: int, duration: float) -> list[float]:
    """Latencies in seconds of every request that c connections sent one after the other for a while."""
    seconds: list[float] = []
    until = time.perf_counter() + duration
    await asyncio.gather(*(connection_loop(port, requests, until, seconds) for _ in range(connections)))
    return seconds


def request_bytes(key: str, customer: str) -> bytes:
    """One decision request as it goes over the wire."""
    body = json.dumps({"customer_id": customer, "channels": ["email"], "options": {"reserve_caps": False}}).encode()
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def figures(seconds: list[float], duration: float) -> dict[str, float]:
    """Requests per second and latencies in ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "requests": len(seconds),
        "per_second": round(len(seconds) / duration, 1),
        "p50_ms": round(cuts[49] * 1000.0, 3),
        "p99_ms": round(cuts[98] * 1000.0, 3),
    }


def measure(source: Path, folder: Path, *, rounds: int, duration: float) -> dict[str, Any]:
    """Every server at every number of connections, in turns, so that a busy moment hits them alike."""
    foretouch = str(Path(sys.executable).with_name("foretouch"))
    ports: dict[str, int] = {}
    sent: dict[str, Iterator[bytes]] = {}
    with ExitStack() as stack:
        port = free_port()
        uvicorn = [sys.executable, "-m", "uvicorn", "service:floor", "--app-dir", str(Path(__file__).parent)]
        command = [*uvicorn, "--port", str(port), "--log-level", "warning"]
        ports["floor"] = stack.enter_context(running(command, port))
        for name in ("front", "plain"):
            workspace, key, customers = prepared(source, folder / name, front=name == "front")
            port = free_port()
            command = [foretouch, "serve", "--workspace", str(workspace.root), "--port", str(port)]
            ports[name] = stack.enter_context(running(command, port))
            sent[name] = itertools.cycle([request_bytes(key, customer) for customer in customers])
        sent["floor"] = sent["front"]
        taken: dict[tuple[str, int], list[float]] = {(name, c): [] for name in SERVERS for c in CONNECTIONS}
        for name in SERVERS:
            asyncio.run(closed_loop(ports[name], sent[name], 4, 1.0))  # warm
        for _ in range(rounds):
            for c in CONNECTIONS:
                for name in SERVERS:
                    taken[name, c] += asyncio.run(closed_loop(ports[name], sent[name], c, duration))
    found: dict[str, Any] = {}
    for c in CONNECTIONS:
        by_name = {name: figures(taken[name, c], rounds * duration) for name in SERVERS}
        found[f"c={c}"] = {
            **by_name,
            "front_to_floor_p50": round(by_name["front"]["p50_ms"] / by_name["floor"]["p50_ms"], 2),
            "plain_to_front_p50": round(by_name["plain"]["p50_ms"] / by_name["front"]["p50_ms"], 2),
            "plain_to_front_p99": round(by_name["plain"]["p99_ms"] / by_name["front"]["p99_ms"], 2),
            "front_to_plain_per_second": round(by_name["front"]["per_second"] / by_name["plain"]["per_second"], 2),
        }
    return found


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=ROOT / ".demo" / "complete-journey")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "service.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="Per server, number of connections and round.")
    given = parser.parse_args()
    if not (given.workspace / "bundles").is_dir():
        raise SystemExit(f"{given.workspace} has no models; next: make demo")
    started, load = time.perf_counter(), [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="foretouch-bench-") as folder:
        found = measure(given.workspace, Path(folder), rounds=given.rounds, duration=given.seconds)
    load.append(os.getloadavg()[0])
    note = "closed loop; the client shares the cores with the server; one worker; every decision logged durably"
    path = write(
        given.out.parent,
        given.out.stem,
        command=f"python benchmarks/service.py --rounds {given.rounds} --seconds {given.seconds:g}",
        seconds=time.perf_counter() - started,
        figures={"note": note, "load_average_before_and_after": load, **found},
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
