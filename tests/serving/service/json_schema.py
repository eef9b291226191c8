"""A judge of values by JSON Schema: the part of it that the OpenAPI document uses; any other keyword is an error."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

ANNOTATIONS = frozenset({"title", "description", "default", "discriminator"})
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "minProperties": lambda value, bound: len(value) >= bound,
    "maxProperties": lambda value, bound: len(value) <= bound,
    "pattern": lambda value, bound: re.search(bound, value) is not None,
    "const": lambda value, bound: value == bound,
    "enum": lambda value, bound: value in bound,
}


def faults(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "$") -> list[str]:
    """Where a value does not fit its schema.

    Args:
        value: Parsed JSON.
        schema: Of the value.
        document: Where references point into.
        at: The place, for the messages.
    """
    if "type" in schema and not TYPES[schema["type"]](value):
        return [f"{at} is {value!r:.60}, must be of type {schema['type']}"]
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword in BOUNDS:
            found += [] if BOUNDS[keyword](value, rule) else [f"{at} is {value!r:.60}, must have {keyword} {rule}"]
        elif keyword in NESTED:
            found += NESTED[keyword](value, schema, document, at)
        elif keyword not in ANNOTATIONS:
            raise NotImplementedError(f"keyword {keyword}")
    return found


def _referred(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    target: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return faults(value, target, document, at)


def _any_of(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    ways = [faults(value, way, document, at) for way in schema.get("anyOf", schema.get("oneOf"))]
    return min(ways, key=len) if all(ways) else []


def _properties(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    parts = [(name, part) for name, part in schema["properties"].items() if name in value]
    return [fault for name, part in parts for fault in faults(value[name], part, document, f"{at}.{name}")]


def _required(value: Any, schema: Mapping[str, Any], _: Mapping[str, Any], at: str) -> list[str]:
    return [f"{at} lacks {name}" for name in schema["required"] if name not in value]


def _more(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    more, rule = [name for name in value if name not in schema.get("properties", {})], schema["additionalProperties"]
    if rule is True:
        return []
    if rule is False:
        return [f"{at} has {name}, which is not declared" for name in more]
    return [fault for name in more for fault in faults(value[name], rule, document, f"{at}.{name}")]


def _items(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    parts = schema.get("prefixItems") or [schema["items"]] * len(value)
    pairs = enumerate(zip(value, parts, strict=True))
    return [fault for number, (item, part) in pairs for fault in faults(item, part, document, f"{at}[{number}]")]


def _names(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], at: str) -> list[str]:
    return [
        fault for name in value for fault in faults(name, schema["propertyNames"], document, f"{at}, the name {name}")
    ]


def _format(value: Any, schema: Mapping[str, Any], _: Mapping[str, Any], at: str) -> list[str]:
    if schema["format"] != "date-time":
        raise NotImplementedError(f"format {schema['format']}")
    return [] if datetime.fromisoformat(value).tzinfo is not None else [f"{at} is {value}, which has no offset"]


NESTED: Mapping[str, Callable[[Any, Mapping[str, Any], Mapping[str, Any], str], list[str]]] = {
    "type": lambda *_: [],
    "$ref": _referred,
    "anyOf": _any_of,
    "oneOf": _any_of,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _more,
    "items": _items,
    "prefixItems": _items,
    "propertyNames": _names,
    "format": _format,
}
