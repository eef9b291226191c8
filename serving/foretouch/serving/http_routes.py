"""The routes of the HTTP interface: what each takes and answers, who may call it, and the handler behind it."""

from foretouch.core.decisions import Decision, DecisionRecord, DecisionRequest
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.serving import http_decisions as decisions
from foretouch.serving import http_items as items
from foretouch.serving import http_ops as ops
from foretouch.serving import http_records as records
from foretouch.serving import http_soon as soon
from foretouch.serving.http_api import Api
from foretouch.serving.http_call import Route
from foretouch.serving.http_models import (
    BatchAnswer,
    BatchBody,
    ConsentsAnswer,
    ConsentsBody,
    CustomerAnswer,
    CustomerBody,
    CustomersBody,
    ItemResult,
    ItemsAnswer,
    OfferAnswer,
    OfferBody,
    RankAnswer,
    RankBody,
    ReservationAnswer,
    ScoreAnswer,
    ScoresAnswer,
    SendTimesAnswer,
    SendTimesBody,
    SuppressionsAnswer,
    SuppressionsBody,
)
from foretouch.serving.http_query import PARAMETERS
from foretouch.serving.http_simulate import simulate
from foretouch.serving.replay import Replay
from foretouch.serving.what_if_report import SimulateBody, WhatIf

__all__ = ("ROUTES", "Api")

DECIDE = ("decide",)
POST_BACK = ("decide", "events")
READ = ("decide", "report:read")
ADMIN = ("admin",)

