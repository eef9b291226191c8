"""The bare parts of a decision in one bare server: what no implementation in Python can do without.

Raw uvicorn ASGI, one read of a packed vector, one row each through three models, one call for the twenty offer rows,
and one row of the size of a decision record in a log that commits groups with ``synchronous = FULL``. Nothing is
validated, ranked, ruled out, counted or explained; nobody is asked for a key.
"""

import asyncio
import json
import os
import queue
import sqlite3
import threading
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson
import pandas as pd

from foretouch.serving.models.native import NativeBooster

GROUP = 64
ANSWER = b'{"floor":"' + b"x" * 2000 + b'"}'
RECORD = os.urandom(int(os.environ.get("BENCH_RECORD_BYTES", "6000")))


class Log:
    """A writer thread: whatever waits goes into one commit, and is answered after it."""

    def __init__(self, path: Path) -> None:
        self.waiting: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = queue.SimpleQueue()
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE IF NOT EXISTS log (sequence INTEGER PRIMARY KEY, body BLOB)",
        ):
            self.connection.execute(statement)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Commits groups."""
        while True:
            group = [self.waiting.get()]
            while len(group) < GROUP and not self.waiting.empty():
                group.append(self.waiting.get())
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT INTO log (body) VALUES (?)", [(RECORD,)] * len(group))
            self.connection.execute("COMMIT")
            group[0][0].call_soon_threadsafe(self.settle, [future for _, future in group])

    @staticmethod
    def settle(futures: list["asyncio.Future[None]"]) -> None:
        """Answers those that still wait."""
        for future in futures:
            if not future.done():
                future.set_result(None)


class Parts:
    """The models, the packed vectors and the log."""

    def __init__(self, workspace: Path, folder: Path) -> None:
        given = json.loads((workspace / "bench.json").read_text(encoding="utf-8"))
        self.models = {}
        for name, model in given["models"].items():
            booster = lightgbm.Booster(model_file=model["text"])
            self.models[name] = NativeBooster(booster, len(model["inputs"]))
        self.inputs = len(given["models"]["lead"]["inputs"])
        frame = pd.read_parquet(workspace / "features.parquet")
        path = folder / "floor.db"
        path.unlink(missing_ok=True)
        self.store = sqlite3.connect(path, isolation_level=None)
        self.store.execute("CREATE TABLE packed (customer TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")
        vectors = frame.drop(columns="customer_id").to_numpy(dtype=np.float64)[:, : self.inputs]
        self.store.execute("BEGIN")
        self.store.executemany(
            "INSERT INTO packed VALUES (?, ?)",
            zip(frame["customer_id"], (row.tobytes() for row in vectors), strict=True),
        )
        self.store.execute("COMMIT")
        rng = np.random.default_rng(1)
        self.own = rng.gamma(2.0, 5.0, size=(len(given["offers"]), 10))
        self.log = Log(folder / "floor-log.db")

    async def decide(self, customer_id: str) -> None:
        """Every part once."""
        found = self.store.execute("SELECT vector FROM packed WHERE customer = ?", (customer_id,)).fetchone()
        vector = np.frombuffer(found[0])
        values = vector.tolist()
        for name in ("lead", "churn", "value"):
            self.models[name].one(values)
        rows = np.empty((len(self.own), self.inputs))
        rows[:] = vector
        rows[:, -self.own.shape[1] :] = self.own
        self.models["offer"].many(rows)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self.log.waiting.put((loop, future))
        await future


PARTS: list[Parts] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, does the parts, answers."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                PARTS.append(Parts(Path(os.environ["BENCH_WORKSPACE"]), Path(os.environ["BENCH_PEERS"])))
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if scope["path"] == "/decide":
        await PARTS[0].decide(orjson.loads(body)["customer_id"])
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
