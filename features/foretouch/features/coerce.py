"""Cells to canonical types, whole columns at a time; what cannot be read is a fault of its row, never a guess."""

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from foretouch.core.canonical import canonical_json
from foretouch.core.ids import MAX_ID_LENGTH, normalise_id
from foretouch.features.reading import Fault
from foretouch.features.schemas import FLAG, MOMENT, NUMBER

AWARE = re.compile(r"\d{2}:\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2}){0,2})$")
"""A time of day followed by an offset."""
TRUE, FALSE = frozenset({"true", "t", "1", "yes", "y"}), frozenset({"false", "f", "0", "no", "n"})
SHOWN = 60


class Faults:
    """The faults of a table's rows."""

    def __init__(self) -> None:
        self.by_row: dict[int, list[Fault]] = {}

    def add(self, row: int, column: str, code: str, text: str) -> None:
        """Notes one fault of one row."""
        self.by_row.setdefault(int(row), []).append(Fault(column=column, code=code, text=text))

    def add_values(self, values: "pd.Series[Any]", code: str, must: str) -> None:
        """Notes a fault for each value of a column: ``<column> == <value>, must <must>``."""
        name = str(values.name)
        for row, value in values.items():
            self.add(_row_number(row), name, code, f"{name} == {show(value)}, must {must}")


def _row_number(label: Any) -> int:
    return int(label)


def show(value: Any) -> str:
    """A value as shown in a reason: quoted if text, and not too long."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float) and math.isnan(value)


def coerce_column(values: "pd.Series[Any]", type_: str, zone: str | None, faults: Faults) -> "pd.Series[Any]":
    """One canonical column in its type; a cell that cannot be read becomes missing and a fault of its row.

    Args:
        values: The cells, indexed by row number.
        type_: One of the types of ``schemas.COLUMNS``.
        zone: The zone of naive timestamps, if the source declares one.
        faults: Receives what is wrong.
    """
    if type_ == NUMBER:
        return to_number(values, faults)
    if type_ == FLAG:
        return to_flag(values, faults)
    if type_ == MOMENT:
        return to_moment(values, zone, faults)
    return to_text(values, faults)


def to_text(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """Text, NFC-normalised and stripped; whole numbers are read as their digits, an empty text is missing."""
    return _cells(
        values, _text, faults, "unreadable text", "be text of at most 256 characters without control characters"
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        if not float(value).is_integer():
            raise ValueError
        value = int(value)
    text = normalise_id(str(value).strip())
    if len(text) > MAX_ID_LENGTH:
        raise ValueError
    return text or None


def to_long_text(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """Text of any length, kept as it is; blank text is missing."""
    return _cells(
        values, lambda value: str(value) if str(value).strip() else None, faults, "unreadable text", "be text"
    )


def to_number(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """Finite numbers as float64; ``NaN`` and infinities written out are faults, empty cells are missing."""
    present = ~values.map(is_missing).astype(bool)
    numbers = pd.to_numeric(values.where(present, None), errors="coerce").astype(float)
    wrong = present & ~np.isfinite(numbers)
    faults.add_values(values[wrong], "not a finite number", "be a finite number")
    return numbers.mask(wrong)


def to_flag(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """True or false, as an object column in which ``None`` is missing."""
    return _cells(values, _flag, faults, "not true or false", "be true or false")


def _flag(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    text = str(value).strip().casefold().removesuffix(".0")
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError


def to_moment(values: "pd.Series[Any]", zone: str | None, faults: Faults) -> "pd.Series[Any]":
    """Times in UTC, to the microsecond.

    A time without an offset is a fault unless the source declares its zone. In the hour that autumn repeats, such a
    time is taken to be the first; in the hour that spring skips, it is a fault.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        moments: pd.Series[Any] = values.dt.tz_convert("UTC").dt.floor("us").astype("datetime64[us, UTC]")
        return moments
    result = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]", name=values.name)
    texts = values[~values.map(is_missing).astype(bool)].map(_moment_text)
    has_offset = texts.str.contains(AWARE).astype(bool)
    aware = pd.to_datetime(texts[has_offset], format="ISO8601", utc=True, errors="coerce")
    result = _fill(result, aware)
    naive = texts[~has_offset]
    readable = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    wrong = pd.Index(aware.index[aware.isna()]).union(readable.index[readable.isna()])
    faults.add_values(values.loc[wrong], "not a time", "be a time such as 2017-03-12T09:30:00-05:00")
    readable = readable.dropna()
    if zone is None:
        faults.add_values(
            values.loc[readable.index],
            "time without an offset",
            "carry an offset, or declare the source's time_zone under [sources] in foretouch.toml",
        )
        return result
    local = readable.dt.tz_localize(zone, ambiguous=np.ones(len(readable), dtype=bool), nonexistent="NaT")
    faults.add_values(values.loc[local.index[local.isna()]], "time that never was", f"exist in {zone}")
    return _fill(result, local.dt.tz_convert("UTC"))


