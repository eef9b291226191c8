"""Answers of long analyses, kept on disk: shown at once, also after a restart, while newer ones are worked out.

Only analyses whose answers name no customer are kept, so that nothing has to be erased from them.
"""

import json
import os
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from foretouch.core.canonical import content_hash

FOLDER = ".pages"
KEPT = frozenset({"insights", "policies", "arms"})
"""Jobs whose answers are kept."""
MOST_FILES = 64


class Kept:
    """The folder of kept answers.

    Args:
        root: Of the workspace.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def write(self, job: str, arguments: str, *, value: Any, stamp: str, at: datetime) -> None:
        """Keeps an answer, where the job's are kept; a full disk costs no more than that."""
        if job not in KEPT:
            return
        told = {"format": 1, "job": job, "arguments": arguments, "stamp": stamp, "at": at.isoformat(), "value": value}
        told["hash"] = content_hash(told)
        path = self._path(job, arguments)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            beside = path.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
            beside.replace(path)
            for old in sorted(self._folder.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-MOST_FILES]:
                old.unlink(missing_ok=True)

    def read(self, job: str, arguments: str) -> dict[str, Any] | None:
        """The answer with its ``stamp`` and ``at``; None where there is none, or it is not as it was written."""
        if job not in KEPT:
            return None
        try:
            told: dict[str, Any] = json.loads(self._path(job, arguments).read_text(encoding="utf-8"))
            whole = told.pop("hash") == content_hash(told)
            asked = (told["format"], told["job"], told["arguments"]) == (1, job, arguments)
            return {**told, "at": datetime.fromisoformat(told["at"])} if whole and asked else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _path(self, job: str, arguments: str) -> Path:
        return self._folder / f"{job}-{sha256(arguments.encode()).hexdigest()[:24]}.json"
