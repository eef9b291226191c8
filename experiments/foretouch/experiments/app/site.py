"""The site: finds the page of a request, makes sure that its visitor may see it, and says what is wrong if not."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from foretouch.core.clock import utc_now
from foretouch.core.errors import ForetouchError
from foretouch.core.state.sessions import Session, read_session
from foretouch.experiments.app.analyses import Aside
from foretouch.experiments.app.security import (
    CSRF_FIELD,
    SESSION_COOKIE,
    VISIT_COOKIE,
    Tries,
    form_token,
    language_cookie,
    page_headers,
    same_token,
)
from foretouch.experiments.app.static import FOLDER, FOR_GOOD, static_answer
from foretouch.experiments.app.tables import with_downloads
from foretouch.experiments.app.view import render
from foretouch.experiments.app.visit import Visit, language_of
from foretouch.experiments.app.words import say
from foretouch.serving.web.api import Api
from foretouch.serving.web.pages import PREFIX, PageAnswer, PageRequest
from foretouch.serving.web.problems import Problem, problem_of

log = logging.getLogger("foretouch.pages")

SPOKEN = ("no_route", "method", "scope", "csrf", "not_found", "internal", "state", "changed", "busy", "content_type")
"""Codes of problems that have a sentence of their own on what to do next."""


class Site:
    """The pages of one service.

    Args:
        api: What the service is made of.
    """

    def __init__(self, api: Api) -> None:
        from foretouch.experiments.app.pages import Pages  # noqa: PLC0415 - pages know the site's type

        self.plane = api.plane
        self.workspace = api.plane.workspace
        self.aside = Aside(self.workspace.root)
        self.tries = Tries()
        self._pages = Pages()

    def answer(self, request: PageRequest) -> PageAnswer:
        """The page of a request."""
        if request.path.startswith(FOLDER):
            found = static_answer(request.path)
            if found is not None:
                return self._sent(request, found, cache=FOR_GOOD)
        return self._guarded(request, self._page)

    def refuse(self, request: PageRequest, problem: Problem) -> PageAnswer:
        """A page that says why a request was not looked at."""

        def raising(_: Visit) -> PageAnswer:
            raise problem

        return self._guarded(request, raising)

    def render(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> PageAnswer:
        """A page from its template, with what every page shows of the workspace."""
        settings = self.plane.settings.current
        section = settings.config.workspace
        shared = {
            "workspace_name": section.name,
            "origin": section.origin,
            "settings_error": self.plane.settings.error,
        }
        return render(
            visit, template, {**shared, **values}, currency=section.currency, zone=section.time_zone, status=status
        )

    def short(self, text: str) -> str:
        """A message without the place of the workspace on our disk."""
        return text.replace(f"{self.workspace.root}/", "")

    def _guarded(self, request: PageRequest, make: Callable[[Visit], PageAnswer]) -> PageAnswer:
        visit = Visit(request=request, language=language_of(request))
        try:
            visit = self._known(visit)
            answer = make(visit)
        except Exception as error:  # noqa: BLE001 - said to the visitor, and logged if it is a fault of ours
            answer = self._failed(visit, error)
        if request.query.get("lang") in {"en", "zh"}:
            kept = language_cookie(visit.language, secure=request.secure)
            answer = PageAnswer(**{**vars(answer), "headers": (*answer.headers, kept)})
        return self._sent(request, answer)

    def _known(self, visit: Visit) -> Visit:
        """The visit with its session, if it has one, and the token of its forms."""
        token = visit.request.cookies.get(SESSION_COOKIE, "")
        session: Session | None = None
        if token:
            plane = self.plane
            session = read_session(plane.state.read(), token, now=utc_now(), workspace_now=plane.clock.now())
        cookie = token if session is not None else visit.request.cookies.get(VISIT_COOKIE, "")
        return Visit(
            request=visit.request,
            language=visit.language,
            session=session,
            token=token if session is not None else "",
            csrf=form_token(cookie),
        )

    def _page(self, visit: Visit) -> PageAnswer:
        request = visit.request
        page, values = self._pages.find(request.method, request.path)
        visit = visit.at(page.menu, values)
        if request.method == "POST" and (
            request.cross_site or not same_token(request.form.get(CSRF_FIELD, ""), visit.csrf)
        ):
            raise Problem(status=403, code="csrf", detail=say(visit.language, "problem_csrf"))
        if page.scope:
            if visit.session is None:
                return redirect(f"{PREFIX}/sign-in?{urlencode({'next': visit.here})}")
            if not visit.session.key.allows(page.scope):
                scopes = ", ".join(visit.session.key.scopes)
                detail = say(visit.language, "problem_scope", scopes=scopes, needed=page.scope)
                raise Problem(status=403, code="scope", detail=detail)
        answer = page.handler(self, visit)
        if request.method == "GET":
            answer = with_downloads(
                answer, here=request.path, query=request.query, word=lambda _: say(visit.language, "download_table")
            )
        return PageAnswer(**{**vars(answer), "template": page.template})

    def _failed(self, visit: Visit, error: Exception) -> PageAnswer:
        problem = problem_of(error)
        if problem.status >= 500:
            log.error("page %s failed", visit.request.path, exc_info=error)
        detail = problem.detail
        if isinstance(error, ForetouchError):
            detail = error.message
        elif problem.code in {"no_route", "method", "internal"}:
            detail = ""
        hint = error.hint if isinstance(error, ForetouchError) else None
        shown = {
            "code": problem.code,
            "status_code": problem.status,
            "detail": self.short(detail),
            "hint": None if hint is None else self.short(hint),
            "next_key": f"next_{problem.code}" if problem.code in SPOKEN else "next_other",
        }
        try:
            answer = self.render(visit, "problem", status=problem.status, **shown)
        except Exception:  # the state may be gone: a page without anything of the workspace
            log.exception("the page of a problem could not be made")
            answer = PageAnswer(status=problem.status, body=problem.code.encode(), content_type="text/plain")
        kept = tuple((name, value) for name, value in problem.headers.items())
        return PageAnswer(**{**vars(answer), "headers": (*answer.headers, *kept), "template": f"{PREFIX}/problem"})

    @staticmethod
    def _sent(request: PageRequest, answer: PageAnswer, *, cache: str = "no-store") -> PageAnswer:
        headers = (*answer.headers, *page_headers(secure=request.secure, cache=cache))
        return PageAnswer(**{**vars(answer), "headers": headers})


def redirect(where: str, *headers: tuple[str, str]) -> PageAnswer:
    """Sends a browser on to another page."""
    return PageAnswer(status=303, headers=(("location", where), *headers))
