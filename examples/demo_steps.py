"""Steps of the demo that are done once: a marker keeps the key of what a step was made of.

A step's key is the hash of the code it runs, its arguments and the step before it; a step whose marker holds that key
is skipped. Only the standard library is used.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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
    seconds: dict[str, float] = field(default_factory=dict)

    def step(
        self, name: str, heading: str, *, after: str | None, code: Sequence[str], work: Callable[[], Json]
    ) -> Json:
        """Does a step, or tells what it gave when it was done before.

        Args:
            name: Of the marker.
            heading: What the user reads.
            after: The step that it builds on; done anew, this one is done anew.
            code: Top-level folders whose code it runs.
            work: Does it; returns JSON.
        """
        self.number += 1
        before = self.chain[after] if after else ""
        key = hashlib.sha256(f"{name}|{heading}|{before}|{code_key(code)}".encode()).hexdigest()
        marker = self.folder / f"{name}.json"
        if marker.is_file():
            kept = json.loads(marker.read_text(encoding="utf-8"))
            if kept["key"] == key:
                self.chain[name] = key
                self.seconds[name] = kept["seconds"]
                self.skipped += 1
                print(f"[{self.number:>2}/{self.total}] {heading}: done before ({kept['seconds']:.0f} s)", flush=True)
                return kept["result"]
        print(f"[{self.number:>2}/{self.total}] {heading} …", flush=True)
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = marker.with_suffix(".tmp")
        draft.write_text(json.dumps({"key": key, "seconds": seconds, "result": result}), encoding="utf-8")
        draft.replace(marker)
        self.chain[name], self.seconds[name] = key, seconds
        print(f"        {seconds:.1f} s", flush=True)
        return result

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
