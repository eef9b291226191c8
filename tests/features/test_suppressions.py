"""The table ``suppressions``: checked like every table, and on the list of the service, where the newest word holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from foretouch.core.clock import ManualClock
from foretouch.core.contact import ContactPolicy, SuppressionEntry
from foretouch.core.state.access import append_audit, verify_audit
from foretouch.core.state.opening import open_state
from foretouch.core.state.people import counter_snapshot
from foretouch.core.state.suppressions import REMOVED, add_suppressions, list_suppressions, remove_suppression
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.quality import TableQuality
from tests.features.conftest import NOW, MakeWorkspace

CHANNELS = "[channels.email]\n[channels.sms]\n"
NO_MAIL = {"channel": "email", "purpose": "marketing", "reason": "asked us"}
EARLIER = NOW - timedelta(days=3)


def one(workspace: Workspace, *rows: dict[str, Any], update: bool = False) -> TableQuality:
    (quality,) = ingest_tables(workspace, {"suppressions": pd.DataFrame(list(rows))}, update=update).tables
    assert quality.rows_in == quality.accepted + quality.duplicates + quality.quarantined
    return quality


def listed(workspace: Workspace, customer: str | None = None) -> list[tuple[str, str, str, str, datetime | None]]:
    with open_state(workspace) as state:
        lines = list_suppressions(state.read(), customer)
        assert verify_audit(state.read()) is None
    return [(line.customer_id, line.channel, line.purpose, line.reason, line.until) for line in lines]


def remove(workspace: Workspace, customer: str, *, at: datetime) -> None:
    entry = SuppressionEntry(customer_id=customer)
    with open_state(workspace) as state:
        assert state.write(lambda connection: remove_suppression(connection, customer))
        detail = {"customer_id": customer, "lines": [entry.model_dump(mode="json")]}
        state.write(lambda connection: append_audit(connection, actor="t", action=REMOVED, detail=detail, now=at))


def test_a_blank_is_everywhere_and_for_good(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace(more=CHANNELS)
    until = NOW + timedelta(days=2)
    quality = one(
        workspace,
        {"customer_id": "1"},
        {
            "customer_id": "2",
            "channel": "email",
            "purpose": "marketing",
            "reason": "asked us",
            "until": until.isoformat(),
        },
        {"customer_id": "3", "channel": "*", "purpose": "*", "at": EARLIER.isoformat()},
    )
    assert (quality.accepted, quality.quarantined, quality.newest) == (3, 0, NOW)
    assert listed(workspace) == [
        ("1", "*", "*", "", None),
        ("2", "email", "marketing", "asked us", until),
        ("3", "*", "*", "", None),
    ]
    with open_state(workspace) as state:
        seen = counter_snapshot(state.read(), "2", None, NOW, ContactPolicy()).suppressions
        assert [(line.channel, line.reason) for line in seen] == [("email", "asked us")]
        assert not counter_snapshot(state.read(), "2", None, until, ContactPolicy()).suppressions


def test_what_cannot_be_a_line_is_quarantined_and_counted(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace(more=CHANNELS)
    quality = one(
        workspace,
        {"customer_id": "1", "channel": "e-mail"},
        {"customer_id": "2", "purpose": "spam"},
        {"customer_id": None},
        {"customer_id": "4", "until": "soon"},
        {"customer_id": "5", "at": (NOW + timedelta(days=1)).isoformat()},
        {"customer_id": "6", "until": NOW.isoformat(), "at": NOW.isoformat()},
        {"customer_id": "7"},
    )
    assert (quality.accepted, quality.quarantined) == (1, 6)
    assert set(quality.reasons) == {
        "channel: unknown channel",
        "purpose: unknown purpose",
        "customer_id: missing",
        "until: not a time",
        "at: in the future",
        "until: ends before it starts",
    }
    assert [line[0] for line in listed(workspace)] == ["7"]


def test_the_same_table_again_changes_nothing_and_the_newest_word_holds(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace(more=CHANNELS)
    row = {"customer_id": "1", "reason": "complaint"}
    assert one(workspace, row, row).duplicates == 1
    assert one(workspace, row).accepted == 0
    remove(workspace, "1", at=NOW)
    ManualClock(workspace.clock_file).set(NOW + timedelta(hours=1))
    assert one(workspace, row).duplicates == 1
    assert listed(workspace) == [], "what somebody took off stays off"
    again = {**row, "at": (NOW + timedelta(minutes=30)).isoformat()}
    assert one(workspace, again).accepted == 1
    assert listed(workspace) == [("1", "*", "*", "complaint", None)]
    by_hand = SuppressionEntry(customer_id="1", reason="by hand")
    with open_state(workspace) as state:
        state.write(lambda connection: add_suppressions(connection, [by_hand], NOW + timedelta(minutes=40)))
    one(workspace, {**row, "at": (NOW + timedelta(minutes=35)).isoformat()})
    assert listed(workspace) == [("1", "*", "*", "by hand", None)], "an older word does not replace a newer one"


def test_a_line_of_an_alias_is_its_customers(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace(more=CHANNELS)
    one(workspace, {"customer_id": "old", "at": EARLIER.isoformat()})
    aliases = pd.DataFrame([{"customer_id": "old", "alias_of": "new"}])
    customers = pd.DataFrame([{"customer_id": "new", "created_at": datetime(2024, 1, 1, tzinfo=UTC).isoformat()}])
    ingest_tables(workspace, {"aliases": aliases, "customers": customers})
    assert [line[0] for line in listed(workspace, "new")] == ["new"]
