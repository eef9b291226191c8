"""The parts of a stored record: what is null, empty or default is left out, and rows are kept by column.

Shared by whoever writes a record (``stored_record.store`` and the decision itself) and whoever reads one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel

from foretouch.core.canonical import canonical_json
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot, Reason
from foretouch.core.packing import pack_columns, pack_rows, pack_values

VERSION = 2
WEIGHT = "weights."
"""A column per factor of the candidates' weights."""
SAME = ("customer_id", "request_id", "touchpoint")
"""Fields of the request that the record has too; kept once."""
ROWS = ("contacts", "household_contacts", "outcomes", "suppressions")
"""Lists of the counter snapshot; kept by column."""
WRITE = orjson.OPT_SERIALIZE_NUMPY
_SCALARS = frozenset({str, int, float, bool, type(None)})


class Rules:
    """Statements of rules, each kept once and named by its position."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._known: dict[tuple[str, str, str, bytes], int] = {}

    def position(self, stage: str, rule: str, text: str, seen: Mapping[str, Any]) -> int:
        """Where a statement is kept."""
        key = (
            stage,
            rule,
            text,
            orjson.dumps(seen, default=plain, option=WRITE) if seen else b"",
        )
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.rows)
            self.rows.append([stage, rule, text, dict(seen)] if seen else [stage, rule, text])
        return found


def plain(value: object) -> Any:
    """What orjson does not know: models, and sets in order."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a record")


def time_text(at: datetime) -> str:
    """A time as the contracts write it: ISO 8601, UTC as ``Z``."""
    if at.tzinfo is UTC:  # nearly always: written by orjson in a third of the time
        return orjson.dumps(at, option=orjson.OPT_UTC_Z)[1:-1].decode()
    text = at.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def time_of(text: str) -> datetime:
    """The time of a text."""
    return datetime.fromisoformat(text)


@cache
def defaults_of(contract: type[BaseModel]) -> dict[str, Any]:
    """What the fields of a contract are where nothing is said, as JSON has it."""
    found = {
        name: item.get_default(call_default_factory=True, validated_data={})
        for name, item in contract.model_fields.items()
        if not item.is_required()
    }
    return dict(orjson.loads(canonical_json(found)))


def slim(contract: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a contract (as JSON has them) that are not as they would be anyway."""
    defaults = defaults_of(contract)
    return {
        name: value
        for name, value in fields.items()
        if name not in defaults or value != defaults[name] or type(value) is not type(defaults[name])
    }


def full(contract: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a contract with the defaults that ``slim`` left out."""
    return {**defaults_of(contract), **fields}


def pack_suppressed(suppressed: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    """The statements for the caller, by column; empty where there are none."""
    if not suppressed:
        return {}
    return pack_rows(
        [
            {
                "offer_id": item["offer_id"],
                "channel": item["channel"],
                "rule": rules.position(item["stage"], item["rule"], item["text"], item["seen"]),
                "until": item["until"],
            }
            for item in suppressed
        ]
    )


def pack_features(features: FeatureSnapshot) -> dict[str, Any]:
    """A feature snapshot without what is empty."""
    kept: dict[str, Any] = {"known": True} if features.known else {}
    if features.as_of:
        kept["as_of"] = _time_texts(features.as_of)
    if features.stale:
        kept["stale"] = list(features.stale)
    if features.error is not None:
        kept["error"] = features.error
    if features.reasons:
        kept["reasons"] = {
            name: [slim(Reason, vars(reason)) for reason in said] for name, said in features.reasons.items()
        }
    if features.values:
        kept["values"] = pack_values(features.values)
    return kept


def _time_texts(times: Mapping[str, datetime]) -> dict[str, str]:
    """Times by name; names that share one moment, as the views of one materialisation do, have it written once."""
    written: dict[str, str] = {}
    last, text = None, ""
    for name, at in times.items():
        if at is not last:
            last, text = at, time_text(at)
        written[name] = text
    return written


def pack_counters(counters: CounterSnapshot) -> dict[str, Any]:
    """A counter snapshot without what is empty, its lists by column."""
    return {
        name: _pack_objects(value) if name in ROWS else value
        for name, value in vars(counters).items()
        if value is not None and value is not False and value not in ((), {})
    }


def _pack_objects(rows: Sequence[BaseModel]) -> dict[str, Any]:
    """Objects of scalars and times as columns; a field that is null throughout is left out."""
    fields = [vars(row) for row in rows]
    columns: dict[str, list[Any]] = {}
    for name in fields[0]:
        column = [row[name] for row in fields]
        columns[name] = [time_text(value) if isinstance(value, datetime) else value for value in column]
    return {"count": len(rows), **pack_columns(columns)}


def pack_request(request: DecisionRequest, head: Mapping[str, Any]) -> dict[str, Any]:
    """A request without its defaults and without what the record says itself.

    Args:
        request: As it was asked.
        head: The record's own fields of ``SAME``.
    """
    kept: dict[str, Any] = {}
    defaults, asked = _request_defaults(), request.__dict__
    said = request.__pydantic_fields_set__
    for name, usual in defaults.items():
        if name in said:
            value = asked[name]
            if name in YIELDING or _differs(value, usual):
                kept[name] = _as_json(value)
    for name in SAME:
        if asked[name] != head.get(name):
            kept[name] = asked[name]
    return kept


def _differs(value: Any, usual: Any) -> bool:
    """Whether a field of a request is not its default; of parts with a contract of their own, field by field."""
    if isinstance(value, BaseModel) and type(value) is type(usual):
        return bool(value.__dict__ != usual.__dict__)
    return bool(value != usual)


YIELDING = ("purpose", "n")
"""Fields of a request that a touchpoint's defaults may replace where the caller has not said them."""


@cache
def _request_defaults() -> dict[str, Any]:
    return {
        name: None if item.is_required() else item.get_default(call_default_factory=True, validated_data={})
        for name, item in DecisionRequest.model_fields.items()
        if name not in SAME
    }


def _as_json(value: Any) -> Any:
    """A field of a request as JSON has it, without defaults."""
    if isinstance(value, BaseModel):
        fields = value.__dict__
        if _SCALARS.issuperset(map(type, fields.values())):
            return slim(type(value), {name: fields[name] for name in fields if name in value.model_fields_set})
        return value.model_dump(mode="json", exclude_defaults=True)
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


def ages_of(as_of: Mapping[str, datetime], now: datetime) -> dict[str, float]:
    """Seconds since each view's values were true, by view; never below 0."""
    ages: dict[str, float] = {}
    last, age = None, 0.0
    for view, at in sorted(as_of.items()):
        if at is not last:
            last, age = at, max((now - at).total_seconds(), 0.0)
        ages[view] = age
    return ages
