"""The outermost layer: key, size, content type and JSON are checked here, whoever answers behind.

With the front on, routes are answered right here, in threads, before BentoML's own layers. With it off, the decision
routes go through to BentoML's plain endpoints and mounted app, which call the same handlers; what they cannot know
(who asks, the parsed body) travels in the request's scope.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from foretouch.core.clock import monotonic
from foretouch.serving.auth import authenticate, from_loopback, presented_key, require
from foretouch.serving.http_body import (
    ASGIApp,
    Body,
    Message,
    Receive,
    Scope,
    Send,
    parse_json,
)
from foretouch.serving.http_call import JSON, Answer, Call, Route, Router
from foretouch.serving.http_routes import ROUTES, Api
from foretouch.serving.problems import PROBLEM_JSON, Problem, problem_of

log = logging.getLogger("foretouch.http")

CALL = "foretouch.call"
ROUTE = "foretouch.route"
THREADS = 64
"""Requests that wait for the log at once; they hold no lock, and the log takes them in groups."""
UNMATCHED = "unmatched"
MAX_KEY_LENGTH = 256
METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD"})
OURS = frozenset({"content-type", "content-length", "date", "x-content-type-options", "cache-control"})
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


def answer_call(api: Api, route: Route, call: Call) -> Answer:
    """Runs a route's handler; every failure becomes a problem document."""
    try:
        return route.handler(api, call)
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            log.exception("trace %s: %s failed", call.trace_id, route.name)
        return Answer.problem(problem, call.trace_id)


class Front:
    """An ASGI application around BentoML's.

    Args:
        inner: BentoML's application: lifespan, and the plain endpoints when the front is off.
        api: Gives what the routes need, once the service has started.
        routes: The interface.
    """

    def __init__(self, inner: ASGIApp, api: Callable[[], Api], routes: tuple[Route, ...] = ROUTES) -> None:
        self._inner = inner
        self._api = api
        self._router = Router(routes)
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or passes the lifespan on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started = monotonic()
        trace_id, template, method = uuid4().hex, UNMATCHED, str(scope["method"]).upper()
        body = Body(receive)
        try:
            headers = _headers(scope)
            trace_id = _trace_id(headers) or trace_id
            path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or scope["path"]
            if method == "OPTIONS":
                await _send(Answer(status=204, headers={"allow": self._router.allowed(path)}), send)
                self._count(UNMATCHED, method, 204, started)
                return
            route, values = self._router.find(method, path)
            template = route.template
            call, content = await self._check(route, values, scope, body, headers)
            call = replace(call, trace_id=trace_id)
            if route.scopes and not self._api().plane.settings.current.config.serving.front:
                answer = await self._through(route, call, content, scope)
            else:
                answer = await self._answer(route, call)
        except Problem as problem:
            await body.drain()
            answer = Answer.problem(problem, trace_id)
        except Exception as error:
            log.exception("trace %s: the request could not be answered", trace_id)
            answer = Answer.problem(problem_of(error), trace_id)
        self._count(template, method, answer.status, started)
        await _send(answer, send, head=method == "HEAD")

    async def _check(
        self,
        route: Route,
        values: dict[str, str],
        scope: Scope,
        body: Body,
        headers: Mapping[str, str],
    ) -> tuple[Call, bytes]:
        """Key and scope, then size, then content type, then JSON.

        Raises:
            Problem: The first of these that fails.
        """
        plane = self._api().plane
        caller = None
        if route.scopes and not (
            route.loopback_without_key and presented_key(headers) is None and from_loopback(scope)
        ):
            caller = authenticate(plane.state, headers, plane.clock.now)
            require(caller, route.scopes)
        content, parsed = b"", None
        if route.method not in METHODS_WITHOUT_BODY:
            limit = plane.settings.current.config.serving.max_body_bytes
            content = await body.read(headers.get("content-length"), limit)
            if content or not route.body_optional:
                if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
                    raise Problem(status=415, code="content_type", detail="Send the body as application/json.")
                parsed = parse_json(content)
                if not isinstance(parsed, dict):
                    raise Problem(status=422, code="validation", detail="The body is a JSON object, nothing else.")
        return (
            Call(
                path=values,
                query=_query(scope),
                body=parsed,
                caller=caller,
                idempotency_key=_idempotency_key(headers),
                deadline_ms=_deadline_ms(headers),
            ),
            content,
        )

    async def _answer(self, route: Route, call: Call) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, answer_call, self._api(), route, call)

    async def _through(self, route: Route, call: Call, content: bytes, scope: Scope) -> Answer:
        """Hands a checked request, with its body, to BentoML; what BentoML itself refuses becomes a problem too."""
        sent = False
        started: Message = {"status": 500, "headers": []}
        parts: list[bytes] = []

        async def receive_again() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": content, "more_body": False}
            return await asyncio.Future()  # nothing more comes; a disconnect ends the task

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await self._inner({**scope, CALL: call, ROUTE: route}, receive_again, collect)
        kept = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in started["headers"]}
        content_type = kept.get("content-type", "")
        status = int(started["status"])
        if status >= 400 and not content_type.startswith(PROBLEM_JSON):
            return Answer.problem(_foreign(status), call.trace_id)
        headers = {name: value for name, value in kept.items() if name not in OURS}
        return Answer(status=status, body=b"".join(parts), content_type=content_type or JSON, headers=headers)

    def _count(self, template: str, method: str, status: int, started: float) -> None:
        telemetry = self._api().plane.telemetry
        known = method if method in KNOWN_METHODS else "other"
        telemetry.requests.labels(template, known, str(status)).inc()
        telemetry.seconds.labels(template).observe(monotonic() - started)


def _foreign(status: int) -> Problem:
    """A refusal of BentoML's own layers."""
    if status == 429:
        return Problem(
            status=429, code="busy", detail="Too many requests at once; try again.", headers={"retry-after": "1"}
        )
    code, detail = ("late", "No answer in time.") if status == 504 else ("refused", "The request was refused.")
    return Problem(status=status, code=code, detail=detail)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _query(scope: Scope) -> dict[str, str]:
    try:
        text = bytes(scope.get("query_string", b"")).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError as error:
        raise Problem(status=400, code="bad_query", detail="The query string cannot be read.") from error


def _trace_id(headers: Mapping[str, str]) -> str | None:
    parts = headers.get("traceparent", "").split("-")
    known = len(parts) == 4 and len(parts[1]) == 32 and all(letter in "0123456789abcdef" for letter in parts[1])
    return parts[1] if known else None


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key.strip()) <= MAX_KEY_LENGTH:
        raise Problem(status=422, code="validation", detail=f"Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters.")
    return key.strip()


def _deadline_ms(headers: Mapping[str, str]) -> float | None:
    text = headers.get("x-deadline-ms")
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (isfinite(value) and value > 0.0):
        raise Problem(status=422, code="validation", detail="X-Deadline-Ms is a number of milliseconds above 0.")
    return value


async def _send(answer: Answer, send: Send, *, head: bool = False) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *((name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def plain_answer(scope: Mapping[str, Any], api: Api) -> Answer:
    """The answer of a plain endpoint behind the front: the handler of the route that the front found.

    Raises:
        Problem: The request did not come through the front, which checks keys and bodies.
    """
    call, route = scope.get(CALL), scope.get(ROUTE)
    if not isinstance(call, Call) or not isinstance(route, Route):
        raise Problem(status=404, code="no_route", detail="There is nothing at this path; see /openapi.json.")
    return answer_call(api, route, call)
