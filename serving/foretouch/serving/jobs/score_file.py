"""Files for the CRM: reading an audience, and writing scores as Parquet or as a CSV that is safe in a spreadsheet."""

import csv
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core import columns as c
from foretouch.core.errors import DataError
from foretouch.features.tables import open_duckdb

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def read_audience(path: Path) -> list[str]:
    """Distinct ids of an audience file, in its order.

    Raises:
        DataError: It is missing, no Parquet or CSV, or has no column ``customer_id``.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there", hint="give --audience a Parquet or CSV file with customer_id")
    with closing(open_duckdb()) as connection:
        if path.suffix == ".parquet":
            relation = connection.read_parquet(str(path))
        else:
            relation = connection.read_csv(str(path), header=True, all_varchar=True)
        if c.CUSTOMER_ID not in relation.columns:
            raise DataError(f"{path} has no column customer_id, only {', '.join(relation.columns)}")
        rows = relation.project(c.CUSTOMER_ID).fetchall()
    return list(dict.fromkeys(str(name) for (name,) in rows if name is not None))


def formula_safe(value: str) -> str:
    """Text that no spreadsheet runs as a formula: an apostrophe before ``= + - @``, tab and return.

    Only CSV is changed so; Parquet keeps every id as it is.
    """
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


class ScoreFile:
    """One output file, Parquet or CSV by its name, that appears when it is complete.

    Args:
        path: Where; ends in ``.parquet`` or ``.csv``.
        schema: Its columns.

    Raises:
        DataError: Another ending.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        if path.suffix not in {".parquet", ".csv"}:
            raise DataError(f"--out == {str(path)!r}, must end in .parquet or .csv")
        self.path, self.schema = path, schema
        self.draft = path.with_name(f".{path.name}.tmp")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._parquet = (
            pq.ParquetWriter(self.draft, self.schema, compression="zstd") if self.path.suffix == ".parquet" else None
        )
        self._text = None if self._parquet else self.draft.open("w", encoding="utf-8", newline="")
        if self._text:
            csv.writer(self._text).writerow(self.schema.names)
        return self

    def add(self, frame: pd.DataFrame) -> None:
        """Appends rows."""
        self.add_table(pa.Table.from_pandas(frame, schema=self.schema, preserve_index=False))

    def add_table(self, table: pa.Table) -> None:
        """Appends rows that are an Arrow table of the file's schema already."""
        if self._parquet:
            self._parquet.write_table(table)
        if self._text:
            csv.writer(self._text).writerows([_cell(value) for value in row.values()] for row in table.to_pylist())

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if self._parquet:
            self._parquet.close()
        if self._text:
            self._text.close()
        if failure is None:
            self.draft.replace(self.path)
        else:
            self.draft.unlink(missing_ok=True)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return formula_safe(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
