"""Steps of the demo that are done once: a marker keeps the key of what a step was made of.

A step's key is the hash of the code it runs, its arguments and the step before it; a step whose marker holds that key
is skipped. Only the standard library is used.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SUFFIXES = {".py", ".toml", ".html", ".sql", ".yaml"}

Json = Any


def code_key(parts: Sequence[str]) -> str:
    """SHA-256 of every source file of some top-level folders, and of the locked dependencies."""
    digest = hashlib.sha256()
    files = [REPOSITORY / "requirements.lock"]
    for part in parts:
        folder = REPOSITORY / part
        files += sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    for path in files:
        digest.update(str(path.relative_to(REPOSITORY)).encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """What every command gets: the environment's own commands first, no telemetry, no pickle."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "FEAST_USAGE": "False",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def run(*arguments: str | Path) -> str:
    """Runs a command to its end, its progress on our stderr, and returns what it printed.

    Raises:
        SystemExit: It failed; its name is said, its own words stand above.
    """
    done = subprocess.run([str(item) for item in arguments], stdout=subprocess.PIPE, env=environment(), check=False)
    text = done.stdout.decode()
    if done.returncode != 0:
        name = " ".join([Path(arguments[0]).name, *map(str, arguments[1:])])
        raise SystemExit(f"{text}\n`{name}` failed with exit code {done.returncode}")
    return text


def foretouch(*arguments: str | Path) -> str:
    """Runs the public command line."""
    return run(BIN / "foretouch", *arguments)


def foretouch_json(*arguments: str | Path) -> Json:
    """The JSON that a command prints with ``--json``."""
    return json.loads(foretouch(*arguments, "--json"))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a folder for one demo at a time; the lock ends with the process, however that ends.

    Raises:
        SystemExit: Another demo is at work there.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"another demo is at work in {folder}: wait for it, or give --root another folder"
            ) from None
        yield


@dataclass
class Steps:
    """The demo's steps in order.

    Attributes:
        folder: Where the markers and results are kept.
        total: How many steps there are.
    """

    folder: Path
    total: int
    number: int = 0
    skipped: int = 0
    chain: dict[str, str] = field(default_factory=dict)
    ancestors: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def step(
        self,
        name: str,
        heading: str,
        *,
        after: str | None,
        code: Sequence[str],
        work: Callable[[], Json],
        makes: Path | None = None,
    ) -> Json:
        """Does a step, or tells what it gave when it was done before.

        Args:
            name: Of the marker.
            heading: What the user reads.
            after: The step that it builds on; done anew, this one is done anew.
            code: Top-level folders whose code it runs.
            work: Does it; returns JSON.
            makes: A file or folder that it leaves behind; where somebody removed that, it is done anew.
        """
        self.number += 1
        before = self.chain[after] if after else ""
        key = hashlib.sha256(f"{name}|{heading}|{before}|{code_key(code)}".encode()).hexdigest()
        self.chain[name] = key
        self.ancestors[name] = [*self.ancestors[after], after] if after else []
        kept = self._kept(name)
        if kept.get("key") == key and (makes is None or makes.exists()):
            self.seconds[name] = kept["seconds"]
            self.skipped += 1
            print(f"[{self.number:>2}/{self.total}] {heading}: done before ({kept['seconds']:.0f} s)", flush=True)
            return kept["result"]
        print(f"[{self.number:>2}/{self.total}] {heading} …", flush=True)
        self._forget(name)
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        self.folder.mkdir(parents=True, exist_ok=True)
        marker = self.folder / f"{name}.json"
        draft = marker.with_suffix(".tmp")
        made = {"key": key, "seconds": seconds, "ancestors": self.ancestors[name], "result": result}
        draft.write_text(json.dumps(made), encoding="utf-8")
        draft.replace(marker)
        self.seconds[name] = seconds
        print(f"        {seconds:.1f} s", flush=True)
        return result

    def _kept(self, name: str) -> dict[str, Json]:
        """What a marker says; nothing where there is none, or where it is damaged."""
        try:
            kept = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        whole = isinstance(kept, dict) and kept.keys() >= {"key", "seconds", "ancestors", "result"}
        return kept if whole else {}

    def _forget(self, name: str) -> None:
        """Removes the marker of a step and of all that builds on it: what they made is about to be replaced."""
        for marker in self.folder.glob("*.json"):
            if marker.stem == name or name in self._kept(marker.stem).get("ancestors", ()):
                marker.unlink()

    def fresh(self, workspace: Path) -> None:
        """Makes room for a workspace: what the demo made is removed, what somebody else made is moved aside."""
        mine = self.folder / f"{workspace.name}.made-here"
        if workspace.exists() and mine.is_file():
            shutil.rmtree(workspace)
        elif workspace.exists():
            aside = workspace.with_name(f"{workspace.name}.kept-{time.strftime('%Y%m%d-%H%M%S')}")
            workspace.rename(aside)
            print(f"        {workspace} was not made by this demo; it is kept as {aside}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        mine.touch()
