"""Editing a configuration file of the workspace: checked by the loader's own rules, written whole, and remembered."""

import fcntl
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretouch.core.config import load_toml
from foretouch.core.contact import ContactPolicy
from foretouch.core.errors import ConfigError, ConflictError, NotFoundError
from foretouch.core.policy import PolicySpec
from foretouch.core.state.file_history import note_edit, text_hash
from foretouch.core.workspace import Workspace
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.visit import Visit
from foretouch.serving.decision.policies import check_policy
from foretouch.serving.rules.rule_check import check_contact_policy

POLICY, CONTACT = "policy.toml", "contact_policy.toml"
LOCK = ".config-edit"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MOST_NOTED = 200
"""Characters of a changed value that the audit shows."""


class ChangedError(ConflictError):
    """The file was changed by somebody else since the form was made."""

    code = "changed"


@dataclass(frozen=True, kw_only=True)
class Editable:
    """A file as it is.

    Attributes:
        name: Within the workspace.
        path: On disk.
        text: Its text, line ends as they are.
        values: What it says.
    """

    name: str
    path: Path
    text: str
    values: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Content hash: a form carries that of the text it was made from."""
        return text_hash(self.text)


def policy_names(workspace: Workspace) -> tuple[str, ...]:
    """Policies by the names that commands take: ``policy`` is policy.toml."""
    return ("policy", *sorted(path.stem for path in (workspace.root / "policies").glob("*.toml")))


def policy_file(name: str) -> str:
    """The file of a policy's name."""
    return POLICY if name == "policy" else f"policies/{name}.toml"


def read_file(workspace: Workspace, name: str) -> Editable:
    """A file that may be edited.

    Raises:
        NotFoundError: It is none of these, or is not there.
    """
    allowed = {CONTACT, *(policy_file(policy) for policy in policy_names(workspace))}
    path = workspace.root / name
    if name not in allowed or not path.is_file():
        raise NotFoundError(f"no policy file {name!r} in this workspace")
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    try:
        values = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        values = {}
    return Editable(name=name, path=path, text=text, values=values)


def save(site: Site, visit: Visit, name: str, text: str, *, made_from: str | None) -> list[dict[str, Any]]:
    """Writes a file whole, once the loader has accepted it.

    Args:
        site: Whose workspace.
        visit: Who writes.
        name: Of the file.
        text: All of it.
        made_from: Content hash of the text that was edited; None makes a new file.

    Returns:
        Every value that changed; empty where nothing did.

    Raises:
        ConfigError: The loader refuses it; names line and column.
        ChangedError: Somebody else has changed it meanwhile.
    """
    workspace = site.workspace
    with _alone(workspace.root):
        path = workspace.root / name
        before = read_file(workspace, name) if made_from is not None else None
        if before is not None and before.digest != made_from:
            raise ChangedError(f"{name} was changed by somebody else meanwhile")
        if before is None and path.exists():
            raise ChangedError(f"{name} is there already")
        if before is not None and before.text == text:
            return []
        draft = _drafted(path, text)
        try:
            _check(workspace, draft, name)
            changes = list(differences({} if before is None else before.values, tomllib.loads(_plain(text))))
            now, actor = site.plane.clock.now(), visit.key_id
            site.plane.state.write(
                lambda connection: note_edit(
                    connection,
                    file=name,
                    before=None if before is None else before.text,
                    after=text,
                    changes=changes,
                    actor=actor,
                    now=now,
                )
            )
            if path.exists():
                draft.chmod(stat.S_IMODE(path.stat().st_mode))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(path.parent)
    return changes


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One edit at a time, over all workers."""
    with (root / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drafted(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _check(workspace: Workspace, draft: Path, name: str) -> None:
    """What the service does when it reads the file.

    Raises:
        ConfigError: It would not take it; the message names the file, line and column.
    """
    try:
        if name == CONTACT:
            policy = load_toml(draft, ContactPolicy)
            check_contact_policy(policy, workspace.config, draft)
        else:
            check_policy(load_toml(draft, PolicySpec))
    except ConfigError as error:
        told = error.message.replace(str(draft), name).replace(str(workspace.root) + "/", "")
        raise ConfigError(told, hint=error.hint) from None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def differences(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Every plain value that two readings of a file say otherwise, by its path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), after.get(key), inner)
    elif _tables(before) and _tables(after) and (before or after):
        for index in range(max(len(before or ()), len(after or ()))):
            one = before[index] if index < len(before or ()) else None
            other = after[index] if index < len(after or ()) else None
            yield from differences(one, other, f"{path}.{index + 1}")
    elif before != after:
        yield {"path": path, "before": _noted(before), "after": _noted(after)}


def _tables(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, Mapping) for item in value))


def _noted(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = ", ".join(f"{key} = {item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= MOST_NOTED else text[: MOST_NOTED - 1] + "…"
