"""The decision record as the log keeps it: schema version 2, compact, and expanded again on reading.

A stored record is one JSON document. It leaves out what is null, empty or default, keeps candidates by column, and
names each statement of a rule once, in ``rules``; every text is kept as it was answered, because a later release may
word it otherwise. ``versions``, ``models`` and ``request`` name what a replay needs. Version 1 was the canonical JSON
of ``DecisionRecord`` itself, and is read for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import orjson
from pydantic import BaseModel

from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import (
    Action,
    Assignment,
    Candidate,
    CounterSnapshot,
    DecisionRecord,
    DecisionRequest,
    FeatureSnapshot,
    Interval,
    ModelRef,
    Reason,
    Send,
    Versions,
)
from foretouch.core.errors import StateError
from foretouch.core.offers import CandidateRef
from foretouch.core.packing import pack_columns, pack_rows, pack_values, unpack_column, unpack_rows, unpack_values

VERSION = 2
WEIGHT = "weights."
"""A column per factor of the candidates' weights."""
SAME = ("customer_id", "request_id", "touchpoint")
"""Fields of the request that the record has too; kept once."""
ROWS = ("contacts", "household_contacts", "outcomes", "suppressions")
"""Lists of the counter snapshot; kept by column."""
HEAD = (
    "decision_id",
    "request_id",
    "customer_id",
    "status",
    "status_reason",
    "decided_at",
    "expires_at",
    "touchpoint",
    "purpose",
    "seed",
    "fallback_step",
    "warnings",
    "latency_ms",
    "shadow",
)


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
            orjson.dumps(seen, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY) if seen else b"",
        )
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.rows)
            self.rows.append([stage, rule, text, dict(seen)] if seen else [stage, rule, text])
        return found


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """One decision as it is logged: a JSON document, with what the log needs to know of it.

    Attributes:
        document: See the module's docstring; times are texts, numbers are plain.
        decided_at: When it was decided.
        household_id: Whom the customer shares caps with.
        reserves: Whether its actions reserve contacts.
        dry_run: Whether nothing may be kept.
        sends: Per action, the time of the contact.
        ages: ``feature_ages`` of the answer, where whoever wrote the document has them; None works them out from it.
    """

    document: dict[str, Any]
    decided_at: datetime
    household_id: str | None = None
    reserves: bool = False
    dry_run: bool = False
    sends: tuple[datetime, ...] = ()
    ages: Mapping[str, float] | None = None

    @property
    def decision_id(self) -> str:
        """Its id."""
        return str(self.document["decision_id"])

    @property
    def customer_id(self) -> str:
        """Whom it is about."""
        return str(self.document["customer_id"])

    @property
    def touchpoint(self) -> str:
        """Which occasion."""
        return str(self.document["touchpoint"])

    @property
    def status(self) -> str:
        """Its status."""
        return str(self.document["status"])

    @property
    def fallback_step(self) -> str:
        """Step of the ladder that answered."""
        return str(self.document["fallback_step"])

    @property
    def actions(self) -> list[dict[str, Any]]:
        """Its actions, without nulls and defaults."""
        actions: list[dict[str, Any]] = self.document.get("action", [])
        return actions

    def with_fields(self, **fields: Any) -> "StoredRecord":
        """The same decision with some fields of the document changed or added, e.g. ``latency_ms`` and ``shadow``."""
        return StoredRecord(
            document={**self.document, **fields},
            decided_at=self.decided_at,
            household_id=self.household_id,
            reserves=self.reserves,
            dry_run=self.dry_run,
            sends=self.sends,
            ages=self.ages,
        )

    @cached_property
    def answer_bytes(self) -> bytes:
        """The answer: the canonical JSON of the expanded record's ``answer()``, byte for byte."""
        fields = answer_fields(self.document, self.ages)
        return orjson.dumps(fields, default=_plain, option=_WRITE | orjson.OPT_SORT_KEYS)

    @cached_property
    def stored_bytes(self) -> bytes:
        """The line that the log keeps."""
        return orjson.dumps(self.document, default=_plain, option=_WRITE)

    @cached_property
    def record(self) -> DecisionRecord:
        """The whole record, as it reads back from the log."""
        return read_record(self.stored_bytes)


_WRITE = orjson.OPT_SERIALIZE_NUMPY


