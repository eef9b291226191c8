"""Reading what ``stored_record`` keeps: the whole record, its fields, or the answer, of any version ever written."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from foretouch.core.decisions import Action, Assignment, DecisionRecord, Interval, ModelRef, Reason, Send, Versions
from foretouch.core.errors import StateError
from foretouch.core.offers import CandidateRef
from foretouch.core.packing import unpack_column, unpack_rows, unpack_values
from foretouch.core.record_parts import ROWS, SAME, VERSION, ages_of, full, time_of


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


def read_columns(line: str | bytes, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """A stored line's own fields as they are kept, and some columns of its candidates: for readers of very many.

    Nothing else is expanded: fields may lack what is null, empty or default, and candidates, features and counters
    are as the line's version keeps them.

    Args:
        line: As stored.
        names: Scalar fields of a candidate; ``dropped_by`` is ``(stage, rule)``, or null where no rule dropped it.

    Raises:
        StateError: As in ``read_record``.
    """
    document = _parsed(line)
    if document["schema_version"] == 1:
        rows = document["candidates"]
        columns = {name: [row.get(name) for row in rows] for name in names}
        if "dropped_by" in columns:
            columns["dropped_by"] = [row and (row["stage"], row["rule"]) for row in columns["dropped_by"]]
        return document, columns
    packed, rules = document.get("candidates", {"count": 0}), document.get("rules", ())
    count = packed["count"]
    columns = {name: unpack_column(packed.get(name), count) for name in names if name != "dropped_by"}
    if "dropped_by" in names:
        stated = [(row[0], row[1]) for row in rules]
        kept = unpack_column(packed.get("rule"), count)
        columns["dropped_by"] = [None if index is None else stated[index] for index in kept]
    return document, columns


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


def answer_fields(document: Mapping[str, Any], known: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Every field of the answer, as JSON has them.

    Args:
        document: As stored.
        known: ``feature_ages``, ``models`` and ``versions``, where they are at hand as they are answered.
    """
    get: Callable[..., Any] = document.get
    actions = [_full_action(action) for action in get("action", ())]
    models, versions, ages = known.get("models"), known.get("versions"), known.get("feature_ages")
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
        "suppressed": _suppressed(document) if "suppressed" in document else [],
        "experiments": [full(Assignment, item) for item in get("experiments", ())],
        "models": [full(ModelRef, item) for item in get("models", ())] if models is None else models,
        "versions": full(Versions, document["versions"]) if versions is None else versions,
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


def _suppressed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules = document.get("rules", ())
    return [
        _suppression(rules[row["rule"]], row["offer_id"], row.get("channel"), row.get("until"))
        for row in unpack_rows(document["suppressed"])
    ]


def _ages(document: Mapping[str, Any]) -> dict[str, float]:
    as_of = document.get("features", {}).get("as_of", {})
    return ages_of({view: time_of(text) for view, text in as_of.items()}, time_of(document["decided_at"]))


def _full_action(kept: Mapping[str, Any]) -> dict[str, Any]:
    action = full(Action, kept)
    for name, contract in (
        ("send", Send),
        ("propensity_interval", Interval),
        ("uplift_interval", Interval),
        ("greedy", CandidateRef),
    ):
        if action[name] is not None:
            action[name] = full(contract, action[name])
    action["reason_codes"] = [full(Reason, item) for item in action["reason_codes"]]
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
