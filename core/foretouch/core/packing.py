"""Packing: rows as columns, repeated values once, hours of a week as integers. What is packed comes back the same."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
"""One character per distinct value of a coded column."""
_POSITION = {digit: index for index, digit in enumerate(DIGITS)}
LONG = 24
"""Lists of at least so many numbers (hours of a day or of a week) are packed."""
LISTS, FLOATS = frozenset({list, tuple}), {float}
WHOLE = "whole"
"""Key of a packed list: floats that are whole numbers, kept as integers."""


def pack_columns(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Columns of scalars as they are kept; a column of nothing but null is left out.

    A column that is one value throughout is that value; one of few values is ``{"of": values, "at": digits}``; any
    other is a list. Within a column, values that are equal must be of one type (``1`` and ``True`` are not).

    Args:
        columns: By name, all of the same length.
    """
    packed: dict[str, Any] = {}
    for name, values in columns.items():
        if not values:
            continue
        first = values[0]
        if values.count(first) == len(values):
            if first is not None:
                packed[name] = first
            continue
        rest = len(values) - 1
        if rest > 1 and values[1] != first and values.count(values[1]) == rest:  # as most: found without a table
            packed[name] = {"of": [first, values[1]], "at": DIGITS[0] + DIGITS[1] * rest}
            continue
        distinct = dict.fromkeys(values)
        if 3 * len(distinct) <= 2 * len(values) and len(distinct) <= len(DIGITS):
            digits = dict(zip(distinct, DIGITS, strict=False))
            packed[name] = {"of": list(distinct), "at": "".join(map(digits.__getitem__, values))}
        else:
            packed[name] = list(values)
    return packed


def unpack_column(packed: Any, count: int) -> list[Any]:
    """One column as ``pack_columns`` was given it.

    Args:
        packed: A scalar, a list, or ``{"of", "at"}``.
        count: Number of rows.

    Raises:
        ValueError: It has another number of rows.
    """
    if isinstance(packed, dict):
        values = packed["of"]
        column = [values[_POSITION[digit]] for digit in packed["at"]]
    elif isinstance(packed, list):
        column = packed
    else:
        return [packed] * count
    if len(column) != count:
        raise ValueError(f"a packed column has {len(column)} rows, must have {count}")
    return column


def pack_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of scalars as columns; a field that a row does not have is null in it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {"count": len(rows), **pack_columns({name: [row.get(name) for row in rows] for name in names})}


def unpack_rows(packed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that ``pack_rows`` was given, without their nulls."""
    count = packed["count"]
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, column in packed.items():
        if name != "count":
            for row, value in zip(rows, unpack_column(column, count), strict=True):
                if value is not None:
                    row[name] = value
    return rows


def pack_values(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Feature values by name; long lists of whole floats (hours of a week) as integers."""
    packed: dict[str, Any] = {}
    for name, value in values:
        if type(value) in LISTS and len(value) >= LONG and type(value[0]) is float and set(map(type, value)) == FLOATS:
            packed[name] = {WHOLE: list(map(int, value))} if all(map(float.is_integer, value)) else value
        else:
            packed[name] = value
    return packed


def unpack_values(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The values that ``pack_values`` was given; tuples come back as lists."""
    return {
        name: [float(number) for number in value[WHOLE]] if isinstance(value, dict) and WHOLE in value else value
        for name, value in packed.items()
    }
