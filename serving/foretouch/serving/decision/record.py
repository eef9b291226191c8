"""The record: what a decision found, written down for the caller, for replay and for learning. Pure.

The service writes it straight from the course of the decision to the document that the log keeps; ``decide`` reads
that document back, so that both are the same record.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from foretouch.core.bundle import ModelCard
from foretouch.core.canonical import canonical_json
from foretouch.core.decisions import (
    Assignment,
    DecisionRecord,
    DecisionRequest,
    ModelRef,
    Reason,
    Send,
    Suppression,
)
from foretouch.core.packing import pack_rows
from foretouch.core.record_parts import (
    VERSION,
    Rules,
    ages_of,
    full,
    pack_counters,
    pack_features,
    pack_request,
    slim,
    time_text,
)
from foretouch.core.state.contacts import reservation_id
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.decision.candidate_columns import Positions, candidate_columns
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.propensities import DEFAULT_LEVEL, Span
from foretouch.serving.decision.selection import NO_CONTACT, Pick
from foretouch.serving.decision.status import name_of, status_of
from foretouch.serving.decision.summary import summarise
from foretouch.serving.words.reasons import choice_reasons, customer_reasons, model_reasons, no_reasons, slot_reasons
from foretouch.serving.words.texts import dropped_text, language_of
from foretouch.serving.words.translations import translated


def write_record(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> DecisionRecord:
    """The whole record of one decision, as it reads back from the log."""
    return store_course(request, inputs, course).record


def store_course(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> StoredRecord:
    """One decision as the log keeps it, without an object per candidate.

    Args:
        request: As it was asked.
        inputs: What the decision was made from.
        course: What it found.
    """
    setting, customer, counters = course.setting, course.customer, inputs.counters
    asked = setting.touch.request
    language = language_of(request, counters)
    status, step, reason = status_of(asked, course, language)
    rules = Rules()
    position = _positions(rules, language)
    now = setting.touch.now
    models, answered_models = _models(inputs, course)
    versions = inputs.plans.get(
        "versions", (inputs.versions,), lambda: orjson.Fragment(canonical_json(dict(vars(inputs.versions))))
    )
    document: dict[str, Any] = {
        "schema_version": VERSION,
        "decision_id": inputs.decision_id,
        "request_id": request.request_id,
        "customer_id": request.customer_id,
        "touchpoint": request.touchpoint,
        "purpose": asked.purpose,
        "status": status,
        "status_reason": reason,
        "decided_at": time_text(now),
        "expires_at": time_text(setting.expires_at),
        "action": [
            _action(rank, pick, request, inputs, course, language=language)
            for rank, pick in enumerate(course.selection.picks, start=1)
        ],
        "candidates": candidate_columns(course, position, inputs.catalogue, inputs.plans),
        "suppressed": _suppressed(course, position),
        "rules": rules.rows,
        "experiments": [slim(Assignment, vars(assignment)) for assignment, _ in setting.assigned],
        "models": models,
        "versions": versions,
        "features": pack_features(customer.features),
        "counters": pack_counters(counters),
        "warnings": [
            translated(text, language)
            for text in (*setting.warnings, *course.warnings, *([customer.reason] if customer.reason else []))
        ],
        "seed": f"{inputs.seed:016x}",
        "fallback_step": step,
    }
    document["request"] = pack_request(request, document)
    options = request.options
    return StoredRecord(
        document={name: value for name, value in document.items() if value is not None and value not in ([], {})},
        decided_at=now,
        household_id=counters.household_id,
        reserves=reserves(request),
        dry_run=options.dry_run,
        sends=tuple(pick.send_at for pick in course.selection.picks),
        known={
            "feature_ages": ages_of(customer.features.as_of, now),
            "models": answered_models,
            "versions": versions,
        },
    )


def reserves(request: DecisionRequest) -> bool:
    """Whether a decision's actions reserve contacts."""
    options = request.options
    return options.reserve_caps and not options.dry_run and not options.defer_activation


def _confirmable(request: DecisionRequest) -> bool:
    """Whether the caller can confirm an action: it is reserved, or will be when it is confirmed."""
    return reserves(request) or (request.options.defer_activation and not request.options.dry_run)


def _models(inputs: DecisionInputs, course: Course) -> tuple[orjson.Fragment | None, orjson.Fragment]:
    """All that were there, since a replay needs them, and the previous champions that were asked.

    Returns:
        As the record keeps them (None where there are none), and as they are answered.
    """
    cards = [inputs.models[name].card for name in sorted(inputs.models)]
    champions = len(cards)
    consulted = (*course.customer.consulted, *course.found.consulted)
    if consulted:
        cards += [inputs.previous[name].card for name in sorted({*consulted} & inputs.previous.keys())]
    return inputs.plans.get(f"models/{champions}", tuple(cards), lambda: _written(cards, champions))


def _written(cards: Sequence[ModelCard], champions: int) -> tuple[orjson.Fragment | None, orjson.Fragment]:
    """How a decision names models, as ``ModelRef``: the champions first."""
    refs = [
        {
            "name": card.model,
            "version": card.version,
            "trained_through": time_text(card.trained_through),
            **({} if place < champions else {"role": "previous"}),
        }
        for place, card in enumerate(cards)
    ]
    answered = orjson.Fragment(canonical_json([full(ModelRef, ref) for ref in refs]))
    return orjson.Fragment(canonical_json(refs)) if refs else None, answered


