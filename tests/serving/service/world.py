"""A small real workspace with small real models, and the real service on it, for the tests of the service."""

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from foretouch.core.bundle import (
    Band,
    Calibration,
    GoldenRows,
    ModelCard,
    ModelInput,
    write_aliases,
    write_bundle,
)
from foretouch.core.models import ModelName
from foretouch.core.state.access import create_key
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.features.online import OnlineFeatures
from foretouch.features.simulation import Simulation
from foretouch.features.tables import read_table
from foretouch.serving.decision.assignment import assign

BIN = Path(sys.executable).parent
CUSTOMERS = 60
OWED_OFFER = "order-confirmation"
"""What the customer is owed: the only offer for purpose ``transactional``."""
OFFER_INPUTS = (
    ModelInput(name="recency_days", view="customer_purchases"),
    ModelInput(name="frequency_90d", view="customer_purchases"),
    ModelInput(name="offer_remaining_days", view="cross"),
)
LEAD_INPUTS = (
    ModelInput(name="recent_page_view", view="customer_activity"),
    ModelInput(name="recency_days", view="customer_purchases"),
)


def write_model(
    workspace: Workspace,
    model: ModelName,
    version: str,
    inputs: tuple[ModelInput, ...],
    *,
    seed: int = 1,
    promote: bool = True,
) -> Path:
    """Fits a small LightGBM model to drawn data, and writes its bundle with golden rows."""
    rng = np.random.default_rng(seed)
    vectors = rng.gamma(2.0, 5.0, size=(400, len(inputs)))
    label = (rng.random(400) < 1.0 / (1.0 + np.exp(0.2 * (vectors[:, 0] - 8.0 + seed)))).astype(float)
    parameters = {"objective": "binary", "min_data_in_leaf": 20, "verbose": -1, "num_threads": 1, "seed": seed}
    booster = lightgbm.train(parameters, lightgbm.Dataset(vectors, label), num_boost_round=15)
    raw = tuple(float(value) for value in np.asarray(booster.predict(vectors[:5], num_threads=1)))
    calibration = Calibration(method="isotonic", x=(0.0, 0.5, 1.0), y=(0.01, 0.4, 0.95))
    now = workspace.clock.now()
    card = ModelCard(
        model=model,
        version=version,
        target="probability",
        feature_service=f"{model.replace('-', '_')}_v1",
        inputs=inputs,
        calibration=calibration,
        bands=(Band(name="cold", at_least=0.0), Band(name="hot", at_least=0.3)),
        trained_through=now - timedelta(days=1),
        created_at=now,
        data_sha256="0" * 64,
    )
    golden = GoldenRows(
        inputs=tuple(tuple(float(value) for value in row) for row in vectors[:5]),
        raw=raw,
        calibrated=tuple(calibration.apply(value) for value in raw),
    )
    folder = write_bundle(workspace.bundles, card, booster.model_to_string(), golden)
    if promote:
        write_aliases(workspace.bundles, model, {"champion": version})
    return folder


def build_world(root: Path) -> Workspace:
    """Sixty simulated people with online features, a lead and an offer model."""
    workspace = initialise(root, "simulated", simulation=Simulation(customers=CUSTOMERS, days=45)).workspace
    owed = {"offer_id": OWED_OFFER, "name": "Order confirmation", "channels": "email;sms", "value": 10.0}
    ingest_tables(workspace, {"offers": pd.DataFrame([{**owed, "purposes": "transactional"}])})
    people = [str(name) for name in read_table(workspace, "customers")["customer_id"]]
    OnlineFeatures(workspace).refresh(people, workspace.clock.now())
    write_model(workspace, "offer", "v1", OFFER_INPUTS)
    write_model(workspace, "lead", "v1", LEAD_INPUTS)
    return workspace


def copy_world(base: Workspace, root: Path) -> Workspace:
    """A copy that a test may change."""
    shutil.copytree(base.root, root)
    return Workspace.open(root)


def set_serving(workspace: Workspace, **values: Any) -> None:
    """Writes the ``[serving]`` section of a workspace's configuration."""
    path = workspace.root / "foretouch.toml"
    kept = path.read_text(encoding="utf-8").split("\n[serving]\n")[0]
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    path.write_text("\n".join([kept, "[serving]", *lines, ""]), encoding="utf-8")


