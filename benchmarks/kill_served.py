"""The service as a process group of its own that can be killed, and started again on the same port."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

PATIENCE = 90.0
TIMEOUT = 5.0
FORETOUCH = Path(sys.executable).parent / "foretouch"


class Served:
    """The service, as a process group of its own that can be killed and started again on the same port."""

    def __init__(self, workspace: Path, workers: int) -> None:
        self.workspace, self.workers = workspace, workers
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = (workspace / "serve.log").open("ab")
        self.starts = 0
        self._started()

    def _started(self) -> None:
        command = [str(FORETOUCH), "serve", "--workspace", str(self.workspace), "--port", str(self.port)]
        command += ["--workers", str(self.workers)]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, start_new_session=True)
        self.starts += 1

    def ready(self) -> bool:
        """Whether it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait(self) -> None:
        """Waits until it answers; a start that came to nothing (BentoML lost a race for a port) is made again.

        Raises:
            RuntimeError: It does not come back.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._started()
            if self.ready():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the service did not come back within {PATIENCE:g} s; see {self._log.name}")

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
            return found
        return []

    def kill(self, draw: random.Random, *, supervisor: bool) -> str:
        """Kills a worker, or the supervisor and everything under it, which is then started again."""
        family = self._family()
        workers = [child for child in family if _is_worker(child)]
        if workers and not supervisor:
            serving = [child for child in workers if _has_open(child, self.workspace / "state.db")]
            with suppress(psutil.NoSuchProcess):
                draw.choice(serving or workers).kill()
            return "worker"
        self.process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=PATIENCE)
        self._started()
        return "supervisor"

    def close(self) -> None:
        """Ends it."""
        family = self._family()
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()
        self._log.close()


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("worker" in part for part in process.cmdline())
    return False


def _has_open(process: psutil.Process, path: Path) -> bool:
    """Whether a worker is at work: one that is still starting has nothing to lose."""
    with suppress(psutil.Error):
        return any(file.path == str(path.resolve()) for file in process.open_files())
    return False