def _plain(value: object) -> Any:
    """What orjson does not know: models, and sets in order."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a record")


def time_text(at: datetime) -> str:
    """A time as the contracts write it: ISO 8601, UTC as ``Z``."""
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


def _full(contract: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**defaults_of(contract), **fields}


# ---------------------------------------------------------------------------------------------------------- writing


def store(record: DecisionRecord) -> StoredRecord:
    """A whole record as it is logged."""
    fields = record.model_dump(mode="json")
    rules = Rules()
    document: dict[str, Any] = {"schema_version": VERSION}
    defaults = defaults_of(DecisionRecord)
    document.update({name: fields[name] for name in HEAD if name not in defaults or fields[name] != defaults[name]})
    if not record.logged:
        document["logged"] = False
    if record.contact != bool(record.action):
        document["contact"] = record.contact
    document["action"] = [_slim_action(action) for action in fields["action"]]
    document["candidates"] = _pack_candidates(fields["candidates"], rules)
    document["suppressed"] = pack_suppressed(fields["suppressed"], rules)
    document["rules"] = rules.rows
    document["experiments"] = [slim(Assignment, item) for item in fields["experiments"]]
    document["models"] = [slim(ModelRef, item) for item in fields["models"]]
    document["versions"] = slim(Versions, fields["versions"])
    document["features"] = pack_features(record.features)
    if fields["feature_ages"] != ages_of(record.features.as_of, record.decided_at):
        document["feature_ages"] = fields["feature_ages"]
    document["counters"] = pack_counters(record.counters)
    document["request"] = pack_request(record.request, document)
    options = record.request.options
    return StoredRecord(
        document={name: value for name, value in document.items() if value not in ([], {})},
        decided_at=record.decided_at,
        household_id=record.counters.household_id,
        reserves=options.reserve_caps and not options.dry_run and not options.defer_activation,
        dry_run=options.dry_run,
        sends=tuple(action.send_at for action in record.action),
    )


def _slim_action(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = slim(Action, fields)
    for name, contract in (("send", Send), ("propensity_interval", Interval), ("uplift_interval", Interval)):
        if name in kept:
            kept[name] = slim(contract, kept[name])
    if "greedy" in kept:
        kept["greedy"] = slim(CandidateRef, kept["greedy"])
    if "reason_codes" in kept:
        kept["reason_codes"] = [slim(Reason, item) for item in kept["reason_codes"]]
    return kept


def _pack_candidates(candidates: Sequence[Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for candidate in candidates:
        row = slim(Candidate, candidate)
        for name in ("propensity_interval", "uplift_interval"):
            for part, value in (row.pop(name, None) or {}).items():
                row[f"{name}.{part}"] = value
        for factor, value in row.pop("weights", {}).items():
            row[WEIGHT + factor] = value
        dropped = row.pop("dropped_by", None)
        if dropped is not None:
            row["rule"] = rules.position(dropped["stage"], dropped["rule"], dropped["text"], dropped["seen"])
            row["until"] = dropped["until"]
            if dropped["offer_id"] != candidate["offer_id"]:
                row["rule_offer_id"] = dropped["offer_id"]
            if dropped["channel"] != candidate["channel"]:
                row["rule_channel"] = dropped["channel"] or ""
        rows.append(row)
    return pack_rows(rows)


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
        kept["as_of"] = {view: time_text(at) for view, at in features.as_of.items()}
    if features.stale:
        kept["stale"] = list(features.stale)
    if features.error is not None:
        kept["error"] = features.error
    if features.reasons:
        kept["reasons"] = {
            name: [slim(Reason, vars(reason)) for reason in said] for name, said in features.reasons.items()
        }
    if features.values:
        kept["values"] = pack_values(features.values.items())
    return kept


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
    asked, kept = request.model_fields_set, {}
    for name, default in _request_defaults().items():
        if name in asked:
            value = getattr(request, name)
            if value != default:
                kept[name] = _as_json(value)
    kept.update({name: getattr(request, name) for name in YIELDING if name in asked and name not in kept})
    kept.update({name: value for name in SAME if (value := getattr(request, name)) != head.get(name)})
    return kept


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
        return value.model_dump(mode="json", exclude_defaults=True)
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


def ages_of(as_of: Mapping[str, datetime], now: datetime) -> dict[str, float]:
    """Seconds since each view's values were true, by view; never below 0."""
    return {view: max((now - at).total_seconds(), 0.0) for view, at in sorted(as_of.items())}


# ---------------------------------------------------------------------------------------------------------- reading


def read_record(line: str | bytes, *, shadow: str | bytes | None = None) -> DecisionRecord:
    """The whole record of a stored line of any version.

    Args:
        line: As stored.
        shadow: What was logged of its shadow afterwards: a JSON list of ``ShadowChoice``.

    Raises:
        StateError: The line is no record, or of a version that this release does not know.
    """
    document = _parsed(line)
    if shadow is not None:
        document["shadow"] = orjson.loads(shadow)
    return DecisionRecord.model_validate(document if document["schema_version"] == 1 else record_fields(document))


def read_fields(line: str | bytes, *, candidates: bool = True) -> dict[str, Any]:
    """The fields of a stored line of any version, as JSON has them: for readers of many records.

    Nested objects may lack fields that are as they would be by default.

    Args:
        line: As stored.
        candidates: False leaves them, and what was suppressed, out.

    Raises:
        StateError: As in ``read_record``.
    """
    document = _parsed(line)
    return document if document.get("schema_version") == 1 else record_fields(document, candidates=candidates)


