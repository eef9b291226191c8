# ruff: noqa: S608 - every name and literal in these statements is quoted or comes from this package
"""Building features: one definition over a spine of ``(customer_id, as_of)`` rows, for history and for now."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from foretouch.core import columns as c
from foretouch.core.clusters import ClusterModel, read_clusters
from foretouch.core.config import Config
from foretouch.core.errors import DataError, NotReadyError
from foretouch.core.workspace import Workspace
from foretouch.features import definitions_sql as sql
from foretouch.features.catalogue import HOURS, RHYTHM, VIEWS, FeatureSpec, features_of, view_features
from foretouch.features.clusters import add_cluster
from foretouch.features.growing import GrowingFiles
from foretouch.features.history_sample import HistorySample, keep_sample, plan_sample, sampled
from foretouch.features.posted import take_over_customers
from foretouch.features.schemas import literal, quoted
from foretouch.features.tables import connect, first_row, spill

EVENT_TIMESTAMP, BUILT_AT = "event_timestamp", "built_at"
"""Feast's two times of a row: when its values were true, and when they were computed."""

CHUNK_ROWS = 100_000
"""Rows of the history that are computed at a time: with the hours of the week, 1.3 kB each beside their events."""

Say = Callable[[str], None]


def offline_file(workspace: Workspace, view: str) -> Path:
    """The Parquet file of a feature view's history."""
    return workspace.features_folder / "offline" / f"{view}.parquet"


def build_features(workspace: Workspace, spine: pd.DataFrame) -> pd.DataFrame:
    """Every customer feature as of the times of a spine.

    Args:
        workspace: Whose tables.
        spine: Columns ``customer_id`` and ``as_of`` (tz-aware), one row per wanted snapshot.

    Returns:
        The spine's rows in their order, with every feature of ``catalogue.features_of(workspace.config)``; a customer
        nobody knows gets zero counts and missing values.

    Raises:
        DataError: The spine lacks a column, or its times have no zone.
    """
    with closing(connect(workspace)) as connection:
        set_spine(connection, spine)
        compute(connection, workspace.config, clusters=read_clusters(workspace.segments_folder))
        joins = " ".join(f"JOIN f_{view} USING (row_id)" for view in VIEWS)
        names = ", ".join(stored_column(spec) for spec in features_of(workspace.config).values())
        return connection.execute(f"SELECT customer_id, as_of, {names} FROM spine {joins} ORDER BY row_id").df()


def set_spine(connection: duckdb.DuckDBPyConnection, spine: pd.DataFrame) -> None:
    """Makes the table ``spine`` with columns row_id, customer_id, as_of and as_of_us.

    Raises:
        DataError: The spine lacks a column, or its times have no zone.
    """
    missing = [name for name in (c.CUSTOMER_ID, c.AS_OF) if name not in spine.columns]
    if missing:
        raise DataError(f"the spine lacks {', '.join(missing)}; it has {', '.join(map(str, spine.columns))}")
    times = spine[c.AS_OF]
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise DataError(f"as_of has type {times.dtype}, must be a time with a zone")
    table = pa.table(
        {
            "row_id": pa.array(np.arange(len(spine), dtype=np.int64)),
            c.CUSTOMER_ID: pa.array(spine[c.CUSTOMER_ID].astype(str), type=pa.string()),
            c.AS_OF: pa.array(times.dt.tz_convert("UTC"), type=pa.timestamp("us", tz="UTC")),
        }
    )
    connection.register("given_spine", table)
    connection.execute("CREATE OR REPLACE TEMP TABLE spine AS SELECT *, epoch_us(as_of) AS as_of_us FROM given_spine")
    connection.unregister("given_spine")


def compute(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    *,
    cuts: str | None = None,
    clusters: ClusterModel | None = None,
) -> None:
    """Fills one table ``f_<view>`` per feature view for the rows of ``spine``.

    Args:
        connection: With the views of ``tables.connect`` and the table ``spine``.
        config: The workspace's.
        cuts: A relation with the RFM cuts of every month of the spine; ``None`` computes them.
        clusters: The workspace's, where the configuration wants a customer's cluster.
    """
    for statement in sql.preparation(config):
        connection.execute(statement)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE rfm_cuts AS {f'FROM {cuts}' if cuts else sql.cuts(config)}")
    for view, query in sql.view_queries(config).items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE f_{view} AS {query}")
    _rhythm(connection, config)
    if config.segments.clusters:
        add_cluster(connection, clusters, {spec.name: spec.view for spec in features_of(config).values()})


