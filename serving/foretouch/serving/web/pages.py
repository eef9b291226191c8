"""Pages for people under ``/app``: mounted from an entry point, so that a service without them still runs.

They are no part of the interface for programs: not in the OpenAPI document, signed in to with a cookie instead of a
key, and always answered by the front, whether BentoML's layers answer the rest or not. A page runs in a thread of a
small pool of its own; whoever mounts pages keeps long work out of this process altogether.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib.metadata import entry_points
from threading import Lock
from typing import Protocol
from urllib.parse import parse_qsl

from foretouch.serving.web.api import Api
from foretouch.serving.web.body import Body, Receive, Scope, Send
from foretouch.serving.web.problems import PROBLEM_JSON, Problem, problem_of

log = logging.getLogger("foretouch.pages")

GROUP = "foretouch.pages"
"""Entry point ``app``: takes the service's ``Api`` and gives ``Pages``."""
PREFIX = "/app"
THREADS = 4
"""Pages at once; decisions have threads of their own."""
MOST_FIELDS = 400
FORM = "application/x-www-form-urlencoded"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """What a browser asks for.

    Attributes:
        method: GET, HEAD or POST.
        path: As it came, percent-encoded, ``/app`` included.
        query: Each parameter's last value.
        form: Each field's last value, of a POST.
        cookies: By name.
        languages: The header ``Accept-Language``.
        client: Whom an attempt to sign in is counted for.
        secure: Whether the browser came by TLS, to us or to the proxy before us.
        cross_site: The browser says that another site's page made this request.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    languages: str = ""
    client: str = ""
    secure: bool = False
    cross_site: bool = False


@dataclass(frozen=True, kw_only=True)
class PageAnswer:
    """What goes back.

    Attributes:
        status: HTTP status.
        body: Its bytes.
        content_type: Of the body.
        headers: Names and values; a name may come again.
        template: The page, for metrics: one of a few.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = HTML
    headers: tuple[tuple[str, str], ...] = ()
    template: str = PREFIX


class Pages(Protocol):
    """What an entry point gives."""

    def answer(self, request: PageRequest) -> PageAnswer:
        """The page of a request; never raises for what a browser can send."""

    def refuse(self, request: PageRequest, problem: Problem) -> PageAnswer:
        """A page that says why a request was not even looked at."""


def find_pages(api: Api) -> Pages | None:
    """The pages of this installation; None where there are none."""
    for entry in entry_points(group=GROUP):
        if entry.name == "app":
            try:
                mount: Callable[[Api], Pages] = entry.load()
            except ImportError:
                log.exception("the pages cannot be loaded: the service runs without them")
                return None
            return mount(api)
    return None


class PageDoor:
    """The way from a browser to the pages.

    Args:
        find: Gives the pages; asked at the first request.
    """

    def __init__(self, find: Callable[[Api], Pages | None] = find_pages) -> None:
        self._find = find
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="page")
        self._lock = Lock()
        self._looked = False
        self._pages: Pages | None = None

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a path is a page's."""
        return path == PREFIX or path.startswith(f"{PREFIX}/")

    async def answer(self, api: Api, scope: Scope, receive: Receive, send: Send) -> tuple[str, int]:
        """Answers one request; gives the page's name and the status, for metrics."""
        body, problem, form = Body(receive), None, dict[str, str]()
        try:
            form = await _form(scope, body, api)
        except Problem as error:
            await body.drain()
            problem = error
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._made, api, scope, form, problem)
        await _send(answer, send, head=scope["method"].upper() == "HEAD")
        return answer.template, answer.status

    def _made(self, api: Api, scope: Scope, form: Mapping[str, str], problem: Problem | None) -> PageAnswer:
        try:
            pages = self._mounted(api)
            if pages is None:
                detail = "The pages are not installed here: pip install 'foretouch[experiments]'."
                return _plain(Problem(status=404, code="no_route", detail=detail))
            request = _request(scope, form)
            return pages.answer(request) if problem is None else pages.refuse(request, problem)
        except Exception as error:
            log.exception("a page could not be made")
            return _plain(problem_of(error))

    def _mounted(self, api: Api) -> Pages | None:
        with self._lock:
            if not self._looked:
                self._pages, self._looked = self._find(api), True
        return self._pages


async def _form(scope: Scope, body: Body, api: Api) -> dict[str, str]:
    """The fields of a POST.

    Raises:
        Problem: It is no form, too large, or cannot be read.
    """
    if scope["method"].upper() != "POST":
        return {}
    headers = dict(scope["headers"])
    length = headers.get(b"content-length")
    content = await body.read(
        None if length is None else length.decode("latin-1"),
        api.plane.settings.current.config.serving.max_body_bytes,
    )
    if headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower() != FORM:
        raise Problem(status=415, code="content_type", detail=f"A page takes forms only: {FORM}.")
    return _fields(content)


def _fields(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem(status=400, code="bad_query", detail="The form or the address cannot be read.") from error
    return dict(pairs)


def _request(scope: Scope, form: Mapping[str, str]) -> PageRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        query = _fields(bytes(scope.get("query_string", b"")))
    except Problem:
        query = {}
    client = scope.get("client")
    return PageRequest(
        method=scope["method"].upper(),
        path=bytes(scope.get("raw_path", b"")).partition(b"?")[0].decode("latin-1") or scope["path"],
        query=query,
        form=form,
        cookies=_cookies(headers.get("cookie", "")),
        languages=headers.get("accept-language", ""),
        client="" if client is None else str(client[0]),
        secure=scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").lower() == "https",
        cross_site=headers.get("sec-fetch-site", "").lower() == "cross-site",
    )


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _plain(problem: Problem) -> PageAnswer:
    return PageAnswer(status=problem.status, body=problem.body("0" * 32), content_type=PROBLEM_JSON)


async def _send(answer: PageAnswer, send: Send, *, head: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += [
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in answer.headers
        if not {"\r", "\n", "\0"} & set(value)
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
