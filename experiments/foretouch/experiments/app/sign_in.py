"""Signing in: a key is exchanged for a session, and never stored in the browser."""

from foretouch.core.clock import utc_now
from foretouch.core.state.access import verify_key
from foretouch.core.state.sessions import end_session, open_session
from foretouch.experiments.app.security import (
    VISIT_COOKIE,
    form_token,
    new_visit,
    no_session_cookie,
    session_cookie,
    visit_cookie,
)
from foretouch.experiments.app.site import Site, redirect
from foretouch.experiments.app.visit import READ_SCOPE, Visit, safe_next
from foretouch.experiments.app.words import say
from foretouch.serving.web.pages import PageAnswer
from foretouch.serving.web.problems import Problem

MOST_KEY = 256


def show(site: Site, visit: Visit, *, wrong: str = "", status: int = 200) -> PageAnswer:
    """The form."""
    request = visit.request
    after = safe_next(request.form.get("next") or request.query.get("next", "/app"))
    if visit.session is not None and not wrong:
        return redirect(after)
    cookie = request.cookies.get(VISIT_COOKIE, "")
    headers: tuple[tuple[str, str], ...] = ()
    if not cookie or visit.session is not None:
        cookie = new_visit()
        headers = (visit_cookie(cookie, secure=request.secure),)
    token = form_token(cookie)
    answer = site.render(
        visit, "sign_in", status=status, title=say(visit.language, "sign_in"), token=token, after=after, wrong=wrong
    )
    return PageAnswer(**{**vars(answer), "headers": headers})


def enter(site: Site, visit: Visit) -> PageAnswer:
    """Exchanges the key.

    Raises:
        Problem: 429 after too many wrong keys.
    """
    request, plane = visit.request, site.plane
    seconds = site.tries.wait(request.client)
    if seconds:
        detail = say(visit.language, "problem_tries", seconds=seconds)
        raise Problem(status=429, code="busy", detail=detail, headers={"retry-after": str(seconds)})
    now = plane.clock.now()
    key = verify_key(plane.state.read(), request.form.get("key", "").strip()[:MOST_KEY], now)
    if key is None:
        site.tries.failed(request.client)
        return show(site, visit, wrong=say(visit.language, "wrong_key"), status=403)
    if not key.allows(READ_SCOPE):
        site.tries.failed(request.client)
        scopes = ", ".join(key.scopes)
        return show(site, visit, wrong=say(visit.language, "wrong_scope", scopes=scopes), status=403)
    token = plane.state.write(
        lambda connection: open_session(connection, key, now=utc_now(), workspace_now=now),
    )
    return redirect(safe_next(request.form.get("next", "/app")), session_cookie(token, secure=request.secure))


def leave(site: Site, visit: Visit) -> PageAnswer:
    """Ends the session, here and in the browser."""
    if visit.token:
        site.plane.state.write(lambda connection: end_session(connection, visit.token))
    return redirect("/app/sign-in", no_session_cookie(secure=visit.request.secure))
