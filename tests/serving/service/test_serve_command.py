"""``foretouch serve`` and ``foretouch keys`` as a person uses them."""

import errno
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from foretouch.core.errors import ConfigError
from foretouch.core.workspace import Workspace
from foretouch.serving.runtime import run as run_module
from tests.serving.service.world import BIN, consenting, free_port, serving


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(BIN / "foretouch"), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_taken_port_is_said_at_once(fresh: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--workspace", fresh.root, "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "--port" in done.stderr


def test_a_folder_that_is_no_workspace_is_said_at_once(tmp_path: Path) -> None:
    done = run("serve", "--workspace", tmp_path, "--port", "65000")
    assert done.returncode == 1
    assert "foretouch init" in done.stderr


def test_offers_that_cannot_be_read_end_the_service_and_say_why(fresh: Workspace) -> None:
    path = fresh.table("offers")
    frame = pd.read_parquet(path)
    frame.loc[0, "eligibility"] = "feature.recency_days <<"
    frame.to_parquet(path)
    done = run("serve", "--workspace", fresh.root, "--port", str(free_port()))
    assert done.returncode == 1, done.stderr
    assert str(frame.loc[0, "offer_id"]) in done.stderr.splitlines()[-2] + done.stderr.splitlines()[-1]


def test_an_untrained_workspace_is_served_with_fallbacks_until_it_is_told_to_stop(fresh: Workspace) -> None:
    for path in fresh.bundles.glob("*/aliases.json"):
        path.unlink()
    with serving(fresh) as service:
        ready = service.call("GET", "/readyz", key=None)
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert set(ready.json["missing"]) == {"lead", "churn", "value", "offer", "send-time"}
        statuses = {service.decide(name)["status"] for name in consenting(fresh)[:6]}
        assert "fallback" in statuses
        assert statuses <= {"fallback", "control"}
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0


def test_keys_are_made_listed_and_revoked(fresh: Workspace) -> None:
    made = json.loads(run("keys", "create", "--workspace", fresh.root, "--scope", "decide", "--json").stdout)
    assert set(made) == {"id", "key"}
    listed = {row["id"]: row for row in json.loads(run("keys", "list", "--workspace", fresh.root, "--json").stdout)}
    assert (listed[made["id"]]["usable"], listed[made["id"]]["scopes"]) == (True, ["decide"])
    assert run("keys", "revoke", made["id"], "--workspace", fresh.root).returncode == 0
    listed = {row["id"]: row for row in json.loads(run("keys", "list", "--workspace", fresh.root, "--json").stdout)}
    assert not listed[made["id"]]["usable"]
    unknown = run("keys", "revoke", "nobody", "--workspace", fresh.root)
    assert (unknown.returncode, "keys list" in unknown.stderr) == (1, True)
    wrong = run("keys", "create", "--workspace", fresh.root, "--scope", "everything")
    assert (wrong.returncode, "must be among" in wrong.stderr) == (1, True)


def test_a_supervisor_whose_port_was_taken_says_so(fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        config: ClassVar[dict[str, int]] = {}

        @staticmethod
        def serve_http(**_: object) -> None:
            raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(run_module, "import_module", lambda _: type("Module", (), {"Foretouch": Taken}))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(ConfigError, match="supervisor was taken") as told:
        run_module.run(fresh, host="127.0.0.1", port=free_port(), workers=1)
    assert told.value.hint == "foretouch serve"
