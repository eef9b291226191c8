"""The decision log as Parquet, for any engine: one row per decision and one per candidate, a folder per day.

``DIR/decisions/day=2026-03-10/part-000000000001.parquet`` and ``DIR/candidates/…`` beside it. A part is named after the
log's sequence number of its first decision, so that the same export writes the same files. What is done is kept in
``DIR/export.json``: the next call goes on behind it. A part is written under another name and then renamed, and
``export.json`` is replaced last, so that an export that was cut off is done again from its last whole batch.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import Candidate, DecisionRecord
from foretouch.core.errors import DataError
from foretouch.core.schema import Contract
from foretouch.core.state.connection import Connection, stream, to_micros
from foretouch.core.stored_record import read_record

BATCH = 5_000
"""Decisions per batch: what is in memory at a time."""
PROGRESS_FILE = "export.json"
_MOMENT = pa.timestamp("us", tz="UTC")
_LIST = pa.list_(pa.string())

_DECISION_COLUMNS: dict[str, pa.DataType] = {
    "sequence": pa.int64(),
    "decision_id": pa.string(),
    "request_id": pa.string(),
    "customer_id": pa.string(),
    "household_id": pa.string(),
    "touchpoint": pa.string(),
    "purpose": pa.string(),
    "decided_at": _MOMENT,
    "expires_at": _MOMENT,
    "status": pa.string(),
    "status_reason": pa.string(),
    "fallback_step": pa.string(),
    "contact": pa.bool_(),
    "actions": pa.int32(),
    "offer_id": pa.string(),
    "treatment_id": pa.string(),
    "channel": pa.string(),
    "placement": pa.string(),
    "send_at": _MOMENT,
    "slot_probability": pa.float64(),
    "slot_explored": pa.bool_(),
    "propensity": pa.float64(),
    "uplift": pa.float64(),
    "value": pa.float64(),
    "cost": pa.float64(),
    "price": pa.float64(),
    "priority": pa.float64(),
    "selection_probability": pa.float64(),
    "explored": pa.bool_(),
    "seed": pa.string(),
    "experiments": pa.string(),
    "models": pa.string(),
    "versions": pa.string(),
    "features": pa.string(),
    "feature_ages": pa.string(),
    "context": pa.string(),
    "latency_ms": pa.string(),
    "shadow": pa.string(),
    "warnings": _LIST,
}
DECISION_SCHEMA = pa.schema(_DECISION_COLUMNS)
"""One row per decision; fields of the first action stand in the row. Columns of ``json`` text: ``experiments`` to
``shadow``."""

_CANDIDATE_COLUMNS: dict[str, pa.DataType] = {
    "sequence": pa.int64(),
    "decision_id": pa.string(),
    "decided_at": _MOMENT,
    "position": pa.int32(),
    "offer_id": pa.string(),
    "treatment_id": pa.string(),
    "channel": pa.string(),
    "chosen": pa.bool_(),
    "rank": pa.int32(),
    "dropped_stage": pa.string(),
    "dropped_rule": pa.string(),
    "dropped_until": _MOMENT,
    "dropped_text": pa.string(),
    "propensity": pa.float64(),
    "propensity_low": pa.float64(),
    "propensity_high": pa.float64(),
    "uplift": pa.float64(),
    "value": pa.float64(),
    "cost": pa.float64(),
    "price": pa.float64(),
    "weights": pa.string(),
    "priority": pa.float64(),
    "selection_probability": pa.float64(),
}
CANDIDATE_SCHEMA = pa.schema(_CANDIDATE_COLUMNS)
"""One row per candidate; ``offer_id`` null is no contact, ``position`` its place in the record."""


class Progress(Contract):
    """How far an export has come."""

    schema_version: int = 1
    since: str | None = None
    until: str | None = None
    last_sequence: int = 0
    decisions: int = 0
    candidates: int = 0


def export_decisions(
    connection: Connection,
    out: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Progress:
    """Writes what is in the log and not yet in a folder.

    Args:
        connection: Reads the log.
        out: The folder; made where it is not there.
        since: Decided at or after.
        until: Decided before.
        progress: Told how many decisions were written by this call.

    Returns:
        How far the folder has come, earlier calls counted in.

    Raises:
        DataError: The folder holds an export of another range.
    """
    done = _progress(out, since, until)
    written = 0
    for rows in _batches(connection, done.last_sequence, since, until):
        records = [(sequence, read_record(body, shadow=shadow)) for sequence, body, shadow in rows]
        decisions = [_decision_row(sequence, record) for sequence, record in records]
        candidates = [row for sequence, record in records for row in _candidate_rows(sequence, record)]
        _write(out / "decisions", decisions, DECISION_SCHEMA)
        _write(out / "candidates", candidates, CANDIDATE_SCHEMA)
        done = done.replace(
            last_sequence=records[-1][0],
            decisions=done.decisions + len(decisions),
            candidates=done.candidates + len(candidates),
        )
        _replace(out / PROGRESS_FILE, canonical_json(done))
        written += len(decisions)
        progress(written)
    return done


def _progress(out: Path, since: datetime | None, until: datetime | None) -> Progress:
    wanted = Progress(
        since=None if since is None else since.isoformat(), until=None if until is None else until.isoformat()
    )
    path = out / PROGRESS_FILE
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        return wanted
    try:
        done = Progress.from_line(path.read_bytes())
    except (ValueError, orjson.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="export to an empty folder") from error
    if (done.since, done.until) != (wanted.since, wanted.until):
        said = f"--since {done.since or '(the beginning)'} --until {done.until or '(now)'}"
        raise DataError(f"{out} holds an export of {said}", hint="the same range, or another folder")
    return done


def _batches(
    connection: Connection, after: int, since: datetime | None, until: datetime | None
) -> Iterator[list[tuple[int, bytes, bytes | None]]]:
    query = (
        "SELECT d.sequence, d.record, s.body FROM decisions d LEFT JOIN shadows s ON s.decision_id = d.decision_id"
        " WHERE d.sequence > ? AND d.decided_at >= ? AND d.decided_at < ? ORDER BY d.sequence"
    )
    bounds = (after, to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62)
    rows: list[tuple[int, bytes, bytes | None]] = []
    for sequence, body, shadow in stream(connection, query, bounds):
        rows.append((sequence, body, shadow))
        if len(rows) == BATCH:
            yield rows
            rows = []
    if rows:
        yield rows


def _write(folder: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """One part per day, named after its first sequence number; a part that is there already is written again."""
    by_day: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_day.setdefault(f"{row['decided_at'].astimezone(UTC):%Y-%m-%d}", []).append(row)
    for day, part in by_day.items():
        target = folder / f"day={day}" / f"part-{part[0]['sequence']:012d}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.tmp")
        pq.write_table(pa.Table.from_pylist(part, schema=schema), draft, compression="zstd")
        draft.replace(target)


def _replace(path: Path, body: bytes) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _json(value: object) -> str:
    return canonical_json(value).decode()


def _decision_row(sequence: int, record: DecisionRecord) -> dict[str, Any]:
    shared = {name: getattr(record, name) for name in DECISION_SCHEMA.names if name in DecisionRecord.model_fields}
    first = record.action[0] if record.action else None
    send = first.send if first is not None else None
    own: dict[str, Any] = {
        "sequence": sequence,
        "household_id": record.counters.household_id,
        "actions": len(record.action),
        "slot_probability": None if send is None else send.slot_probability,
        "slot_explored": None if send is None else send.explored,
        "context": _json(record.request.context),
        "experiments": _json(record.experiments),
        "models": _json(record.models),
        "versions": _json(record.versions),
        "features": _json(record.features.values),
        "feature_ages": _json(record.feature_ages),
        "latency_ms": _json(record.latency_ms),
        "shadow": _json(record.shadow),
        "warnings": list(record.warnings),
    }
    if first is not None:
        names = ("offer_id", "treatment_id", "channel", "placement", "send_at", "propensity", "uplift", "value", "cost")
        own |= {
            name: getattr(first, name) for name in (*names, "price", "priority", "selection_probability", "explored")
        }
    else:
        own["selection_probability"] = record.candidates[0].selection_probability if record.candidates else None
    return {**shared, **own}


def _candidate_rows(sequence: int, record: DecisionRecord) -> Iterator[dict[str, Any]]:
    ranks = {(action.offer_id, action.treatment_id, action.channel): action.rank for action in record.action}
    for position, candidate in enumerate(record.candidates):
        rank = ranks.get((candidate.offer_id or "", candidate.treatment_id, candidate.channel or ""))
        dropped, around = candidate.dropped_by, candidate.propensity_interval
        shared = {name: getattr(candidate, name) for name in CANDIDATE_SCHEMA.names if name in Candidate.model_fields}
        yield {
            **shared,
            "sequence": sequence,
            "decision_id": record.decision_id,
            "decided_at": record.decided_at,
            "position": position,
            "chosen": rank is not None or (candidate.offer_id is None and not record.action),
            "rank": rank,
            "dropped_stage": None if dropped is None else dropped.stage,
            "dropped_rule": None if dropped is None else dropped.rule,
            "dropped_until": None if dropped is None else dropped.until,
            "dropped_text": None if dropped is None else dropped.text,
            "propensity_low": None if around is None else around.low,
            "propensity_high": None if around is None else around.high,
            "weights": _json(candidate.weights),
        }
