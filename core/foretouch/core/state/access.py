"""API keys, idempotency and the audit chain: who may ask, what was asked before, and who changed what."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from foretouch.core.canonical import canonical_json, content_hash
from foretouch.core.errors import ConflictError, NotFoundError
from foretouch.core.state.connection import Connection, from_micros, marks, to_micros

SCOPES = ("decide", "events", "report:read", "admin")
"""``decide`` asks for decisions and scores and posts outcomes and events; ``admin`` may do everything."""

KEY_PREFIX = "ftk"
SECRET_BYTES = 32
KEEP_ANSWERS = timedelta(hours=72)
"""How long the answer to an idempotency key is kept: some callers retry for three days."""

FIRST_LINK = "0" * 64


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is stored: its secret is known only by its hash."""

    id: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    note: str = ""

    def usable(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: str) -> bool:
        """Whether it carries a scope; ``admin`` carries all."""
        return scope in self.scopes or "admin" in self.scopes


class ReusedKeyError(ConflictError):
    """An idempotency key came again with another body."""

    code = "idempotency_key_reused"


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create_key(
    connection: Connection,
    scopes: Iterable[str],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    note: str = "",
    actor: str = "cli",
) -> dict[str, str]:
    """Makes a key and returns ``{"id", "key"}``: the only time that the whole key is seen.

    The key reads ``ftk_<id>_<secret>`` with a 256-bit secret; a hash without a salt is enough for such a secret.

    Raises:
        ConflictError: A scope is unknown, or none is given.
    """
    wanted = tuple(sorted(set(scopes)))
    unknown = sorted(set(wanted) - set(SCOPES))
    if unknown or not wanted:
        raise ConflictError(f"scopes == {list(wanted)}, must be among {list(SCOPES)}")
    identity = secrets.token_hex(6)
    secret = secrets.token_hex(SECRET_BYTES)
    connection.execute(
        "INSERT INTO keys (id, sha256, scopes, created_at, expires_at, note) VALUES (?, ?, ?, ?, ?, ?)",
        (
            identity,
            _sha256(secret),
            " ".join(wanted),
            to_micros(now),
            None if expires_at is None else to_micros(expires_at),
            note,
        ),
    )
    append_audit(connection, actor=actor, action="key.create", detail={"id": identity, "scopes": wanted}, now=now)
    return {"id": identity, "key": f"{KEY_PREFIX}_{identity}_{secret}"}


def verify_key(connection: Connection, key: str, now: datetime) -> ApiKey | None:
    """The stored key that this text is, or None when it is no key, unknown, revoked or expired.

    The secret is compared in constant time, also when there is no such id.
    """
    prefix, _, rest = (key if key.isascii() else "").partition("_")
    identity, _, secret = rest.partition("_")
    row = connection.execute(
        "SELECT sha256, scopes, created_at, expires_at, revoked_at, note FROM keys WHERE id = ?", (identity,)
    ).fetchone()
    matches = hmac.compare_digest(row[0] if row else FIRST_LINK, _sha256(secret))
    if prefix != KEY_PREFIX or row is None or not matches:
        return None
    found = _key(identity, row[1:])
    return found if found.usable(now) else None


def _key(identity: str, row: tuple[str, int, int | None, int | None, str]) -> ApiKey:
    scopes, created, expires, revoked, note = row
    return ApiKey(
        id=identity,
        scopes=tuple(scopes.split()),
        created_at=from_micros(created),
        expires_at=None if expires is None else from_micros(expires),
        revoked_at=None if revoked is None else from_micros(revoked),
        note=note,
    )


def find_key(connection: Connection, identity: str) -> ApiKey | None:
    """The key of an id, usable or not, without its secret."""
    row = connection.execute(
        "SELECT scopes, created_at, expires_at, revoked_at, note FROM keys WHERE id = ?", (identity,)
    ).fetchone()
    return None if row is None else _key(identity, row)


def list_keys(connection: Connection) -> list[ApiKey]:
    """Every key ever made, oldest first, without secrets."""
    rows = connection.execute(
        "SELECT id, scopes, created_at, expires_at, revoked_at, note FROM keys ORDER BY created_at, id"
    )
    return [_key(row[0], row[1:]) for row in rows]