def _parsed(line: str | bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise StateError(f"a decision in the log is no JSON: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version not in (1, VERSION):
        raise StateError(
            f"a decision in the log has schema version {version!r}, this release reads 1 and {VERSION}",
            hint="use the release that wrote it, or a later one",
        )
    return dict(document)


def answer_fields(document: Mapping[str, Any], ages: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Every field of the answer, as JSON has them.

    Args:
        document: As stored.
        ages: Of the features, where they are at hand.
    """
    get: Callable[..., Any] = document.get
    actions = [_full_action(action) for action in get("action", ())]
    rules = get("rules", ())
    return {
        "schema_version": 1,
        "decision_id": document["decision_id"],
        "request_id": get("request_id"),
        "customer_id": document["customer_id"],
        "status": document["status"],
        "status_reason": document["status_reason"],
        "decided_at": document["decided_at"],
        "expires_at": document["expires_at"],
        "contact": get("contact", bool(actions)),
        "action": actions,
        "suppressed": [
            _suppression(rules[row["rule"]], row["offer_id"], row.get("channel"), row.get("until"))
            for row in (unpack_rows(document["suppressed"]) if "suppressed" in document else ())
        ],
        "experiments": [_full(Assignment, item) for item in get("experiments", ())],
        "models": [_full(ModelRef, item) for item in get("models", ())],
        "versions": _full(Versions, document["versions"]),
        "feature_ages": get("feature_ages", None) or (_ages(document) if ages is None else ages),
        "warnings": get("warnings", []),
        "logged": get("logged", True),
    }


def record_fields(document: Mapping[str, Any], *, candidates: bool = True) -> dict[str, Any]:
    """Every field of the record; nested ones may lack their defaults."""
    fields = answer_fields(document if candidates else {**document, "suppressed": {"count": 0}})
    features = dict(document.get("features", {}))
    features["values"] = unpack_values(features.get("values", {}))
    counters = dict(document.get("counters", {}))
    for name in ROWS:
        if name in counters:
            counters[name] = unpack_rows(counters[name])
    own = {name: document[name] for name in SAME if document.get(name) is not None}
    return {
        **fields,
        "touchpoint": document["touchpoint"],
        "purpose": document["purpose"],
        "request": {**own, **document.get("request", {})},
        "candidates": _unpack_candidates(document) if candidates else [],
        "features": features,
        "counters": counters,
        "seed": document["seed"],
        "fallback_step": document["fallback_step"],
        "latency_ms": document.get("latency_ms", {}),
        "shadow": document.get("shadow", []),
    }


def _ages(document: Mapping[str, Any]) -> dict[str, float]:
    as_of = document.get("features", {}).get("as_of", {})
    return ages_of({view: time_of(text) for view, text in as_of.items()}, time_of(document["decided_at"]))


def _full_action(kept: Mapping[str, Any]) -> dict[str, Any]:
    action = _full(Action, kept)
    for name, contract in (
        ("send", Send),
        ("propensity_interval", Interval),
        ("uplift_interval", Interval),
        ("greedy", CandidateRef),
    ):
        if action[name] is not None:
            action[name] = _full(contract, action[name])
    action["reason_codes"] = [_full(Reason, item) for item in action["reason_codes"]]
    return action


def _suppression(row: Sequence[Any], offer_id: str | None, channel: str | None, until: str | None) -> dict[str, Any]:
    stage, rule, text = row[:3]
    said = {"offer_id": offer_id, "channel": channel, "stage": stage, "rule": rule, "until": until, "text": text}
    return {**said, "seen": row[3] if len(row) > 3 else {}}


def _unpack_candidates(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    packed = document.get("candidates", {"count": 0})
    rules = document.get("rules", ())
    count = packed["count"]
    rows: list[dict[str, Any]] = [{"offer_id": None} for _ in range(count)]
    for name, column in packed.items():
        if name == "count":
            continue
        head, _, part = name.partition(".")
        for row, value in zip(rows, unpack_column(column, count), strict=True):
            if value is None:
                continue
            if part:
                row.setdefault(head, {})[part] = value
            else:
                row[name] = value
    for row in rows:
        rule, until = row.pop("rule", None), row.pop("until", None)
        offer_id, channel = row.pop("rule_offer_id", row["offer_id"]), row.pop("rule_channel", row.get("channel"))
        if rule is not None:
            row["dropped_by"] = _suppression(rules[rule], offer_id, channel or None, until)
    return rows


def pack_candidate_columns(columns: Mapping[str, Sequence[Any]], count: int) -> dict[str, Any]:
    """Candidates that were collected by column, as they are kept.

    Args:
        columns: By field of ``Candidate``; ``weights.<factor>``, ``propensity_interval.low`` and so on for nested
            ones; ``rule`` is the position of what dropped it in ``Rules``, ``until`` its end.
        count: Number of candidates.
    """
    return {"count": count, **pack_columns(columns)}
