"""Files of schema versions 1 and 2 (tests/golden/state, kept for ever) are brought up to date where they stand."""

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foretouch.core.contact import Cap, ContactPolicy, CoolDown
from foretouch.core.errors import StateError
from foretouch.core.state.access import find_answer, list_keys, verify_audit
from foretouch.core.state.contacts import find_contact
from foretouch.core.state.db import State, connect
from foretouch.core.state.log import read_decisions, read_events, read_outcomes
from foretouch.core.state.people import counter_snapshot
from tests.suites.state_desk import counted_from_scratch, counters_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "state"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = ContactPolicy(
    caps=(Cap(rule="all", scope="total", limit=9, days=90.0),),
    cool_downs=(CoolDown(rule="u", after=("unanswered", "delivered"), within_days=90.0, days=9.0),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN / "v1.db", tmp_path / "state.db"))


@pytest.fixture(params=["v1.db", "v2.db"])
def any_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(GOLDEN / request.param, tmp_path / "state.db"))


def everything(path: Path) -> None:
    with State(path) as state:
        connection = state.read()
        (record,) = read_decisions(connection)
        assert record.decision_id == "dec_1"
        assert [outcome.outcome_id for outcome in read_outcomes(connection)] == ["out_1", "out_2"]
        assert [event.event_id for event in read_events(connection)] == ["ev_1"]
        assert len(list_keys(connection)) == 1
        assert find_answer(connection, "k/decisions", "r1", "0" * 64) == b"{}"
        assert verify_audit(connection) is None
        reserved = find_contact(connection, "dec_1.1", NOW)
        assert reserved is not None
        assert (reserved.status, reserved.expires_at, reserved.answered) == ("reserved", None, False)
        snapshot = counter_snapshot(connection, "a", None, NOW, POLICY, offers=["o1", "o2"], evidence=["o1"])
        assert [contact.offer_id for contact in snapshot.contacts] == ["o1"]
        assert snapshot.contacts[0].answered is None
        assert (snapshot.offer_totals, snapshot.offer_today) == ({"o1": 2, "o2": 0}, {"o1": 1, "o2": 0})
        assert (snapshot.total_contacts, snapshot.offer_contacts) == ({"all": 3}, {"o1": 2})
        asker = counter_snapshot(connection, record.customer_id, None, NOW + timedelta(days=1), POLICY)
        assert [(item.type, item.channel) for item in asker.outcomes] == [("delivered", record.action[0].channel)]
        assert counters_of(state) == counted_from_scratch(state)


def test_a_file_of_an_earlier_version_is_read_as_before(any_path: Path) -> None:
    everything(any_path)
    everything(any_path)  # and once it is of this version


def test_a_reader_brings_the_file_up_to_date_too(any_path: Path) -> None:
    connection = connect(any_path, read_only=True)
    assert connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()[0] == "3"
    assert connection.execute("SELECT placement FROM contacts").fetchall()
    assert connection.execute("SELECT key_id FROM sessions").fetchall() == []
    connection.close()
    everything(any_path)


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr("foretouch.core.state.sqlite.recount", fail)
    with pytest.raises(StateError, match="disk is full"):
        State(path)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone() == ("1",)
    assert "placement" not in [row[1] for row in raw.execute("PRAGMA table_info(contacts)")]
    raw.close()
    monkeypatch.undo()
    everything(path)


def test_a_migrated_file_has_the_tables_of_a_new_one(any_path: Path, tmp_path: Path) -> None:
    def shape(file: Path) -> dict[str, list[tuple[str, str]]]:
        with State(file) as state:
            names = (
                state.read().execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
            )
            tables = [name for kind, name in names if kind == "table"]
            columns = {
                name: sorted((row[1], row[2]) for row in state.read().execute(f"PRAGMA table_info({name})"))
                for name in tables
            }
            return {**columns, "indexes": sorted((kind, name) for kind, name in names if kind == "index")}

    assert shape(any_path) == shape(tmp_path / "new.db")


def test_a_file_of_a_later_release_is_refused(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET value = '4' WHERE name = 'schema_version'")
    raw.commit()
    raw.close()
    for read_only in (True, False):
        with pytest.raises(StateError, match="schema version 4, this release reads up to 3"):
            connect(path, read_only=read_only)