def revoke_key(connection: Connection, identity: str, now: datetime, *, actor: str = "cli") -> bool:
    """Revokes a key at once; False when it was revoked before.

    Raises:
        NotFoundError: There is no such key.
    """
    if connection.execute("SELECT 1 FROM keys WHERE id = ?", (identity,)).fetchone() is None:
        raise NotFoundError(f"no key {identity!r}", hint="foretouch keys list")
    changed = connection.execute(
        "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (to_micros(now), identity)
    ).rowcount
    if changed:
        append_audit(connection, actor=actor, action="key.revoke", detail={"id": identity}, now=now)
    return changed > 0


def find_answer(connection: Connection, scope: str, key: str, body_sha256: str) -> bytes | None:
    """The answer stored under an idempotency key, or None when the key is new.

    Args:
        connection: Where to read.
        scope: Key id and route: two callers may use the same text without meeting.
        key: The caller's idempotency key or request id.
        body_sha256: Hash of the request's content.

    Raises:
        ReusedKeyError: The key came before with other content.
    """
    row = connection.execute(
        "SELECT body_sha256, response FROM idempotency WHERE scope = ? AND key = ?", (scope, key)
    ).fetchone()
    if row is None:
        return None
    if not hmac.compare_digest(row[0], body_sha256):
        raise ReusedKeyError(f"idempotency key {key!r} came before with another body")
    answer: bytes = row[1]
    return answer


def keep_answer(
    connection: Connection,
    *,
    scope: str,
    key: str,
    body_sha256: str,
    decision_id: str | None,
    response: bytes,
    now: datetime,
) -> None:
    """Stores the answer to an idempotency key, in the transaction that did the work."""
    connection.execute(
        "INSERT INTO idempotency (scope, key, body_sha256, decision_id, response, at) VALUES (?, ?, ?, ?, ?, ?)",
        (scope, key, body_sha256, decision_id, response, to_micros(now)),
    )


def forget_answers(connection: Connection, now: datetime) -> int:
    """Drops answers older than ``KEEP_ANSWERS`` and returns how many."""
    return connection.execute("DELETE FROM idempotency WHERE at < ?", (to_micros(now - KEEP_ANSWERS),)).rowcount


def _link(previous: str, at: int, actor: str, action: str, detail: bytes) -> str:
    return content_hash([previous, at, actor, action, detail.decode()])


def append_audit(connection: Connection, *, actor: str, action: str, detail: Any, now: datetime) -> str:
    """Appends a line to the audit chain and returns its hash, which covers every line before it."""
    row = connection.execute("SELECT sha256, sequence FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    previous, last = row or (FIRST_LINK, 0)
    body, at = canonical_json(detail), to_micros(now)
    digest = _link(previous, at, actor, action, body)
    connection.execute(
        "INSERT INTO audit (sequence, at, actor, action, detail, previous_sha256, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (last + 1, at, actor, action, body, previous, digest),
    )
    return digest


def verify_audit(connection: Connection) -> int | None:
    """The sequence number of the first line that was edited, moved or whose predecessor is gone; None if all hold."""
    previous, expected = FIRST_LINK, 1
    rows = connection.execute(
        "SELECT sequence, at, actor, action, detail, previous_sha256, sha256 FROM audit ORDER BY sequence"
    )
    for sequence, at, actor, action, detail, before, digest in rows:
        moved = sequence != expected or before != previous or not isinstance(detail, bytes)
        if moved or digest != _link(previous, at, actor, action, detail):
            return int(sequence)
        previous, expected = digest, sequence + 1
    return None


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """One line of the audit."""

    sequence: int
    at: datetime
    actor: str
    action: str
    detail: Any


def read_audit(connection: Connection, actions: Iterable[str], *, most: int) -> list[AuditLine]:
    """The latest lines of certain actions, newest first."""
    wanted = tuple(actions)
    rows = connection.execute(
        f"SELECT sequence, at, actor, action, detail FROM audit WHERE action IN ({marks(len(wanted))})"  # noqa: S608
        " ORDER BY sequence DESC LIMIT ?",
        (*wanted, most),
    )
    return [
        AuditLine(
            sequence=int(sequence), at=from_micros(at), actor=actor, action=action, detail=orjson.loads(bytes(detail))
        )
        for sequence, at, actor, action, detail in rows
    ]


def audit_end(connection: Connection) -> tuple[int, str]:
    """The number of the last line of the audit and its hash, which stands for the whole chain; 0 and "" without one.

    Whoever notes the hash elsewhere can tell later that no line was cut off at the end.
    """
    row = connection.execute("SELECT sequence, sha256 FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    return (0, "") if row is None else (int(row[0]), str(row[1]))