def _number(value: float | None) -> float | None:
    """A number as the contract has it: no integer, no negative zero."""
    return None if value is None else value + 0.0


def _interval(span: Span | None, level: float) -> dict[str, Any] | None:
    if span is None:
        return None
    ends = {"low": span[0] + 0.0, "high": span[1] + 0.0}
    return ends if level == DEFAULT_LEVEL else {**ends, "level": level}


def _positions(rules: Rules, language: str) -> Positions:
    """Where a rule's statement is kept; one that several candidates share is looked up once."""
    known: dict[int, tuple[Suppression, int]] = {}

    def position(drop: Suppression) -> int:
        found = known.get(id(drop))
        if found is None:
            text = dropped_text(drop.stage, drop.rule, drop.channel, drop.text, language)
            found = known[id(drop)] = (drop, rules.position(drop.stage, drop.rule, text, drop.seen))
        return found[1]

    return position


def _suppressed(course: Course, position: Positions) -> dict[str, Any]:
    said = [(drop.offer_id, drop.channel, drop.until, drop) for drop in course.unknown]
    if course.probes or len(course.survivors) < len(course.screened):
        said.extend(summarise((*course.screened, *course.probes)))
    if not said:
        return {}
    return pack_rows(
        [
            {
                "offer_id": offer_id,
                "channel": channel,
                "rule": position(drop),
                "until": None if until is None else time_text(until),
            }
            for offer_id, channel, until, drop in said
        ]
    )


def _action(
    rank: int, pick: Pick, request: DecisionRequest, inputs: DecisionInputs, course: Course, *, language: str
) -> dict[str, Any]:
    option, worth, found = pick.item.option, pick.worth, course.found
    key = option.key
    explored = pick.best != key and course.forced is None
    uplift = _number(found.uplift.get(key))
    send_at = time_text(pick.send_at)
    fields = {
        "rank": rank,
        "offer_id": option.offer.offer_id,
        "treatment_id": option.treatment_id,
        "channel": option.channel,
        "placement": pick.placement,
        "send_at": send_at,
        "send": _send(pick.send, pick.send_at, send_at),
        "propensity": _number(found.by_key.get(key)),
        "propensity_interval": _interval(found.spans.get(key), found.level),
        "uplift": uplift,
        "uplift_interval": _interval(found.uplift_spans.get(key), found.uplift_level),
        "uplift_reason": found.uplift_reason if uplift is None else None,
        "value": worth.value + 0.0,
        "cost": worth.cost + 0.0,
        "weights": {name: weight + 0.0 for name, weight in worth.weights.items()},
        "price": worth.price + 0.0,
        "priority": worth.priority + 0.0,
        "selection_probability": pick.probability + 0.0,
        "explored": explored,
        "greedy": _ref(pick.best) if explored else None,
        "reason_codes": [slim(Reason, vars(reason)) for reason in _reasons(pick, request, inputs, course, language)],
        "reservation_id": reservation_id(inputs.decision_id, rank) if _confirmable(request) else None,
    }
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and value not in ({}, [])
    }


def _send(send: Send, send_at: datetime, written: str) -> dict[str, Any]:
    """How the slot was found, without defaults.

    Args:
        send: How.
        send_at: The slot.
        written: The same as text; mostly it is the best one too.
    """
    later = send.runner_up_at
    best_at = written if send.best_at is send_at else time_text(send.best_at)
    return slim(Send, {**vars(send), "best_at": best_at, "runner_up_at": None if later is None else time_text(later)})


def _ref(key: Key) -> dict[str, str]:
    """The choice of highest priority, as ``Action.greedy`` names it."""
    if key == NO_CONTACT:
        return {"offer_id": "*"}
    offer_id, treatment_id, channel = key
    return {"offer_id": offer_id, "channel": channel} | ({"treatment_id": treatment_id} if treatment_id else {})


def _reasons(
    pick: Pick, request: DecisionRequest, inputs: DecisionInputs, course: Course, language: str
) -> tuple[Reason, ...]:
    level = request.options.explain_level
    if level == "none":
        return ()
    holdout = course.setting.holdout
    chosen = choice_reasons(
        explored=pick.best != pick.item.option.key,
        probability=pick.probability,
        best=name_of(pick.best, language),
        best_probability=pick.best_probability,
        left=pick.left,
        holdout=None if holdout is None else f"{holdout[0].key}/{holdout[0].arm}",
        step=course.found.step,
        fallback=pick.item.option.offer.fallback,
        language=language,
    )
    send = pick.send
    slot = slot_reasons(
        basis=send.basis,
        explored=send.explored,
        probability=send.slot_probability,
        best_at=send.best_at.astimezone(course.setting.zone),
        owed=course.setting.touch.request.purpose == "transactional",
        language=language,
    )
    known = customer_reasons(course.customer, inputs.config, language)
    if level == "brief":
        return (*chosen, *slot, *known)
    try:
        row = course.found.rows.get(pick.item.option.key)
        learned = model_reasons(course.found.scorer, row, inputs.config, language)
    except Exception:  # noqa: BLE001 - a reason that cannot be given must not cost the caller an answer
        learned = (no_reasons(language),)
    return (*chosen, *slot, *known, *learned)
