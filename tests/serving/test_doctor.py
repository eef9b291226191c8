"""``foretouch doctor`` finds what is planted, names the next command, and changes nothing; ``audit verify`` too."""

import json
import os
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.state.access import append_audit, create_key
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.serving.doctor import machine
from foretouch.serving.doctor.examine import examine
from foretouch.serving.doctor.finding import Finding


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    """A workspace with an offer, a person, a key and an audit of three lines or more."""
    initialise(tmp_path / "shop")
    workspace = Workspace.open(tmp_path / "shop")
    now = workspace.clock.now()
    at = now.isoformat()
    ingest_tables(
        workspace,
        {
            "offers": pd.DataFrame([{"offer_id": "a", "name": "A", "channels": "email"}]),
            "customers": pd.DataFrame([{"customer_id": "ann", "created_at": "2026-01-01T00:00:00Z"}]),
            "consents": pd.DataFrame(
                [{"customer_id": "ann", "channel": "email", "purpose": "marketing", "granted": True, "at": at}]
            ),
            "events": pd.DataFrame(
                [{"event_id": "e", "customer_id": "ann", "event": "purchase", "occurred_at": "2026-01-02T00:00:00Z"}]
            ),
        },
    )
    with closing(open_state(workspace)) as state:
        state.write(lambda connection: create_key(connection, ("decide",), now))
        for number in range(3):
            state.write(
                lambda connection, number=number: append_audit(  # type: ignore[misc]
                    connection, actor="test", action="note", detail={"number": number}, now=now
                )
            )
    return workspace


def found(workspace: Workspace, part: str, level: str) -> list[Finding]:
    """Findings of one part at one level."""
    return [item for item in examine(workspace.root) if (item.part, item.level) == (part, level)]


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(), [str(argument) for argument in arguments])
    return result.exit_code, result.stdout


def test_a_workspace_without_models_is_usable_and_says_what_is_missing(shop: Workspace) -> None:
    levels = {item.part: item.level for item in examine(shop.root)}
    assert "fail" not in levels.values()
    assert levels["models"] == levels["features"] == "warn"
    assert all(item.next_step for item in examine(shop.root) if item.level != "ok")
    code, text = run("doctor", "-w", shop.root)
    assert code == 0
    assert "next: foretouch train all --workspace" in text
    assert run("doctor", "-w", shop.root, "--strict")[0] == 1


def test_it_changes_nothing(shop: Workspace) -> None:
    def picture() -> dict[str, bytes]:
        skipped = ("-wal", "-shm")
        return {
            str(path.relative_to(shop.root)): path.read_bytes()
            for path in sorted(shop.root.rglob("*"))
            if path.is_file() and not path.name.endswith(skipped)
        }

    before = picture()
    list(examine(shop.root))
    assert picture() == before


def edit_config(workspace: Workspace) -> None:
    file = workspace.root / "foretouch.toml"
    file.write_text(file.read_text(encoding="utf-8") + "\n[nonsense]\nx = 1\n", encoding="utf-8")


def edit_policy(workspace: Workspace) -> None:
    (workspace.root / "policies").mkdir(exist_ok=True)
    (workspace.root / "policies" / "odd.toml").write_text('kind = "odd"\n', encoding="utf-8")


def open_secrets(workspace: Workspace) -> None:
    workspace.secret("seed")
    (workspace.secrets / "seed.key").chmod(0o644)


def edit_audit(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.state_file)) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE sequence = 2")


def damage_state(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.state_file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = workspace.state_file.stat().st_size
    with workspace.state_file.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 3))


def plant_future(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.state_file)) as connection, connection:
        connection.execute(
            "INSERT INTO decisions (decision_id, customer_id, touchpoint, decided_at, status, record)"
            " VALUES ('d', 'ann', 't', 4102444800000000, 'decided', x'7b7d')"
        )


