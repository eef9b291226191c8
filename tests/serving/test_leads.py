"""The hand-off to sales against a real local receiver that verifies every signature."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foretouch.core.clock import ManualClock
from foretouch.core.errors import ConfigError
from foretouch.core.state.db import State
from foretouch.core.workspace import Workspace
from foretouch.serving.jobs.leads import ScoredLead, checked_address, hand_off, signing_secret
from tests.serving.receiver import Receiver, lead_data, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def workspace_at(folder: Path, url: str, attempts: int = 5) -> Workspace:
    (folder / "foretouch.toml").write_text(
        f'[clock]\nkind = "manual"\n[lead_alert]\nurl = "{url}"\nthreshold = 0.5\nattempts = {attempts}\n',
        encoding="utf-8",
    )
    ManualClock(folder / "clock.json").set(datetime(2025, 5, 6, 6, tzinfo=UTC))
    return Workspace.open(folder)


def leads(**scores: float) -> list[ScoredLead]:
    return [ScoredLead(customer_id=name, score=score, data={"band": "hot"}) for name, score in scores.items()]


def test_a_crossing_is_delivered_once_signed_and_retried(tmp_path: Path, receiver: Receiver) -> None:
    workspace = workspace_at(tmp_path, receiver.url)
    receiver.secret, receiver.failures = signing_secret(workspace), 2
    waits: list[float] = []
    with State(workspace.state_file) as state:
        done = hand_off(workspace, state, leads(a=0.7, b=0.2, c=0.5), wait=waits.append)
        assert (done.crossed, done.delivered, done.waiting, done.problem) == (2, 2, 0, None)
        assert receiver.calls == 4
        assert waits == [0.5, 1.0]
        assert [lead_data(body)["customer_id"] for _, body in receiver.taken] == ["a", "c"]
        assert lead_data(receiver.taken[0][1])["score"] == 0.7
        again = hand_off(workspace, state, leads(a=0.9, b=0.2, c=0.6), wait=waits.append)
        assert (again.crossed, again.delivered) == (0, 0)
    assert receiver.calls == 4
    assert len({message for message, _ in receiver.taken}) == 2


def test_only_falling_below_rearms(tmp_path: Path, receiver: Receiver) -> None:
    workspace = workspace_at(tmp_path, receiver.url)
    receiver.secret = signing_secret(workspace)
    with State(workspace.state_file) as state:
        hand_off(workspace, state, leads(a=0.7))
        assert hand_off(workspace, state, []).crossed == 0
        assert hand_off(workspace, state, leads(a=0.8)).crossed == 0
        assert hand_off(workspace, state, leads(a=0.4)).rearmed == 1
        assert hand_off(workspace, state, leads(a=0.6)).delivered == 1
    assert [lead_data(body)["score"] for _, body in receiver.taken] == [0.7, 0.6]


def test_what_could_not_be_delivered_waits_for_the_next_run(tmp_path: Path, receiver: Receiver) -> None:
    workspace = workspace_at(tmp_path, receiver.url, attempts=2)
    receiver.secret, receiver.failures = signing_secret(workspace), 2
    with State(workspace.state_file) as state:
        failed = hand_off(workspace, state, leads(a=0.7, b=0.9), wait=lambda _: None)
        assert (failed.delivered, failed.waiting) == (0, 2)
        assert failed.problem is not None
        assert "503" in failed.problem
    with State(workspace.state_file) as state:
        assert hand_off(workspace, state, []).delivered == 2
        attempts = state.read().execute("SELECT customer_id, attempts FROM crossings ORDER BY 1").fetchall()
    assert attempts == [("a", 3), ("b", 1)]
    assert receiver.calls == 4


def test_a_receiver_that_is_away_stops_the_run(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path, "http://127.0.0.1:9/leads", attempts=2)
    with State(workspace.state_file) as state:
        failed = hand_off(workspace, state, leads(a=0.7, b=0.9), wait=lambda _: None)
    assert failed.waiting == 2
    assert failed.problem is not None
    assert "cannot be reached" in failed.problem


def test_another_secret_is_refused_by_the_receiver(tmp_path: Path, receiver: Receiver) -> None:
    workspace = workspace_at(tmp_path, receiver.url, attempts=1)
    receiver.secret = "whsec_" + "A" * 44
    with State(workspace.state_file) as state:
        failed = hand_off(workspace, state, leads(a=0.7))
    assert (failed.delivered, receiver.refused) == (0, 1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "example.org", "http://"])
def test_only_http_addresses_are_taken(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="must be an http"):
        checked_address(url)
    workspace = workspace_at(tmp_path, url)
    with State(workspace.state_file) as state:
        with pytest.raises(ConfigError, match="lead_alert"):
            hand_off(workspace, state, leads(a=0.7))
        assert state.read().execute("SELECT count(*) FROM crossings").fetchone() == (0,)


def test_without_an_address_nothing_is_noted(tmp_path: Path) -> None:
    (tmp_path / "foretouch.toml").write_text("", encoding="utf-8")
    workspace = Workspace.open(tmp_path)
    with State(workspace.state_file) as state:
        assert hand_off(workspace, state, leads(a=0.9)).crossed == 0
