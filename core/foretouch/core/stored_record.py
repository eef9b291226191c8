"""The decision record as the log keeps it: schema version 2, compact, and expanded again on reading.

A stored record is one JSON document. It leaves out what is null, empty or default, keeps candidates by column, and
names each statement of a rule once, in ``rules``; every text is kept as it was answered, because a later release may
word it otherwise. ``versions``, ``models`` and ``request`` name what a replay needs. Version 1 was the canonical JSON
of ``DecisionRecord`` itself, and is read for ever (``record_reading``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from foretouch.core.decisions import (
    Action,
    Assignment,
    Candidate,
    DecisionRecord,
    Interval,
    ModelRef,
    Reason,
    Send,
    Versions,
)
from foretouch.core.offers import CandidateRef
from foretouch.core.packing import pack_rows
from foretouch.core.record_parts import (
    VERSION,
    WEIGHT,
    WRITE,
    Rules,
    ages_of,
    defaults_of,
    pack_counters,
    pack_features,
    pack_request,
    pack_suppressed,
    plain,
    slim,
    time_of,
    time_text,
)
from foretouch.core.record_reading import answer_fields, read_columns, read_fields, read_record

__all__ = [
    "VERSION",
    "StoredRecord",
    "read_columns",
    "read_fields",
    "read_record",
    "store",
    "time_of",
    "time_text",
]

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
        known: Fields of the answer that whoever wrote the document has already, as they are answered; the others are
            worked out from the document.
    """

    document: dict[str, Any]
    decided_at: datetime
    household_id: str | None = None
    reserves: bool = False
    dry_run: bool = False
    sends: tuple[datetime, ...] = ()
    known: Mapping[str, Any] = field(default_factory=dict)

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
            known={name: value for name, value in self.known.items() if name not in fields},
        )

    @cached_property
    def answer_bytes(self) -> bytes:
        """The answer: the canonical JSON of the expanded record's ``answer()``, byte for byte."""
        fields = answer_fields(self.document, self.known)
        return orjson.dumps(fields, default=plain, option=WRITE | orjson.OPT_SORT_KEYS)

    @cached_property
    def stored_bytes(self) -> bytes:
        """The line that the log keeps."""
        return orjson.dumps(self.document, default=plain, option=WRITE)

    @cached_property
    def record(self) -> DecisionRecord:
        """The whole record, as it reads back from the log."""
        return read_record(self.stored_bytes)


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
