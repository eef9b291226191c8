"""Tables in, tables and numbers out: what every bench job reads and writes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from foretouch.core.canonical import canonical_json
from foretouch.core.errors import DataError
from foretouch.serving.jobs.score_file import formula_safe
from foretouch.training.task import FloatArray


def read_table(path: Path, *, texts: Iterable[str] = ()) -> pd.DataFrame:
    """A table from Parquet or CSV, index 0…n-1.

    Args:
        path: Ends in ``.parquet``; anything else is read as CSV.
        texts: Columns of a CSV that are read as text as they stand, such as ids: ``00004`` stays ``00004``.

    Raises:
        DataError: It is missing, unreadable or without rows.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there", hint="give a Parquet (.parquet) or CSV file")
    try:
        frame = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, dtype=dict.fromkeys(texts, "str"), float_precision="round_trip", encoding="utf-8")
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as a table: {error}", hint="give a Parquet (.parquet) or CSV file"
        ) from error
    if frame.empty:
        raise DataError(f"{path} has no rows")
    return frame.reset_index(drop=True)


def need_columns(frame: pd.DataFrame, path: Path, **wanted: str) -> None:
    """Refuses a table that lacks a column.

    Args:
        frame: The table.
        path: Where it came from, for the message.
        **wanted: By option, the column that it names.

    Raises:
        DataError: Names the option, the column and the columns that are there.
    """
    for option, column in wanted.items():
        if column not in frame.columns:
            have = ", ".join(str(name) for name in frame.columns[:12]) + (", …" if len(frame.columns) > 12 else "")
            raise DataError(
                f"{path.name} has no column {column!r} (--{option.replace('_', '-')})",
                hint=f"its columns are {have}",
            )


def numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    """A column as finite numbers, shape (n,).

    Raises:
        DataError: A cell is missing, no number, or not finite; the message says in which row.
    """
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        cell = frame[column].tolist()[int(wrong[0])]
        raise DataError(
            f"column {column!r}: {len(wrong)} of {len(values)} cells are no finite numbers; the first is {cell!r} in"
            f" row {int(wrong[0])}"
        )
    return values


def binary(frame: pd.DataFrame, column: str) -> FloatArray:
    """A column of 0 and 1, shape (n,), with both present.

    Raises:
        DataError: Another value, or only one of them.
    """
    values = numbers(frame, column)
    odd = np.flatnonzero((values != 0.0) & (values != 1.0))
    if len(odd):
        raise DataError(f"column {column!r} must hold 0 and 1; row {int(odd[0])} has {values[odd[0]]:g}")
    if values.min() == values.max():
        raise DataError(f"column {column!r} is {values[0]:g} in every row; both 0 and 1 are needed")
    return values


def need_unique(frame: pd.DataFrame, column: str) -> None:
    """Refuses ids that are missing or come twice.

    Raises:
        DataError: Names the first such id.
    """
    ids = frame[column]
    if ids.isna().any():
        raise DataError(f"column {column!r}: the id of row {int(np.flatnonzero(ids.isna())[0])} is missing")
    if ids.duplicated().any():
        raise DataError(f"column {column!r}: id {ids[ids.duplicated()].iloc[0]!r} comes more than once")


def need_writable(path: Path) -> None:
    """Refuses a place that no table can be written to, before any work is done.

    Raises:
        DataError: Another ending than .parquet or .csv, or a folder of that name.
    """
    if path.suffix not in {".parquet", ".csv"}:
        raise DataError(f"--out == {str(path)!r}, must end in .parquet or .csv")
    if path.is_dir():
        raise DataError(f"--out == {str(path)!r} is a folder", hint="give the name of a file")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table whole or not at all: Parquet or CSV by the name; text in a CSV is safe in a spreadsheet.

    Raises:
        DataError: Another ending.
    """
    need_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    if path.suffix == ".parquet":
        frame.to_parquet(draft, index=False)
    else:
        safe = frame.copy()
        for column in safe.columns:
            if safe[column].dtype == object:
                safe[column] = [formula_safe(cell) if isinstance(cell, str) else cell for cell in safe[column]]
        safe.to_csv(draft, index=False, encoding="utf-8")
    draft.replace(path)


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Writes a JSON object, indented, keys in their order; what is not finite becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(orjson.dumps(orjson.loads(canonical_json(value)), option=orjson.OPT_INDENT_2) + b"\n")
    draft.replace(path)


def text_column(frame: pd.DataFrame, column: str) -> "pd.Series[str]":
    """A column as text, missing cells as an empty string."""
    return frame[column].astype(object).where(frame[column].notna(), "").astype(str)


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Names in one line, cut after a few."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
