"""Training at scale: simulated people for as many days as asked, history, every model; seconds, peak memory per step.

Each step is a process of its own, `foretouch` as anybody calls it; its peak memory is what the kernel says of it.
The workspace is thrown away unless `--workspace` names one. History has a snapshot every `--snapshot-days`, so that its
length is people × days / snapshot days rows per view.

    python benchmarks/train_scale.py --customers 1000000 --days 730 --snapshot-days 91

is the whole. What a run did is in its result, with its size: a smaller one says so. The result is written after every
step, so that a run that is stopped leaves what it measured, and `--resume` goes on from there.

People are not handed to the service's state (`simulate --no-register`): no model reads that.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent))
from result import write

MODELS = ("lead", "churn", "value", "offer", "send-time")
WHOLE = (1_000_000, 730)
CLI = Path(sys.executable).with_name("foretouch")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One process.

    Attributes:
        name: What it did.
        seconds: Wall clock.
        cpu_seconds: Of all its threads.
        peak_mib: Largest resident set.
        exit_code: 0 is done.
        said: Its last line on stderr, where it failed.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_mib: float
    exit_code: int
    said: str = ""


def run_step(name: str, *arguments: str, log: Path) -> Step:
    """Runs a command of ``foretouch`` to its end and measures it.

    Args:
        name: Of the step.
        arguments: Of the command.
        log: Receives what it says on stderr.
    """
    started = time.monotonic()
    with log.open("wb") as said, Path(os.devnull).open("wb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, said.fileno(), 2),
        ]
        pid = os.posix_spawn(str(CLI), [str(CLI), *arguments], dict(os.environ), file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Step(
        name=name,
        seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024.0,
        exit_code=code,
        said="" if code == 0 or not lines else lines[-1][:300],
    )


def set_snapshots(workspace: Path, days: float) -> None:
    """Writes ``features.snapshot_days`` into a workspace's configuration."""
    path = workspace / "foretouch.toml"
    text = path.read_text(encoding="utf-8")
    if "snapshot_days" in tomllib.loads(text).get("features", {}):
        lines = [
            f"snapshot_days = {days:g}" if line.startswith("snapshot_days") else line for line in text.splitlines()
        ]
        text = "\n".join(lines) + "\n"
    else:
        text = text.replace("[features]", f"[features]\nsnapshot_days = {days:g}", 1)
    path.write_text(text, encoding="utf-8")


def size_of(workspace: Path) -> dict[str, Any]:
    """What was simulated: people, events, history rows, bytes."""
    with duckdb.connect() as tables:

        def count(pattern: str) -> int:
            return int(tables.execute("SELECT count(*) FROM read_parquet(?)", [pattern]).fetchall()[0][0])

        data = workspace / "data"
        events = data / "events.parquet"
        found = {
            "customers": count(str(data / "customers.parquet")),
            "events": count(str(events if events.is_file() else data / "events" / "*.parquet")),
            "touches": count(str(data / "touches.parquet")),
        }
        history = workspace / "features" / "offline" / "customer_purchases.parquet"
        if history.is_file():
            found["history_rows_per_view"] = count(str(history))
    files = [path for path in workspace.rglob("*") if path.is_file()]
    return {**found, "workspace_mib": sum(path.stat().st_size for path in files) / 2**20}


