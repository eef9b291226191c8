"""One HTTP call and its answer, free of any web framework, and the table of routes that everything else is made of."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel

from foretouch.core.canonical import canonical_json
from foretouch.core.state.access import ApiKey
from foretouch.serving.web.problems import PROBLEM_JSON, Problem

JSON = "application/json"
NOTHING: Mapping[str, str] = MappingProxyType({})


class Call(NamedTuple):
    """A request that passed the outer checks: key, size, content type, JSON.

    Attributes:
        path: Values of the route's placeholders.
        query: Query parameters, each once.
        body: The parsed JSON; None where there is no body.
        caller: Whose key it came with; None on a public route.
        idempotency_key: From the header of that name.
        deadline_ms: From ``X-Deadline-Ms``.
        trace_id: The caller's, from ``traceparent``, or a new one.
        arrived: When the request came in, on the monotonic clock, s: deadlines count from then.
    """

    path: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    body: Any = None
    caller: ApiKey | None = None
    idempotency_key: str | None = None
    deadline_ms: float | None = None
    trace_id: str = ""
    arrived: float | None = None

    @property
    def caller_id(self) -> str:
        """Id of the caller's key."""
        return "public" if self.caller is None else self.caller.id


class Answer(NamedTuple):
    """What goes back."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = NOTHING

    @classmethod
    def of(cls, value: object, status: int = 200) -> "Answer":
        """A value as JSON."""
        return cls(status=status, body=canonical_json(value))

    @classmethod
    def problem(cls, problem: Problem, trace_id: str) -> "Answer":
        """A refusal."""
        return cls(
            status=problem.status, body=problem.body(trace_id), content_type=PROBLEM_JSON, headers=problem.headers
        )


Handler = Callable[[Any, Call], Answer]
SoonHandler = Callable[[Any, Call], Awaitable[Answer | None]]
"""None: this call would block, so it takes a thread and ``Handler``."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route of the interface.

    Attributes:
        name: Unique; also the name of BentoML's plain endpoint, where there is one.
        method: GET, POST, PUT or DELETE.
        template: The path with placeholders in braces: the label of its metrics.
        summary: For the OpenAPI document.
        handler: Answers it.
        scopes: A key needs one of these; empty is public.
        body: Schema of the body; None takes none.
        answer: Schema of the answer; several where it depends on the request.
        plain: The answer is text, not JSON.
        query: Names and descriptions of query parameters.
        loopback_without_key: Callers on this machine need no key.
        body_optional: A call without any body is fine.
        soon: Answers it on the event loop, where nothing may block, without a thread in between.
        acts: A GET that changes something, so that HEAD, which programs send to look around, is refused.
    """

    name: str
    method: str
    template: str
    summary: str
    handler: Handler
    scopes: tuple[str, ...] = ()
    body: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    answer: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    plain: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    loopback_without_key: bool = False
    body_optional: bool = False
    acts: bool = False
    soon: "SoonHandler | None" = None

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the path; a placeholder is one segment."""
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile(
            "".join(re.escape(part) if index % 2 == 0 else f"(?P<{part}>[^/]+)" for index, part in enumerate(parts))
        )

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names in the template, in order."""
        return tuple(self.pattern.groupindex)


class Router:
    """Finds the route of a request.

    Args:
        routes: The table.
    """

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._fixed = {(route.method, route.template): route for route in routes if not route.placeholders}

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of a method and a path, and the values of its placeholders.

        Args:
            method: Upper case; HEAD finds the route of GET, unless that acts.
            path: As it came, percent-encoded.

        Raises:
            Problem: 404 where no route has this path, 405 where one has with another method.
        """
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        found = dict(self._at(path))
        if method in found:
            return found[method]
        raise Problem(
            status=405,
            code="method",
            detail=f"This path takes {', '.join(sorted(found))}.",
            headers={"allow": self.allowed(path)},
        )

    def allowed(self, path: str) -> str:
        """The methods that a path takes, as the ``Allow`` header has them.

        Raises:
            Problem: 404 where no route has this path.
        """
        return ", ".join(sorted({"OPTIONS", *dict(self._at(path))}))

    def _at(self, path: str) -> list[tuple[str, tuple[Route, dict[str, str]]]]:
        found = []
        for route in self.routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                values = {name: unquote(value) for name, value in match.groupdict().items()}
                found.append((route.method, (route, values)))
                if route.method == "GET" and not route.acts:
                    found.append(("HEAD", (route, values)))
        if not found:
            raise Problem(status=404, code="no_route", detail="There is nothing at this path; see /openapi.json.")
        return found
