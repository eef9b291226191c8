"""The state on Postgres: urls and secrets, tables of another release, and a server that goes away and comes back."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from foretouch.core.contact import ContactPolicy
from foretouch.core.errors import ConfigError, StateError
from foretouch.core.state.connection import Connection
from foretouch.core.state.db import State
from foretouch.core.state.opening import filled_in
from foretouch.core.state.postgres import PostgresDatabase, label_of, translate, without_secrets
from tests.suites.state_desk import Desk
from tests.suites.state_servers import PostgresServer, postgres_server

SCHEMES = {"postgresql", "postgres"}


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with postgres_server() as server:
        yield server


def test_placeholders_are_postgres_own() -> None:
    assert translate("SELECT ? WHERE a LIKE 'x%' AND b = ?") == "SELECT %s WHERE a LIKE 'x%%' AND b = %s"


def test_a_password_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_PASSWORD", "s3cret")
    url = filled_in("postgresql://me:${STATE_PASSWORD}@db:5433/foretouch", "state.url", SCHEMES)
    assert url == "postgresql://me:s3cret@db:5433/foretouch"
    assert label_of(url) == "postgresql://db:5433/foretouch"
    monkeypatch.setenv("STATE_URL", url)
    assert filled_in("${STATE_URL}", "state.url", SCHEMES) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://me:plain@db/x", "holds a password"),
        ("postgresql://me:${NOT_SET_HERE}@db/x", r"names \$\{NOT_SET_HERE\}"),
        ("mysql://db/x", "begins with 'mysql'"),
        ("state.db", "must be one of"),
        ("postgresql://db:port/x", "is no address"),
    ],
)
def test_other_addresses_are_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        filled_in(url, "state.url", SCHEMES)
    assert "plain" not in str(caught.value)


def test_no_message_holds_the_password() -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/x"
    with pytest.raises(StateError, match="cannot be reached") as caught:
        State(PostgresDatabase(url))
    assert "s3cret" not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.hint)
    assert caught.value.__suppress_context__
    assert "s3cret" not in without_secrets(f"invalid dsn {url} password=s3cret", url)


def test_tables_of_a_later_release_are_refused(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with State(PostgresDatabase(url)) as state:
        state.write(lambda c: c.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'"))
    with pytest.raises(StateError, match="schema version 99"):
        State(PostgresDatabase(url))


def test_tables_of_the_release_before_are_brought_up_to_date(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with State(PostgresDatabase(url)) as state:
        state.write(lambda c: c.execute("UPDATE meta SET value = '2' WHERE name = 'schema_version'"))
        state.write(lambda c: c.execute("DROP TABLE sessions"))
    with State(PostgresDatabase(url)) as state:
        assert state.read().execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()[0] == "3"
        assert state.read().execute("SELECT key_id FROM sessions").fetchall() == []


def test_a_reading_connection_cannot_write(postgres: PostgresServer) -> None:
    with State(PostgresDatabase(postgres.fresh())) as state:
        with pytest.raises(StateError, match="read-only"):
            state.read().execute("DELETE FROM meta")
        with pytest.raises(StateError, match="is no file"):
            _ = state.path


def test_two_workspaces_on_one_server_never_wait_for_each_other(postgres: PostgresServer) -> None:
    with State(PostgresDatabase(postgres.fresh())) as one, State(PostgresDatabase(postgres.fresh())) as other:
        inside, go_on = threading.Event(), threading.Event()

        def slow(connection: Connection) -> None:
            connection.execute("SELECT 1")
            inside.set()
            assert go_on.wait(20)

        held = one.submit(slow)
        assert inside.wait(20)
        assert other.submit(lambda c: c.execute("SELECT 5").fetchone()[0]).result(10) == 5
        go_on.set()
        held.result(10)


def test_a_restart_of_the_server_is_survived(own_server: PostgresServer) -> None:
    with State(PostgresDatabase(own_server.fresh())) as state:
        desk = Desk(state, ContactPolicy())
        desk.register("a")
        before = desk.decide("a")
        assert state.read().execute("SELECT COUNT(*) FROM decisions").fetchone()[0] == 1
        own_server.stop()
        for _ in range(3):
            with pytest.raises(StateError):
                desk.decide("a")
        with pytest.raises(StateError):
            state.read().execute("SELECT 1")
        with pytest.raises(StateError, match="cannot be reached"):
            state.read()
        own_server.start()
        threading.Event().wait(0.6)  # nobody asks again for half a second
        after = desk.decide("a")
        ids = [row[0] for row in state.read().execute("SELECT decision_id FROM decisions ORDER BY sequence")]
        assert ids == [before.decision_id, after.decision_id]
        assert len(desk.counters("a").contacts) == 2


def test_a_connection_that_dies_while_idle_costs_nobody_an_error(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh()
    with State(PostgresDatabase(url)) as state, State(PostgresDatabase(url)) as other:
        state.read().execute("SELECT 1")
        killed = other.write(
            lambda c: c.execute(
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND application_name = 'foretouch'"
            ).fetchone()[0]
        )
        assert killed >= 2
        assert state.write(lambda c: c.execute("SELECT 3").fetchone()[0]) == 3
