"""Who changed which configuration file, when and how: texts by content hash, and lines of the hash-chained audit."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foretouch.core.errors import NotFoundError
from foretouch.core.state.access import append_audit, read_audit
from foretouch.core.state.connection import Connection

ACTION = "config.edit"


@dataclass(frozen=True, kw_only=True)
class FileEdit:
    """One edit.

    Attributes:
        sequence: Of its line in the audit.
        at: When, on the workspace's clock.
        actor: Id of the key that made it.
        file: Name within the workspace.
        before: Content hash of the text before; empty for a new file.
        after: Content hash of the text after.
        changes: ``{"path", "before", "after"}`` of every value that changed.
    """

    sequence: int
    at: datetime
    actor: str
    file: str
    before: str
    after: str
    changes: tuple[dict[str, Any], ...]


def text_hash(text: str) -> str:
    """Content hash of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def note_edit(
    connection: Connection,
    *,
    file: str,
    before: str | None,
    after: str,
    changes: list[dict[str, Any]],
    actor: str,
    now: datetime,
) -> None:
    """Keeps both texts of an edit, and its line in the audit.

    Args:
        connection: Inside a transaction.
        file: Name within the workspace.
        before: The whole text before; None for a new file.
        after: The whole text after.
        changes: Every value that changed.
        actor: Id of the key that makes it.
        now: The workspace's time.
    """
    for text in (before, after):
        if text is not None:
            connection.execute(
                "INSERT INTO artifacts (sha256, kind, body) VALUES (?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
                (text_hash(text), f"file:{file}", text.encode()),
            )
    hashes = {"before": "" if before is None else text_hash(before), "after": text_hash(after)}
    append_audit(connection, actor=actor, action=ACTION, detail={"file": file, **hashes, "changes": changes}, now=now)


def read_edits(connection: Connection, file: str | None = None, *, most: int) -> list[FileEdit]:
    """The latest edits of a file, or of all, newest first."""
    found = [
        FileEdit(
            sequence=line.sequence,
            at=line.at,
            actor=line.actor,
            file=line.detail["file"],
            before=line.detail["before"],
            after=line.detail["after"],
            changes=tuple(line.detail["changes"]),
        )
        for line in read_audit(connection, (ACTION,), most=most if file is None else 10 * most)
    ]
    return [edit for edit in found if file in {None, edit.file}][:most]


def read_version(connection: Connection, file: str, digest: str) -> str:
    """The text of a file by its content hash.

    Raises:
        NotFoundError: No edit of that file left such a text.
    """
    row = connection.execute(
        "SELECT body FROM artifacts WHERE sha256 = ? AND kind = ?", (digest, f"file:{file}")
    ).fetchone()
    if row is None:
        raise NotFoundError(f"no earlier version {digest[:12]}… of {file}")
    return bytes(row[0]).decode()
