"""The side-by-side figures in one go: ``make bench``.

    python benchmarks/run.py                       # everything; results in docs/results/<name>.json
    python benchmarks/run.py --only churn ope      # some of it

Quality is measured on public tables in a folder beside the checkout (``--data``); a job whose table is not there is
skipped and says so. Speed is measured by the scripts of this folder that drive a running service, where there is a
workspace with models (``make demo`` makes one).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from public_data import JOBS, Bench
from result import Json, write

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("service",)
"""Scripts of this folder that write results of their own: each takes ``--workspace`` and ``--out``."""


def public(name: str, data: Path, folder: Path, out: Path) -> Json | None:
    """Runs one job on public data; None where its tables are not there."""
    job = JOBS[name]
    missing = [table for table in job.needs if not (data / f"{table}.parquet").is_file()]
    if missing:
        print(f"{name}: skipped, {', '.join(missing)} not in the data folder", flush=True)
        return None
    print(f"{name} …", flush=True)
    bench = Bench(data=data, folder=folder)
    started = time.perf_counter()
    figures = job.run(bench)
    seconds = time.perf_counter() - started
    calls = list(dict.fromkeys(bench.calls))
    command = f"make bench (python benchmarks/run.py --only {name})"
    path = write(out, name, command=command, seconds=seconds, figures={**figures, "calls": calls})
    print(f"  {seconds:.0f} s, {path.name}", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def script(name: str, workspace: Path, out: Path) -> int:
    """Runs a script of this folder on a workspace, or says why not; its exit code."""
    path = Path(__file__).with_name(f"{name}.py")
    if not path.is_file():
        print(f"{name}: skipped, there is no benchmarks/{name}.py", flush=True)
        return 0
    if not (workspace / "bundles").is_dir():
        print(f"{name}: skipped, the workspace has no models; next: make demo", flush=True)
        return 0
    print(f"{name} …", flush=True)
    command = [sys.executable, str(path), "--workspace", str(workspace), "--out", str(out / f"{name}.json")]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """Runs what was asked for; exits 1 if anything failed."""
    parser = argparse.ArgumentParser(description="The project's side-by-side figures.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of public tables")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="where the results go")
    parser.add_argument("--workspace", type=Path, default=ROOT / ".demo" / "complete-journey", help="for speed")
    parser.add_argument("--only", nargs="+", choices=[*JOBS, *SCRIPTS], default=[*JOBS, *SCRIPTS])
    given = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [job for job in JOBS if job in given.only]:
            try:
                public(name, given.data, Path(folder), given.out)
            except RuntimeError as error:
                print(f"  failed: {error}", file=sys.stderr, flush=True)
                failed.append(name)
    failed += [name for name in SCRIPTS if name in given.only and script(name, given.workspace, given.out) != 0]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