def _fill(result: "pd.Series[Any]", moments: "pd.Series[Any]") -> "pd.Series[Any]":
    filled = result.copy()
    if len(moments):
        filled.loc[moments.index] = moments.dt.floor("us").astype("datetime64[us, UTC]")
    return filled


def _moment_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else value.isoformat() if hasattr(value, "isoformat") else str(value)


def to_json(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """A JSON object as canonical text; ``NaN`` and infinities in it are faults."""
    return _cells(values, _json_object, faults, "not a JSON object", "be a JSON object with finite numbers")


def to_names(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """A list of names as JSON text, from a JSON list, a list, or text separated by ``|``, ``;`` or spaces."""
    return _cells(values, _names, faults, "not a list of names", "be at least one name, separated by |")


def _json_object(value: Any) -> str:
    parsed = json.loads(value, parse_constant=_no_constant) if isinstance(value, str) else _plain(value)
    if not isinstance(parsed, dict):
        raise TypeError
    text = canonical_json(parsed).decode()
    if not isinstance(value, str) and "null" in text:
        parsed = {key: item for key, item in parsed.items() if item is not None}
        text = canonical_json(parsed).decode()
    return text


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _plain(value: Any) -> Any:
    """Nested Parquet values as plain Python: maps come as lists of pairs, arrays as NumPy's."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, list) and value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return {str(key): _plain(item) for key, item in value}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


def _names(value: Any) -> str:
    if isinstance(value, str):
        text = value.strip()
        items: Iterable[Any] = json.loads(text) if text.startswith("[") else re.split(r"[|;\s]+", text)
    else:
        items = _plain(value) if isinstance(value, np.ndarray | list) else list(value)
    names = [str(item).strip() for item in items if str(item).strip()]
    if not names:
        raise ValueError
    return canonical_json(list(dict.fromkeys(names))).decode()


def _cells(
    values: "pd.Series[Any]", read: Callable[[Any], Any], faults: Faults, code: str, must: str
) -> "pd.Series[Any]":
    """Reads a column cell by cell, each distinct text once."""
    known: dict[Any, Any] = {}
    wrong: list[Any] = []
    result: list[Any] = []
    for row, value in values.items():
        if not isinstance(value, np.ndarray | list | dict) and is_missing(value):
            result.append(None)
            continue
        key = value if isinstance(value, str) else None
        if key is not None and key in known:
            item = known[key]
        else:
            try:
                item = read(value)
            except (ValueError, TypeError, RecursionError):
                item = _UNREADABLE
            if key is not None:
                known[key] = item
        if item is _UNREADABLE:
            wrong.append(row)
            item = None
        result.append(item)
    faults.add_values(values.loc[wrong], code, must)
    return pd.Series(result, index=values.index, name=values.name, dtype=object)


_UNREADABLE = object()
