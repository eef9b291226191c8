"""Packing: rows as columns, repeated values once, hours of a week as integers. What is packed comes back the same."""

from collections.abc import Mapping, Sequence
from typing import Any

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
"""One character per distinct value of a coded column."""
_CODES = tuple(map(ord, DIGITS))
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


def pack_groups(values: Sequence[Any], at: str, known: str) -> Any:
    """A column whose rows fall into groups of one value each, as it is kept; null where every group's value is.

    Args:
        values: Of each group, at most one per digit.
        at: The digit of each row's group.
        known: The same where all groups but the first are one.
    """
    distinct = dict.fromkeys(values)
    if len(distinct) == 1:
        return values[0]
    if len(distinct) == 2 and values.count(values[0]) == 1:
        return {"of": list(distinct), "at": known}
    if 2 * len(distinct) > len(values):
        return {"of": values, "at": at}
    digits = dict(zip(distinct, DIGITS, strict=False))
    return {"of": list(distinct), "at": at.translate(dict(zip(_CODES, map(digits.__getitem__, values), strict=False)))}


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


def pack_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Feature values by name; long lists of whole floats (hours of a week) as integers."""
    packed = dict(values)
    for name in [name for name, value in values.items() if type(value) in LISTS]:
        value = values[name]
        hours = len(value) >= LONG and type(value[0]) is float and set(map(type, value)) == FLOATS
        if hours and all(map(float.is_integer, value)):
            packed[name] = {WHOLE: list(map(int, value))}
    return packed


def unpack_values(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The values that ``pack_values`` was given; tuples come back as lists."""
    return {
        name: [float(number) for number in value[WHOLE]] if isinstance(value, dict) and WHOLE in value else value
        for name, value in packed.items()
    }
