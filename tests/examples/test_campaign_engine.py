"""The campaign engine against a real service on a small simulated world: promises held, calls repeatable."""

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
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from foretouch.core.state.db import connect
from foretouch.core.state.log import read_decisions, read_events, read_outcomes
from foretouch.features.initialise import initialise
from foretouch.features.simulation import Simulation, data_end
from foretouch.features.simulation_replies import Contact

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "examples" / "campaign_engine.py"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def engine_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign_engine", ENGINE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["campaign_engine"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred people, no models: every rule holds on the fallback ladder, too."""
    root = tmp_path_factory.mktemp("engine") / "w"
    made = initialise(root, "simulated", simulation=Simulation(customers=200, days=28))
    for step in ("build", "apply", "materialize"):
        subprocess.run([BIN / "foretouch", "features", step, "-w", root], check=True, capture_output=True)
    return made.workspace.root


@pytest.fixture(scope="module")
def url(workspace: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(BIN / "foretouch"), "serve", "--workspace", str(workspace), "--port", str(port)]
    log = workspace / "serve.log"
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/livez", timeout=2) as answer:
                    if answer.status == 200:
                        break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            assert process.poll() is None, log.read_text("utf-8")[-2000:]
            assert time.monotonic() < deadline, log.read_text("utf-8")[-2000:]
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def run_engine(workspace: Path, url: str) -> dict[str, object]:
    out = workspace / "campaign.json"
    command = [sys.executable, ENGINE, "--workspace", workspace, "--url", url, "--days", "3", "--follow-up", "1"]
    done = subprocess.run([*map(str, command), "--out", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, object] = json.loads(out.read_text("utf-8"))
    return result


def counts(workspace: Path) -> tuple[int, int, int]:
    with closing(connect(workspace / "state.db", read_only=True)) as log:
        return (len(list(read_decisions(log))), len(list(read_outcomes(log))), len(list(read_events(log))))


@pytest.mark.slow
def test_the_engine_keeps_every_promise_and_can_be_run_again(workspace: Path, url: str) -> None:
    first = run_engine(workspace, url)
    assert first["broken_promises"] == {}
    assert first["refused_by_service"] == 0
    assert first["repeated_requests"] == first["repeated_answers_identical"] != 0
    before = counts(workspace)
    assert before[0] == first["decisions"]
    assert before[2] == first["events"]
    again = run_engine(workspace, url)
    assert counts(workspace) == before
    for name in ("decisions", "by_status", "contacts", "outcomes", "events", "conversions"):
        assert again[name] == first[name], name


@pytest.mark.slow
def test_people_in_the_holdout_live_on_and_are_not_contacted(workspace: Path, url: str) -> None:
    if counts(workspace)[0] == 0:
        run_engine(workspace, url)
    with closing(connect(workspace / "state.db", read_only=True)) as log:
        held = {
            item.customer_id
            for item in read_decisions(log)
            if "no_contact" in {found.arm for found in item.experiments}
        }  # the standing arm "random" is a holdout too, and is contacted
        contacted = {item.customer_id for item in read_decisions(log) if item.contact}
        active = {event.customer_id for event in read_events(log)}
    assert held
    assert not held & contacted
    assert held & active


def test_the_engines_own_book_notices_every_broken_promise(engine_module: ModuleType) -> None:
    start = data_end(28)
    zone = ZoneInfo("Europe/Berlin")

    def book(**contacts: list[datetime]) -> object:
        return engine_module.Promises(
            quiet=[(datetime(2025, 1, 1, 21).time(), datetime(2025, 1, 1, 8).time())],  # noqa: DTZ001 - a time of day
            caps=[(2, 7.0)],
            gap=timedelta(hours=20),
            consents={("a", "email"): True, ("a", "sms"): False},
            contacts={"a": [], **contacts},
        )

    def broken(channel: str, sent_at: datetime, **contacts: list[datetime]) -> dict[str, int]:
        promises = book(**contacts)
        contact = Contact(offer_id="o", channel=channel, sent_at=sent_at)
        promises.check("a", contact, sent_at.astimezone(zone), start)  # type: ignore[attr-defined]
        return dict(promises.broken)  # type: ignore[attr-defined]

    noon = start.astimezone(UTC).replace(hour=12)
    assert broken("email", noon) == {}
    assert broken("sms", noon) == {"consent": 1}
    assert broken("push", noon) == {"consent": 1}
    assert broken("email", noon.replace(hour=20)) == {"quiet hours": 1}
    days = [noon - timedelta(days=2), noon - timedelta(days=5)]
    assert broken("email", noon, a=days) == {"cap": 1}
    assert broken("email", noon, a=[noon - timedelta(hours=3)]) == {"gap": 1}
    assert broken("email", noon + timedelta(days=1)) == {"send window": 1}
    assert broken("email", noon, a=[noon - timedelta(days=8), noon - timedelta(days=9)]) == {}
