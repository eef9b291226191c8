"""Handlers of the routes that take things back or answer questions: outcomes, events, consents, scores, hours."""

from collections.abc import Callable, Sequence
from typing import Any

from foretouch.core.errors import ForetouchError
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.serving.web.api import Api, T, checked, checked_id
from foretouch.serving.web.call import Answer, Call
from foretouch.serving.web.models import (
    MAX_ITEMS,
    ConsentsBody,
    CustomersBody,
    ItemResult,
    ItemsAnswer,
    RankBody,
    ScoresAnswer,
    SendTimesBody,
)
from foretouch.serving.web.problems import Problem, problem_of


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
    customer_id = checked_id("customer_id", call.path["customer_id"])
    return Answer.of(api.intake.consents(customer_id, checked(ConsentsBody, call.body)))


def scores(model: str) -> Callable[[Api, Call], Answer]:
    """The handler of one model's scores."""

    def handler(api: Api, call: Call) -> Answer:
        body = checked(CustomersBody, call.body)
        found = tuple(api.answers.score(model, name, deadline_ms=call.deadline_ms) for name in body.wanted)
        return Answer.of(found[0] if body.customer_ids is None else ScoresAnswer(scores=found))

    return handler


def rank_offers(api: Api, call: Call) -> Answer:
    """Offers by priority."""
    return Answer.of(api.answers.rank(checked(RankBody, call.body), deadline_ms=call.deadline_ms))


def send_times(api: Api, call: Call) -> Answer:
    """Hours to send at."""
    return Answer.of(api.answers.send_times(checked(SendTimesBody, call.body), deadline_ms=call.deadline_ms))
