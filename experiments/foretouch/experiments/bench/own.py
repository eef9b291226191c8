"""Our own measured jobs: ``python -m foretouch.experiments.bench.own JOB FOLDER``."""

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from foretouch.experiments.bench.peer import Job, Told, cpu_seconds, scored, stand_by

REPEATS = 5


def load() -> None:
    """Imports, before the watch, what an analysis imports at first use."""
    for module in ("babel.dates", "duckdb", "scipy.special"):
        import_module(module)


def estimate(folder: Path) -> tuple[Job, Told]:
    """The effect with one covariate from Parquet, and nothing else: what the peers do."""
    load()
    from foretouch.experiments.analysis.analyze import Context, analyze_source  # noqa: PLC0415 - as above
    from foretouch.experiments.analysis.summary import SummarySource  # noqa: PLC0415 - as above
    from foretouch.experiments.files import read_spec  # noqa: PLC0415 - as above
    from foretouch.experiments.parquet import aggregates_of_file  # noqa: PLC0415 - as above

    spec = read_spec(folder / "experiment.json")

    def job() -> Any:
        found = aggregates_of_file(folder / "experiment.parquet", spec, identity=False)
        return analyze_source(SummarySource(spec=spec, of=found), Context()).metrics[0]

    return job, lambda row: {"difference": row.difference, "ci": list(row.ci)}


def analysis(name: str) -> Callable[[Path], tuple[Job, Told]]:
    """The whole of ``bench experiment`` on one table: checks, effects, segments, verdict, hashes and the JSON.

    Args:
        name: Of the table and its spec.
    """

    def prepared(folder: Path) -> tuple[Job, Told]:
        load()
        from foretouch.experiments.files import analyze_files  # noqa: PLC0415 - as above

        def job() -> Any:
            rows, spec, out = (folder / f"{name}{end}" for end in (".parquet", ".json", "-results.json"))
            return analyze_files(rows, spec, out)

        return job, lambda found: {
            "difference": found.metrics[0].difference,
            "ci": list(found.metrics[0].ci),
            "metrics": len(found.metrics),
            "segments": len(found.segments),
            "refusals": [item.code for item in found.refusals],
        }

    return prepared


def from_aggregates(folder: Path) -> tuple[Job, Told]:
    """The same from sufficient statistics alone: the first time, and the CPU of later ones."""
    load()
    from foretouch.experiments.analysis.analyze import Context, analyze_source  # noqa: PLC0415 - imports
    from foretouch.experiments.analysis.summary import Aggregates, SummarySource  # noqa: PLC0415 - as above
    from foretouch.experiments.files import read_spec  # noqa: PLC0415 - as above

    spec = read_spec(folder / "one.json")
    raw = json.loads((folder / "aggregates.json").read_text(encoding="utf-8"))

    def job() -> Any:
        return analyze_source(SummarySource(spec=spec, of=Aggregates.of_json(raw)), Context(data_hash="0"))

    def told(found: Any) -> dict[str, Any]:
        before = cpu_seconds()
        for _ in range(REPEATS):
            job()
        return {"later_cpu_seconds": (cpu_seconds() - before) / REPEATS, "metrics": len(found.metrics)}

    return job, told


def report(folder: Path) -> tuple[Job, Told]:
    """Both languages' pages of the wide experiment."""
    load()
    from foretouch.experiments.report.output import read_results, write_all  # noqa: PLC0415 - imports

    results = read_results(folder / "wide-results.json")

    def told(written: Any) -> dict[str, Any]:
        return {"bytes": max(path.stat().st_size for path in written.values() if path.suffix == ".html")}

    return lambda: write_all(results, folder / "report", ("en", "zh")), told


def qini(folder: Path) -> tuple[Job, Told]:
    """The house's Qini, ties exact."""
    from foretouch.training.uplift.curve import Randomised  # noqa: PLC0415 - imports

    score, treatment, outcome = scored(str(folder / "scored.parquet"))

    def job() -> Any:
        return Randomised(score, treatment, outcome).curve().qini_coefficient

    return job, lambda found: {"house": float(found)}


def band(folder: Path) -> tuple[Job, Told]:
    """The band of a Qini: 200 bootstrap draws."""
    from foretouch.training.uplift.curve import evaluate_uplift  # noqa: PLC0415 - imports

    score, treatment, outcome = scored(str(folder / "band.parquet"))

    def job() -> Any:
        return evaluate_uplift(score, treatment.astype(float), outcome.astype(float), draws=200)

    return job, lambda found: {"qini": found.qini.value, "ci": [found.qini.low, found.qini.high], "draws": found.draws}


def core(_folder: Path) -> tuple[Job, Told]:
    """The import of the core, and of what its first analysis imports: the other jobs have both before the watch."""

    def job() -> Any:
        load()
        import foretouch.experiments.analysis.analyze  # noqa: PLC0415 - what is measured

        return foretouch.experiments.analysis.analyze

    return job, lambda _: {name: name in sys.modules for name in ("pandas", "scipy.stats")}


JOBS: Mapping[str, Callable[[Path], tuple[Job, Told]]] = {
    "estimate": estimate,
    "experiment": analysis("experiment"),
    "wide": analysis("wide"),
    "aggregates": from_aggregates,
    "report": report,
    "qini": qini,
    "band": band,
    "import": core,
}


if __name__ == "__main__":
    stand_by(*JOBS[sys.argv[1]](Path(sys.argv[2])))
