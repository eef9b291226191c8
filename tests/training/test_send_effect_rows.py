"""Past sends for the effect of an hour: local hours over changes of clocks, closed labels, logged slots."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from foretouch.core.workspace import Workspace
from foretouch.training.send_effect_report import learn_effect
from foretouch.training.send_effect_rows import as_arrays, logged_slots, read_hours
from foretouch.training.send_time import TASK
from foretouch.training.task import TrainingRun
from tests.serving.test_send_effect import RHYTHM

START = datetime(2024, 2, 20, tzinfo=UTC)
ZONES = {"a": "America/New_York", "b": "Asia/Kolkata", "c": "Asia/Kathmandu", "d": None, "e": "Europe/Berlin"}


@pytest.fixture(name="workspace")
def _workspace(tmp_path: Path) -> Workspace:
    """Sends every 19 hours over 60 days: both American and European clocks change on the way."""
    (tmp_path / "foretouch.toml").write_text(
        'schema_version = 1\n[workspace]\ntime_zone = "Australia/Lord_Howe"\n'
        '[goals.offer]\nacceptance = { "*" = "conversion" }\nwindow_days = 5\n[channels.email]\n[channels.sms]\n'
    )
    data = tmp_path / "data"
    data.mkdir()
    times = [START + timedelta(hours=19 * step, minutes=7) for step in range(75)]
    rows = [(who, index, at) for who in ZONES for index, at in enumerate(times)]
    pd.DataFrame(
        {
            "touch_id": [f"t-{who}-{index}" for who, index, _ in rows],
            "customer_id": [who for who, _, _ in rows],
            "offer_id": ["o1" if index % 2 else "o2" for _, index, _ in rows],
            "channel": ["email" if index % 3 else "sms" for _, index, _ in rows],
            "sent_at": pd.to_datetime([at for _, _, at in rows]),
            "responded": pd.array([None if index % 2 else index % 4 == 0 for _, index, _ in rows], dtype="boolean"),
            "slot_probability": [0.5 if who == "a" else None for who, _, _ in rows],
        }
    ).to_parquet(data / "touches.parquet")
    pd.DataFrame({"customer_id": list(ZONES), "created_at": START, "time_zone": list(ZONES.values())}).to_parquet(
        data / "customers.parquet"
    )
    pd.DataFrame(
        {
            "offer_id": ["o1", "o2"],
            "name": ["one", "two"],
            "channels": [json.dumps(["email", "sms"])] * 2,
            "value": [1.0, 1.0],
        }
    ).to_parquet(data / "offers.parquet")
    moments = [START - timedelta(days=1), times[1] + timedelta(hours=1), times[-1] + timedelta(days=1)]
    pd.DataFrame(
        {
            "event_id": ["x", "y", "z"],
            "customer_id": ["zz", "b", "zz"],
            "event": ["view", "conversion", "view"],
            "occurred_at": pd.to_datetime(moments),
            "received_at": pd.to_datetime(moments),
            "is_bot": False,
            "properties": "{}",
        }
    ).to_parquet(data / "events.parquet")
    return Workspace.open(tmp_path)


def test_hours_are_those_of_the_customer_s_clock(workspace: Workspace) -> None:
    found = read_hours(workspace)
    assert len(found) > 300
    offsets = set()
    for who, at, hour in zip(found["customer_id"], found["as_of"], found["hour"], strict=True):
        local = at.to_pydatetime().astimezone(ZoneInfo(ZONES[who] or "Australia/Lord_Howe"))
        offsets.add((who, local.utcoffset()))
        assert hour == local.weekday() * 24 + local.hour
    assert len(offsets) == 8, "New York, Berlin and Lord Howe change their clocks"


def test_labels_close_before_they_count_and_windows_are_respected(workspace: Workspace) -> None:
    found = read_hours(workspace)
    last = START + timedelta(hours=19 * 74, minutes=7) + timedelta(days=1)
    assert found["closes_at"].max() <= pd.Timestamp(last) + pd.Timedelta(days=1)
    assert ((found["closes_at"] - found["as_of"]) == pd.Timedelta(days=5)).all()
    by_touch = found.set_index("touch_id")["label"]
    assert by_touch["t-b-1"] == 1.0, "the event says so where the touch does not"
    assert by_touch["t-c-1"] == 0.0
    assert by_touch["t-c-4"] == 1.0, "the touch is believed"
    cut = START + timedelta(days=30)
    assert read_hours(workspace, until=cut)["closes_at"].max() <= pd.Timestamp(cut)
    assert read_hours(workspace, since=cut)["as_of"].min() >= pd.Timestamp(cut)


def test_slot_probabilities_are_read_and_kept_apart_from_earlier_sends(workspace: Workspace) -> None:
    found = read_hours(workspace)
    assert found.loc[found["customer_id"] == "a", "slot_probability"].eq(0.5).all()
    assert found.loc[found["customer_id"] != "a", "slot_probability"].isna().all()
    sends = as_arrays(found, np.full((len(found), 24), 1 / 24), np.full(len(found), None, dtype=object))
    assert sends.channels == ("email", "sms")
    assert set(sends.customer[sends.logged]) == {"a"}
    half = found.assign(slot_probability=np.where(np.arange(len(found)) % 2 == 0, 0.3, np.nan))
    mixed = as_arrays(half, np.full((len(half), 24), 1 / 24), np.full(len(half), None, dtype=object))
    for stratum in np.unique(mixed.stratum):
        rows = mixed.stratum == stratum
        assert len(set(mixed.customer[rows])) == 1
        assert len(set(mixed.logged[rows])) == 1


def test_customers_with_one_logged_send_are_compared_within_their_segment(workspace: Workspace) -> None:
    found = read_hours(workspace).head(40).assign(slot_probability=0.2)
    found["customer_id"] = [f"c{index}" for index in range(40)]
    segment = np.array([("gold", "tin")[index % 2] for index in range(40)], dtype=object)
    sends = as_arrays(found, np.full((40, 24), 1 / 24), segment)
    assert len(np.unique(sends.stratum)) == 4, "two segments on two channels"


def test_a_workspace_with_few_or_no_sends_says_why(workspace: Workspace, tmp_path: Path) -> None:
    run = TrainingRun(workspace=workspace, seed=1, trials=0, threads=1)
    part = learn_effect(run, RHYTHM, until=START + timedelta(days=400))
    assert part.extras["effect_of_sending"]["identified"] is False
    assert "too few answers on sms" in part.notes[0]
    (workspace.root / "data" / "touches.parquet").unlink()
    part = learn_effect(run, RHYTHM, until=START + timedelta(days=400))
    assert "no past send" in part.notes[0]
    assert logged_slots(workspace, ["dec_1.1"]) == {}
    assert TASK.name == "send-time"
    assert tmp_path == workspace.root