def consenting(workspace: Workspace, channel: str = "email") -> list[str]:
    """Customers who may be contacted on a channel for marketing, and are known."""
    with State(workspace.state_file) as state:
        rows = state.read().execute(
            "SELECT customer_id FROM (SELECT customer_id, granted, MAX(at) FROM consents"
            " WHERE channel = ? AND purpose = 'marketing' GROUP BY customer_id) WHERE granted ORDER BY customer_id",
            (channel,),
        )
        return [str(name) for (name,) in rows]


def treated(workspace: Workspace) -> list[str]:
    """Consenting customers for whom the whole policy decides: no holdout and no standing arm."""
    return [name for name in consenting(workspace) if kinds(workspace, name) == {"policy"}]


def held_out(workspace: Workspace) -> list[str]:
    """Consenting customers whom an experiment never contacts."""
    return [name for name in consenting(workspace) if "no_contact" in kinds(workspace, name)]


def kinds(workspace: Workspace, customer_id: str) -> set[str]:
    """The kinds of a customer's arms."""
    specs, now = workspace.experiments(), workspace.clock.now()
    found = assign(specs, customer_id=customer_id, household_id=None, touchpoint="default", at=now)
    return {arm.kind for _, arm in found}


def make_key(workspace: Workspace, *scopes: str) -> str:
    """A key of these scopes."""
    now = workspace.clock.now()
    with State(workspace.state_file) as state:
        return state.write(lambda connection: create_key(connection, scopes, now))["key"]


def count(workspace: Workspace, table: str) -> int:
    """Rows of a table of the state database."""
    with State(workspace.state_file) as state:
        return int(state.read().execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int
    json: Any
    raw: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service."""

    workspace: Workspace
    base: str
    key: str
    process: "subprocess.Popen[bytes]"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        raw: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Reply:
        """One call; ``key=None`` sends none, and an iterator is sent in chunks without a length."""
        data: Any = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            sent["Authorization"] = f"Bearer {key or self.key}"
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return _reply(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error.read(), error.headers)

    def decide(self, customer_id: str, **fields: Any) -> Any:
        """A decision that must be answered."""
        reply = self.call("POST", "/v1/decisions", {"customer_id": customer_id, "channels": ["email"], **fields})
        assert reply.status == 200, reply.raw
        return reply.json


def contacted(service: Service, customer_id: str) -> Any:
    """A decision that contacts somebody: what is owed has no cap in its way, and the floor of no contact is one in a
    hundred."""
    for _ in range(10):
        decision = service.decide(customer_id, purpose="transactional")
        if decision["contact"]:
            return decision
    raise AssertionError(f"no contact in ten decisions: {decision['status_reason']}")


def _reply(status: int, raw: bytes, headers: Any) -> Reply:
    try:
        parsed = json.loads(raw)
    except ValueError:
        parsed = None
    return Reply(status=status, json=parsed, raw=raw, headers={name.lower(): value for name, value in headers.items()})


@contextmanager
def serving(workspace: Workspace, *, workers: int = 1, key: str = "") -> Iterator[Service]:
    """The service on a free port, from start to a clean stop; the caller's key is made if none is given."""
    key = key or make_key(workspace, "decide")
    port = free_port()
    log = (workspace.root / "serve.log").open("ab")
    arguments = [str(BIN / "foretouch"), "serve", "--workspace", str(workspace.root), "--port", str(port)]
    command = [*arguments, "--workers", str(workers)]
    service = _started(workspace, command, port, key, log)
    try:
        wait_for(lambda: _ready(service) or _ended(service), seconds=60.0, what="the service to start")
        if _ended(service):
            # Many tests start services at once, and BentoML picks its supervisor's ports before it binds them: again.
            service = _started(workspace, command, port, key, log)
        wait_for(lambda: _ready(service), seconds=60.0, what="the service to be ready")
        yield service
    finally:
        _stop(service.process)
        log.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def _ended(service: Service) -> bool:
    return service.process.poll() is not None


def _started(workspace: Workspace, command: list[str], port: int, key: str, log: Any) -> Service:
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=dict(os.environ))
    return Service(workspace=workspace, base=f"http://127.0.0.1:{port}", key=key, process=process)


def _log_of(workspace: Workspace) -> str:
    return (workspace.root / "serve.log").read_text(encoding="utf-8")


def _ready(service: Service) -> bool:
    if service.process.poll() is not None:
        log = _log_of(service.workspace)
        if "supervisor was taken" in log[-500:]:
            return False
        raise AssertionError(f"serve exited {service.process.returncode}: {log[-2000:]}")
    try:
        return service.call("GET", "/readyz", key=None, timeout=2.0).status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_for(condition: Any, *, seconds: float, what: str) -> float:
    """Waits until a condition holds and says how long it took, s."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s for {what}")
