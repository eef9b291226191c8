"""Routes for whoever runs the service: alive, ready, metrics, the interface's own description."""

from typing import Any

from foretouch.serving.web.call import Answer, Call


def livez(_: Any, __: Call) -> Answer:
    """The process lives."""
    return Answer.of({"status": "alive"})


def readyz(api: Any, _: Call) -> Answer:
    """What answers and what is missing; 503 only when no decision could be logged."""
    readiness = api.plane.readiness()
    return Answer.of(readiness, status=200 if readiness["ready"] else 503)


def metrics(api: Any, _: Call) -> Answer:
    """Metrics of all workers."""
    body, content_type = api.plane.telemetry.exposition()
    return Answer(body=body, content_type=content_type)


def openapi(_: Any, __: Call) -> Answer:
    """The OpenAPI 3.1 document."""
    from foretouch.serving.web.openapi import document  # noqa: PLC0415 - it describes the table that names this

    return Answer(body=document())
