"""The demo's way to the service: started on a free port, asked over HTTP, stopped cleanly. Standard library only."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo_steps import BIN, environment

READY_SECONDS = 60.0


class Door:
    """The HTTP interface of one running service.

    Args:
        url: Where it is.
        key: An API key.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """The answer to one call.

        Raises:
            SystemExit: It has another status than expected.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        if status != expect:
            raise SystemExit(f"{method} {path} answered {status}: {text[:500].decode(errors='replace')}")
        return json.loads(text)


@contextmanager
def serving(workspace: Path) -> Iterator[Door]:
    """The service of a workspace on a free port, from ready to stopped.

    Raises:
        SystemExit: It did not get ready; its log is shown.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = workspace / "serve.log"
    with log.open("wb") as sink:
        command = [str(BIN / "foretouch"), "serve", "--workspace", str(workspace), "--port", str(port)]
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment())
    url = f"http://127.0.0.1:{port}"
    try:
        started = time.monotonic()
        while not _ready(url):
            if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                raise SystemExit(f"the service did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield Door(url, (workspace / "secrets" / "api.key").read_text(encoding="utf-8").strip())
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
