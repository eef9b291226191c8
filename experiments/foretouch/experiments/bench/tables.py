"""The tables that ``foretouch bench analysis`` measures on: drawn, seeded, written in pieces of a million rows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PIECE = 1_000_000
COVARIATE_METRICS = 5
SEGMENTS = 20


def write_experiment(folder: Path, rows: int) -> None:
    """``experiment.parquet``: two arms, an outcome and a covariate; with its spec."""

    def pieces() -> Iterator[pa.Table]:
        for first, n, rng in _pieces(rows, 1):
            arm = rng.integers(0, 2, n)
            x = rng.gamma(2.0, 5.0, n)
            y = 0.5 * x + rng.gamma(2.0, 5.0, n) + 0.05 * arm
            columns: dict[str, Any] = {"customer_id": np.arange(first, first + n), "arm": _named(arm), "y": y, "x": x}
            yield pa.table(columns)

    _write(folder / "experiment.parquet", pieces())
    metric = {"name": "y", "kind": "mean", "column": "y", "covariates": ["x"], "role": "primary"}
    _spec(folder / "experiment.json", metrics=[metric])
    _spec(folder / "one.json", metrics=[metric])


def write_wide(folder: Path, rows: int) -> None:
    """``wide.parquet``: five metrics with a covariate each, and a segment of twenty values; with its spec."""

    def pieces() -> Iterator[pa.Table]:
        for first, n, rng in _pieces(rows, 2):
            arm = rng.integers(0, 2, n)
            columns: dict[str, Any] = {"customer_id": np.arange(first, first + n), "arm": _named(arm)}
            for index in range(COVARIATE_METRICS):
                columns[f"x{index}"] = rng.gamma(2.0, 5.0, n)
                columns[f"y{index}"] = columns[f"x{index}"] + rng.gamma(2.0, 5.0, n) + 0.05 * arm
            columns["region"] = np.char.add("region ", rng.integers(10, 10 + SEGMENTS, n).astype(str))
            yield pa.table(columns)

    _write(folder / "wide.parquet", pieces())
    metrics = [
        {
            "name": f"y{index}",
            "kind": "mean",
            "column": f"y{index}",
            "covariates": [f"x{index}"],
            "role": "primary" if index == 0 else "secondary",
        }
        for index in range(COVARIATE_METRICS)
    ]
    _spec(folder / "wide.json", metrics=metrics, segments=["region"])


def write_scored(path: Path, rows: int) -> None:
    """Scores of randomised rows, half of them with ties, and a binary outcome."""

    def pieces() -> Iterator[pa.Table]:
        for _, n, rng in _pieces(rows, 3):
            score = rng.random(n)
            score[: n // 2] = score[: n // 2].round(4)
            treatment = rng.integers(0, 2, n)
            outcome = (rng.random(n) < 0.1 + 0.05 * treatment * score).astype(np.int64)
            columns: dict[str, Any] = {"score": score, "treatment": treatment, "outcome": outcome}
            yield pa.table(columns)

    _write(path, pieces())


def _pieces(rows: int, seed: int) -> Iterator[tuple[int, int, np.random.Generator]]:
    for first in range(0, rows, PIECE):
        yield first, min(PIECE, rows - first), np.random.default_rng([seed, first])


def _named(arm: Any) -> Any:
    return np.where(arm == 1, "treatment", "control")


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _spec(path: Path, **more: Any) -> None:
    spec = {"key": path.stem, "control": "control", "weights": {"control": 0.5, "treatment": 0.5}, **more}
    path.write_text(json.dumps(spec), encoding="utf-8")
