"""The servers that ``foretouch bench serve`` puts side by side, each a process of its own until it has been used."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretouch.core.clock import monotonic
from foretouch.core.errors import NotReadyError
from foretouch.core.state.access import create_key
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from foretouch.serving.bench.world import BenchWorld

START_SECONDS, STOP_SECONDS = 300.0, 10.0
MARK = "FORETOUCH_BENCH_SERVER"
SERVED = "value"
"""The model that ``mlflow models serve`` has."""
PEER_FOLDER = Path(__file__).resolve().parents[4] / "benchmarks" / "peers"
"""Beside the checkout; an installed package has no peers, and measures ours alone."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One running server.

    Attributes:
        name: In the results.
        port: On this machine.
        mark: What the environment of each of its processes says, as ``NAME=value``.
        requests: What to send it.
        key: Our own services' API key.
        root: Our own services' workspace.
        expected: What every answer holds.
    """

    name: str
    port: int
    mark: str
    requests: tuple[bytes, ...]
    key: str = ""
    root: Path = Path()
    expected: bytes = b""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, path: str, log: Path, environment: Mapping[str, str | None]
) -> Iterator[str]:
    """A server from its first answer on; gives what the environment of each of its processes says.

    Args:
        command: Starts it.
        port: That it listens on.
        path: That answers once it is ready.
        log: Where its output goes.
        environment: Added to ours; None takes a variable away.

    Raises:
        NotReadyError: It does not answer.
    """
    with log.open("ab") as output:
        mark = {MARK: uuid.uuid4().hex}
        wanted = {name: value for name, value in {**os.environ, **environment, **mark}.items() if value is not None}
        process = subprocess.Popen(  # noqa: S603 - our own tools, by path
            command, stdout=output, stderr=output, start_new_session=True, env=wanted
        )
        try:
            _wait(process, port, path, command, log)
            yield f"{MARK}={mark[MARK]}"
        finally:
            for sign in (signal.SIGTERM, signal.SIGKILL):  # the whole group: mlflow leaves its own child behind
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)


def _wait(process: "subprocess.Popen[bytes]", port: int, path: str, command: Sequence[str], log: Path) -> None:
    until = monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5.0) as answer:
                answer.read()
            return
        except (urllib.error.URLError, OSError) as error:
            if monotonic() > until or process.poll() is not None:
                said = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise NotReadyError(f"{' '.join(command)} does not answer ({error}): {said}") from error
            time.sleep(0.2)


def post(path: str, body: Any, headers: Mapping[str, str] | None = None) -> bytes:
    """One POST request as it goes over the wire."""
    content = json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def call(port: int, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """One call and its JSON answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=60.0) as answer:  # noqa: S310 - http to this machine
        return json.loads(answer.read())


@contextmanager
def our_service(world: BenchWorld, folder: Path, *, front: bool) -> Iterator[Server]:
    """Our service on a copy of the workspace: rules, durable log, metrics and keys on."""
    name = "foretouch" if front else "foretouch, front off"
    root = folder / ("front" if front else "plain")
    shutil.copytree(world.workspace.root, root)
    with (root / "foretouch.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[serving]\nfront = {str(front).lower()}\n")
    workspace = Workspace.open(root)
    now = workspace.clock.now()
    with State(workspace.state_file) as state:
        key = state.write(lambda connection: create_key(connection, ["decide"], now, note="bench"))["key"]
    port = free_port()
    sent = {"Authorization": f"Bearer {key}"}
    requests = tuple(post("/v1/decisions", question(customer), sent) for customer in world.customers)
    command = [_tool("foretouch"), "serve", "--workspace", str(root), "--port", str(port)]
    with running(command, port, "/readyz", folder / f"{root.name}.log", {}) as mark:
        expected = b'"logged":true'
        yield Server(name=name, port=port, mark=mark, requests=requests, key=key, root=root, expected=expected)


def question(customer: str) -> dict[str, Any]:
    """What is asked of our service: nothing is reserved, so that no cap makes a later request cheaper."""
    return {"customer_id": customer, "channels": ["email", "sms", "push"], "options": {"reserve_caps": False}}


def prepare_peers(world: BenchWorld, folder: Path) -> None:
    """Makes Feast's store and MLflow's models, in a process of its own.

    Raises:
        NotReadyError: That failed.
    """
    done = subprocess.run(  # noqa: S603 - a script of ours, by path
        [sys.executable, str(PEER_FOLDER / "prepare.py"), str(world.workspace.root), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotReadyError(f"the peers could not be prepared: {done.stderr[-1500:]}", hint="make setup")


def _peer_environment(world: BenchWorld, folder: Path) -> dict[str, str | None]:
    """What a peer's process sees: without what this command line sets to make LightGBM's threads sleep."""
    kept = folder / "bento"
    kept.mkdir(exist_ok=True)
    return {
        "BENCH_WORKSPACE": str(world.workspace.root),
        "BENCH_PEERS": str(folder),
        "BENTOML_HOME": str(kept),
        "OMP_WAIT_POLICY": None,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join([str(PEER_FOLDER), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }


@contextmanager
def naive_service(world: BenchWorld, folder: Path) -> Iterator[Server]:
    """Feast's own read, four pyfuncs and a default BentoML endpoint."""
    port = free_port()
    requests = tuple(post("/decide", {"customer_id": customer}) for customer in world.customers)
    command = [_tool("bentoml"), "serve", "naive:Naive", "--port", str(port), "--working-dir", str(PEER_FOLDER)]
    with running(command, port, "/readyz", folder / "naive.log", _peer_environment(world, folder)) as mark:
        yield Server(name="naive assembly", port=port, mark=mark, requests=requests, expected=b'"ranked"')


@contextmanager
def mlflow_service(world: BenchWorld, folder: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[Server]:
    """``mlflow models serve`` of one model; the caller sends its features."""
    port = free_port()
    requests = tuple(
        post("/invocations", {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}) for row in rows
    )
    command = [_tool("mlflow"), "models", "serve", "--model-uri", str(folder / "models" / SERVED)]
    command += ["--env-manager", "local", "--port", str(port), "--host", "127.0.0.1", "--workers", "1"]
    with running(command, port, "/ping", folder / "mlflow.log", _peer_environment(world, folder)) as mark:
        name = "mlflow models serve, one model"
        yield Server(name=name, port=port, mark=mark, requests=requests, expected=b'"predictions"')


@contextmanager
def floor_service(world: BenchWorld, folder: Path, record_bytes: int) -> Iterator[Server]:
    """The bare parts in raw uvicorn."""
    port = free_port()
    requests = tuple(post("/decide", {"customer_id": customer}) for customer in world.customers)
    command = [sys.executable, "-m", "uvicorn", "floor:app", "--port", str(port), "--log-level", "warning"]
    environment = {**_peer_environment(world, folder), "BENCH_RECORD_BYTES": str(record_bytes)}
    with running(command, port, "/ready", folder / "floor.log", environment) as mark:
        yield Server(name="bare parts", port=port, mark=mark, requests=requests, expected=b'"floor"')


def _tool(name: str) -> str:
    """A console script beside this Python."""
    return str(Path(sys.executable).with_name(name))
