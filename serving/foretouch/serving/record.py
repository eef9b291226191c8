"""The record: what a decision found, written down for the caller, for replay and for learning. Pure."""

from foretouch.core.decisions import (
    Action,
    Candidate,
    DecisionRecord,
    DecisionRequest,
    Reason,
    Status,
    Suppression,
)
from foretouch.core.state.contacts import reservation_id
from foretouch.serving.candidates import Key, Option
from foretouch.serving.course import Course
from foretouch.serving.fallback import STATUS
from foretouch.serving.inputs import DecisionInputs
from foretouch.serving.reasons import choice_reasons, model_reasons
from foretouch.serving.scoring import model_ref
from foretouch.serving.selection import NO_CONTACT, Pick
from foretouch.serving.summary import is_off, summarise

NO_STEP = "none"
"""Step of the ladder where rules or a holdout decided, and no step was needed."""


def write_record(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> DecisionRecord:
    """The whole record of one decision."""
    setting, customer = course.setting, course.customer
    status, step, reason = _status(request, course)
    actions = tuple(
        _action(rank, pick, request, inputs, course) for rank, pick in enumerate(course.selection.picks, start=1)
    )
    cards = [inputs.models[name].card for name in sorted(inputs.models)]  # all that were there: a replay needs them
    now = setting.touch.now
    return DecisionRecord(
        decision_id=inputs.decision_id,
        request_id=request.request_id,
        customer_id=request.customer_id,
        status=status,
        status_reason=reason,
        decided_at=now,
        expires_at=setting.expires_at,
        contact=bool(actions),
        action=actions,
        suppressed=(*course.unknown, *summarise((*course.screened, *course.probes))),
        experiments=tuple(assignment for assignment, _ in setting.assigned),
        models=tuple(model_ref(card) for card in cards),
        versions=inputs.versions,
        feature_ages={view: max((now - at).total_seconds(), 0.0) for view, at in sorted(inputs.features.as_of.items())},
        warnings=(*setting.warnings, *course.warnings, *([customer.reason] if customer.reason else [])),
        touchpoint=request.touchpoint,
        purpose=setting.touch.request.purpose,
        request=request,
        candidates=_candidates(course),
        features=customer.features,
        counters=inputs.counters,
        seed=f"{inputs.seed:016x}",
        fallback_step=step,
    )


def _candidates(course: Course) -> tuple[Candidate, ...]:
    nobody = Candidate(offer_id=None, priority=0.0, selection_probability=course.selection.probabilities[NO_CONTACT])
    return (nobody, *(_candidate(item.option, item.dropped, course) for item in course.screened))


def _candidate(option: Option, dropped: Suppression | None, course: Course) -> Candidate:
    if dropped is not None:
        return Candidate(
            offer_id=option.offer.offer_id,
            treatment_id=option.treatment_id,
            channel=option.channel,
            dropped_by=dropped,
        )
    worth = course.selection.worths[option.key]
    return Candidate(
        offer_id=option.offer.offer_id,
        treatment_id=option.treatment_id,
        channel=option.channel,
        propensity=course.found.by_key.get(option.key),
        propensity_interval=course.found.intervals.get(option.key),
        value=worth.value,
        cost=worth.cost,
        weights=worth.weights,
        price=worth.price,
        priority=worth.priority,
        selection_probability=course.selection.probabilities[option.key],
    )


def _action(rank: int, pick: Pick, request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Action:
    option, worth, found = pick.item.option, pick.worth, course.found
    options = request.options
    reserved = options.reserve_caps and not options.dry_run and not options.defer_activation
    return Action(
        rank=rank,
        offer_id=option.offer.offer_id,
        treatment_id=option.treatment_id,
        channel=option.channel,
        send_at=pick.send_at,
        send=pick.send,
        propensity=found.by_key.get(option.key),
        propensity_interval=found.intervals.get(option.key),
        uplift_reason=found.uplift_reason,
        value=worth.value,
        cost=worth.cost,
        weights=worth.weights,
        price=worth.price,
        priority=worth.priority,
        selection_probability=pick.probability,
        explored=pick.best != option.key and course.forced is None,
        reason_codes=_reasons(pick, request, inputs, course),
        reservation_id=reservation_id(inputs.decision_id, rank) if reserved else None,
    )


def _reasons(pick: Pick, request: DecisionRequest, inputs: DecisionInputs, course: Course) -> tuple[Reason, ...]:
    if request.options.explain_level == "none":
        return ()
    key = pick.item.option.key
    holdout = course.setting.holdout
    chosen = choice_reasons(
        explored=pick.best != key,
        probability=pick.probability,
        best=name_of(pick.best),
        left=len(course.survivors) + 1,
        holdout=None if holdout is None else f"{holdout[0].key}/{holdout[0].arm}",
        step=course.found.step,
        basis=course.rhythm.basis,
    )
    try:
        learned = model_reasons(course.found.scorer, course.found.rows.get(key), inputs.config)
    except Exception:  # noqa: BLE001 - a reason that cannot be given must not cost the caller an answer
        learned = (Reason(code="no_reasons", text="the model could not explain its score"),)
    return (*chosen, *learned)


def name_of(key: Key) -> str:
    """A candidate in words."""
    if key == NO_CONTACT:
        return "no contact"
    offer_id, treatment_id, channel = key
    return f"{offer_id} by {channel}" + (f" ({treatment_id})" if treatment_id else "")


def _status(request: DecisionRequest, course: Course) -> tuple[Status, str, str]:
    """Status, step of the ladder, and the sentence that says why."""
    setting = course.setting
    holdout = setting.holdout
    screened = course.probes or course.screened
    forbidden = bool(screened) and all(
        item.dropped is not None and item.dropped.stage != "holdout" for item in screened
    )
    if forbidden:
        return "suppressed", NO_STEP, _why_suppressed(course)
    if not course.survivors and not course.held:
        return "fallback", "nothing", "There is no offer for this touchpoint, so there is nothing to contact about."
    outcome = _outcome(course)
    if holdout is not None:
        arm = f"arm {holdout[0].arm!r} of experiment {holdout[0].key!r}"
        kind = holdout[1].kind.replace("_", " ")
        step = NO_STEP if course.held else course.found.step
        return "control", step, f"Held out by {arm} ({kind}): {outcome}."
    step, why = course.found.step, course.found.reason
    status = STATUS[step]
    if status == "decided" and course.customer.missing and request.personalised:
        status, step, why = "degraded", "defaults", f"{course.customer.reason}; its weight counts as 1"
    if status == "decided":
        start = "Decided without the customer's data, as the request asks" if why else "Decided"
        return status, step, f"{start}: {outcome}."
    if status == "degraded":
        return status, step, f"Decided on stale or default inputs ({why}): {outcome}."
    basis = {
        "prior": "the rates of such offers decided",
        "default_action": "the caller's default action was taken",
        "rules": "the offers' own values decided",
    }[step]
    return status, step, f"No model decided ({why}); {basis}: {outcome}."


def _outcome(course: Course) -> str:
    picks = course.selection.picks
    if picks:
        named = ", ".join(name_of(pick.item.option.key) for pick in picks)
        return f"{named}, drawn with probability {picks[0].probability:.3g}"
    return f"no contact, drawn with probability {course.selection.probabilities[NO_CONTACT]:.3g}"


def _why_suppressed(course: Course) -> str:
    drops = [item.dropped for item in course.probes or course.screened if item.dropped is not None]
    drops = [drop for drop in drops if not is_off(drop)] or drops  # what says something about the customer, if any
    stages = {drop.stage for drop in drops}
    rules = {drop.rule for drop in drops}
    if stages == {"consent"} and rules == {"no_record"}:
        who = "The customer is not known, and" if not course.setting.touch.counters.known else "For this customer"
        return f"{who} no consent is on record for this purpose, so no contact is allowed."
    named = ", ".join(dict.fromkeys(f"{drop.stage} ({drop.rule})" for drop in drops))
    return f"Rules forbid every contact: {named}."
