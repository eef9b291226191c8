"""The record as it is stored: small, whole, and the same on every way in and out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import DecisionRecord, Interval, ModelRef, ShadowChoice, Suppression
from foretouch.core.errors import StateError
from foretouch.core.packing import pack_columns, pack_rows, pack_values, unpack_column, unpack_rows, unpack_values
from foretouch.core.policy import PolicySpec
from foretouch.core.stored_record import StoredRecord, read_fields, read_record, store, time_text
from foretouch.serving.decide import decide, decide_course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.record import store_course
from tests.serving.decision.stored import big_inputs, big_request
from tests.serving.decision.world import counters, decided, inputs, request

STORED = Path(__file__).resolve().parents[2] / "golden" / "stored"
CONTRACTS = STORED.parent / "contracts"
MOST_BYTES = 15_000
ASKS: tuple[dict[str, Any], ...] = (
    {},
    {"n": 2, "options": {"explain": "full"}},
    {"options": {"explain": "none"}},
    {"options": {"explain": "full", "language": "zh"}},
    {"channels": ["sms"]},
    {"candidates": [{"offer_id": "tea"}, {"offer_id": "no-such"}]},
    {"personalised": False},
    {"customer_id": "bob", "send_window": {"earliest": "2026-03-12T10:00:00+01:00"}},
    {"purpose": "transactional"},
    {"collection": "nothing"},
)


def stored(ask: dict[str, Any], given_inputs: DecisionInputs) -> StoredRecord:
    asked = request(**ask)
    return store_course(asked, given_inputs, decide_course(asked, given_inputs))


@pytest.mark.parametrize("ask", ASKS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_decided_is_what_is_read_back_and_what_is_answered(ask: dict[str, Any], seed: int) -> None:
    kept = stored(ask, inputs(seed=seed))
    record = decide(request(**ask), inputs(seed=seed))
    assert record == kept.record == read_record(kept.stored_bytes)
    assert canonical_json(record) == canonical_json(read_record(kept.stored_bytes))
    assert kept.answer_bytes == canonical_json(record.answer())
    assert read_record(store(record).stored_bytes) == record
    assert store(record).answer_bytes == kept.answer_bytes
    assert record.request.model_fields_set >= set(ask)


@pytest.mark.parametrize(
    "changes",
    [
        {"models": {}},
        {"counters": counters(known=False, consents={})},
        {"policies": {"default": PolicySpec(kind="noop")}},
        {"counters": counters(language="zh-CN")},
    ],
    ids=["no model", "no consent", "noop", "Chinese"],
)
def test_also_where_no_score_decides(changes: dict[str, Any]) -> None:
    kept = stored({}, inputs(**changes))
    assert kept.record == decided(**changes)
    assert kept.answer_bytes == canonical_json(kept.record.answer())


def test_a_record_of_20_offers_on_3_channels_is_small() -> None:
    asked, given_inputs = big_request(), big_inputs()
    kept = store_course(asked, given_inputs, decide_course(asked, given_inputs))
    record = kept.record
    assert len(record.candidates) == 61
    assert sum(item.dropped_by is None for item in record.candidates) > 30
    assert sum(item.dropped_by is not None for item in record.candidates) > 20
    assert len(record.features.values) > 60
    assert len(record.counters.contacts) == 30
    assert record.action[0].reason_codes
    assert len(kept.stored_bytes) < MOST_BYTES
    assert len(canonical_json(record)) > 2 * len(kept.stored_bytes)
    assert kept.answer_bytes == canonical_json(record.answer())


def test_features_come_back_digit_for_digit() -> None:
    given_inputs = big_inputs()
    record = decide(big_request(), given_inputs)
    back = {name: value for name, value in record.features.values.items() if not name.startswith("score_")}
    assert back == given_inputs.features.values
    hours = back["purchase_hours"]
    assert [type(item) for item in hours] == [float] * 168
    assert record.counters == given_inputs.counters


def test_version_1_is_read_for_ever() -> None:
    line = (CONTRACTS / "decision_record.v1.json").read_bytes()
    record = read_record(line)
    assert record == DecisionRecord.from_line(line)
    assert read_record(store(record).stored_bytes) == record
    assert read_fields(line)["candidates"] == json.loads(line)["candidates"]


def test_version_2_is_read_for_ever() -> None:
    """The golden line was written by the first release of version 2, with its record expanded beside it."""
    line = (STORED / "decision_record.v2.json").read_bytes().strip()
    expanded = (STORED / "decision_record.v2.expanded.json").read_bytes().strip()
    assert orjson.loads(line)["schema_version"] == 2
    record = read_record(line)
    assert contains(orjson.loads(canonical_json(record)), orjson.loads(expanded))
    assert read_record(store(record).stored_bytes) == record


def contains(now: Any, released: Any) -> bool:
    """Fields may be added; none that was released may vanish or change."""
    if isinstance(released, dict):
        return isinstance(now, dict) and all(key in now and contains(now[key], item) for key, item in released.items())
    if isinstance(released, list):
        return isinstance(now, list) and len(now) == len(released) and all(map(contains, now, released))
    return bool(now == released)


def test_a_line_of_an_unknown_version_is_refused_by_name() -> None:
    with pytest.raises(StateError, match="schema version 9"):
        read_record(b'{"schema_version": 9}')
    with pytest.raises(StateError, match="no JSON"):
        read_record(b"{")


def test_odd_records_come_back_too() -> None:
    """What no decision of today writes, but a contract allows: another offer in the statement, ages of their own."""
    record = decided({"channels": ["sms"]})
    one = record.candidates[1]
    dropped = Suppression(
        offer_id="*", channel=None, stage="caps", rule="r", until=record.decided_at, text="t", seen={"a": [1, "x"]}
    )
    odd = record.replace(
        candidates=(
            record.candidates[0],
            one.replace(dropped_by=dropped, propensity_interval=Interval(low=0.1, high=0.2, level=0.9), uplift=-0.0),
            *record.candidates[2:],
        ),
        feature_ages={"v": 1.5},
        contact=False,
        logged=False,
        latency_ms={"decide": 0.25},
        shadow=(ShadowChoice(policy="bold", models=(ModelRef(name="offer", version="2"),), agrees=True),),
        suppressed=(dropped,),
    )
    assert store(odd).record == odd
    assert store(odd).answer_bytes == canonical_json(odd.answer())


def test_a_shadow_that_was_logged_later_is_part_of_the_record() -> None:
    kept = store(decided())
    shadow = canonical_json([ShadowChoice(policy="bold").model_dump(mode="json", exclude_defaults=True)])
    record = read_record(kept.stored_bytes, shadow=shadow)
    assert record.shadow == (ShadowChoice(policy="bold"),)
    assert "shadow" not in orjson.loads(kept.answer_bytes)


MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1))  # noqa: DTZ001 - zones below


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_times_are_written_as_contracts_write_them(moment: datetime, minutes: int) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    utc = at.astimezone(UTC)
    for one in (at, utc):
        written = ShadowChoice(policy="p", send_at=one).model_dump(mode="json")["send_at"]
        assert time_text(one) == written


SCALARS = st.none() | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)


@settings(max_examples=300, deadline=None)
@given(st.lists(SCALARS, min_size=1, max_size=80), st.integers(1, 4))
def test_columns_come_back_the_same(values: list[Any], times: int) -> None:
    column = values * times
    packed = orjson.loads(orjson.dumps(pack_columns({"x": column})))
    back = unpack_column(packed["x"], len(column)) if "x" in packed else [None] * len(column)
    assert back == column
    assert [type(item) for item in back] == [type(item) for item in column]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)), max_size=30))
def test_rows_come_back_the_same(rows: list[dict[str, str]]) -> None:
    assert unpack_rows(orjson.loads(orjson.dumps(pack_rows(rows)))) == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9).map(float) | st.floats(0, 9), min_size=168, max_size=168))
def test_hours_come_back_the_same(hours: list[float]) -> None:
    for value in (hours, [round(hour) for hour in hours], [float(round(hour)) for hour in hours], hours[:3]):
        packed = orjson.loads(orjson.dumps(pack_values({"x": value})))
        back = unpack_values(packed)["x"]
        assert back == value
        assert [type(item) for item in back] == [type(item) for item in value]


def test_a_column_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 2 rows, must have 3"):
        unpack_column([1.0, 2.0], 3)
