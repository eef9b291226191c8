"""What each route does: from a checked call to the data plane and back. The table is at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from foretouch.core.decisions import Decision, DecisionRecord, DecisionRequest
from foretouch.core.errors import ConfigError, ForetouchError
from foretouch.core.events import CustomerEvent
from foretouch.core.ids import Id
from foretouch.core.outcomes import Outcome
from foretouch.core.schema import Contract
from foretouch.serving import http_ops as ops
from foretouch.serving.http_call import Answer, Call, Route
from foretouch.serving.http_models import (
    MAX_ITEMS,
    BatchBody,
    ConsentsAnswer,
    ConsentsBody,
    CustomersBody,
    ItemResult,
    ItemsAnswer,
    RankAnswer,
    RankBody,
    ScoreAnswer,
    ScoresAnswer,
    SendTimesAnswer,
    SendTimesBody,
)
from foretouch.serving.problems import Problem, invalid, problem_of
from foretouch.serving.replay import Replay

if TYPE_CHECKING:  # the supervisor reads this table too, and must not wait for LightGBM and pandas
    from foretouch.serving.answers import Answers
    from foretouch.serving.dataplane import Dataplane
    from foretouch.serving.intake import Intake

T = TypeVar("T", bound=Contract)

DECIDE = ("decide",)
POST_BACK = ("decide", "events")
READ = ("decide", "report:read")
_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, kw_only=True)
class Api:
    """Everything the routes need."""

    plane: "Dataplane"
    intake: "Intake"
    answers: "Answers"


def checked(contract: type[T], body: Any) -> T:
    """A body as its contract.

    Raises:
        Problem: 422 that names every wrong field.
    """
    try:
        return contract.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from error


def _checked_id(name: str, value: str) -> str:
    try:
        return _ID.validate_python(value)
    except ValidationError as error:
        wrong = ({"field": name, "message": error.errors()[0]["msg"]},)
        raise Problem(status=422, code="validation", detail=f"{name} is no id.", errors=wrong) from error


def decide(api: Api, call: Call) -> Answer:
    """One decision."""
    given = api.plane.decide_one(
        checked(DecisionRequest, call.body),
        caller=call.caller_id,
        idempotency_key=call.idempotency_key,
        deadline_ms=call.deadline_ms,
    )
    return Answer(body=given.body, headers={"idempotent-replayed": "true"} if given.replayed else {})


def decide_batch(api: Api, call: Call) -> Answer:
    """Many decisions; each item is a decision or a problem of its own."""
    items = checked(BatchBody, call.body).requests
    results: list[dict[str, Any]] = [{} for _ in items]
    good: list[tuple[int, DecisionRequest]] = []
    for index, item in enumerate(items):
        try:
            good.append((index, checked(DecisionRequest, item)))
        except Problem as problem:
            results[index] = {"index": index, "problem": problem.document(call.trace_id)}
    given = api.plane.decide_many(
        [request for _, request in good],
        caller=call.caller_id,
        idempotency_key=call.idempotency_key,
        deadline_ms=call.deadline_ms,
    )
    for (index, _), answer in zip(good, given, strict=True):
        if isinstance(answer, Exception):
            results[index] = {"index": index, "problem": problem_of(answer).document(call.trace_id)}
        else:
            results[index] = {"index": index, "replayed": answer.replayed, "decision": answer.decision}
    return Answer.of({"results": results})


def get_decision(api: Api, call: Call) -> Answer:
    """The record of a decision."""
    return Answer.of(api.plane.get_decision(_checked_id("decision_id", call.path["decision_id"])))


def replay_decision(api: Api, call: Call) -> Answer:
    """The same decision made again from the record."""
    body = call.body if call.body is not None else {}
    if not isinstance(body, dict) or set(body) - {"policy"} or not isinstance(body.get("policy"), str | None):
        raise Problem(
            status=422, code="validation", detail='The body is {} or {"policy": "<name>"}: a policy file of ours.'
        )
    decision_id = _checked_id("decision_id", call.path["decision_id"])
    try:
        return Answer.of(api.plane.replay(decision_id, policy=body.get("policy")))
    except ConfigError as error:  # where the workspace is on our disk is no caller's business
        detail = error.message.replace(f"{api.plane.workspace.root}/", "")
        raise Problem(status=422, code="policy", detail=detail) from error


def touchpoint_decision(api: Api, call: Call) -> Answer:
    """One decision for an engine that can only GET."""
    query = dict(call.query)
    channels = query.pop("channels", None)
    fields: dict[str, Any] = {**query, "touchpoint": call.path["name"]}
    if channels is not None:
        fields["channels"] = [name for name in channels.split(",") if name]
    if "n" in fields and str(fields["n"]).isdigit():
        fields["n"] = int(fields["n"])
    given = api.plane.decide_one(
        checked(DecisionRequest, fields),
        caller=call.caller_id,
        idempotency_key=call.idempotency_key,
        deadline_ms=call.deadline_ms,
    )
    return Answer(body=given.body, headers={"idempotent-replayed": "true"} if given.replayed else {})


def _post_items(body: Any, name: str, contract: type[T], store: Callable[[T], ItemResult], key: str) -> Answer:
    """One item, or ``{name: [items]}``: an unknown decision or a clash refuses one item alone, not the others."""
    if not isinstance(body, dict) or name not in body:
        return Answer.of(store(checked(contract, body)), status=202)
    items = body[name]
    if set(body) != {name} or not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise Problem(
            status=422, code="validation", detail=f'The body is one item, or {{"{name}": [1 to {MAX_ITEMS} items]}}.'
        )
    results: list[ItemResult] = []
    for item in items:
        identity = str(item.get(key, "")) if isinstance(item, dict) else ""
        try:
            results.append(store(checked(contract, item)))
        except (Problem, ForetouchError) as error:
            problem = problem_of(error)
            detail = "; ".join(f"{wrong['field']}: {wrong['message']}" for wrong in problem.errors) or problem.detail
            results.append(ItemResult(id=identity, status="refused", code=problem.code, reason=detail))
    return Answer.of(ItemsAnswer(results=tuple(results), counts=_counts(results)), status=202)


def _counts(results: Sequence[ItemResult]) -> dict[str, int]:
    counts = dict.fromkeys(("accepted", "duplicate", "quarantined", "refused"), 0)
    for result in results:
        counts[result.status] += 1
    return counts


def post_outcomes(api: Api, call: Call) -> Answer:
    """Outcomes of decisions."""
    return _post_items(call.body, "outcomes", Outcome, api.intake.outcome, "outcome_id")


def post_events(api: Api, call: Call) -> Answer:
    """Events of customers."""
    return _post_items(call.body, "events", CustomerEvent, api.intake.event, "event_id")


def put_consents(api: Api, call: Call) -> Answer:
    """Statements of consent."""
    customer_id = _checked_id("customer_id", call.path["customer_id"])
    return Answer.of(api.intake.consents(customer_id, checked(ConsentsBody, call.body)))


def _scores(model: str) -> Callable[[Api, Call], Answer]:
    def handler(api: Api, call: Call) -> Answer:
        body = checked(CustomersBody, call.body)
        scores = tuple(api.answers.score(model, name, deadline_ms=call.deadline_ms) for name in body.wanted)
        return Answer.of(scores[0] if body.customer_ids is None else ScoresAnswer(scores=scores))

    return handler


def rank_offers(api: Api, call: Call) -> Answer:
    """Offers by priority."""
    return Answer.of(api.answers.rank(checked(RankBody, call.body), deadline_ms=call.deadline_ms))


def send_times(api: Api, call: Call) -> Answer:
    """Hours to send at."""
    return Answer.of(api.answers.send_times(checked(SendTimesBody, call.body), deadline_ms=call.deadline_ms))


TOUCHPOINT_QUERY = {
    "customer_id": "The customer.",
    "channels": "Channels the engine can use, separated by commas.",
    "purpose": "marketing, retention, service or transactional.",
    "request_id": "Makes the call repeatable.",
    "household_id": "The customer's household.",
    "collection": "Only offers of this category.",
    "n": "How many actions at most.",
}

ROUTES: tuple[Route, ...] = (
    Route(
        name="decide",
        method="POST",
        template="/v1/decisions",
        summary="May we contact this customer, with what, where, when? One explained, logged, replayable decision.",
        handler=decide,
        scopes=DECIDE,
        body=DecisionRequest,
        answer=Decision,
    ),
    Route(
        name="decide_batch",
        method="POST",
        template="/v1/decisions:batch",
        summary="Up to 500 decisions; each item is a decision or a problem of its own.",
        handler=decide_batch,
        scopes=DECIDE,
        body=BatchBody,
    ),
    Route(
        name="get_decision",
        method="GET",
        template="/v1/decisions/{decision_id}",
        summary="The record of a decision: candidates, features, counters, probabilities, versions, seed.",
        handler=get_decision,
        scopes=READ,
        answer=DecisionRecord,
    ),
    Route(
        name="replay_decision",
        method="POST",
        template="/v1/decisions/{decision_id}/replay",
        summary="Makes the decision again from its record: the identical one, or what differs.",
        handler=replay_decision,
        scopes=READ,
        answer=Replay,
        body_optional=True,
    ),
    Route(
        name="touchpoint_decision",
        method="GET",
        template="/v1/touchpoints/{name}/decision",
        summary="A decision for engines that can only GET.",
        handler=touchpoint_decision,
        scopes=DECIDE,
        answer=Decision,
        query=TOUCHPOINT_QUERY,
        acts=True,
    ),
    Route(
        name="outcomes",
        method="POST",
        template="/v1/outcomes",
        summary='One outcome, or {"outcomes": [...]}; idempotent by outcome_id.',
        handler=post_outcomes,
        scopes=POST_BACK,
        body=Outcome,
        answer=ItemResult,
    ),
    Route(
        name="events",
        method="POST",
        template="/v1/events",
        summary='One event, or {"events": [...]}; idempotent by event_id; in the online features within a second.',
        handler=post_events,
        scopes=POST_BACK,
        body=CustomerEvent,
        answer=ItemResult,
    ),
    Route(
        name="put_consents",
        method="PUT",
        template="/v1/customers/{customer_id}/consents",
        summary="What a customer allowed or withdrew; the newest statement per channel and purpose holds.",
        handler=put_consents,
        scopes=POST_BACK,
        body=ConsentsBody,
        answer=ConsentsAnswer,
    ),
    *(
        Route(
            name=f"score_{model}",
            method="POST",
            template=f"/v1/scores/{model}",
            summary=f"The {model} score of one customer or several, with interval, band and reasons.",
            handler=_scores(model),
            scopes=DECIDE,
            body=CustomersBody,
            answer=ScoreAnswer,
        )
        for model in ("lead", "churn", "value")
    ),
    Route(
        name="rank_offers",
        method="POST",
        template="/v1/offers/rank",
        summary="The candidates of a touchpoint by priority; nothing is drawn, logged or reserved.",
        handler=rank_offers,
        scopes=DECIDE,
        body=RankBody,
        answer=RankAnswer,
    ),
    Route(
        name="send_times",
        method="POST",
        template="/v1/send-times",
        summary="The hours at which a customer is most active, outside quiet hours.",
        handler=send_times,
        scopes=DECIDE,
        body=SendTimesBody,
        answer=SendTimesAnswer,
    ),
    Route(name="livez", method="GET", template="/livez", summary="The process lives.", handler=ops.livez),
    Route(
        name="readyz",
        method="GET",
        template="/readyz",
        summary="What answers, and what is missing.",
        handler=ops.readyz,
    ),
    Route(
        name="metrics",
        method="GET",
        template="/metrics",
        summary="Prometheus metrics; without a key only from this machine.",
        handler=ops.metrics,
        scopes=("report:read", "decide"),
        loopback_without_key=True,
    ),
    Route(name="openapi", method="GET", template="/openapi.json", summary="This document.", handler=ops.openapi),
)
