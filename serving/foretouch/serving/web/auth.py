"""Who asks: a key as bearer token or ``X-API-Key``; one that is revoked is refused within a second, by every worker."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from foretouch.core.clock import monotonic
from foretouch.core.state.access import ApiKey, verify_key
from foretouch.core.state.connection import DATABASE_ERRORS
from foretouch.core.state.db import State
from foretouch.serving.web.problems import Problem

KEPT_SECONDS = 0.5
"""How long a key that was found good is taken as good without another look."""
OUTAGE_SECONDS = 900.0
"""How long a key that was found good goes on being taken while the state cannot be read: callers still get answers."""
MOST_KEPT = 1024

CHALLENGE = {"www-authenticate": 'Bearer realm="foretouch"'}


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries, from ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip() or None


class KeyRing:
    """Keys that were good a moment ago, by the hash of their text: looking one up costs more than all else of a key."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[ApiKey, float]] = {}

    def authenticate(self, state: State, headers: Mapping[str, str], now: Callable[[], datetime]) -> ApiKey:
        """The caller's key.

        Args:
            state: Where keys are.
            headers: Of the request, names in lower case.
            now: The workspace's time: an expired key is refused at once.

        Raises:
            Problem: 401 when there is none, or it is unknown, revoked or expired.
        """
        presented = presented_key(headers)
        if presented is None:
            raise Problem(
                status=401,
                code="no_key",
                detail="Send a key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'; "
                "'foretouch keys create --scope decide' makes one.",
                headers=CHALLENGE,
            )
        digest, moment = hashlib.sha256(presented.encode()).digest(), monotonic()
        kept = self._kept.get(digest)
        if kept is not None and moment - kept[1] < KEPT_SECONDS:
            key = kept[0]
            if key.expires_at is None or key.usable(now()):
                return key
        try:
            found = verify_key(state.read(), presented, now())
        except DATABASE_ERRORS:
            if kept is not None and moment - kept[1] < OUTAGE_SECONDS and kept[0].usable(now()):
                return kept[0]
            raise
        if found is None:
            self._kept.pop(digest, None)
            raise Problem(
                status=401, code="bad_key", detail="The key is unknown, revoked or expired.", headers=CHALLENGE
            )
        if len(self._kept) >= MOST_KEPT:
            self._kept = {}
        self._kept[digest] = (found, moment)
        return found


def require(key: ApiKey, scopes: tuple[str, ...]) -> None:
    """Refuses a key that carries none of the scopes.

    Raises:
        Problem: 403 that names the scopes that would do.
    """
    if not any(key.allows(scope) for scope in scopes):
        raise Problem(
            status=403,
            code="scope",
            detail=f"This key carries {', '.join(key.scopes)}; the call needs {' or '.join(scopes)}.",
        )


def from_loopback(scope: Mapping[str, Any]) -> bool:
    """Whether the caller is on this very machine, and no proxy speaks for somebody else."""
    client = scope.get("client")
    names = {name for name, _ in scope.get("headers", ())}
    if client is None or names & {b"x-forwarded-for", b"forwarded", b"x-real-ip"}:
        return False
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False