def measure(
    workspace: Path,
    arguments: argparse.Namespace,
    *,
    done_before: Sequence[Step] = (),
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Every step in turn; one that fails is in the result, and the others go on where they can.

    Args:
        workspace: Where to work.
        arguments: Sizes, seed and models.
        done_before: Steps of an earlier run in the same workspace; they are not run again.
        keep: Receives the figures so far after every step: a run that is stopped leaves what it measured.
    """
    root = str(workspace)
    log = workspace.with_name(f"{workspace.name}.log")
    people = ["--customers", str(arguments.customers), "--days", str(arguments.days), "--seed", str(arguments.seed)]
    wanted = {
        "simulate": ["simulate", "-w", root, *people, "--jobs", "2", "--no-register"],
        "features build": ["features", "build", "-w", root],
        "features apply": ["features", "apply", "-w", root],
        **{f"train {model}": ["train", model, "--trials", "0", "-w", root] for model in arguments.models},
    }
    steps: list[Step] = []
    figures: dict[str, Any] = {}
    before = {step.name: step for step in done_before}
    for name, command in wanted.items():
        if name in before:
            steps.append(before[name])
            continue
        steps.append(run_step(name, *command, log=log))
        done = steps[-1]
        print(
            f"{name}: {done.seconds:.0f} s, CPU {done.cpu_seconds:.0f} s, {done.peak_mib:.0f} MiB,"
            f" exit {done.exit_code}",
            file=sys.stderr,
            flush=True,
        )
        if len(steps) == 1 and done.exit_code == 0:
            set_snapshots(workspace, arguments.snapshot_days)
        figures = told(workspace, arguments, steps, whole=len(steps) == len(wanted))
        keep(figures)
        if steps[0].exit_code != 0:
            break
    return figures


def finished_steps(path: Path, arguments: argparse.Namespace) -> list[Step]:
    """Steps of an earlier run of the same sizes that went well, from its result."""
    if not path.is_file():
        return []
    result = json.loads(path.read_text(encoding="utf-8"))
    if result.get("asked") != asked(arguments):
        return []
    return [step for step in (Step(**line) for line in result["steps"]) if step.exit_code == 0]


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The sizes of a run."""
    return {"customers": arguments.customers, "days": arguments.days, "snapshot_days": arguments.snapshot_days}


def told(workspace: Path, arguments: argparse.Namespace, steps: list[Step], *, whole: bool) -> dict[str, Any]:
    """The result so far.

    Args:
        workspace: What was simulated in it.
        arguments: What was asked.
        steps: Those that are done.
        whole: Whether none is left.
    """
    full = (arguments.customers, arguments.days) == WHOLE
    return {
        "asked": asked(arguments),
        "whole": full,
        "note": "" if full else f"smaller than the whole of {WHOLE[0]:,} customers × {WHOLE[1]} days",
        "size": size_of(workspace) if steps[0].exit_code == 0 else {},
        "finished": whole and all(step.exit_code == 0 for step in steps),
        "cpu_seconds": sum(step.cpu_seconds for step in steps),
        "peak_mib": max(step.peak_mib for step in steps),
        "peak_step": max(steps, key=lambda step: step.peak_mib).name,
        "steps": [asdict(step) for step in steps],
    }


def main() -> None:
    """Runs the steps and writes the result."""
    parser = argparse.ArgumentParser(description="Time and peak memory of training every model on simulated people.")
    parser.add_argument("--customers", type=int, default=WHOLE[0])
    parser.add_argument("--days", type=int, default=WHOLE[1])
    parser.add_argument("--snapshot-days", type=float, default=91.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--workspace", type=Path, help="kept; default: a temporary folder")
    parser.add_argument("--resume", action="store_true", help="keep the steps that the result in --out has already")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "results")
    given = parser.parse_args()
    if given.resume and given.workspace is None:
        parser.error("--resume goes on in a workspace that was kept: name it with --workspace")
    before = finished_steps(given.out / "train-scale.json", given) if given.resume else []
    command = (
        f"python benchmarks/train_scale.py --customers {given.customers} --days {given.days}"
        f" --snapshot-days {given.snapshot_days:g}"
    )

    def keep(figures: dict[str, Any]) -> None:
        seconds = sum(step["seconds"] for step in figures["steps"])
        write(given.out, "train-scale", command=command, seconds=seconds, figures=figures)

    with tempfile.TemporaryDirectory(prefix="train-scale-") as folder:
        figures = measure(given.workspace or Path(folder) / "w", given, done_before=before, keep=keep)
    path = given.out / "train-scale.json"
    print(json.dumps({"finished": figures["finished"], "peak_mib": round(figures["peak_mib"]), "result": str(path)}))
    if not figures["finished"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
