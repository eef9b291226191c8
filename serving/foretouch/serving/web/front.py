"""The outermost layer: key, size, content type and JSON are checked here, whoever answers behind.

With the front on, routes are answered right here, in threads, before BentoML's own layers. With it off, the decision
routes go through to BentoML's plain endpoints and mounted app, which call the same handlers; what they cannot know
(who asks, the parsed body) travels in the request's scope.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import isfinite
from random import getrandbits
from typing import Any
from urllib.parse import parse_qsl

from foretouch.core.clock import monotonic
from foretouch.core.state.access import ApiKey
from foretouch.serving.web.api import Api
from foretouch.serving.web.auth import KeyRing, from_loopback, presented_key, require
from foretouch.serving.web.body import (
    ASGIApp,
    Body,
    Message,
    Receive,
    Scope,
    Send,
    parse_json,
)
from foretouch.serving.web.call import JSON, Answer, Call, Route, Router
from foretouch.serving.web.pages import PageDoor
from foretouch.serving.web.problems import PROBLEM_JSON, Problem, problem_of
from foretouch.serving.web.routes import ROUTES

log = logging.getLogger("foretouch.http")

CALL = "foretouch.call"
ROUTE = "foretouch.route"
THREADS = 64
"""Requests that wait for the log at once; they hold no lock, and the log takes them in groups."""
UNMATCHED = "unmatched"
MAX_KEY_LENGTH = 256
METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD"})
OURS = frozenset({"content-type", "content-length", "date", "x-content-type-options", "cache-control"})
READ_HEADERS: Mapping[bytes, str] = {
    name.encode(): name
    for name in (
        "authorization",
        "x-api-key",
        "content-type",
        "content-length",
        "traceparent",
        "idempotency-key",
        "x-deadline-ms",
    )
}
JSON_HEADER = (b"content-type", JSON.encode())
FIXED_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


def answer_call(api: Api, route: Route, call: Call) -> Answer:
    """Runs a route's handler; every failure becomes a problem document."""
    try:
        return route.handler(api, call)
    except Exception as error:  # noqa: BLE001 - said to the caller, and logged if it is a fault of ours
        return _failed(error, route, call)


class Front:
    """An ASGI application around BentoML's.

    Args:
        inner: BentoML's application: lifespan, and the plain endpoints when the front is off.
        api: Gives what the routes need, once the service has started.
        routes: The interface.
        pages: The way to the pages for people.
    """

    def __init__(
        self,
        inner: ASGIApp,
        api: Callable[[], Api],
        routes: tuple[Route, ...] = ROUTES,
        pages: PageDoor | None = None,
    ) -> None:
        self._inner = inner
        self._api = api
        self._router = Router(routes)
        self._pages = pages or PageDoor()
        self._keys = KeyRing()
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or passes the lifespan on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started, api = monotonic(), self._api()
        if self._pages.takes(scope["path"]):
            template, status = await self._pages.answer(api, scope, receive, send)
            _count(api, template, scope["method"].upper(), status, started)
            return
        headers = _headers(scope)
        trace_id = _trace_id(headers) or f"{getrandbits(128):032x}"  # no secret: it only names a line in our log
        template, method = UNMATCHED, scope["method"].upper()
        body = Body(receive)
        try:
            path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or scope["path"]
            if method == "OPTIONS":
                await _send(Answer(status=204, headers={"allow": self._router.allowed(path)}), send)
                _count(api, UNMATCHED, method, 204, started)
                return
            route, values = self._router.find(method, path)
            template = route.template
            caller = self._admitted(route, scope, headers, api)
            content, parsed = b"", None
            if method not in METHODS_WITHOUT_BODY:
                content, parsed = await _content(route, body, headers, api)
            call = Call(
                path=values,
                query=_query(scope),
                body=parsed,
                caller=caller,
                idempotency_key=_idempotency_key(headers),
                deadline_ms=_deadline_ms(headers),
                trace_id=trace_id,
                arrived=started,
            )
            if route.scopes and not api.plane.settings.current.config.serving.front:
                answer = await self._through(route, call, content, scope)
            else:
                answer = await self._answer(api, route, call)
        except Problem as problem:
            await body.drain()
            answer = Answer.problem(problem, trace_id)
        except Exception as error:
            log.exception("trace %s: the request could not be answered", trace_id)
            answer = Answer.problem(problem_of(error), trace_id)
        _count(api, template, method, answer.status, started)
        await _send(answer, send, head=method == "HEAD")

    def _admitted(self, route: Route, scope: Scope, headers: Mapping[str, str], api: Api) -> ApiKey | None:
        """The caller's key, which carries a scope that the route asks for; None where it asks for none.

        Raises:
            Problem: 401 or 403.
        """
        if not route.scopes or (route.loopback_without_key and presented_key(headers) is None and from_loopback(scope)):
            return None
        plane = api.plane
        caller = self._keys.authenticate(plane.state, headers, plane.clock.now)
        require(caller, route.scopes)
        return caller

    async def _answer(self, api: Api, route: Route, call: Call) -> Answer:
        """Runs the route's handler: on the event loop where it can be, else in a thread."""
        if route.soon is not None:
            try:
                answer = await route.soon(api, call)
            except Exception as error:  # noqa: BLE001 - said to the caller, and logged if it is a fault of ours
                return _failed(error, route, call)
            if answer is not None:
                return answer
        return await asyncio.get_running_loop().run_in_executor(self._pool, answer_call, api, route, call)

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


