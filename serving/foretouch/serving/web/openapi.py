"""The OpenAPI 3.1 document, made from the route table and the contracts: it cannot drift from what is served."""

from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from foretouch.core.canonical import canonical_json
from foretouch.serving.web.call import JSON, Route
from foretouch.serving.web.problems import PROBLEM_JSON
from foretouch.serving.web.routes import ROUTES

PLACE = "#/components/schemas/{model}"
REFUSALS = {
    "400": "No JSON, or JSON with NaN, Infinity or abysmal nesting.",
    "401": "No key, or a key that is unknown, revoked or expired.",
    "403": "The key lacks the scope.",
    "404": "The thing does not exist.",
    "409": "The id came before with other content, the same call is under way, or a rule or earlier word forbids it.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "422": "The body does not fit its schema, or an idempotency key was reused with another body.",
    "500": "Something failed on our side.",
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "errors", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "trace_id": {"type": "string"},
    },
}
LISTS = {"outcomes": "outcomes", "events": "events"}
"""Routes whose body may also be a list of items under that name."""


@cache
def document() -> bytes:
    """The document as JSON."""
    bodies = [(route.body, "validation") for route in ROUTES if isinstance(route.body, type)]
    answers = [(answer, "serialization") for route in ROUTES for answer in _answers(route)]
    references, definitions = models_json_schema(
        [*dict.fromkeys(bodies), *dict.fromkeys(answers)],  # type: ignore[list-item]
        ref_template=PLACE,
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, references)
    return canonical_json(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Foretouch",
                "version": version("foretouch"),
                "description": "Decides before you touch a customer: whom, with what, where, when, or better not.",
            },
            "paths": paths,
            "components": {
                "schemas": {**definitions.get("$defs", {}), "Problem": PROBLEM_SCHEMA},
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
        }
    )


def _operation(route: Route, references: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {"200": {"description": "Done.", "content": _content(route, references)}},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.placeholders
    ]
    parameters += [_query_parameter(name, text) for name, text in route.query.items()]
    if route.scopes:
        parameters += [
            {"name": "X-Deadline-Ms", "in": "header", "schema": {"type": "number", "exclusiveMinimum": 0}},
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 256}},
        ]
        operation["security"] = [{"bearer": []}, {"key": []}]
        operation["description"] = "Scopes: " + " or ".join(route.scopes)
        operation["responses"] |= {
            status: {
                "description": text,
                "content": {PROBLEM_JSON: {"schema": {"$ref": PLACE.format(model="Problem")}}},
            }
            for status, text in REFUSALS.items()
        }
    if parameters:
        operation["parameters"] = parameters
    if route.acts:
        operation["description"] += ". HEAD is refused: this GET decides."
    if isinstance(route.body, type):
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _body_schema(route, references)}}}
    if route.name in LISTS:
        operation["responses"]["202"] = operation["responses"].pop("200")
    return operation


def _query_parameter(name: str, text: str) -> dict[str, Any]:
    """One parameter; of ``context.<name>`` a document can only show the pattern."""
    return {
        "name": name,
        "in": "query",
        "required": name == "customer_id",
        "description": text,
        "schema": {"type": "string"},
    }


def _content(route: Route, references: Any) -> dict[str, Any]:
    if route.plain:
        return {"text/plain": {"schema": {"type": "string"}}}
    ways = [references[answer, "serialization"] for answer in _answers(route)]
    return {JSON: {"schema": {"anyOf": ways} if len(ways) > 1 else next(iter(ways), {"type": "object"})}}


def _answers(route: Route) -> tuple[Any, ...]:
    """The schemas of a route's answers."""
    if route.answer is None:
        return ()
    return route.answer if isinstance(route.answer, tuple) else (route.answer,)


def _body_schema(route: Route, references: Any) -> dict[str, Any]:
    one: dict[str, Any] = references[route.body, "validation"]
    if route.name not in LISTS:
        return one
    many = {
        "type": "object",
        "required": [LISTS[route.name]],
        "additionalProperties": False,
        "properties": {LISTS[route.name]: {"type": "array", "items": one, "minItems": 1, "maxItems": 500}},
    }
    return {"anyOf": [one, many]}
