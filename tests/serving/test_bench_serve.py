"""The load generator counts what a server answers, a refusal is an error and no figure; targets hold or fall short."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from foretouch.core.clock import monotonic
from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import DataError, NotReadyError
from foretouch.serving.bench.load import Load, cpu_by_process, run_load
from foretouch.serving.bench.serve import BARE, FRAMEWORK, MLFLOW, NAIVE, OURS, RAW, figures, targets
from foretouch.serving.bench.servers import post, question
from foretouch.serving.bench.world import CHANNELS, OFFERS, Size, build_world
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.settings import read_settings


@contextmanager
def answering(parts: Sequence[bytes]) -> Iterator[tuple[int, list[int]]]:
    """A server that answers every request with the same bytes, in these parts; gives its port and what it counted."""
    counted = [0]
    started = threading.Event()
    found: dict[str, Any] = {}
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                counted[0] += 1
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        found["port"] = server.sockets[0].getsockname()[1]
        started.set()
        await found["stop"].wait()
        found["loop"].remove_reader(server.sockets[0].fileno())
        await asyncio.sleep(0.01)  # a caller who was accepted just now must still find the server open
        server.close()
        until = monotonic() + 5.0
        while len(asyncio.all_tasks()) > 1 and monotonic() < until:  # the callers hung up: each handler ends
            await asyncio.sleep(0.01)
        for writer in writers:
            writer.transport.abort()  # one that still has bytes to send would wait for a caller who is gone
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(10.0)
    try:
        yield int(found["port"]), counted
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(10.0)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


@pytest.mark.parametrize(
    "parts", [[HEAD + b"0123456789"], [HEAD[:20], HEAD[20:], b"01234", b"56789"], [HEAD + b"0", b"123456789"]]
)
def test_every_answer_is_counted_once_however_it_comes(parts: Sequence[bytes]) -> None:
    with answering(parts) as (port, counted):
        found = run_load(port, [post("/x", {"a": 1})], clients=3, seconds=0.3, mark=_own_mark(), expected=b"o")
    assert len(found.latencies) == counted[0] > 10
    assert all(0.0 < latency < found.seconds for latency in found.latencies)
    assert found.server_cpu is not None
    assert found.client_cpu > 0.0


def test_a_refusal_under_load_is_an_error_with_what_was_said() -> None:
    refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
    with answering([refusal]) as (port, _), pytest.raises(NotReadyError, match="503"):
        run_load(port, [post("/x", {})], clients=2, seconds=0.5)


def test_an_answer_that_is_not_what_was_asked_for_is_an_error() -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"error": "not"}'
    with answering([answer]) as (port, _), pytest.raises(NotReadyError, match="answered without"):
        run_load(port, [post("/x", {})], clients=2, seconds=0.5, expected=b'"predictions"')


def test_an_answer_without_a_length_is_an_error() -> None:
    with answering([b"HTTP/1.1 200 OK\r\n\r\nbody"]) as (port, _), pytest.raises(NotReadyError, match="200"):
        run_load(port, [post("/x", {})], clients=1, seconds=0.5)


def _own_mark() -> str:
    """A line of this process's environment as it was when it started."""
    return Path("/proc/self/environ").read_bytes().split(b"\0")[0].decode()


SPINNING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60.0)
"""


def test_cpu_time_is_that_of_every_process_of_a_server_wherever_it_went() -> None:
    mark = f"FORETOUCH_BENCH_SERVER=test-{os.getpid()}"
    name, _, value = mark.partition("=")
    server = subprocess.Popen([sys.executable, "-c", SPINNING], stdout=subprocess.PIPE, env={**os.environ, name: value})
    assert server.stdout is not None
    child = int(server.stdout.readline())
    try:
        until = monotonic() + 20.0
        while (found := cpu_by_process(mark)).get(child, 0.0) < 0.05:
            assert monotonic() < until, found
        assert found.keys() == {server.pid, child}
        server.kill()
        server.wait()
        assert cpu_by_process(mark).keys() == {child}
        assert cpu_by_process(mark + "0") == {}
    finally:
        server.kill()
        os.kill(child, signal.SIGKILL)
        server.stdout.close()
        server.wait()


def load(latency_ms: float, answers: int, cpu: float | None = 1.0) -> Load:
    return Load(latencies=[latency_ms / 1000.0] * answers, seconds=2.0, server_cpu=cpu, client_cpu=0.5)


def test_figures_are_over_all_rounds() -> None:
    found = figures([load(2.0, 100), load(4.0, 300)])
    assert found["answers"] == 400
    assert found["per_second"] == 100.0
    assert (found["p50_ms"], found["p99_ms"]) == (4.0, 4.0)
    assert found["cpu_us"] == 2.0 / 400 * 1e6
    assert figures([load(2.0, 100, cpu=None), load(2.0, 100)])["cpu_us"] is None
    with pytest.raises(DataError, match="--seconds"):
        figures([load(2.0, 1)])


def line(per_second: float, cpu_us: float | None, p99_ms: float = 1.0) -> dict[str, Any]:
    return {"per_second": per_second, "cpu_us": cpu_us, "p99_ms": p99_ms}


def test_targets_hold_fall_short_or_were_not_measured() -> None:
    measured = {
        "clients=1": {OURS: line(1.0, 1.0, p99_ms=12.0)},
        "clients=32": {
            OURS: line(1000.0, 600.0, p99_ms=20.0),
            NAIVE: line(25.0, 9000.0),
            MLFLOW: line(100.0, 9000.0),
            BARE: line(3000.0, 300.0),
            FRAMEWORK: line(1.0, 60.0),
            RAW: line(1.0, None),
        },
    }
    found = {item["target"]: item for item in targets(measured, {OURS: None})}
    assert (
        found["requests/s to the naive assembly"] | {"aim_met": True, "met": True}
        == found["requests/s to the naive assembly"]
    )
    assert found["requests/s to mlflow models serve"]["met"] is False
    assert found["requests/s to mlflow models serve"]["found"] == 10.0
    assert (found["CPU to the bare parts"]["met"], found["CPU to the bare parts"]["aim_met"]) == (True, False)
    assert found["p99, one client, ms"]["met"] is False
    assert found["framework CPU to raw ASGI"]["met"] is None
    assert found["longest collector pause, ms"]["met"] is None


def test_the_measured_workspace_scores_every_candidate(tmp_path: Path) -> None:
    world = build_world(tmp_path / "w", Size(customers=120, rows=400, trees=5, leaves=7))
    assert 100 <= len(world.customers) < 120  # some are held out, and not asked about
    assert len(read_settings(world.workspace).catalogue.offers) == OFFERS
    with Dataplane(world.workspace) as plane:
        assert plane.bundles.champions.refused == {}
        for customer in world.customers[:10]:
            record = plane.decide_one(DecisionRequest.model_validate(question(customer))).record
            assert record is not None
            assert (record.status, record.fallback_step) == ("decided", "champion")
            left = [item for item in record.candidates if item.priority is not None and item.offer_id is not None]
            eligible = OFFERS if record.features.values["recency_days"] is not None else OFFERS - 5
            assert len(left) == eligible * len(CHANNELS)
            assert {model.name for model in record.models} >= {"lead", "churn", "value", "offer"}