def month_cuts(connection: duckdb.DuckDBPyConnection, config: Config, at: datetime) -> pa.Table:
    """The RFM cuts of the month of a time, as ``compute`` takes them.

    Args:
        connection: With the views of ``tables.connect`` over everyone's events.
        config: The workspace's.
        at: Tz-aware.
    """
    set_spine(connection, pd.DataFrame({c.CUSTOMER_ID: [""], c.AS_OF: [pd.Timestamp(at)]}))
    return cast("pa.Table", connection.sql(sql.cuts(config)).to_arrow_table())


def _rhythm(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """The arrays of 168 counts: the counts are SQL's, laying them out is NumPy's."""
    rows: int = first_row(connection, "SELECT count(*) FROM spine")[0]
    found = connection.execute(sql.hour_counts(config)).fetchnumpy()
    counts = np.zeros((2, rows, HOURS), dtype=np.int32)
    counts[np.asarray(found["kind"]), np.asarray(found["row_id"]), np.asarray(found["hour_of_week"])] = found["n"]
    purchases = counts[0]
    total = purchases.sum(axis=1)
    weekend = purchases[:, 5 * 24 :].sum(axis=1)
    share = np.divide(weekend, total, out=np.full(rows, np.nan), where=total > 0)
    offsets: Any = pa.array(np.arange(rows + 1, dtype=np.int32) * HOURS)
    table = pa.table(
        {
            "row_id": pa.array(np.arange(rows, dtype=np.int64)),
            "purchase_hours": pa.ListArray.from_arrays(offsets, _flat(counts[0])),
            "engagement_hours": pa.ListArray.from_arrays(offsets, _flat(counts[1])),
            "weekend_share": pa.array(np.round(share, 9), mask=total == 0),
        }
    )
    connection.register("rhythm", table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE f_{RHYTHM} AS SELECT * FROM rhythm")
    connection.unregister("rhythm")


def _flat(counts: NDArray[np.int32]) -> Any:
    return pa.array(counts.reshape(-1))


def snapshot_times(workspace: Workspace) -> list[datetime]:
    """The as-of times at which history is built: every ``features.snapshot_days``, back from now to the first event.

    Returns:
        Times in UTC, earliest first; the last is the workspace's now, the others begin a day (UTC).

    Raises:
        NotReadyError: There are no events.
    """
    with closing(connect(workspace)) as connection:
        first: datetime | None = first_row(connection, "SELECT min(occurred_at) FROM events WHERE NOT is_bot")[0]
    if first is None:
        raise NotReadyError("there are no events to build features from", hint="foretouch ingest --events FILE")
    now = workspace.clock.now()
    times = [now]
    step = timedelta(days=workspace.config.features.snapshot_days)
    at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    while at > first.astimezone(UTC):
        if at < now:
            times.append(at)
        at -= step
    return sorted(times)


def build_history(workspace: Workspace, *, say: Say = lambda _: None) -> dict[str, int]:
    """Builds the feature history: one Parquet file per view, read by Feast.

    Rows are every customer at every snapshot time since they became known, and every touched customer at the moment
    of the touch, so that an offer's model sees what was known when it was sent.

    Args:
        workspace: Whose tables.
        say: Receives one line per step.

    Returns:
        Rows per view.

    Raises:
        NotReadyError: There are no events or no customers.
    """
    take_over_customers(workspace)
    times = snapshot_times(workspace)
    with closing(connect(workspace)) as connection:
        spill(connection, workspace)
        sample = _history_spine(connection, workspace, times)
        rows: int = first_row(connection, "SELECT count(*) FROM history")[0]
        if rows == 0:
            raise NotReadyError(
                "there are no customers to build features for", hint="foretouch ingest --customers FILE"
            )
        say(f"{rows:,} snapshots at {len(times)} times")
        if sample != HistorySample():
            say(f"the past of {sample.snapshots:.1%} of the customers (sends: {sample.sends:.1%}), the present of all")
        chunks = _chunks(connection)
        if len(chunks) > 1:
            _all_cuts(connection, workspace.config)
        built = literal(times[-1].isoformat())
        with GrowingFiles({view: offline_file(workspace, view) for view in VIEWS}) as files:
            for index, (first, last) in enumerate(chunks):
                connection.execute(
                    f"CREATE OR REPLACE TEMP TABLE spine AS SELECT * REPLACE (row_id - {first} AS row_id) FROM history"
                    f" WHERE row_id BETWEEN {first} AND {last}"
                )
                _write_chunk(connection, workspace, files, built, cuts="all_cuts" if len(chunks) > 1 else None)
                say(f"part {index + 1} of {len(chunks)} written")
        keep_sample(workspace, sample)
    return dict.fromkeys(VIEWS, rows)


def _history_spine(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, times: Sequence[datetime]
) -> HistorySample:
    """Makes the table ``history``: every row that is to be built, by customer and time."""
    moments = pa.table({"as_of": pa.array(times, type=pa.timestamp("us", tz="UTC"))})
    connection.register("moments", moments)
    now = f"{literal(times[-1].isoformat())}::TIMESTAMPTZ"
    pairs = "customers JOIN moments ON created_at <= as_of"
    touched, before_now = "touches JOIN customers USING (customer_id)", f"sent_at <= {now}"
    sample = plan_sample(
        snapshots=first_row(connection, f"SELECT count(*) FROM {pairs}")[0],
        sends=first_row(connection, f"SELECT count(*) FROM {touched} WHERE {before_now}")[0],
        most=workspace.config.features.history_rows,
    )
    past, sent = (sampled(connection, f"kept_{name}", getattr(sample, name)) for name in ("snapshots", "sends"))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE history AS
        SELECT row_number() OVER (ORDER BY customer_id, as_of) - 1 AS row_id, customer_id, as_of,
               epoch_us(as_of) AS as_of_us
        FROM (SELECT customer_id, as_of FROM {pairs} SEMI JOIN {past} USING (customer_id)
              UNION SELECT customer_id, {now} FROM customers WHERE created_at <= {now}
              UNION SELECT customer_id, sent_at FROM {touched} SEMI JOIN {sent} USING (customer_id) WHERE {before_now})
        """)
    connection.unregister("moments")
    return sample


def _all_cuts(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Makes the table ``all_cuts``, a month at a time: everyone's purchases of all months at once fit no memory."""
    months = connection.execute("SELECT DISTINCT date_trunc('month', as_of) FROM history ORDER BY 1").fetchall()
    for index, (month,) in enumerate(months):
        set_spine(connection, pd.DataFrame({c.CUSTOMER_ID: [""], c.AS_OF: [pd.Timestamp(month)]}))
        into = "INSERT INTO all_cuts" if index else "CREATE OR REPLACE TEMP TABLE all_cuts AS"
        connection.execute(f"{into} {sql.cuts(config)}")


def _chunks(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """First and last row of each part: about ``CHUNK_ROWS`` rows, no customer in two of them."""
    found = connection.execute(f"""
        SELECT min(first), max(last) FROM (
            SELECT min(row_id) AS first, max(row_id) AS last FROM history GROUP BY customer_id)
        GROUP BY first // {CHUNK_ROWS} ORDER BY 1""").fetchall()
    return [(int(first), int(last)) for first, last in found]


def _write_chunk(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, files: GrowingFiles, built: str, *, cuts: str | None
) -> None:
    """Computes the rows of ``spine`` and appends them to the file of each view."""
    compute(connection, workspace.config, cuts=cuts, clusters=read_clusters(workspace.segments_folder))
    for view in VIEWS:
        columns = ", ".join(stored_column(spec) for spec in view_features(workspace.config, view))
        query = (
            f"SELECT customer_id, as_of AS {EVENT_TIMESTAMP}, {built}::TIMESTAMPTZ AS {BUILT_AT}, {columns}"
            f" FROM spine JOIN f_{view} USING (row_id) ORDER BY row_id"
        )
        files.add(view, cast("pa.Table", connection.sql(query).to_arrow_table()))


def stored_column(spec: FeatureSpec) -> str:
    """A feature as it is stored: numbers as doubles, categories as text, arrays as they are."""
    name = quoted(spec.name)
    return f"{name}::DOUBLE AS {name}" if spec.kind == "number" else name
