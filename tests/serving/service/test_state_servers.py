"""The service and the commands on a workspace whose log is in a real Postgres and whose caps are in a real Redis."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.decisions import DecisionRequest
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.access import create_key
from foretouch.core.state.caps import CapStore, SeenCaps, rebuild_caps
from foretouch.core.state.contacts import Contact
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.exposures import logged
from foretouch.features.people import register_people
from foretouch.features.tables import connect
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake
from foretouch.serving.runtime.log_write import RESERVE_TRIES
from foretouch.serving.runtime.reservations import ForbiddenError, Reservations
from tests.serving.service.world import serving, treated
from tests.suites.state_servers import PostgresServer, RedisServer, postgres_server, redis_server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server that tests may stop."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A server that tests may stop."""
    with redis_server() as server:
        yield server


@pytest.fixture
def remote(
    fresh: Workspace, postgres: PostgresServer, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """A workspace whose state is on servers; its ``state.db`` of before is out of reach."""
    monkeypatch.setenv("FORETOUCH_TEST_STATE", postgres.fresh())
    monkeypatch.setenv("FORETOUCH_TEST_CAPS", redis.url)
    path = fresh.root / "foretouch.toml"
    text = path.read_text(encoding="utf-8").replace('name = "', f'name = "{fresh.root.parent.name}-', 1)
    section = '\n[state]\nurl = "${FORETOUCH_TEST_STATE}"\ncaps_url = "${FORETOUCH_TEST_CAPS}"\n'
    path.write_text(text + section, encoding="utf-8")
    workspace = Workspace.open(fresh.root)
    workspace.state_file.rename(workspace.root / "before.db")
    assert register_people(workspace)["consents"] > 0
    return workspace


def people(workspace: Workspace) -> list[str]:
    (workspace.root / "before.db").rename(workspace.state_file)
    names = treated(workspace)
    workspace.state_file.rename(workspace.root / "before.db")
    return names


def test_a_whole_loop_runs_on_servers(remote: Workspace) -> None:
    names = people(remote)
    with Dataplane(remote) as plane:
        intake = Intake(plane)
        given = [plane.decide_one(DecisionRequest(customer_id=name, channels=("email",))) for name in names]
        records = [item.record for item in given if item.record is not None]
        assert all(item.decision.logged for item in given)
        contacts = [record for record in records if record.action]
        assert contacts
        first = contacts[0]
        assert plane.replay(first.decision_id).identical
        assert plane.get_decision(first.decision_id) == first
        now = plane.clock.now()
        delivered = Outcome(outcome_id="o1", decision_id=first.decision_id, type="delivered", occurred_at=now)
        assert intake.outcome(delivered).status == "accepted"
        assert intake.outcome(delivered).status == "duplicate"
        gone = Outcome(outcome_id="o2", decision_id=first.decision_id, type="unsubscribe", occurred_at=now)
        assert intake.outcome(gone).status == "accepted"
        again = plane.decide_one(DecisionRequest(customer_id=first.customer_id, channels=("email",))).decision
        assert again.status == "suppressed"
        event = CustomerEvent(event_id="e1", customer_id=first.customer_id, event="page_view", occurred_at=now)
        assert intake.event(event).status == "accepted"
        assert plane.readiness()["ready"]
    with closing(connect(remote)) as tables:
        assert tables.execute("SELECT customer_id FROM events WHERE event_id = 'e1'").fetchall() == [
            (first.customer_id,)
        ]
        assert tables.execute("SELECT count(*) FROM touches WHERE touch_id LIKE 'dec_%'").fetchone() == (1,)
    assert logged(remote)
    assert not remote.state_file.exists()


def test_of_many_confirmations_on_two_states_at_once_one_gets_the_last_place(remote: Workspace) -> None:
    policy = remote.root / "contact_policy.toml"
    cap = '\n[[caps]]\nrule = "one_a_month"\nscope = "customer"\nlimit = 1\ndays = 30\n'
    policy.write_text(policy.read_text(encoding="utf-8") + cap, encoding="utf-8")
    name = people(remote)[0]
    with open_state(remote) as state:  # earlier sends are not what this is about
        state.write(lambda connection: connection.execute("DELETE FROM contacts"))
        caps = state.caps
        assert caps is not None
        state.write(lambda connection: rebuild_caps(connection, caps))
    with Dataplane(remote) as one, Dataplane(remote) as other, ThreadPoolExecutor(10) as pool:
        owed: list[str] = []
        for number in range(200):
            options = {"defer_activation": True}
            body = {"customer_id": name, "channels": ["email"], "request_id": f"r{number}", "options": options}
            given = one.decide_one(DecisionRequest.model_validate(body)).decision
            owed += [f"{given.decision_id}.1"] if given.action else []
            if len(owed) == 10:
                break
        assert len(owed) == 10

        def confirm(number: int) -> str:
            desk = Reservations((one, other)[number % 2])
            try:
                return desk.confirm(owed[number]).status
            except ForbiddenError as error:
                return "refused" if "one_a_month" in str(error) else str(error)

        assert sorted(pool.map(confirm, range(10))) == ["refused"] * 9 + ["sent"]
        one.state.write(lambda _: None)  # a writer that has nothing more to tell the store
        for plane in (one, other):
            again = plane.decide_one(DecisionRequest(customer_id=name, channels=("email",))).decision
            assert "one_a_month" in {item.rule for item in again.suppressed}
        rows = one.state.read().execute("SELECT status FROM contacts WHERE decision_id IS NOT NULL").fetchall()
        assert [row[0] for row in rows] == ["sent"]


def opened(plane: Dataplane) -> CapStore:
    assert plane.state.caps is not None
    return plane.state.caps


def test_the_store_of_caps_refuses_a_confirmation_whose_counters_moved(remote: Workspace) -> None:
    name = people(remote)[0]
    with Dataplane(remote) as plane:
        body = {"customer_id": name, "purpose": "transactional", "options": {"defer_activation": True}}
        given = plane.decide_one(DecisionRequest.model_validate({**body, "channels": ["email"]})).decision
        caps = opened(plane)
        asked: list[Sequence[Contact]] = []

        class Moving:
            """The real store, in which somebody else was always first."""

            label = caps.label
            look, apply, rebuild, close = caps.look, caps.apply, caps.rebuild, caps.close

            def reserve(self, seen: SeenCaps, contacts: Sequence[Contact]) -> bool:
                asked.append(contacts)
                return caps.reserve(replace(seen, stamps=("none", seen.stamps[1])), contacts)

        plane.state.caps = Moving()
        with pytest.raises(ForbiddenError, match="moved"):
            Reservations(plane).confirm(f"{given.decision_id}.1")
        assert len(asked) == RESERVE_TRIES
        assert asked[0][0].status == "reserved"
        assert asked[0][0].expires_at is not None
        plane.state.caps = caps
        assert Reservations(plane).confirm(f"{given.decision_id}.1").changed


def test_the_commands_work_on_servers(remote: Workspace) -> None:
    run = CliRunner()
    name = people(remote)[0]
    for arguments, said in [
        (["keys", "create", "--scope", "decide", "--json"], '"key"'),
        (["keys", "list"], "usable"),
        (["decide", "--customer", name, "--json"], "decision_id"),
        (["caps", "rebuild"], "contacts"),
    ]:
        result = run.invoke(build_app(), [*arguments, "--workspace", str(remote.root)])
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        assert said in result.output


def test_the_service_answers_while_its_servers_are_away(
    remote: Workspace, postgres: PostgresServer, redis: RedisServer
) -> None:
    names = people(remote)
    now = remote.clock.now()
    with open_state(remote) as state:
        key = state.write(lambda connection: create_key(connection, ["decide"], now))["key"]
    with serving(remote, key=key) as service:
        assert any(service.decide(name)["action"] for name in names)
        redis.flush()
        lost = service.decide(names[0])
        assert lost["status"] == "suppressed"
        assert "unreadable" in {item["rule"] for item in lost["suppressed"]}
        rebuilt = CliRunner().invoke(build_app(), ["caps", "rebuild", "--workspace", str(remote.root)])
        assert rebuilt.exit_code == 0, rebuilt.output
        assert any(service.decide(name)["action"] for name in names)
        postgres.stop()
        reply = service.call("POST", "/v1/decisions", {"customer_id": names[0], "channels": ["email"]})
        assert reply.status == 200, reply.raw
        assert reply.json["logged"] is False
        assert reply.json["action"] == []
        postgres.start()
        time.sleep(1.0)
        back = service.decide(names[0])
        assert back["logged"] is True
    assert "password" not in (remote.root / "serve.log").read_text(encoding="utf-8").lower()
