"""The online store's layout in SQLite: one row per customer and feature view, values as JSON, the newest wins.

Feast's own SQLite layout keeps one row per single feature and lets a late value overwrite a newer one; this one is
read in one step and compares times in the statement that writes. ``online_store.PackedOnlineStore`` puts it behind
Feast's interface, so that Feast stays the only writer of snapshots and both ways of reading agree.
"""

import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from foretouch.core.errors import StateError
from foretouch.core.state.db import from_micros, to_micros

TABLE = """
CREATE TABLE IF NOT EXISTS feature_rows (
    entity TEXT NOT NULL, view TEXT NOT NULL, event_us INTEGER NOT NULL, created_us INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (entity, view)) WITHOUT ROWID
"""
UPSERT = """
INSERT INTO feature_rows (entity, view, event_us, created_us, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (entity, view) DO UPDATE SET event_us = excluded.event_us, created_us = excluded.created_us,
    body = excluded.body
WHERE excluded.event_us > feature_rows.event_us
   OR (excluded.event_us = feature_rows.event_us AND excluded.created_us >= feature_rows.created_us)
"""

READ = "SELECT view, event_us, created_us, body FROM feature_rows WHERE entity = ? ORDER BY view"
EMPTY = b"{}"
REASONS_OF = "~"
"""Begins the name of a row that is no view's but holds what was worked out from them: it sorts after every view."""


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One customer's values of one view.

    Args:
        entity: The customer's id.
        view: Feature view.
        event_at: When the values were true.
        created_at: When they were computed.
        features: Values by name; ``None`` and NaN are missing.
    """

    entity: str
    view: str
    event_at: datetime
    created_at: datetime
    features: Mapping[str, Any]


def open_packed(path: Path) -> sqlite3.Connection:
    """Opens (and makes) the online store's file: WAL, so that readers never wait for a writer.

    Raises:
        StateError: The file cannot be opened.
    """
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(TABLE)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise StateError(f"{path} cannot be opened: {error}", hint="foretouch features materialize") from error
    return connection


def write_rows(connection: sqlite3.Connection, rows: Iterable[FeatureRow]) -> None:
    """Writes rows in one transaction; a row older than the stored one changes nothing."""
    encoded = [
        (
            row.entity,
            row.view,
            to_micros(row.event_at),
            to_micros(row.created_at),
            orjson.dumps(dict(row.features), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS),
        )
        for row in rows
    ]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(UPSERT, encoded)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def read_rows(connection: sqlite3.Connection, entity: str) -> dict[str, FeatureRow]:
    """One customer's rows by view; empty for a customer nobody knows."""
    found = connection.execute(
        "SELECT view, event_us, created_us, body FROM feature_rows WHERE entity = ?", (entity,)
    ).fetchall()
    return {
        view: FeatureRow(
            entity=entity,
            view=view,
            event_at=from_micros(event_us),
            created_at=from_micros(created_us),
            features=orjson.loads(body),
        )
        for view, event_us, created_us, body in found
    }


@dataclass(frozen=True, slots=True)
class Packed:
    """One customer, as the service reads them.

    Args:
        values: By feature name.
        times: By view, microseconds since 1970 UTC: when its values were true.
        created: The same: when they were computed.
        reasons: By ``model/version``, what was worked out beforehand from these very rows, as JSON values.
    """

    values: dict[str, Any]
    times: dict[str, int]
    created: dict[str, int]
    reasons: dict[str, list[dict[str, Any]]]

    @property
    def basis(self) -> str:
        """Names the very rows that the values are from."""
        return "|".join([f"{view}:{at}:{self.created[view]}" for view, at in self.times.items()])


def read_packed(connection: sqlite3.Connection, entity: str, views: Container[str]) -> Packed:
    """The same read as ``read_rows`` without an object per row; a customer nobody knows has no times.

    The bodies of all views are read as one JSON object, whose names stay apart: no two views share a feature's name.

    Args:
        connection: The online store.
        entity: The customer's id.
        views: Only these.
    """
    times: dict[str, int] = {}
    created: dict[str, int] = {}
    bodies: list[bytes] = []
    ahead: list[tuple[str, bytes]] = []
    for view, event_us, created_us, body in connection.execute(READ, (entity,)).fetchall():
        if view in views:
            times[view], created[view] = event_us, created_us
            if body != EMPTY:
                bodies.append(body[1:-1])
        elif view.startswith(REASONS_OF):
            ahead.append((view[len(REASONS_OF) :], body))
    found = Packed(orjson.loads(b"{%b}" % b",".join(bodies)), times, created, {})
    if ahead:
        basis = found.basis
        for name, body in ahead:
            stored = orjson.loads(body)
            if stored["basis"] == basis:  # of other values than these they would be wrong
                found.reasons[name] = stored["reasons"]
    return found


def reasons_row(
    entity: str, model: str, packed: Packed, reasons: Sequence[Mapping[str, Any]], at: datetime
) -> FeatureRow:
    """What moves a customer's score, as a row beside the features that it was worked out from.

    Args:
        entity: The customer's id.
        model: ``model/version``.
        packed: The features.
        reasons: JSON values, strongest first.
        at: When they were worked out.
    """
    body = {"basis": packed.basis, "reasons": list(reasons)}
    return FeatureRow(entity=entity, view=REASONS_OF + model, event_at=at, created_at=at, features=body)


def forget_reasons(connection: sqlite3.Connection, model: str, version: str) -> None:
    """Deletes the reasons of every version of a model but one."""
    connection.execute(
        "DELETE FROM feature_rows WHERE view >= ? AND view < ? AND view <> ?",
        (f"{REASONS_OF}{model}/", f"{REASONS_OF}{model}0", f"{REASONS_OF}{model}/{version}"),
    )


def entities(connection: sqlite3.Connection) -> list[str]:
    """Every customer with online features, in the order of their ids."""
    return [str(name) for (name,) in connection.execute("SELECT DISTINCT entity FROM feature_rows ORDER BY entity")]


def forget_views(connection: sqlite3.Connection, views: Sequence[str]) -> None:
    """Deletes every row of views that are no more."""
    connection.executemany("DELETE FROM feature_rows WHERE view = ?", [(view,) for view in views])
