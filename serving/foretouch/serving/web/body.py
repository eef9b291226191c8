"""Reading a request's body: bounded before it is parsed, and strict about what JSON is."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from contextlib import suppress
from typing import Any

import orjson

from foretouch.serving.web.problems import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAIN_BYTES = 128 * 1024 * 1024
DRAIN_SECONDS = 3.0
"""How much of an unwanted body is read and thrown away, so that a client that is still sending gets our answer."""

READ_SECONDS = 30.0
MAX_DEPTH = 64


def too_large(limit: int) -> Problem:
    """413 that names the limit."""
    return Problem(
        status=413,
        code="body_too_large",
        detail=f"The body is larger than {limit} bytes; send fewer items per request.",
        headers={"connection": "close"},
    )


class Body:
    """A request's body as it comes in; knows whether its end has been seen.

    Args:
        receive: The request's own.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._ended = True
            raise Problem(status=400, code="body_incomplete", detail="The connection closed before the body ended.")
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def drain(self) -> None:
        """Throws away the rest, within bounds, so that a client that is still sending gets our answer."""
        seen = 0
        with suppress(TimeoutError, Problem):
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended and seen <= DRAIN_BYTES:
                    seen += len(await self._part())

    async def read(self, declared: str | None, limit: int) -> bytes:
        """The whole body, counted as it comes: also a chunked one that declares no length.

        Args:
            declared: The ``Content-Length`` header.
            limit: Bytes allowed.

        Raises:
            Problem: 413 when it is, or says it is, larger; 408 when it does not come; 400 when the client went away.
        """
        if declared is not None and (not declared.isdigit() or int(declared) > limit):
            raise too_large(limit)
        parts: list[bytes] = []
        size = 0
        coming = Begun(self._part())
        try:
            if coming.done and self._ended:  # mostly: a clock for what is there already costs more than reading it
                return _within(coming.result, limit)
            async with asyncio.timeout(READ_SECONDS):
                while True:
                    part = await coming
                    size += len(part)
                    if size > limit:
                        raise too_large(limit)
                    parts.append(part)
                    if self._ended:
                        break
                    coming = Begun(self._part())
        except TimeoutError as error:
            late = f"The body did not come within {READ_SECONDS:g} s."
            raise Problem(status=408, code="body_late", detail=late, headers={"connection": "close"}) from error
        return b"".join(parts)


def _within(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise too_large(limit)
    return content


class Begun:
    """A coroutine that has run as far as it can without waiting; awaiting it runs the rest.

    Args:
        coroutine: Runs at once.

    Attributes:
        done: Whether it had nothing to wait for.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, bytes]) -> None:
        self._coroutine = coroutine
        self.done = False
        self.result = b""
        self._step(coroutine.send, None)

    def _step(self, go_on: Callable[[Any], Any], value: Any) -> None:
        try:
            self._waits_for = go_on(value)
        except StopIteration as end:
            self.done, self.result = True, end.value

    def __await__(self) -> Generator[Any, Any, bytes]:
        """Waits for the rest.

        Raises:
            Exception: What the coroutine raises.
        """
        while not self.done:
            try:
                sent = yield self._waits_for
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's own affair
                self._step(self._coroutine.throw, error)
            else:
                self._step(self._coroutine.send, sent)
        return self.result


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
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
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
