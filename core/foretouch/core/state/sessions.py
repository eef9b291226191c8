"""Sessions of people who read the pages: a key, exchanged once for a cookie that can be ended here at any time.

The cookie holds a random token; here is its hash, and whose key it stands for. A session is good for as long as its key
is: revoking the key ends every session that was made with it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from foretouch.core.state.access import ApiKey, append_audit, find_key
from foretouch.core.state.connection import Connection, from_micros, to_micros

SESSION_HOURS = 12.0
TOKEN_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody who signed in.

    Attributes:
        key: The key it was exchanged for, as it is now.
        expires_at: On the machine's clock.
    """

    key: ApiKey
    expires_at: datetime


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(connection: Connection, key: ApiKey, *, now: datetime, workspace_now: datetime) -> str:
    """Opens a session for a key that was just verified, and returns its token: the only time that it is seen.

    Args:
        connection: Inside a transaction.
        key: Whose.
        now: The machine's time: a session is about a person at a screen, whatever year the workspace lives in.
        workspace_now: The workspace's time, for the audit log.
    """
    token = secrets.token_hex(TOKEN_BYTES)
    expires = now + timedelta(hours=SESSION_HOURS)
    connection.execute(
        "INSERT INTO sessions (token_sha256, key_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
        (_sha256(token), key.id, to_micros(now), to_micros(expires)),
    )
    connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (to_micros(now),))
    append_audit(connection, actor=key.id, action="session.open", detail={"key": key.id}, now=workspace_now)
    return token


def read_session(connection: Connection, token: str, *, now: datetime, workspace_now: datetime) -> Session | None:
    """The session of a token; None when it is unknown, ended or expired, or its key is revoked or expired.

    Args:
        connection: Where to read.
        token: From the cookie.
        now: The machine's time.
        workspace_now: The workspace's time, by which keys expire.
    """
    row = connection.execute(
        "SELECT key_id, expires_at FROM sessions WHERE token_sha256 = ?", (_sha256(token),)
    ).fetchone()
    if row is None or from_micros(row[1]) <= now:
        return None
    key = find_key(connection, row[0])
    if key is None or not key.usable(workspace_now):
        return None
    return Session(key=key, expires_at=from_micros(row[1]))


def end_session(connection: Connection, token: str) -> bool:
    """Ends a session; False when there was none."""
    return connection.execute("DELETE FROM sessions WHERE token_sha256 = ?", (_sha256(token),)).rowcount > 0
