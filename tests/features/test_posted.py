"""Customers posted to the service come into the canonical table before anything reads it, and no ingest undoes them."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from foretouch.core.clock import ManualClock
from foretouch.core.state.opening import open_state
from foretouch.core.state.people import Person
from foretouch.core.state.posted import post_customer, posted_customers
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.posted import take_over_customers
from foretouch.features.tables import read_table

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SINCE = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three customers, ingested."""
    (tmp_path / "foretouch.toml").write_text('[clock]\nkind = "manual"\n', encoding="utf-8")
    ManualClock(tmp_path / "clock.json").set(NOW)
    opened = Workspace.open(tmp_path)
    rows = [
        {"customer_id": name, "created_at": SINCE, "time_zone": "UTC", "plan": "tin", "visits": number}
        for number, name in enumerate("abc")
    ]
    ingest_tables(opened, {"customers": pd.DataFrame(rows)})
    return opened


def post(workspace: Workspace, *people: Person) -> None:
    with open_state(workspace) as state:
        for person in people:
            state.write(lambda connection, person=person: post_customer(connection, person, NOW))  # type: ignore[misc]


def waiting(workspace: Workspace) -> int:
    with open_state(workspace) as state:
        return len(list(posted_customers(state.read())))


def test_a_posted_customer_replaces_the_row_and_a_new_one_is_added(workspace: Workspace) -> None:
    changed = Person(
        customer_id="b", household_id="h", time_zone="Asia/Shanghai", attributes={"plan": "gold", "vip": True}
    )
    post(workspace, changed, Person(customer_id="z", language="zh", attributes={"visits": 9}))
    assert take_over_customers(workspace) == 2
    rows = read_table(workspace, "customers").set_index("customer_id")
    assert list(rows.index) == ["a", "b", "c", "z"]
    assert rows["plan"].fillna("").to_dict() == {"a": "tin", "b": "gold", "c": "tin", "z": ""}
    assert rows.loc["b", "time_zone"] == "Asia/Shanghai"
    assert rows["visits"].fillna(-1).to_dict() == {"a": 0, "b": -1, "c": 2, "z": 9}, "what is not said is not known"
    assert rows["created_at"].to_dict() == {"a": SINCE, "b": SINCE, "c": SINCE, "z": NOW}
    assert bool(rows.loc["b", "vip"])
    assert (waiting(workspace), take_over_customers(workspace)) == (0, 0)


def test_an_ingest_does_not_undo_what_was_posted(workspace: Workspace) -> None:
    post(workspace, Person(customer_id="a", time_zone="Europe/Berlin", attributes={"plan": "gold"}))
    fresh = pd.DataFrame([{"customer_id": "d", "created_at": SINCE, "time_zone": "UTC", "plan": "tin", "visits": 1}])
    ingest_tables(workspace, {"customers": fresh})
    rows = read_table(workspace, "customers").set_index("customer_id")
    assert (list(rows.index), rows.loc["a", "plan"]) == (["a", "b", "c", "d"], "gold")
    with open_state(workspace) as state:
        query = "SELECT time_zone FROM customers WHERE customer_id = 'a'"
        assert state.read().execute(query).fetchone()[0] == "Europe/Berlin"


def test_an_attribute_of_two_types_is_text(workspace: Workspace) -> None:
    post(workspace, Person(customer_id="a", attributes={"visits": "many"}))
    take_over_customers(workspace)
    rows = read_table(workspace, "customers").set_index("customer_id")
    assert rows.loc["a", "visits"] == "many"
    assert {type(value) for value in rows["visits"]} == {str}


def test_a_workspace_without_state_has_nothing_to_take_over(tmp_path: Path) -> None:
    (tmp_path / "foretouch.toml").write_text("", encoding="utf-8")
    assert take_over_customers(Workspace.open(tmp_path)) == 0
    assert not (tmp_path / "state.db").exists()
