"""The record: what a decision found, written down for the caller, for replay and for learning. Pure.

The service writes it straight from the course of the decision to the document that the log keeps; ``decide`` reads
that document back, so that both are the same record.
"""

from collections.abc import Callable, Sequence
from typing import Any

from foretouch.core.decisions import (
    Action,
    Assignment,
    DecisionRecord,
    DecisionRequest,
    Interval,
    ModelRef,
    Reason,
    Send,
    Suppression,
)
from foretouch.core.packing import pack_rows
from foretouch.core.state.contacts import reservation_id
from foretouch.core.stored_record import (
    VERSION,
    Rules,
    StoredRecord,
    pack_candidate_columns,
    pack_counters,
    pack_features,
    pack_request,
    slim,
    time_text,
)
from foretouch.serving.candidates import Key
from foretouch.serving.course import Course
from foretouch.serving.inputs import DecisionInputs
from foretouch.serving.propensities import Span
from foretouch.serving.reasons import choice_reasons, customer_reasons, model_reasons, no_reasons, slot_reasons
from foretouch.serving.scoring import model_ref
from foretouch.serving.selection import NO_CONTACT, Pick
from foretouch.serving.status import name_of, status_of
from foretouch.serving.summary import summarise
from foretouch.serving.texts import dropped_text, language_of

Positions = Callable[[Suppression], int]
"""Where a rule's statement is kept in the document."""


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
        "candidates": _candidates(course, position),
        "suppressed": _suppressed(course, position),
        "rules": rules.rows,
        "experiments": [slim(Assignment, dict(assignment)) for assignment, _ in setting.assigned],
        "models": _models(inputs, course),
        "versions": inputs.versions.model_dump(),
        "features": pack_features(customer.features),
        "counters": pack_counters(counters),
        "warnings": [*setting.warnings, *course.warnings, *([customer.reason] if customer.reason else [])],
        "seed": f"{inputs.seed:016x}",
        "fallback_step": step,
    }
    document["request"] = pack_request(request, document)
    options = request.options
    return StoredRecord(
        document={name: value for name, value in document.items() if value is not None and value not in ([], {})},
        decided_at=now,
        household_id=counters.household_id,
        reserves=_reserves(request),
        dry_run=options.dry_run,
        sends=tuple(pick.send_at for pick in course.selection.picks),
    )


def _reserves(request: DecisionRequest) -> bool:
    options = request.options
    return options.reserve_caps and not options.dry_run and not options.defer_activation


def _confirmable(request: DecisionRequest) -> bool:
    """Whether the caller can confirm an action: it is reserved, or will be when it is confirmed."""
    return _reserves(request) or (request.options.defer_activation and not request.options.dry_run)


def _models(inputs: DecisionInputs, course: Course) -> list[dict[str, Any]]:
    """All that were there, since a replay needs them; the previous champions that were asked."""
    refs = [model_ref(inputs.models[name].card) for name in sorted(inputs.models)]
    asked = sorted({*course.customer.consulted, *course.found.consulted} & set(inputs.previous))
    refs.extend(model_ref(inputs.previous[name].card).model_copy(update={"role": "previous"}) for name in asked)
    return [slim(ModelRef, ref.model_dump(mode="json")) for ref in refs]


def _candidates(course: Course, position: Positions) -> dict[str, Any]:
    """Every candidate by column, "no contact" first."""
    screened, selection, found = course.screened, course.selection, course.found
    keys: list[Key] = [item.option.key for item in screened]
    drops = [item.dropped for item in screened]
    worths = [selection.worths.get(key) if drop is None else None for key, drop in zip(keys, drops, strict=True)]
    left = [key if worth is not None else None for key, worth in zip(keys, worths, strict=True)]
    spans = [None if key is None else found.spans.get(key) for key in left] if found.spans else ()
    factors = next((tuple(worth.weights) for worth in worths if worth is not None), ())
    columns: dict[str, list[Any]] = {
        "offer_id": [None, *(item.option.offer.offer_id for item in screened)],
        "treatment_id": [None, *(item.option.treatment_id for item in screened)],
        "channel": [None, *(item.option.channel for item in screened)],
        "rule": [None, *(None if drop is None else position(drop) for drop in drops)],
        "until": [None, *(None if drop is None or drop.until is None else time_text(drop.until) for drop in drops)],
        "propensity": [None, *(None if key is None else _number(found.by_key.get(key)) for key in left)],
        **_interval_columns("propensity_interval", spans, found.level),
        "value": [None, *(None if worth is None else worth.value + 0.0 for worth in worths)],
        "cost": [None, *(None if worth is None else worth.cost + 0.0 for worth in worths)],
        "price": [None, *(None if worth is None else worth.price + 0.0 for worth in worths)],
        "priority": [0.0, *(None if worth is None else worth.priority + 0.0 for worth in worths)],
        "selection_probability": [
            selection.probabilities[NO_CONTACT] + 0.0,
            *(None if key is None else selection.probabilities[key] + 0.0 for key in left),
        ],
    }
    if found.uplift:
        uplift_spans = [None if key is None else found.uplift_spans.get(key) for key in left]
        columns["uplift"] = [None, *(None if key is None else _number(found.uplift.get(key)) for key in left)]
        columns |= _interval_columns("uplift_interval", uplift_spans, found.uplift_level)
    for factor in factors:
        columns[f"weights.{factor}"] = [
            None,
            *(None if worth is None else worth.weights[factor] + 0.0 for worth in worths),
        ]
    return pack_candidate_columns(columns, len(screened) + 1)


def _number(value: float | None) -> float | None:
    """A number as the contract has it: no integer, no negative zero."""
    return None if value is None else value + 0.0


def _interval_columns(name: str, spans: Sequence[Span | None], level: float) -> dict[str, list[Any]]:
    """Intervals by column, "no contact" first; no columns where there are no intervals."""
    if not spans:
        return {}
    return {
        f"{name}.low": [None, *(None if span is None else span[0] + 0.0 for span in spans)],
        f"{name}.high": [None, *(None if span is None else span[1] + 0.0 for span in spans)],
        f"{name}.level": [None, *(None if span is None else level for span in spans)],
    }


def _interval(span: Span | None, level: float) -> dict[str, Any] | None:
    if span is None:
        return None
    return slim(Interval, {"low": span[0] + 0.0, "high": span[1] + 0.0, "level": level})


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
    return slim(
        Action,
        {
            "rank": rank,
            "offer_id": option.offer.offer_id,
            "treatment_id": option.treatment_id,
            "channel": option.channel,
            "placement": pick.placement,
            "send_at": time_text(pick.send_at),
            "send": slim(Send, pick.send.model_dump(mode="json")),
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
            "reason_codes": [
                slim(Reason, reason.model_dump()) for reason in _reasons(pick, request, inputs, course, language)
            ],
            "reservation_id": reservation_id(inputs.decision_id, rank) if _confirmable(request) else None,
        },
    )


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
        best_at=f"{send.best_at.astimezone(course.setting.zone):%Y-%m-%d %H:%M}",
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