def plant_model(workspace: Workspace) -> None:
    folder = workspace.bundles / "offer"
    folder.mkdir(parents=True)
    (folder / "aliases.json").write_text('{"champion": "7"}', encoding="utf-8")


def name_lost_caps(workspace: Workspace) -> None:
    file = workspace.root / "foretouch.toml"
    text = '\n[state]\ncaps_url = "redis://${NOT_SET_ANYWHERE}:1"\n'
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


PLANTED: list[tuple[Callable[[Workspace], None], str, str, str]] = [
    (edit_config, "workspace", "nonsense", ""),
    (edit_policy, "settings", "policies/odd.toml: line 1, column 8", ""),
    (open_secrets, "permissions", "secrets/seed.key", "chmod 600"),
    (edit_audit, "audit", "line 2 was edited", "foretouch audit verify"),
    (damage_state, "state", "", ""),
    (plant_future, "clock", "2100-01-01", "clock"),
    (plant_model, "models", "offer 7 is refused", "foretouch rollback offer"),
    (name_lost_caps, "caps", "NOT_SET_ANYWHERE", "export NOT_SET_ANYWHERE"),
]


@pytest.mark.parametrize(("plant", "part", "said", "step"), PLANTED)
def test_what_is_planted_is_found(
    shop: Workspace, plant: Callable[[Workspace], None], part: str, said: str, step: str
) -> None:
    assert found(shop, part, "fail") == []
    plant(shop)
    finding = found(shop, part, "fail")[0]
    assert said in finding.text
    assert finding.next_step
    assert step in finding.next_step
    code, text = run("doctor", "-w", shop.root, "--json")
    assert code == 1
    told: dict[str, Any] = json.loads(text)
    assert told["fail"] >= 1
    again = next(item for item in told["findings"] if (item["part"], item["level"]) == (part, "fail"))
    assert said in again["text"]
    assert again["next_step"] == finding.next_step


def test_a_full_disk_and_an_old_package_are_found(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    assert found(shop, "disk", "fail")
    monkeypatch.setattr(
        machine, "requires", lambda _: ["numpy>=99", "no-such-package>=1", "only-on-mars; os_name == 'm'"]
    )
    (finding,) = found(shop, "versions", "fail")
    assert "must be >=99" in finding.text
    assert "no-such-package is not installed" in finding.text
    assert "mars" not in finding.text


def test_a_folder_that_cannot_be_written_is_found(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != shop.root and real(path, mode))
    assert found(shop, "permissions", "fail")[0].next_step == f"chmod u+rwx {shop.root}"


def test_no_workspace_is_one_finding(tmp_path: Path) -> None:
    code, text = run("doctor", "-w", tmp_path)
    assert code == 1
    assert f"next: foretouch init {tmp_path}" in text


def test_the_audit_is_verified_and_its_end_is_told(shop: Workspace) -> None:
    code, text = run("audit", "verify", "-w", shop.root, "--json")
    whole = json.loads(text)
    assert code == 0
    assert whole["holds"] is True
    assert whole["lines"] >= 4
    assert len(whole["last_sha256"]) == 64
    with closing(sqlite3.connect(shop.state_file)) as connection, connection:
        connection.execute("DELETE FROM audit WHERE sequence = ?", (whole["lines"],))
    cut = json.loads(run("audit", "verify", "-w", shop.root, "--json")[1])
    assert cut["holds"] is True, "a chain without its end is a chain: the noted hash tells"
    assert cut["last_sha256"] != whole["last_sha256"]
    edit_audit(shop)
    code, text = run("audit", "verify", "-w", shop.root, "--json")
    assert code == 1
    assert json.loads(text)["broken_at"] == 2


def test_a_workspace_where_nothing_was_decided_has_a_whole_audit(shop: Workspace) -> None:
    for path in shop.root.glob("state.db*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    code, text = run("audit", "verify", "-w", shop.root)
    assert code == 0
    assert "none yet" in text
