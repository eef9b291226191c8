# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""Reading the canonical tables: DuckDB views over Parquet, the posted events, and the merged aliases."""

from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from foretouch.core import columns as c
from foretouch.core.canonical import canonical_json
from foretouch.core.errors import DataError
from foretouch.core.events import CustomerEvent
from foretouch.core.state.connection import Connection
from foretouch.core.state.log import read_events
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.features.schemas import COLUMNS, literal, quoted

RESPONSE_RECEIVED_AT = "response_received_at"
OWNED = (c.CUSTOMERS, c.EVENTS, c.CONSENTS, c.TOUCHES, c.SUPPRESSIONS)
"""Tables whose rows belong to a customer: their ids are replaced by the one they are an alias of."""


def open_duckdb(*, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB whose session lives in UTC and reaches for no network.

    Args:
        threads: Cores it may use.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": True, "threads": threads}
    )
    connection.execute("SET TimeZone = 'UTC'")
    with suppress(duckdb.InvalidInputException):  # in Jupyter without its widgets there is no bar to turn off
        connection.execute("SET enable_progress_bar = false")
    return connection


def spill(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Bounds a connection's memory: what needs more goes to disk, under the workspace's ``features`` folder."""
    folder = workspace.features_folder / ".spill"
    connection.execute(f"SET temp_directory = {literal(str(folder))}")
    connection.execute(f"SET memory_limit = '{workspace.config.features.memory_gib:g}GiB'")
    connection.execute("SET preserve_insertion_order = false")


def stored_files(workspace: Workspace, name: str) -> str | None:
    """The pattern of a table's Parquet files, one file or a folder of parts; ``None`` where there is none."""
    path = workspace.table(name)
    folder = path.with_suffix("")
    if path.is_file():
        return str(path)
    if folder.is_dir() and any(folder.glob("*.parquet")):
        return str(folder / "*.parquet")
    return None


def read_table(workspace: Workspace, name: str) -> pd.DataFrame:
    """One canonical table as it is stored: before aliases are merged and without posted events.

    Returns:
        A frame with at least the canonical columns; empty where nothing was ingested. Times are UTC.

    Raises:
        DataError: There is no such table, or its file cannot be read.
    """
    if name not in COLUMNS:
        raise DataError(f"table == {name!r}, must be one of {', '.join(c.TABLES)}")
    with closing(open_duckdb()) as connection:
        create_raw_view(connection, workspace, name)
        return connection.execute(f"SELECT * FROM raw_{name}").df()


def create_raw_view(connection: duckdb.DuckDBPyConnection, workspace: Workspace, name: str) -> None:
    """Makes the view ``raw_<name>``: canonical columns in their types, then the attributes as they came."""
    files = stored_files(workspace, name)
    types = COLUMNS[name]
    if files is None:
        body = ", ".join(f"NULL::{type_} AS {quoted(column)}" for column, type_ in types.items())
        connection.execute(f"CREATE OR REPLACE VIEW raw_{name} AS SELECT {body} WHERE false")
        return
    source = f"read_parquet({literal(files)}, union_by_name = true)"
    try:
        found = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    except duckdb.Error as error:
        raise DataError(f"{files} cannot be read: {error}", hint=f"foretouch ingest --{name} FILE") from error
    parts = [
        f"{quoted(column)}::{type_} AS {quoted(column)}" if column in found else f"NULL::{type_} AS {quoted(column)}"
        for column, type_ in types.items()
    ]
    parts += [quoted(column) for column in found if column not in types]
    connection.execute(f"CREATE OR REPLACE VIEW raw_{name} AS SELECT {', '.join(parts)} FROM {source}")


def connect(workspace: Workspace, *, customers: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with one view per canonical table, ready for the feature definitions.

    ``events`` holds the ingested and the posted events, each id once (an ingested row wins over a posted one),
    bots flagged and kept. Ids of aliases are replaced by the customer they belong to.

    Args:
        workspace: Whose tables.
        customers: Read the posted events of these customers only; ``None`` reads all.

    Returns:
        An open connection; the caller closes it.
    """
    connection = open_duckdb()
    for name in c.TABLES:
        create_raw_view(connection, workspace, name)
    merged = first_row(connection, "SELECT count(*) > 0 FROM raw_aliases")[0]
    if merged:
        aliases = connection.execute("SELECT customer_id, alias_of FROM raw_aliases").fetchall()
        roots = resolve_aliases(dict(aliases))
        connection.register("alias_roots", pa.table({"alias": list(roots), "root": list(roots.values())}))
    posted = posted_events(workspace, customers)
    connection.register("posted_events", posted)
    for name in c.TABLES:
        source = f"SELECT * FROM raw_{name}"
        if name == c.EVENTS:
            source = _events_source(connection, with_posted=posted.num_rows > 0)
        if name == c.TOUCHES:
            source = _touches_source(connection, workspace, customers)
        if merged and name in OWNED:
            source = _merged_source(source, name)
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {source}")
    return connection


def _events_source(connection: duckdb.DuckDBPyConnection, *, with_posted: bool) -> str:
    names = list(COLUMNS[c.EVENTS])
    listed = ", ".join(quoted(name) for name in names if name != c.IS_BOT)
    ingested = f"SELECT {listed}, coalesce(is_bot, false) AS is_bot FROM raw_events"
    if not with_posted:
        return ingested
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE new_events AS SELECT * FROM posted_events ANTI JOIN"
        " (SELECT event_id FROM raw_events SEMI JOIN posted_events USING (event_id)) USING (event_id)"
    )
    return f"{ingested} UNION ALL SELECT {listed}, is_bot FROM new_events"


_LIVE_TOUCHES = """
    SELECT k.contact_id, k.customer_id, k.offer_id, k.channel, k.at,
           (SELECT min(o.occurred_at) FROM outcomes o
            WHERE o.decision_id = k.decision_id AND o.type IN ('convert', 'click')),
           (SELECT min(o.received_at) FROM outcomes o
            WHERE o.decision_id = k.decision_id AND o.type IN ('convert', 'click'))
    FROM contacts k WHERE k.decision_id IS NOT NULL AND k.status = 'sent'"""
"""Contacts that the service proposed and that went out: from then on they are touches like any other."""


def _touches_source(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, customers: Iterable[str] | None
) -> str:
    """Ingested touches, then the service's own; a response counts from the moment it was known."""
    moment = pa.timestamp("us", tz="UTC")
    rows: list[tuple[object, ...]] = []
    state = read_state(workspace)
    if state is not None:
        with closing(state):
            if customers is None:
                rows = state.execute(_LIVE_TOUCHES).fetchall()
            else:
                for customer_id in customers:
                    rows += state.execute(f"{_LIVE_TOUCHES} AND k.customer_id = ?", (customer_id,)).fetchall()
    schema = pa.schema(
        [(name, pa.string()) for name in (c.TOUCH_ID, c.CUSTOMER_ID, c.OFFER_ID, c.CHANNEL)]
        + [(name, moment) for name in (c.SENT_AT, c.RESPONDED_AT, RESPONSE_RECEIVED_AT)]
    )
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    live = pa.Table.from_arrays(arrays, schema=schema)
    connection.register("live_touches", live)
    return (
        f"SELECT *, responded_at AS {RESPONSE_RECEIVED_AT} FROM raw_touches"
        " UNION ALL BY NAME SELECT *, responded_at IS NOT NULL AS responded, true AS immature FROM live_touches"
    )


def _merged_source(source: str, name: str) -> str:
    body = (
        f"SELECT t.* REPLACE (coalesce(a.root, t.customer_id) AS customer_id) FROM ({source}) t "
        "LEFT JOIN alias_roots a ON a.alias = t.customer_id"
    )
    if name == c.CUSTOMERS:
        return f"{body} WHERE a.root IS NULL"
    return body


def first_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The first row of a query's result, which is read to its end (DuckDB 2 refuses other work before that)."""
    row: tuple[Any, ...] = connection.execute(query).fetchall()[0]
    return row


def resolve_aliases(pairs: dict[str, str]) -> dict[str, str]:
    """The customer that each alias stands for, chains followed to their end.

    A ring (a is b, b is a) stands for its smallest id, so that the result never depends on the order of rows.

    Args:
        pairs: Alias to the id it is an alias of.

    Returns:
        Alias to root; ids that are their own root are left out.
    """
    roots: dict[str, str] = {}
    for start in pairs:
        path = [start]
        seen = {start}
        while path[-1] in pairs and pairs[path[-1]] not in seen:
            path.append(pairs[path[-1]])
            seen.add(path[-1])
        end = path[-1]
        if end in pairs:
            ring_start = path.index(pairs[end])
            end = min(path[ring_start:])
        if end != start:
            roots[start] = end
    return roots


_ARROW: dict[str, Any] = {
    c.OCCURRED_AT: pa.timestamp("us", tz="UTC"),
    c.RECEIVED_AT: pa.timestamp("us", tz="UTC"),
    c.VALUE: pa.float64(),
    c.IS_BOT: pa.bool_(),
}
EVENT_SCHEMA = pa.schema([(name, _ARROW.get(name, pa.string())) for name in COLUMNS[c.EVENTS]])


def posted_events(workspace: Workspace, customers: Iterable[str] | None = None) -> pa.Table:
    """Events posted to the service, as a table with the canonical columns.

    Args:
        workspace: Whose state; where nothing was ever written there are none.
        customers: Only these customers' events; ``None`` is everyone's.
    """
    rows: list[dict[str, object]] = []
    state = read_state(workspace)
    if state is not None:
        with closing(state):
            rows = [_event_row(event) for event in _posted(state, customers)]
    return pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)


def _posted(state: Connection, customers: Iterable[str] | None) -> Iterable[CustomerEvent]:
    if customers is None:
        yield from read_events(state)
        return
    for customer_id in customers:
        yield from read_events(state, customer_id)


def _event_row(event: CustomerEvent) -> dict[str, object]:
    return {
        c.EVENT_ID: event.event_id,
        c.CUSTOMER_ID: event.customer_id,
        c.EVENT: event.event,
        c.OCCURRED_AT: event.occurred_at,
        c.RECEIVED_AT: event.received_at or event.occurred_at,
        c.CHANNEL: event.channel,
        c.VALUE: event.value,
        c.CURRENCY: event.currency,
        c.IS_BOT: event.is_bot,
        c.PROPERTIES: canonical_json(event.properties).decode(),
    }
