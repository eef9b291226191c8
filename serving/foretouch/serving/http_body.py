"""Reading a request's body: bounded before it is parsed, and strict about what JSON is."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from foretouch.core.clock import monotonic
from foretouch.serving.problems import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAIN_BYTES = 128 * 1024 * 1024
DRAIN_SECONDS = 3.0
"""How much of an unwanted body is read and thrown away, so that a client that is still sending gets our answer."""

MAX_DEPTH = 64


def too_large(limit: int) -> Problem:
    """413 that names the limit."""
    return Problem(
        status=413,
        code="body_too_large",
        detail=f"The body is larger than {limit} bytes; send fewer items per request.",
        headers={"connection": "close"},
    )


async def drain(receive: Receive) -> None:
    """Throws away the rest of a body, within bounds; nothing is kept in memory."""
    seen, end = 0, monotonic() + DRAIN_SECONDS
    while seen <= DRAIN_BYTES and monotonic() < end:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        seen += len(message.get("body", b""))


async def read_body(receive: Receive, declared: bytes | None, limit: int) -> bytes:
    """The whole body, counted as it comes: also a chunked one that declares no length.

    Raises:
        Problem: 413 when it is, or says it is, larger than ``limit`` bytes; 400 when the client went away.
    """
    if declared is not None and (not declared.isdigit() or int(declared) > limit):
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(status=400, code="body_incomplete", detail="The connection closed before the body ended.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no Infinity, no number beyond a double, no lone surrogate, no abysmal nesting.

    Raises:
        Problem: 400 with what is wrong and where.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = "The body is empty." if not body else f"The body is no valid JSON: {error}."
        raise Problem(status=400, code="bad_json", detail=reason) from error
    if _depth(value) > MAX_DEPTH:
        raise Problem(status=400, code="bad_json", detail=f"The body is nested deeper than {MAX_DEPTH} levels.")
    return value


def _depth(value: Any) -> int:
    depth, layer = 0, [value]
    while layer and depth <= MAX_DEPTH:
        depth += 1
        layer = [
            child
            for item in layer
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
    return depth
