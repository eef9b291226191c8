# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""Takes customers that were posted to the service over into the canonical table, before anything reads that."""

import os
from contextlib import closing
from datetime import datetime
from typing import Any

import pyarrow as pa

from foretouch.core import columns as c
from foretouch.core.state.opening import open_state
from foretouch.core.state.people import Person
from foretouch.core.state.posted import posted_customers, taken_over
from foretouch.core.workspace import Workspace
from foretouch.features.schemas import literal
from foretouch.features.tables import create_raw_view, open_duckdb

POSTED = "posted_rows"


def take_over_customers(workspace: Workspace) -> int:
    """Puts posted customers into ``customers.parquet``: each replaces the row of its id, but for ``created_at``.

    Returns:
        How many there were.
    """
    if workspace.config.state.url is None and not workspace.state_file.is_file():
        return 0
    with open_state(workspace) as state:
        posted = list(posted_customers(state.read()))
        if posted:
            _merge(workspace, rows_of(posted))
            done = [(person.customer_id, at) for person, at in posted]
            state.write(lambda connection: taken_over(connection, done))
    return len(posted)


def rows_of(posted: list[tuple[Person, datetime]]) -> pa.Table:
    """Posted customers as rows: attributes become columns of one type each, text where they differ."""
    own: dict[str, list[Any]] = {
        c.CUSTOMER_ID: [person.customer_id for person, _ in posted],
        c.HOUSEHOLD_ID: [person.household_id for person, _ in posted],
        c.TIME_ZONE: [person.time_zone for person, _ in posted],
        c.LANGUAGE: [person.language for person, _ in posted],
    }
    columns: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in own.items()}
    columns[c.CREATED_AT] = pa.array([at for _, at in posted], pa.timestamp("us", tz="UTC"))
    for name in dict.fromkeys(name for person, _ in posted for name in person.attributes):
        columns[name] = _attribute([person.attributes.get(name) for person, _ in posted])
    return pa.table(columns)


def _attribute(values: list[Any]) -> Any:
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return pa.array(values, pa.bool_())
    if not any(isinstance(value, (bool, str)) for value in present):
        return pa.array(values, pa.float64())
    texts: list[Any] = [None if value is None else str(value) for value in values]
    return pa.array(texts, pa.string())


def _merge(workspace: Workspace, rows: pa.Table) -> None:
    path = workspace.table(c.CUSTOMERS)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{c.CUSTOMERS}.{os.getpid()}.tmp")
    with closing(open_duckdb()) as tables:
        create_raw_view(tables, workspace, c.CUSTOMERS)
        tables.register(POSTED, rows)
        tables.execute(
            f"""
            COPY (
                SELECT * FROM raw_customers ANTI JOIN {POSTED} USING (customer_id)
                UNION ALL BY NAME
                SELECT p.* REPLACE (coalesce(k.created_at, p.created_at) AS created_at)
                FROM {POSTED} p LEFT JOIN (SELECT customer_id, created_at FROM raw_customers) k USING (customer_id)
                ORDER BY customer_id
            ) TO {literal(str(draft))} (FORMAT parquet, COMPRESSION zstd)
            """
        )
    draft.replace(path)
