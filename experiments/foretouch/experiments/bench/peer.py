"""One measured job in a process of its own; here the jobs of other libraries, run by the interpreter that has them.

    PYTHON peer.py JOB FILE

Only the standard library is imported until a job is prepared, so that an environment needs nothing of ours. The caller
holds the watch: the process says ``ready``, waits for a line, works, and answers with its CPU time and its peak memory.
"""

import json
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Job = Callable[[], Any]
"""Does the work; what it returns is turned into an answer after the measurement."""
Told = Callable[[Any], dict[str, Any]]


def stand_by(job: Job, told: Told) -> None:
    """Says ``ready``, waits for the word, works, and writes one line of JSON.

    Args:
        job: The work.
        told: What is said of its result.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    before = cpu_seconds()
    result = job()
    spent = cpu_seconds() - before
    print("done", flush=True)
    print(json.dumps({"cpu_seconds": spent, "peak_mib": peak_mib(), "answer": told(result)}), flush=True)


def cpu_seconds() -> float:
    """CPU time of all threads of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    """The most memory that this process held. Not ``ru_maxrss``, which a process inherits from whoever started it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0
    return float("nan")


def tea_tasting(file: str, *, lazy: bool, check: bool) -> tuple[Job, Told]:
    """The effect with one covariate by tea-tasting on polars.

    Args:
        file: Parquet with customer_id, arm, y, x.
        lazy: Scan the file instead of reading it.
        check: First see that nobody comes twice, which tea-tasting leaves to its user.
    """
    import polars as pl  # type: ignore[import-not-found]  # noqa: PLC0415 - in the peer's environment only
    import tea_tasting as tt  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    def job() -> Any:
        if check:
            units = pl.scan_parquet(file).select(pl.col("customer_id").n_unique(), n=pl.len()).collect()
            if units["customer_id"][0] != units["n"][0]:
                raise SystemExit("somebody comes twice")
        rows = pl.scan_parquet(file) if lazy else pl.read_parquet(file, columns=["arm", "y", "x"])
        experiment = tt.Experiment({"y": tt.Mean("y", covariate="x")}, variant="arm")
        return experiment.analyze(rows, control="control")["y"]

    def told(found: Any) -> dict[str, Any]:
        return {"difference": found.effect_size, "ci": [found.effect_size_ci_lower, found.effect_size_ci_upper]}

    return job, told


def scored(file: str) -> tuple[Any, Any, Any]:
    """Score, treatment and outcome of a Parquet file as arrays."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - in the peer's environment

    table = pq.read_table(file)
    return tuple(table.column(name).to_numpy() for name in ("score", "treatment", "outcome"))  # type: ignore[return-value]


def causalml(file: str) -> tuple[Job, Told]:
    """The Qini score of causalml, without the normalisation that depends on the sign of the effect."""
    import pandas as pd  # noqa: PLC0415 - as above
    from causalml.metrics import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        qini_score,
    )

    score, treatment, outcome = scored(file)
    frame = pd.DataFrame({"score": score, "w": treatment, "y": outcome})

    def job() -> Any:
        return qini_score(frame, outcome_col="y", treatment_col="w", normalize=False)

    return job, lambda found: {"raw_score": float(found["score"])}


def scikit_uplift(file: str) -> tuple[Job, Told]:
    """scikit-uplift's Qini coefficient; its curve, turned into the house's figure, is the answer that is compared."""
    import numpy as np  # noqa: PLC0415 - as above
    from sklift.metrics import (  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
        qini_auc_score,
        qini_curve,
    )

    score, treatment, outcome = scored(file)

    def told(found: Any) -> dict[str, Any]:
        targeted, gained = qini_curve(outcome, score, treatment)
        area = float(np.trapezoid(gained, targeted)) - float(targeted[-1]) * float(gained[-1]) / 2.0
        return {"normalised": float(found), "house": area / len(score) ** 2}

    return lambda: qini_auc_score(outcome, score, treatment), told


JOBS: Mapping[str, Callable[[str], tuple[Job, Told]]] = {
    "tea-tasting": lambda file: tea_tasting(file, lazy=False, check=False),
    "tea-tasting-lazy": lambda file: tea_tasting(file, lazy=True, check=False),
    "tea-tasting-checked": lambda file: tea_tasting(file, lazy=True, check=True),
    "causalml": causalml,
    "scikit-uplift": scikit_uplift,
}


if __name__ == "__main__":
    stand_by(*JOBS[sys.argv[1]](sys.argv[2]))
