"""What keeps the pages safe in a browser: headers, cookies, tokens of forms, and how often a key may be tried."""

import hashlib
import hmac
import secrets
from threading import Lock

from foretouch.core.clock import monotonic
from foretouch.core.state.sessions import SESSION_HOURS
from foretouch.experiments.app.visit import LANGUAGE_COOKIE
from foretouch.serving.web.pages import PREFIX

SESSION_COOKIE = "foretouch_session"
VISIT_COOKIE = "foretouch_visit"
"""Before signing in: what the token of the sign-in form is made from."""
CSRF_FIELD = "csrf"
YEAR = 365 * 24 * 3600
TRIES, TRY_SECONDS = 10, 300.0
MOST_CLIENTS = 10_000

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Style sheets and pictures of our own; no script, no frame, nothing inline and nothing from anywhere else."""
FIXED = (
    ("content-security-policy", CONTENT_POLICY),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)


def page_headers(*, secure: bool, cache: str = "no-store") -> tuple[tuple[str, str], ...]:
    """The headers of every answer.

    Args:
        secure: The browser came by TLS, and is told to go on doing so.
        cache: The page's own word on caching.
    """
    strict = (("strict-transport-security", f"max-age={YEAR}"),) if secure else ()
    return (*FIXED, ("cache-control", cache), *strict)


def session_cookie(token: str, *, secure: bool) -> tuple[str, str]:
    """Keeps a session's token in the browser, out of reach of scripts."""
    return _cookie(SESSION_COOKIE, token, seconds=int(SESSION_HOURS * 3600), secure=secure)


def no_session_cookie(*, secure: bool) -> tuple[str, str]:
    """Takes it away."""
    return _cookie(SESSION_COOKIE, "", seconds=0, secure=secure)


def visit_cookie(value: str, *, secure: bool) -> tuple[str, str]:
    """Keeps what the token of the sign-in form is made from."""
    return _cookie(VISIT_COOKIE, value, seconds=3600, secure=secure)


def language_cookie(language: str, *, secure: bool) -> tuple[str, str]:
    """Remembers the language."""
    return _cookie(LANGUAGE_COOKIE, language, seconds=YEAR, secure=secure)


def _cookie(name: str, value: str, *, seconds: int, secure: bool) -> tuple[str, str]:
    parts = [f"{name}={value}", f"Path={PREFIX}", f"Max-Age={seconds}", "HttpOnly", "SameSite=Lax"]
    return "set-cookie", "; ".join([*parts, "Secure"] if secure else parts)


def new_visit() -> str:
    """A fresh value of the visit cookie."""
    return secrets.token_hex(16)


def form_token(cookie: str) -> str:
    """The token that a form must carry, from a cookie that no other site can read."""
    return hmac.new(cookie.encode("utf-8", "replace"), b"foretouch form", hashlib.sha256).hexdigest() if cookie else ""


def same_token(given: str, wanted: str) -> bool:
    """Whether a form carries its token; in constant time."""
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class Tries:
    """Attempts to sign in that failed, by client: a guesser is slowed down long before it finds a 256-bit secret.

    Args:
        most: Failures allowed per client.
        seconds: In so long a time.
    """

    def __init__(self, most: int = TRIES, seconds: float = TRY_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._failed: dict[str, list[float]] = {}
        self._lock = Lock()

    def wait(self, client: str) -> int:
        """Seconds until a client may try again; 0 is now."""
        with self._lock:
            recent = self._recent(client)
            return 0 if len(recent) < self._most else int(recent[0] + self._seconds - monotonic()) + 1

    def failed(self, client: str) -> None:
        """Counts a failure."""
        with self._lock:
            if len(self._failed) >= MOST_CLIENTS:
                self._failed.clear()
            self._failed[client] = [*self._recent(client), monotonic()][-self._most :]

    def _recent(self, client: str) -> list[float]:
        since = monotonic() - self._seconds
        return [at for at in self._failed.get(client, ()) if at > since]
