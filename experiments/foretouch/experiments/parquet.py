"""Sufficient statistics of a Parquet file, streamed through DuckDB: the rows never become a table in memory."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.query import aggregates_of, told_of
from foretouch.experiments.analysis.summary import Aggregates, columns_of

if TYPE_CHECKING:
    import duckdb

PART = 20_000_000
"""Units whose hashes are held at once, eight bytes each, twice while they are read."""


def aggregates_of_file(path: Path, spec: ExperimentSpec, *, identity: bool = True) -> Aggregates:
    """The sufficient statistics of an experiment whose rows are in one Parquet file.

    Args:
        path: The file.
        spec: The experiment.
        identity: Whether to look for units with several rows, which takes as long as all the rest.

    Raises:
        DataError: The file cannot be read, or the unit or arm column is not in it.
    """
    import duckdb  # noqa: PLC0415 - only files need the engine

    name = str(path).replace("'", "''")
    relation = f"read_parquet('{name}')"
    try:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")

            def run(sql: str) -> tuple[list[str], list[Any]]:
                cursor = connection.execute(sql)
                return [item[0] for item in cursor.description or ()], cursor.fetchall()

            def alone(rows: int) -> bool:
                return not identity or all_alone(connection, spec, relation, rows)

            return aggregates_of(run, spec, relation, alone=alone)
    except duckdb.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}", hint="Parquet (.parquet) or CSV") from error


def of_text(path: Path, spec: ExperimentSpec) -> bool:
    """Whether a column of a metric, or the time, is text in a Parquet file: rows tell what is wrong, or read the times.

    A file that cannot be read has none; whoever reads it says so.
    """
    import duckdb  # noqa: PLC0415 - only files need the engine

    wanted = {name for metric in spec.metrics for name in columns_of(metric)} | {spec.time}
    try:
        with duckdb.connect() as connection:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error:
        return False
    return any(name in wanted and kind in {"VARCHAR", "BLOB"} for name, kind, *_ in described)


def all_alone(connection: "duckdb.DuckDBPyConnection", spec: ExperimentSpec, relation: str, rows: int) -> bool:
    """Whether surely no unit has two rows: no two hashes of 64 bits are alike. Far cheaper than grouping by unit.

    Args:
        connection: DuckDB.
        spec: Names the unit and arm.
        relation: The rows.
        rows: How many name unit and arm.

    Returns:
        False where two hashes are alike, which is a unit's second row or, for one table in a million, chance.
    """
    unit, told = told_of(spec)
    parts = max(1, -(-rows // PART))
    for part in range(parts):
        mine = "" if parts == 1 else f" AND hash({unit}) % {parts} = {part}"
        asked = f"SELECT hash({unit}) AS h FROM {relation} WHERE {told}{mine}"  # noqa: S608
        hashes = np.asarray(connection.execute(asked).fetchnumpy()["h"])
        hashes.sort()
        if bool(np.any(hashes[1:] == hashes[:-1])):
            return False
    return True