ROUTES: tuple[Route, ...] = (
    Route(
        name="decide",
        method="POST",
        template="/v1/decisions",
        summary="May we contact this customer, with what, where, when? One explained, logged, replayable decision.",
        handler=decisions.decide,
        soon=soon.decide,
        scopes=DECIDE,
        body=DecisionRequest,
        answer=Decision,
    ),
    Route(
        name="decide_batch",
        method="POST",
        template="/v1/decisions:batch",
        summary="Up to 500 decisions; each item is a decision or a problem of its own.",
        handler=decisions.decide_batch,
        scopes=DECIDE,
        body=BatchBody,
        answer=BatchAnswer,
    ),
    Route(
        name="get_decision",
        method="GET",
        template="/v1/decisions/{decision_id}",
        summary="The record of a decision: candidates, features, counters, probabilities, versions, seed.",
        handler=decisions.get_decision,
        scopes=READ,
        answer=DecisionRecord,
        query={
            "explain": "full: also what moved the chosen offer's score, worked out now; brief: as it was answered.",
            "language": "en or zh: every text in that language, with full reasons.",
        },
    ),
    Route(
        name="replay_decision",
        method="POST",
        template="/v1/decisions/{decision_id}/replay",
        summary="Makes the decision again from its record: the identical one, or what differs.",
        handler=decisions.replay_decision,
        scopes=READ,
        answer=Replay,
        body_optional=True,
    ),
    Route(
        name="simulate",
        method="POST",
        template="/v1/simulate",
        summary="What another policy would have changed over a stored sample: reach, spend, mix, who loses.",
        handler=simulate,
        scopes=READ,
        body=SimulateBody,
        answer=WhatIf,
    ),
    Route(
        name="touchpoint_decision",
        method="GET",
        template="/v1/touchpoints/{name}/decision",
        summary="A decision for engines that can only GET.",
        handler=decisions.touchpoint_decision,
        scopes=DECIDE,
        answer=Decision,
        query=PARAMETERS,
        acts=True,
    ),
    Route(
        name="outcomes",
        method="POST",
        template="/v1/outcomes",
        summary='One outcome, or {"outcomes": [...]}; idempotent by outcome_id.',
        handler=items.post_outcomes,
        scopes=POST_BACK,
        body=Outcome,
        answer=(ItemResult, ItemsAnswer),
    ),
    Route(
        name="events",
        method="POST",
        template="/v1/events",
        summary='One event, or {"events": [...]}; idempotent by event_id; in the online features within a second.',
        handler=items.post_events,
        scopes=POST_BACK,
        body=CustomerEvent,
        answer=(ItemResult, ItemsAnswer),
    ),
    Route(
        name="put_consents",
        method="PUT",
        template="/v1/customers/{customer_id}/consents",
        summary="What a customer allowed or withdrew; the newest statement per channel and purpose holds.",
        handler=items.put_consents,
        scopes=POST_BACK,
        body=ConsentsBody,
        answer=ConsentsAnswer,
    ),
    Route(
        name="confirm_reservation",
        method="POST",
        template="/v1/reservations/{reservation_id}:confirm",
        summary="The contact is taken up: it counts and is learned from. One that was deferred is reserved only now.",
        handler=records.confirm_reservation,
        scopes=POST_BACK,
        answer=ReservationAnswer,
        body_optional=True,
    ),
    Route(
        name="release_reservation",
        method="POST",
        template="/v1/reservations/{reservation_id}:release",
        summary="The contact is not made: it counts no more, and nothing is learned from it.",
        handler=records.release_reservation,
        scopes=POST_BACK,
        answer=ReservationAnswer,
        body_optional=True,
    ),
    Route(
        name="put_customer",
        method="PUT",
        template="/v1/customers/{customer_id}",
        summary="Household, zone, language and attributes of a customer; rules see them in the very next decision.",
        handler=records.put_customer,
        scopes=POST_BACK,
        body=CustomerBody,
        answer=CustomerAnswer,
    ),
    Route(
        name="put_suppressions",
        method="PUT",
        template="/v1/customers/{customer_id}/suppressions",
        summary="Puts a customer on the suppression list: everywhere, or for a channel or purpose.",
        handler=records.put_suppressions,
        scopes=POST_BACK,
        body=SuppressionsBody,
        answer=SuppressionsAnswer,
    ),
    Route(
        name="delete_suppressions",
        method="DELETE",
        template="/v1/customers/{customer_id}/suppressions",
        summary="Takes a customer off the suppression list: all lines, or those of a channel or purpose.",
        handler=records.delete_suppressions,
        scopes=POST_BACK,
        answer=SuppressionsAnswer,
        query={"channel": "Only lines of this channel (* is a channel of its own).", "purpose": "Only of this."},
        body_optional=True,
    ),
    Route(
        name="put_offer",
        method="PUT",
        template="/v1/offers/{offer_id}",
        summary="Puts a whole offer into the catalogue: checked as ingest does, in force within a second.",
        handler=records.put_offer,
        scopes=ADMIN,
        body=OfferBody,
        answer=OfferAnswer,
    ),
    *(
        Route(
            name=f"score_{model}",
            method="POST",
            template=f"/v1/scores/{model}",
            summary=f"The {model} score of one customer or several, with interval, band and reasons.",
            handler=items.scores(model),
            scopes=DECIDE,
            body=CustomersBody,
            answer=(ScoreAnswer, ScoresAnswer),
        )
        for model in ("lead", "churn", "value")
    ),
    Route(
        name="rank_offers",
        method="POST",
        template="/v1/offers/rank",
        summary="The candidates of a touchpoint by priority; nothing is drawn, logged or reserved.",
        handler=items.rank_offers,
        scopes=DECIDE,
        body=RankBody,
        answer=RankAnswer,
    ),
    Route(
        name="send_times",
        method="POST",
        template="/v1/send-times",
        summary="The hours at which a customer is most active, outside quiet hours.",
        handler=items.send_times,
        scopes=DECIDE,
        body=SendTimesBody,
        answer=SendTimesAnswer,
    ),
    Route(
        name="livez",
        method="GET",
        template="/livez",
        summary="The process lives.",
        handler=ops.livez,
        soon=soon.livez,
    ),
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
        plain=True,
    ),
    Route(name="openapi", method="GET", template="/openapi.json", summary="This document.", handler=ops.openapi),
)
