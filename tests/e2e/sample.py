"""The real sample, trained and served once for all end-to-end tests, through the public commands alone."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
MODELS = ("lead", "churn", "value", "offer", "send-time")


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}


def foretouch(*arguments: str | Path, timeout: float = 600) -> str:
    """Runs the command line; a failure shows what it printed."""
    done = subprocess.run(
        [str(BIN / "foretouch"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(
            f"foretouch {' '.join(map(str, arguments))} exited {done.returncode}: {done.stderr[-2000:]}"
        )
    return done.stdout


def kept_by_demo() -> Path | None:
    """The sample as ``make demo`` left it before anybody was contacted; none where other code than this made it."""
    steps = ROOT / ".demo" / ".steps"
    marker, copy = steps / "real-kept.json", steps / "real-before-service"
    if not (marker.is_file() and copy.is_dir()):
        return None
    spec = importlib.util.spec_from_file_location("demo_steps", ROOT / "examples" / "demo_steps.py")
    assert spec is not None
    assert spec.loader is not None
    demo_steps = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo_steps)
    made_of = json.loads(marker.read_text("utf-8"))["result"]["code"]
    return copy if made_of == demo_steps.code_key(("core", "features", "serving", "training")) else None


def build_sample(workspace: Path) -> None:
    """From nothing to promoted models on The Complete Journey, with every model's default parameters."""
    foretouch("init", workspace, "--sample", "complete-journey")
    for step in ("build", "apply", "materialize"):
        foretouch("features", step, "--workspace", workspace)
    foretouch("train", "all", "--trials", "0", "--workspace", workspace)
    for model in MODELS:
        foretouch("promote", model, "--workspace", workspace)


@dataclass(frozen=True)
class SampleService:
    """A running service and how to call it."""

    workspace: Path
    url: str
    key: str
    environment: dict[str, str]

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = "", raw: bytes | None = None
    ) -> tuple[int, Any]:
        """One HTTP call; the answer's status and its JSON."""
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.key}"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


@contextmanager
def serving(workspace: Path) -> Iterator[SampleService]:
    """The service on a free port, from start to a clean stop."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(BIN / "foretouch"), "serve", "--workspace", str(workspace), "--port", str(port)]
    log = workspace / "serve.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment())
    service = SampleService(
        workspace=workspace,
        url=f"http://127.0.0.1:{port}",
        key=(workspace / "secrets/api.key").read_text("utf-8").strip(),
        environment=environment(),
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if service.call("GET", "/readyz")[0] == 200:
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not get ready: {log.read_text('utf-8')[-3000:]}")
            time.sleep(0.2)
        yield service
    finally:
        process.terminate()
        process.wait(30)
