"""Who asks: a key as bearer token or ``X-API-Key``, looked up on every request so that a revoked one ends at once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from foretouch.core.state.access import ApiKey, verify_key
from foretouch.core.state.db import State
from foretouch.serving.problems import Problem

CHALLENGE = {"www-authenticate": 'Bearer realm="foretouch"'}


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries, from ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip() or None


def authenticate(state: State, headers: Mapping[str, str], now: Callable[[], datetime]) -> ApiKey:
    """The caller's key.

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
    key = verify_key(state.read(), presented, now())
    if key is None:
        raise Problem(status=401, code="bad_key", detail="The key is unknown, revoked or expired.", headers=CHALLENGE)
    return key


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
