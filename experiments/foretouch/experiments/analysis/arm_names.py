"""How a table's values name arms: text, whole numbers, flags, and floats that a table with gaps made of them."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any


def arm_named(value: Any, arms: Collection[str]) -> str:
    """The arm that a value means.

    Args:
        value: Of the arm column; a flag, a number or text.
        arms: Of the spec: a flag may be called true, True or 1 there, a whole number 1 or 1.0.

    Returns:
        The arm, or the value as text where the spec has no such arm.
    """
    ways = _ways(value)
    return next((way for way in ways if way in arms), ways[0])


def _ways(value: Any) -> tuple[str, ...]:
    text = str(value)
    if text in {"True", "False"}:
        return text, text.lower(), str(int(text == "True"))
    if isinstance(value, (float, Decimal)) and value == value // 1:
        return str(int(value)), f"{int(value)}.0"
    return text, f"{text}.0"
