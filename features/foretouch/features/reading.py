"""Reading what somebody hands us: CSV or Parquet, every row numbered, nothing skipped."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core.errors import DataError

FIELD_LIMIT = 16 * 1024 * 1024
"""Longest cell of a CSV file, in characters."""
WRITE_AGAIN = "write it as CSV (UTF-8, header, separated by commas) or as Parquet, then ingest it again"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a row was refused.

    Args:
        column: Which column is wrong; ``*`` for the whole row.
        code: What kind of wrong, a few words that reports count by.
        text: One sentence with the value and the bound.
    """

    column: str
    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table as it came.

    Args:
        source: Where it came from, as shown in reports.
        frame: Its cells; the index is the row number, counted from 1 without the header.
        broken: Rows that do not even have the header's number of cells, by row number.
    """

    source: str
    frame: pd.DataFrame
    broken: dict[int, tuple[Fault, list[str]]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows came in."""
        return len(self.frame) + len(self.broken)


def read_source(source: Path | pd.DataFrame) -> RawTable:
    """Reads a CSV file, a Parquet file, a folder of Parquet parts, or a frame.

    Cells of a CSV file are text, and an empty cell is missing; typed cells keep their type.

    Raises:
        DataError: The file is not there, is neither CSV nor Parquet, or its header is no header.
    """
    if isinstance(source, pd.DataFrame):
        frame = source.reset_index(drop=True)
        return RawTable(source="frame", frame=_numbered(frame))
    if not source.exists():
        raise DataError(f"{source} is not there", hint="foretouch ingest --help")
    if source.is_dir() or source.suffix.lower() in {".parquet", ".pq"}:
        return RawTable(source=source.name, frame=_numbered(_read_parquet(source)))
    if source.suffix.lower() in {".csv", ".tsv", ".txt"}:
        return _read_csv(source, "\t" if source.suffix.lower() == ".tsv" else ",")
    raise DataError(f"{source.name} is neither .csv nor .parquet", hint="foretouch ingest --help")


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    names = [str(name).strip() for name in frame.columns]
    _check_header(names, "the table")
    frame = frame.set_axis(names, axis=1)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame


def _check_csv_header(names: list[str], file: str, delimiter: str) -> None:
    """Refuses what is no CSV of ours, and says what it looks like instead."""
    first = names[0] if names else ""
    if not names:
        raise DataError(f"{file} is empty: it has no header", hint=WRITE_AGAIN)
    if any(_undecodable(name) or "\0" in name for name in names):
        raise DataError(f"{file} is not UTF-8 text", hint=WRITE_AGAIN)
    if len(names) == 1:
        for other in (";", "\t", "|", ","):
            if other != delimiter and other in first:
                raise DataError(f"{file} separates its columns by {other!r}, must be {delimiter!r}", hint=WRITE_AGAIN)
    _check_header(names, file)


def _check_header(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{what} has the column {', '.join(twice)} twice", hint="rename one of them")
    if not names or not all(names):
        raise DataError(f"{what} has a column without a name", hint="name it or leave it out")


def _read_parquet(path: Path) -> pd.DataFrame:
    if path.is_dir() and not any(path.rglob("*.parquet")):
        raise DataError(f"{path.name} is a folder without a .parquet file", hint=WRITE_AGAIN)
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DataError(f"{path.name} cannot be read as Parquet: {error}", hint=WRITE_AGAIN) from error
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    return frame


def _read_csv(path: Path, delimiter: str) -> RawTable:
    csv.field_size_limit(FIELD_LIMIT)
    broken: dict[int, tuple[Fault, list[str]]] = {}
    numbers: list[int] = []
    rows: list[list[Any]] = []
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
        header = [name.strip() for name in next(_records(reader, path), [])]
        _check_csv_header(header, path.name, delimiter)
        for number, cells in enumerate(_records(reader, path), start=1):
            fault = _row_fault(cells, len(header))
            if fault is None:
                numbers.append(number)
                rows.append([cell or None for cell in cells])
            else:
                broken[number] = (fault, [_clean(cell) for cell in cells])
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    frame.index = pd.Index(numbers, name="row", dtype="int64")
    return RawTable(source=path.name, frame=frame, broken=broken)


def _records(reader: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """Rows with at least one cell: an empty line is no row."""
    try:
        for cells in reader:
            if cells:
                yield cells
    except csv.Error as error:
        raise DataError(f"{path.name} cannot be read as CSV: {error}", hint=WRITE_AGAIN) from error


def _row_fault(cells: list[str], expected: int) -> Fault | None:
    if len(cells) != expected:
        return Fault(
            column="*",
            code="wrong number of cells",
            text=f"the row has {len(cells)} cells, must have {expected}",
        )
    if any(_undecodable(cell) for cell in cells):
        return Fault(column="*", code="not UTF-8", text="the row holds bytes that are not UTF-8")
    return None


def _undecodable(cell: str) -> bool:
    return not cell.isascii() and any("\udc80" <= character <= "\udcff" for character in cell)


def _clean(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
