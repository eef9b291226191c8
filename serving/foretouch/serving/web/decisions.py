"""Handlers of the routes about decisions."""

from typing import Any

from foretouch.core.decisions import DecisionRequest
from foretouch.core.errors import ConfigError
from foretouch.serving.web.api import Api, checked, checked_id
from foretouch.serving.web.call import Answer, Call
from foretouch.serving.web.models import BatchBody
from foretouch.serving.web.problems import Problem, problem_of
from foretouch.serving.web.query import request_fields


def decide(api: Api, call: Call) -> Answer:
    """One decision."""
    return _decided(api, call, checked(DecisionRequest, call.body))


def touchpoint_decision(api: Api, call: Call) -> Answer:
    """One decision for an engine that can only GET."""
    return _decided(api, call, checked(DecisionRequest, request_fields(call.query, call.path["name"])))


def _decided(api: Api, call: Call, request: DecisionRequest) -> Answer:
    given = api.plane.decide_one(
        request,
        caller=call.caller_id,
        idempotency_key=call.idempotency_key,
        deadline_ms=call.deadline_ms,
        arrived=call.arrived,
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
    """The record of a decision; ``explain=full`` with every reason, worked out from the record and its models."""
    record = api.plane.get_decision(checked_id("decision_id", call.path["decision_id"]))
    explain, language = call.query.get("explain", "brief"), call.query.get("language")
    for name, value, allowed in (("explain", explain, ("brief", "full")), ("language", language, (None, "en", "zh"))):
        if value not in allowed:
            listed = " or ".join(item for item in allowed if item is not None)
            raise Problem(status=422, code="validation", detail=f"{name} == {value!r}, must be {listed}.")
    if explain == "full" or language is not None:
        record = api.plane.explain(record, language=language)
    return Answer.of(record)


def replay_decision(api: Api, call: Call) -> Answer:
    """The same decision made again from the record."""
    body = call.body if call.body is not None else {}
    if not isinstance(body, dict) or set(body) - {"policy"} or not isinstance(body.get("policy"), str | None):
        raise Problem(
            status=422, code="validation", detail='The body is {} or {"policy": "<name>"}: a policy file of ours.'
        )
    decision_id = checked_id("decision_id", call.path["decision_id"])
    try:
        return Answer.of(api.plane.replay(decision_id, policy=body.get("policy")))
    except ConfigError as error:  # where the workspace is on our disk is no caller's business
        detail = error.message.replace(f"{api.plane.workspace.root}/", "")
        raise Problem(status=422, code="policy", detail=detail) from error
