"""Laws of ingest: nothing is lost, nothing comes in twice, and every refusal says why."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretouch.core.clock import ManualClock
from foretouch.core.errors import DataError
from foretouch.core.state.db import connect as connect_state
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.offers import load_catalogue
from foretouch.features.privacy import pseudonym
from foretouch.features.quality import TableQuality
from foretouch.features.tables import connect, read_table, resolve_aliases
from tests.features.conftest import CONFIG, NOW, MakeWorkspace

GOOD = "2024-05-01T10:00:00+02:00"
CELLS: dict[str, list[Any]] = {
    "event_id": ["a", "b", "c", "d", "e", "", " a ", "x" * 300, "bad\x07id"],
    "customer_id": ["1", "2", "", "3"],
    "event": ["purchase", "page_view", ""],
    "occurred_at": [GOOD, "2024-05-02T00:00:00Z", "2024-05-02 00:00", "2031-01-01T00:00:00Z", "soon", ""],
    "value": ["1", "2.5", "", "NaN", "inf", "1e999", "two"],
    "currency": ["EUR", "", "USD"],
    "properties": ["", "{}", '{"a":1}', "[1]", "{", '{"a":NaN}'],
    "shop": ["north", "007", "", "inf"],
}
ROWS = st.lists(st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), max_size=25)


def fresh(folder: str) -> Workspace:
    root = Path(folder)
    (root / "foretouch.toml").write_text(CONFIG.format(more=""), encoding="utf-8")
    workspace = Workspace.open(root)
    ManualClock(workspace.clock_file).set(NOW)
    return workspace


def write_csv(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"{name}.csv"
    pd.DataFrame(rows, columns=list(rows[0]) if rows else list(CELLS)).to_csv(path, index=False)
    return path


def one(workspace: Workspace, table: str, source: Path | pd.DataFrame, *, update: bool = False) -> TableQuality:
    (quality,) = ingest_tables(workspace, {table: source}, update=update).tables
    assert quality.rows_in == quality.accepted + quality.duplicates + quality.quarantined
    return quality


def refused(workspace: Workspace, table: str) -> list[dict[str, Any]]:
    path = workspace.quarantine / f"{table}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


@given(batches=st.lists(ROWS, min_size=1, max_size=2))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_is_accepted_plus_duplicates_plus_quarantined(batches: list[list[dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = fresh(folder)
        stored = 0
        for number, rows in enumerate(batches):
            file = write_csv(Path(folder), f"batch{number}", rows)
            quality = one(workspace, "events", file)
            assert quality.rows_in == len(rows)
            stored += quality.accepted
            table = read_table(workspace, "events")
            assert len(table) == stored == quality.stored
            assert table["event_id"].is_unique
            lines = [line for line in refused(workspace, "events") if line["source"] == file.name]
            assert len(lines) == quality.quarantined
            assert all(line["reasons"] for line in lines)
            assert all(rows[line["row"] - 1]["event_id"] == (line["content"]["event_id"] or "") for line in lines)

            again = one(workspace, "events", file)
            assert again.accepted == 0, "a second ingest of the same file takes nothing in"
            assert again.quarantined == quality.quarantined
            assert len(refused(workspace, "events")) == len({json.dumps(line) for line in refused(workspace, "events")})
            pd.testing.assert_frame_equal(read_table(workspace, "events"), table)


def event(**changes: Any) -> dict[str, Any]:
    return {"event_id": "e", "customer_id": "1", "event": "purchase", "occurred_at": GOOD, **changes}


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("events", event(occurred_at="2024-05-01 10:00:00"), "occurred_at: time without an offset"),
        ("events", event(occurred_at="2024-06-01T12:06:00Z"), "occurred_at: in the future"),
        ("events", event(occurred_at="yesterday"), "occurred_at: not a time"),
        ("events", event(value="inf"), "value: not a finite number"),
        ("events", event(value="12,5"), "value: not a finite number"),
        ("events", event(currency="USD"), "currency: other currency"),
        ("events", event(properties="{'a': 1}"), "properties: not a JSON object"),
        ("events", event(is_bot="maybe"), "is_bot: not true or false"),
        ("events", event(customer_id=""), "customer_id: missing"),
        ("events", event(note="jane@example.org"), None),
        ("customers", {"customer_id": "1", "created_at": GOOD, "time_zone": "Mars/Base"}, "time_zone: unknown zone"),
        (
            "consents",
            {"customer_id": "1", "channel": "email", "purpose": "spam", "granted": "true", "at": GOOD},
            "purpose: unknown purpose",
        ),
        (
            "offers",
            {"offer_id": "o", "name": "o", "channels": "email", "starts_at": GOOD, "ends_at": GOOD},
            "ends_at: ends before it starts",
        ),
        ("offers", {"offer_id": "o", "name": "o", "channels": "fax"}, "channels: unknown channel"),
        ("offers", {"offer_id": "o", "name": "o", "channels": "email", "cost": "-1"}, "cost: negative"),
        ("offers", {"offer_id": "o", "name": "o", "channels": "email", "caps": '{"total": -1}'}, "caps: bad caps"),
        (
            "offers",
            {"offer_id": "o", "name": "o", "channels": "email", "eligibility": "feature.x <"},
            "eligibility: bad expression",
        ),
        (
            "touches",
            {"touch_id": "t", "customer_id": "1", "offer_id": "none", "channel": "email", "sent_at": GOOD},
            "offer_id: unknown offer",
        ),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(
    make_workspace: MakeWorkspace, tmp_path: Path, table: str, row: dict[str, Any], reason: str | None
) -> None:
    workspace = make_workspace()
    if reason is None:
        with pytest.raises(DataError, match="identifies people"):
            one(workspace, table, write_csv(tmp_path, table, [row]))
        return
    quality = one(workspace, table, write_csv(tmp_path, table, [row]))
    assert (quality.accepted, quality.quarantined) == (0, 1)
    assert list(quality.reasons) == [reason] or reason in quality.reasons
    (line,) = refused(workspace, table)
    assert line["row"] == 1
    column, _, code = reason.partition(": ")
    assert {"column": column, "code": code}.items() <= line["reasons"][0].items()


def test_a_declared_zone_makes_naive_times_good(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace(more='[sources.events]\ntime_zone = "America/New_York"')
    times = {
        "winter": ("2024-01-15 08:00:00", datetime(2024, 1, 15, 13, tzinfo=UTC)),
        "summer": ("2024-05-15 08:00:00", datetime(2024, 5, 15, 12, tzinfo=UTC)),
        "repeated": ("2023-11-05 01:30:00", datetime(2023, 11, 5, 5, 30, tzinfo=UTC)),
        "own offset": ("2024-05-15T08:00:00+08:00", datetime(2024, 5, 15, 0, tzinfo=UTC)),
        "skipped": ("2024-03-10 02:30:00", None),
    }
    rows = [event(event_id=name, occurred_at=text) for name, (text, _) in times.items()]
    quality = one(workspace, "events", write_csv(tmp_path, "events", rows))
    assert quality.reasons == {"occurred_at: time that never was": 1}
    stored = read_table(workspace, "events").set_index("event_id")["occurred_at"]
    assert {name: stored[name].to_pydatetime() for name in stored.index} == {
        name: at for name, (_, at) in times.items() if at is not None
    }


def test_duplicates_conflicts_and_updates(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    first = one(workspace, "events", write_csv(tmp_path, "a", [event(value="1"), event(value="1.0"), event(value="2")]))
    assert (first.accepted, first.duplicates, first.quarantined) == (1, 1, 1)
    assert first.reasons == {"event_id: conflict": 1}
    later = one(workspace, "events", write_csv(tmp_path, "b", [event(value="1", received_at="2024-05-09T00:00:00Z")]))
    assert (later.accepted, later.duplicates) == (0, 1), "when it was received is no content"
    people = [{"customer_id": "1", "created_at": GOOD, "plan": "free"}]
    one(workspace, "customers", write_csv(tmp_path, "c", people))
    changed = write_csv(tmp_path, "d", [{**people[0], "plan": "paid"}])
    assert one(workspace, "customers", changed).reasons == {"customer_id: conflict": 1}
    updated = one(workspace, "customers", changed, update=True)
    assert (updated.accepted, updated.updated, updated.stored) == (1, 1, 1)
    assert read_table(workspace, "customers")["plan"].tolist() == ["paid"]
    assert one(workspace, "events", write_csv(tmp_path, "e", [event(value="3")]), update=True).accepted == 0


def test_rows_that_are_no_rows(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    path = tmp_path / "events.csv"
    path.write_bytes(
        b"\xef\xbb\xbfevent_id,customer_id,event,occurred_at\r\n"
        b"1,1,purchase," + GOOD.encode() + b"\r\n\r\n2,1,purchase\r\n3,1,pur\xffchase," + GOOD.encode() + b"\r\n"
        b'"4","1","a ""quoted"", name",' + GOOD.encode() + b"\r\n"
    )
    quality = one(workspace, "events", path)
    assert quality.reasons == {"*: not UTF-8": 1, "*: wrong number of cells": 1}
    assert read_table(workspace, "events")["event"].tolist() == ["purchase", 'a "quoted", name']
    assert [line["row"] for line in refused(workspace, "events")] == [2, 3]


def test_parquet_with_nested_properties(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    moment = pd.Timestamp("2024-05-01T10:00:00", tz="Asia/Tokyo")
    frame = pd.DataFrame(
        {
            "event_id": [1, 2],
            "customer_id": [7, 8],
            "event": ["purchase", "machine_open"],
            "occurred_at": [moment, moment],
            "value": [1.5, None],
            "properties": [{"b": 1, "a": {"x": 2.5}}, None],
        }
    )
    frame.to_parquet(tmp_path / "events.parquet")
    assert one(workspace, "events", tmp_path / "events.parquet").accepted == 2
    stored = read_table(workspace, "events")
    assert stored["event_id"].tolist() == ["1", "2"]
    assert json.loads(stored["properties"][0]) == {"a": {"x": 2.5}, "b": 1}
    assert stored["is_bot"].tolist() == [False, True]
    assert stored["received_at"].tolist() == stored["occurred_at"].tolist() == [moment, moment]


def test_people_are_refused_or_hashed(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    rows = [{"customer_id": str(index), "created_at": GOOD, "contact": f"P{index}@Example.org "} for index in range(3)]
    file = write_csv(tmp_path, "customers", rows)
    refusing = make_workspace("refusing")
    with pytest.raises(DataError, match="'contact' of customers identifies people") as error:
        one(refusing, "customers", file)
    assert error.value.hint is not None
    assert "pseudonymise" in error.value.hint
    assert not refusing.table("customers").exists(), "nothing is written when a table is refused"
    hashing = make_workspace("hashing", '[privacy]\npseudonymise = ["contact"]')
    assert one(hashing, "customers", file).accepted == 3
    stored = read_table(hashing, "customers")["contact"].tolist()
    assert stored == [pseudonym(hashing, f"p{index}@example.org") for index in range(3)]
    assert len(set(stored)) == 3
    assert pseudonym(hashing, "p0@example.org") != pseudonym(refusing, "p0@example.org"), "the key is the workspace's"
    for path in hashing.root.rglob("*"):
        assert not path.is_file() or b"xample.org" not in path.read_bytes(), path


@pytest.mark.parametrize("column", ["email", "Phone", "first_name", "surname", "手机", "home_phone_number", "name"])
def test_columns_whose_name_tells(make_workspace: MakeWorkspace, tmp_path: Path, column: str) -> None:
    rows = [{"customer_id": "1", "created_at": GOOD, column: "whatever"}]
    with pytest.raises(DataError, match="identifies people"):
        one(make_workspace(), "customers", write_csv(tmp_path, "customers", rows))


def test_a_stray_address_refuses_its_row(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    rows = [{"customer_id": str(index), "created_at": GOOD, "note": "fine"} for index in range(40)]
    rows[7]["note"] = "+49 170 1234567"
    quality = one(make_workspace(), "customers", write_csv(tmp_path, "customers", rows))
    assert quality.reasons == {"note: identifies a person": 1}


def test_attributes_keep_what_they_are(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    rows = [
        {"customer_id": "1", "created_at": GOOD, "code": "007", "amount": "3.5", "empty": "", "plan": "x"},
        {"customer_id": "2", "created_at": GOOD, "code": "12", "amount": "-4", "empty": "", "plan": ""},
    ]
    quality = one(workspace, "customers", write_csv(tmp_path, "customers", rows))
    stored = read_table(workspace, "customers")
    assert stored["code"].tolist() == ["007", "12"]
    assert stored["amount"].tolist() == [3.5, -4.0]
    assert quality.missing["empty"] == 1.0
    assert quality.missing["plan"] == 0.5


def test_the_service_learns_of_people(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    sources: dict[str, Path | pd.DataFrame] = {
        "customers": write_csv(
            tmp_path, "customers", [{"customer_id": "1", "created_at": GOOD, "time_zone": "Asia/Tokyo", "plan": "x"}]
        ),
        "consents": write_csv(
            tmp_path,
            "consents",
            [{"customer_id": "1", "channel": "email", "purpose": "marketing", "granted": "yes", "at": GOOD}],
        ),
        "offers": write_csv(tmp_path, "offers", [{"offer_id": "o", "name": "O", "channels": "email", "tier": "2"}]),
        "touches": write_csv(
            tmp_path,
            "touches",
            [{"touch_id": "t", "customer_id": "1", "offer_id": "o", "channel": "email", "sent_at": GOOD}],
        ),
    }
    for _ in range(2):
        ingest_tables(workspace, sources)
        state = connect_state(workspace.state_file, read_only=True)
        try:
            assert state.execute("SELECT customer_id, time_zone FROM customers").fetchall() == [("1", "Asia/Tokyo")]
            assert state.execute("SELECT channel, purpose, granted FROM consents").fetchall() == [
                ("email", "marketing", 1)
            ]
            assert state.execute("SELECT offer_id, channel, status FROM contacts").fetchall() == [
                ("o", "email", "sent")
            ]
        finally:
            state.close()
    (offer,) = load_catalogue(workspace).offers
    assert (offer.name, offer.channels, offer.attributes) == ("O", ("email",), {"tier": 2.0})


def test_report_counts_what_is_there(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    rows = [event(event_id=str(index), value=str(10 + index % 5)) for index in range(98)]
    rows += [event(event_id="far", value="9999"), event(event_id="bot", event="machine_open")]
    one(workspace, "events", write_csv(tmp_path, "events", rows))
    one(workspace, "customers", write_csv(tmp_path, "customers", [{"customer_id": "2", "created_at": GOOD}]))
    kept = json.loads((workspace.data / "quality.json").read_bytes())["tables"]
    assert set(kept) == {"customers", "events"}, "what was said of another table stays"
    events = kept["events"]
    assert events["outliers"] == {"value": 1}
    assert events["bot_share"] == 0.01
    assert events["unknown_customers"] == 1.0
    assert events["missing"]["value"] == 0.01
    age = NOW - datetime.fromisoformat(GOOD)
    assert events["age_days"] == pytest.approx(age / timedelta(days=1), abs=1e-3)


@pytest.mark.parametrize(
    ("pairs", "roots"),
    [
        ({"a": "b"}, {"a": "b"}),
        ({"a": "b", "b": "c"}, {"a": "c", "b": "c"}),
        ({"b": "a", "a": "b"}, {"b": "a"}),
        ({"x": "c", "c": "b", "b": "c"}, {"x": "b", "c": "b"}),
        ({"a": "a"}, {}),
    ],
)
def test_aliases_lead_to_one_root(pairs: dict[str, str], roots: dict[str, str]) -> None:
    assert resolve_aliases(pairs) == roots
    backwards = dict(reversed(pairs.items()))
    assert resolve_aliases(backwards) == roots, "the order of rows does not count"


def test_aliases_are_merged_and_can_be_undone(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    people = [{"customer_id": name, "created_at": GOOD} for name in ("a", "b")]
    events = [event(event_id=name, customer_id=name) for name in ("a", "b")]
    ingest_tables(
        workspace,
        {
            "customers": write_csv(tmp_path, "customers", people),
            "events": write_csv(tmp_path, "events", events),
            "aliases": write_csv(tmp_path, "aliases", [{"customer_id": "b", "alias_of": "a"}]),
        },
    )
    connection = connect(workspace)
    assert connection.execute("SELECT customer_id FROM customers").fetchall() == [("a",)]
    assert connection.execute("SELECT DISTINCT customer_id FROM events").fetchall() == [("a",)]
    connection.close()
    assert sorted(read_table(workspace, "events")["customer_id"]) == ["a", "b"], "the stored table is as it came"
    workspace.table("aliases").unlink()
    undone = connect(workspace)
    assert undone.execute("SELECT count(DISTINCT customer_id) FROM events").fetchall() == [(2,)]
    undone.close()


def test_tables_that_cannot_be_read(make_workspace: MakeWorkspace, tmp_path: Path) -> None:
    workspace = make_workspace()
    with pytest.raises(DataError, match="is not there"):
        one(workspace, "events", tmp_path / "none.csv")
    with pytest.raises(DataError, match="lacks the column occurred_at"):
        one(workspace, "events", write_csv(tmp_path, "x", [{"event_id": "1", "customer_id": "1", "event": "e"}]))
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        one(workspace, "events", tmp_path / "x.parquet")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="has the column a twice"):
        one(workspace, "events", tmp_path / "twice.csv")
    with pytest.raises(DataError, match="tables orders are not known"):
        ingest_tables(workspace, {"orders": tmp_path / "x.csv"})
