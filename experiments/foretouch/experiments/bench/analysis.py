"""``foretouch bench analysis``: what an experiment, a Qini and the rest of an analysis cost, beside the best peers.

Every job runs in a process of its own, imports done before the watch starts. The parties of a comparison take turns,
so that a busy moment of the machine hits them alike; each one's least time over the rounds counts, and its most memory.
What has no peer is judged by CPU, which is no less than the clock's time on a quiet machine.
Answers are compared before figures are given.
"""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from foretouch.core.clock import monotonic, utc_now
from foretouch.core.errors import DataError, NotReadyError
from foretouch.experiments.bench import tables
from foretouch.experiments.bench.environments import PACKAGES, peer_python

Json = dict[str, Any]
Say = Callable[[str], None]
PEER = Path(__file__).with_name("peer.py")
TOLERANCE = 1e-8
OURS, WHOLE = "foretouch", "foretouch, whole command"
TEA, LAZY, CHECKED = "tea-tasting on polars", "tea-tasting on polars, lazy", "tea-tasting on polars, units checked"
CAUSALML, SKLIFT = "causalml", "scikit-uplift"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        rows: Of the experiment with one metric.
        wide_rows: Of the experiment with five metrics and twenty segments.
        qini_rows: Of the scored table.
        band_rows: Of the scored table whose band is drawn.
        rounds: Turns that the parties of a comparison take.
        environments: Where the peers live; ``None`` measures ours alone.
    """

    rows: int = 10_000_000
    wide_rows: int = 1_000_000
    qini_rows: int = 5_000_000
    band_rows: int = 1_000_000
    rounds: int = 3
    environments: Path | None = None


def measure(plan: Plan, folder: Path, tell: Say) -> Json:
    """Draws the tables, runs every party in turns, compares the answers.

    Args:
        plan: What to run.
        folder: For everything that is made; emptied by the caller.
        tell: Told what happens.

    Returns:
        The result as JSON values; ``targets`` says which of the project's targets hold, ``skipped`` which peers were
        not there, and why.

    Raises:
        DataError: Two parties give different answers.
        NotReadyError: A job fails.
    """
    started, load = monotonic(), os.getloadavg()[0]
    tell("drawing the tables")
    tables.write_experiment(folder, plan.rows)
    tables.write_wide(folder, plan.wide_rows)
    tables.write_scored(folder / "scored.parquet", plan.qini_rows)
    tables.write_scored(folder / "band.parquet", plan.band_rows)
    skipped: dict[str, str] = {}
    pythons = {name: _environment(name, plan, skipped, tell) for name in PACKAGES}
    experiment = {OURS: _own("estimate", folder), WHOLE: _own("experiment", folder)}
    scored = {OURS: _own("qini", folder)}
    if tea := pythons["tea-tasting"]:
        file = str(folder / "experiment.parquet")
        for name, job in ((TEA, "tea-tasting"), (LAZY, "tea-tasting-lazy"), (CHECKED, "tea-tasting-checked")):
            experiment[name] = [tea, str(PEER), job, file]
    if uplift := pythons["uplift"]:
        for name in (CAUSALML, SKLIFT):
            scored[name] = [uplift, str(PEER), name, str(folder / "scored.parquet")]
    found: Json = {
        f"experiment of {plan.rows:,} rows, CUPED": _turns(experiment, plan.rounds, tell),
        f"Qini of {plan.qini_rows:,} rows": _turns(scored, plan.rounds, tell),
    }
    compare(*found.values())
    _save_aggregates(folder)
    own = {
        f"{plan.wide_rows:,} rows x 5 metrics, CUPED, 20 segments": "wide",
        "from aggregates": "aggregates",
        "report in two languages": "report",
        f"Qini band of {plan.band_rows:,} rows x 200 draws": "band",
        "import of the statistics core": "import",
    }
    alone = {what: _turns({OURS: _own(job, folder)}, plan.rounds, tell)[OURS] for what, job in own.items()}
    return {
        "benchmark": "bench-analysis",
        "command": "foretouch bench analysis",
        "date": utc_now().date().isoformat(),
        "machine": _machine(),
        "python": platform.python_version(),
        "packages": {name: list(packages) for name, packages in PACKAGES.items() if name not in skipped},
        "duckdb": version("duckdb"),
        "seconds": round(monotonic() - started, 1),
        "note": "every job in a process of its own, from Parquet, imports before the watch; least seconds and most "
        "memory of the rounds, in turns; memory is the whole process; only ratios of one run carry",
        "load_average_before_and_after": [round(load, 2), round(os.getloadavg()[0], 2)],
        "rounds": plan.rounds,
        "compared": found,
        "alone": alone,
        "skipped": skipped,
        "targets": targets(list(found.values()), list(alone.values())),
    }


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def _environment(name: str, plan: Plan, skipped: dict[str, str], tell: Say) -> str | None:
    if plan.environments is None:
        skipped[name] = "not asked for"
        return None
    tell(f"making the environment of {name}")
    try:
        return str(peer_python(name, plan.environments))
    except NotReadyError as error:
        skipped[name] = error.message
        return None


def _own(job: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "foretouch.experiments.bench.own", job, str(folder)]


def _save_aggregates(folder: Path) -> None:
    from foretouch.experiments.files import read_spec  # noqa: PLC0415 - only needed once a bench runs
    from foretouch.experiments.parquet import aggregates_of_file  # noqa: PLC0415 - as above

    found = aggregates_of_file(folder / "experiment.parquet", read_spec(folder / "one.json"), identity=False)
    (folder / "aggregates.json").write_text(json.dumps(found.as_json()), encoding="utf-8")


def _turns(parties: Mapping[str, Sequence[str]], rounds: int, tell: Say) -> Json:
    taken: dict[str, list[Json]] = {name: [] for name in parties}
    for turn in range(rounds):
        for name, command in parties.items():
            tell(f"round {turn + 1} of {rounds}: {name}, {command[-2]}")
            taken[name].append(run_job(command))
    return {name: figures(turns) for name, turns in taken.items()}


def run_job(command: Sequence[str]) -> Json:
    """One job from its word to its end.

    Args:
        command: Starts a process that calls ``peer.stand_by``.

    Returns:
        Seconds by our watch; what it says of its CPU, its memory and its answer.

    Raises:
        NotReadyError: The process ends without an answer.
    """
    with subprocess.Popen(  # noqa: S603 - our own script, by path
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise NotReadyError(f"{' '.join(command)} has no pipes")
        ready = process.stdout.readline()
        before = monotonic()
        if ready.strip() == "ready":
            process.stdin.write("go\n")
            process.stdin.flush()
        said = process.stdout.readline()
        seconds = monotonic() - before
        line = process.stdout.readline()
        if ready.strip() != "ready" or said.strip() != "done" or not line:
            raise NotReadyError(f"{' '.join(command)} gave no answer: {process.stderr.read()[-1500:]}")
    return {"seconds": seconds, **json.loads(line)}


def figures(turns: Sequence[Json]) -> Json:
    """Least seconds and CPU seconds, most memory, and the last answer."""
    return {
        "seconds": round(min(turn["seconds"] for turn in turns), 4),
        "cpu_seconds": round(min(turn["cpu_seconds"] for turn in turns), 4),
        "peak_mib": round(max(turn["peak_mib"] for turn in turns), 1),
        "answer": turns[-1]["answer"],
    }


def compare(experiment: Json, scored: Json) -> None:
    """Holds every party's answer against ours.

    Raises:
        DataError: One differs.
    """
    ours = experiment[OURS]["answer"]
    for name, party in experiment.items():
        theirs = party["answer"]
        pairs = zip((ours["difference"], *ours["ci"]), (theirs["difference"], *theirs["ci"]), strict=True)
        if not all(math.isclose(mine, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for mine, other in pairs):
            raise DataError(f"{name} answers {theirs}, we {ours}")
    if SKLIFT in scored:
        mine, other = scored[OURS]["answer"]["house"], scored[SKLIFT]["answer"]["house"]
        if not math.isclose(mine, other, rel_tol=TOLERANCE, abs_tol=1e-12):
            raise DataError(f"the area under {SKLIFT}'s curve gives a Qini of {other!r}, ours is {mine!r}")


def targets(compared: Sequence[Json], alone: Sequence[Json]) -> list[Json]:
    """Each target with what was found; ``met`` is null where it was not measured."""
    experiment, scored = compared
    wide, aggregates, report, band, core = alone

    def least(parties: Json, names: Sequence[str], figure: str) -> float | None:
        return min((parties[name][figure] for name in names if name in parties), default=None)

    def ratio(above: float | None, below: float | None) -> float | None:
        return None if above is None or below is None else round(above / below, 2)

    peers = (TEA, LAZY)
    mine, whole = experiment[OURS], experiment[WHOLE]
    lines: list[tuple[str, float | None, str, float]] = []
    for figure, words in (("seconds", "seconds"), ("cpu_seconds", "CPU")):
        theirs = least(experiment, peers, figure)
        lines.append((f"experiment: the best peer's {words} to ours", ratio(theirs, mine[figure]), ">=", 1.2))
    lines.append(
        (
            "experiment: our memory to the best peer's",
            ratio(mine["peak_mib"], least(experiment, peers, "peak_mib")),
            "<=",
            0.5,
        )
    )
    checked = least(experiment, (CHECKED,), "cpu_seconds")
    lines.append(
        (
            "experiment with units checked: the peer's CPU to our whole command",
            ratio(checked, whole["cpu_seconds"]),
            ">=",
            1.2,
        )
    )
    for name, bound in ((CAUSALML, 1.0), (SKLIFT, 2.5)):
        for figure, words in (("seconds", "seconds"), ("cpu_seconds", "CPU")):
            theirs = least(scored, (name,), figure)
            lines.append((f"Qini: {name}'s {words} to ours", ratio(theirs, scored[OURS][figure]), ">=", bound))
    lines += [
        ("5 metrics, 20 segments: CPU seconds", wide["cpu_seconds"], "<", 3.0),
        ("5 metrics, 20 segments: GB", round(wide["peak_mib"] / 953.674, 3), "<", 1.5),
        ("from aggregates: ms of CPU, the first time", round(1000.0 * aggregates["cpu_seconds"], 1), "<", 50.0),
        ("report in two languages: CPU seconds", report["cpu_seconds"], "<", 2.0),
        ("report: MB of the larger page", round(report["answer"]["bytes"] / 1e6, 3), "<", 2.0),
        ("Qini band: CPU seconds", band["cpu_seconds"], "<", 20.0),
        ("import of the statistics core: CPU seconds", core["cpu_seconds"], "<=", 1.5),
    ]
    return [
        {"target": name, "found": value, "must": f"{sign} {must:g}", "met": _holds(value, sign, must)}
        for name, value, sign, must in lines
    ]


def _holds(value: float | None, sign: str, bound: float) -> bool | None:
    if value is None:
        return None
    return {"<=": value <= bound, "<": value < bound, ">=": value >= bound}[sign]
