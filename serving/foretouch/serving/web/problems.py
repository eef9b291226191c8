"""Refusals as RFC 9457 problem documents: one shape, stable codes, nothing of the inside."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError

from foretouch.core.errors import (
    BundleError,
    ConflictError,
    DataError,
    ForetouchError,
    NotFoundError,
    NotReadyError,
    StateError,
)
from foretouch.core.state.access import ReusedKeyError

PROBLEM_JSON = "application/problem+json"
SOON = "in_flight"
"""A conflict that ends by itself: the caller is told when to come again."""
TYPE_PREFIX = "urn:foretouch:problem:"


@dataclass(kw_only=True)
class Problem(Exception):  # noqa: N818 - the standard's own word
    """One refusal.

    Args:
        status: The HTTP status.
        code: Stable, for programs.
        detail: What is wrong with this request, for people.
        errors: Each wrong field: ``{"field", "message"}``.
        headers: Response headers that belong to the status, e.g. ``Allow``.
    """

    status: int
    code: str
    detail: str
    errors: tuple[dict[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    def document(self, trace_id: str) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": list(self.errors),
            "trace_id": trace_id,
        }

    def body(self, trace_id: str) -> bytes:
        """The problem document as JSON."""
        return orjson.dumps(self.document(trace_id))


_BY_ERROR: tuple[tuple[type[ForetouchError], int], ...] = (
    (ReusedKeyError, 422),
    (NotFoundError, 404),
    (ConflictError, 409),
    (DataError, 422),
    (NotReadyError, 409),
    (BundleError, 503),
    (StateError, 503),
)


_OBJECTS = frozenset({"model_type", "model_attributes_type", "dict_type"})
_OF_PYTHON = {
    "Tuple should": "Array should",
    "valid tuple": "valid array",
    "valid list": "valid array",
    "Extra inputs are not permitted": "There is no such field",
    " after validation, not": ", not",
}


def problem_of(error: Exception) -> Problem:
    """The problem that an exception becomes; what we did not foresee says nothing of the inside."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid(error)
    if isinstance(error, ForetouchError):
        for kind, status in _BY_ERROR:
            if isinstance(error, kind):
                headers = {"retry-after": "1"} if error.code == SOON else {}
                return Problem(status=status, code=error.code, detail=_sentence(error), headers=headers)
    return Problem(status=500, code="internal", detail="Something failed on our side; the log has it by trace_id.")


def invalid(error: ValidationError) -> Problem:
    """422 with every wrong field; values are not repeated, for they may be personal."""
    wrong = tuple(
        {
            "field": ".".join(str(part) for part in item["loc"]) or "body",
            "message": _in_json(item["type"], item["msg"]),
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:50]
    )
    named = ", ".join(item["field"] for item in wrong[:5])
    return Problem(status=422, code="validation", detail=f"The request does not fit its schema: {named}.", errors=wrong)


def _in_json(kind: str, message: str) -> str:
    """What is wrong, in the words of JSON and not of Python's types."""
    if kind in _OBJECTS:
        return "Input should be an object"
    for python, json in _OF_PYTHON.items():
        message = message.replace(python, json)
    return message.removeprefix("Value error, ")


def _sentence(error: ForetouchError) -> str:
    return f"{error.message}; next: {error.hint}" if error.hint else error.message
