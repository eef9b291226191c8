# ruff: noqa: ARG002, PLR0917 - the signatures are Feast's
"""Feast's online store over ``packed``: one row per customer and view, and the newest value wins.

Named in ``feature_store.yaml`` as ``foretouch.features.online_store.PackedOnlineStore``. What it mends of Feast 0.67's
own SQLite store: a late push overwrote newer values, times were cut to seconds, and one customer's read unpacked a
protobuf message per feature.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.repo_config import FeastConfigBaseModel
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values

from foretouch.features.packed import FeatureRow, forget_views, open_packed, read_rows, write_rows

EntityRow = tuple[EntityKeyProto, dict[str, ValueProto], datetime, datetime | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """The store's settings in ``feature_store.yaml``."""

    type: Literal["foretouch.features.online_store.PackedOnlineStore"] = (
        "foretouch.features.online_store.PackedOnlineStore"
    )
    path: str
    """The SQLite file; relative to the folder of ``feature_store.yaml``."""


class PackedOnlineStore(OnlineStore):
    """One SQLite file; see ``packed``."""

    _connection: sqlite3.Connection | None = None

    def _open(self, config: RepoConfig) -> sqlite3.Connection:
        if self._connection is None:
            path = Path(config.online_store.path)
            if not path.is_absolute() and config.repo_path is not None:
                path = Path(config.repo_path) / path
            self._connection = open_packed(path)
        return self._connection

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[EntityRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Writes a batch; rows older than the stored ones change nothing."""
        write_rows(
            self._open(config),
            [
                FeatureRow(
                    entity=entity_id(key),
                    view=table.name,
                    event_at=_aware(event_at),
                    created_at=_aware(created_at or event_at),
                    features={name: feast_value_type_to_python_type(value) for name, value in values.items()},
                )
                for key, values, event_at, created_at in data
            ],
        )
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, ValueProto] | None]]:
        """Reads one view for many customers, in their order; ``(None, None)`` where nothing is known."""
        connection = self._open(config)
        types = {field.name: field.dtype.to_value_type() for field in table.features}
        wanted = requested_features or list(types)
        result: list[tuple[datetime | None, dict[str, ValueProto] | None]] = []
        for key in entity_keys:
            row = read_rows(connection, entity_id(key)).get(table.name)
            if row is None:
                result.append((None, None))
                continue
            values = {
                name: python_values_to_proto_values([row.features.get(name)], types[name])[0]
                for name in wanted
                if name in types
            }
            result.append((row.event_at, values))
        return result

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Makes the file, and forgets the views that are no more."""
        forget_views(self._open(config), [table.name for table in tables_to_delete])

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Forgets every view."""
        forget_views(self._open(config), [table.name for table in tables])


def entity_id(key: EntityKeyProto) -> str:
    """The customer id in Feast's entity key."""
    value: str = key.entity_values[0].string_val
    return value


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