async def _content(route: Route, body: Body, headers: Mapping[str, str], api: Api) -> tuple[bytes, Any]:
    """The body, and what it says: size first, then content type, then JSON.

    Raises:
        Problem: The first of these that fails.
    """
    content = await body.read(headers.get("content-length"), api.plane.settings.current.config.serving.max_body_bytes)
    if not content and route.body_optional:
        return content, None
    sent = headers.get("content-type", "")
    if sent != JSON and sent.partition(";")[0].strip().lower() != JSON:
        raise Problem(status=415, code="content_type", detail="Send the body as application/json.")
    parsed = parse_json(content)
    if not isinstance(parsed, dict):
        raise Problem(status=422, code="validation", detail="The body is a JSON object, nothing else.")
    return content, parsed


def _failed(error: Exception, route: Route, call: Call) -> Answer:
    problem = problem_of(error)
    if problem.status >= 500:
        log.error("trace %s: %s failed", call.trace_id, route.name, exc_info=error)
    return Answer.problem(problem, call.trace_id)


def _count(api: Api, template: str, method: str, status: int, started: float) -> None:
    known = method if method in KNOWN_METHODS else "other"
    api.plane.telemetry.answered(template, known, status, monotonic() - started)


def _foreign(status: int) -> Problem:
    """A refusal of BentoML's own layers."""
    if status == 429:
        return Problem(
            status=429, code="busy", detail="Too many requests at once; try again.", headers={"retry-after": "1"}
        )
    code, detail = ("late", "No answer in time.") if status == 504 else ("refused", "The request was refused.")
    return Problem(status=status, code=code, detail=detail)


def _headers(scope: Scope) -> dict[str, str]:
    """The headers that anything here looks at; of one that comes twice, the last."""
    return {READ_HEADERS[name]: value.decode("latin-1") for name, value in scope["headers"] if name in READ_HEADERS}


def _query(scope: Scope) -> dict[str, str]:
    if not scope.get("query_string"):
        return {}
    try:
        text = bytes(scope["query_string"]).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError as error:
        raise Problem(status=400, code="bad_query", detail="The query string cannot be read.") from error
    query = dict(pairs)
    if len(query) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in query if names.count(name) > 1)
        detail = f"{twice} comes more than once; the items of a list stand in one, separated by commas."
        raise Problem(status=400, code="bad_query", detail=detail)
    return query


def _trace_id(headers: Mapping[str, str]) -> str | None:
    if "traceparent" not in headers:
        return None
    parts = headers["traceparent"].split("-")
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
    content_type = JSON_HEADER if answer.content_type == JSON else (b"content-type", answer.content_type.encode())
    headers = [content_type, (b"content-length", b"%d" % len(answer.body)), *FIXED_HEADERS]
    if answer.headers:
        headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
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
