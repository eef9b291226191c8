"""Tables of DuckDB that are filled from a stream, a batch at a time: what does not fit into memory goes to disk."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

BATCH = 20_000
"""Rows per table that are in memory at a time."""


class Store:
    """Some tables, filled row by row.

    Args:
        tables: A connection to DuckDB.
        schemas: By name of the table.
    """

    def __init__(self, tables: duckdb.DuckDBPyConnection, schemas: Mapping[str, pa.Schema]) -> None:
        self._tables = tables
        self._schemas = schemas
        self._waiting: dict[str, list[Sequence[Any]]] = {name: [] for name in schemas}
        for name, schema in schemas.items():
            tables.register("store_batch", schema.empty_table())
            tables.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM store_batch")  # noqa: S608 - our own name

    def add(self, name: str, row: Sequence[Any]) -> None:
        """Adds a row to a table; values in the order of its schema."""
        waiting = self._waiting[name]
        waiting.append(row)
        if len(waiting) == BATCH:
            self._flush(name)

    def done(self) -> None:
        """Writes what waits; to be called before anything is read."""
        for name in self._schemas:
            self._flush(name)
        self._tables.unregister("store_batch")

    def _flush(self, name: str) -> None:
        rows, self._waiting[name] = self._waiting[name], []
        if not rows:
            return
        schema = self._schemas[name]
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, type=part.type) for values, part in zip(columns, schema, strict=True)]
        self._tables.register("store_batch", pa.Table.from_arrays(arrays, schema=schema))
        self._tables.execute(f"INSERT INTO {name} SELECT * FROM store_batch")  # noqa: S608 - our own name


def rows_of(tables: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Rows of a query that may be as long as the log, a batch at a time."""
    cursor = tables.cursor()
    cursor.execute(query, list(parameters))
    while rows := cursor.fetchmany(BATCH):
        yield from rows
