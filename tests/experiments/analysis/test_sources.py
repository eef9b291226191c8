"""One contract for every back end: rows, DuckDB, Postgres and aggregates give the same numbers."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pytest
from pydantic import BaseModel

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments import parquet
from foretouch.experiments.analysis.analyze import Context, analyze, analyze_source
from foretouch.experiments.analysis.query import Run, aggregates_of
from foretouch.experiments.analysis.summary import Aggregates, SummarySource, total_of
from foretouch.experiments.files import analyze_files
from foretouch.experiments.results import Results
from tests.experiments.analysis.planted_table import spec, table
from tests.suites.state_servers import postgres_server

SPEC = spec(
    {"covariates": ["x"]},
    {"kind": "ratio", "column": None, "numerator": "y", "denominator": "d", "covariates": ["x"]},
    {"kind": "proportion", "column": "bot", "role": "guardrail", "margin": 0.01, "better": "down"},
    time="entered",
    segments=["g"],
)
STRATIFIED = spec(
    {"covariates": ["x"], "strata": ["g"]}, {"kind": "ratio", "numerator": "y", "denominator": "d", "strata": ["g"]}
)
ROWS = table(n=2000)
SOCKETS = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""pyspark leaves the sockets of its answers to the garbage collector."""
Asked = Callable[[ExperimentSpec, pd.DataFrame], Aggregates]


def by_duckdb(read: ExperimentSpec, rows: pd.DataFrame) -> Aggregates:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("units", rows)
        return aggregates_of(_runner(connection), read, "units")


def _runner(connection: Any) -> Run:
    def run(sql: str) -> tuple[list[str], list[Any]]:
        cursor = connection.execute(sql)
        return [item[0] for item in cursor.description], cursor.fetchall()

    return run


@pytest.fixture(scope="module")
def by_postgres() -> Iterator[Asked]:
    with postgres_server() as server:

        def asked(read: ExperimentSpec, rows: pd.DataFrame) -> Aggregates:
            kinds = {"customer_id": "bigint", "x": "float8", "y": "float8", "d": "bigint", "cluster": "bigint"}
            kinds |= {"bot": "boolean", "entered": "timestamptz", "delivered": "timestamptz"}
            with psycopg.connect(server.fresh(), autocommit=True) as connection:
                connection.execute("SET TIME ZONE 'UTC'")
                columns = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in rows.columns)
                connection.execute(f"CREATE TABLE units ({columns})")
                with connection.cursor().copy("COPY units FROM STDIN") as copy:
                    for row in rows.itertuples(index=False):
                        copy.write_row(row)
                return aggregates_of(_runner(connection), read, "units")

        yield asked


@pytest.fixture(scope="module")
def by_spark() -> Iterator[Asked]:
    """Spark in local mode, where it and Java are there: ``pip install pyspark`` and Java 17 or later."""
    sql = pytest.importorskip("pyspark.sql", reason="no pyspark here: Spark is not asked")
    if shutil.which("java") is None:
        pytest.skip("no Java here: Spark is not asked")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
    session = builder.config("spark.log.level", "ERROR").getOrCreate()

    def asked(read: ExperimentSpec, rows: pd.DataFrame) -> Aggregates:
        with tempfile.TemporaryDirectory() as folder:
            rows.to_parquet(
                f"{folder}/units.parquet", index=False, coerce_timestamps="us", allow_truncated_timestamps=True
            )
            session.read.parquet(f"{folder}/units.parquet").createOrReplaceTempView("units")

            def run(statement: str) -> tuple[list[str], list[Any]]:
                frame = session.sql(statement)
                return frame.columns, frame.collect()

            return aggregates_of(run, read, "units", quote="`")

    yield asked
    session.stop()


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of results with its place."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from flat(item, f"{path}[{index}]")
    else:
        yield path, value


def same(left: Results, right: Results) -> None:
    a, b = dict(flat(left)), dict(flat(right))
    assert a.keys() == b.keys()
    for path, value in a.items():
        if isinstance(value, float):
            assert b[path] == pytest.approx(value, rel=1e-8, abs=1e-12), path
        else:
            assert b[path] == value, path


def of(found: Aggregates, read: ExperimentSpec = SPEC) -> Results:
    return analyze_source(SummarySource(spec=read, of=found), Context(data_hash="same"))


def of_rows(read: ExperimentSpec = SPEC, rows: pd.DataFrame = ROWS) -> Results:
    results = analyze(rows, read, Context(data_hash="same"))
    return results.replace(checks=tuple(check for check in results.checks if not check.code.startswith("entry")))


@pytest.mark.parametrize("read", [SPEC, STRATIFIED], ids=["plain", "strata"])
def test_duckdb_gives_the_numbers_of_rows(read: ExperimentSpec) -> None:
    same(of_rows(read), of(by_duckdb(read, ROWS), read))


@pytest.mark.parametrize("read", [SPEC, STRATIFIED], ids=["plain", "strata"])
def test_postgres_gives_the_numbers_of_rows(by_postgres: Asked, read: ExperimentSpec) -> None:
    same(of_rows(read), of(by_postgres(read, ROWS), read))


@SOCKETS
def test_spark_gives_the_numbers_of_rows(by_spark: Asked) -> None:
    for read in (SPEC, STRATIFIED):
        same(of_rows(read), of(by_spark(read, ROWS), read))


def holes(row: int) -> pd.DataFrame:
    """One unit has no time of its first exposure."""
    return ROWS.assign(entered=ROWS["entered"].where(ROWS.index != row))


@pytest.mark.parametrize("row", [0, 700], ids=["first row", "in the middle"])
def test_a_time_that_is_missing_once_takes_the_curve_and_nothing_else(tmp_path: Path, row: int) -> None:
    """Real timestamps with a hole: named, no curve over time, every other number as without a time."""
    rows = holes(row)
    untimed = dict(flat(of_rows(SPEC.replace(time=None), rows).metrics))
    (tmp_path / "spec.json").write_text(SPEC.to_line())
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    answers = [of_rows(rows=rows), of(by_duckdb(SPEC, rows))]
    answers += [
        analyze_files(tmp_path / f"rows.{kind}", tmp_path / "spec.json", tmp_path / "out.json")
        for kind in ("parquet", "csv")
    ]
    for found in answers:
        assert [item.code for item in found.refusals] == ["no_days"]
        assert found.refusals[0].text_en.startswith("column entered")
        assert found.cumulative == ()
        for path, value in flat(found.metrics):
            assert untimed[path] == (pytest.approx(value, rel=1e-8) if isinstance(value, float) else value), path


@SOCKETS
@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_a_missing_time_is_the_same_to_every_engine(engine: str, request: pytest.FixtureRequest) -> None:
    asked: Asked = request.getfixturevalue(f"by_{engine}")
    rows = holes(0)
    if engine == "postgres":
        rows = rows.assign(entered=rows["entered"].astype(object).where(rows["entered"].notna(), None))
    found = of(asked(SPEC, rows))
    assert [item.code for item in found.refusals] == ["no_days"]
    assert found.metrics[0].p == pytest.approx(of_rows().metrics[0].p, rel=1e-8)


@pytest.mark.parametrize("column", ["bot", "day", "y"])
def test_a_first_row_that_holds_nothing_does_not_hide_a_columns_kind(column: str) -> None:
    rows = ROWS.assign(day=(ROWS["entered"].dt.dayofyear).astype("Int64"), bot=ROWS["bot"].astype("boolean"))
    rows = rows.assign(**{column: rows[column].where(rows.index != 0)})
    read = SPEC.replace(time="day")
    expected = {(item.code, item.metric) for item in of_rows(read, rows).refusals}
    assert {(item.code, item.metric) for item in of(by_duckdb(read, rows), read).refusals} == expected
    assert expected


def test_day_and_day_and_a_file_between_are_the_whole() -> None:
    first = ROWS["entered"] < ROWS["entered"].median()
    parts = [by_duckdb(SPEC, ROWS[mask]) for mask in (first, ~first)]
    kept = [Aggregates.of_json(json.loads(json.dumps(part.as_json()))) for part in parts]
    same(of_rows(), of(total_of(kept)))


def test_what_is_wrong_with_rows_is_wrong_with_their_aggregates() -> None:
    faults = [
        ROWS.assign(arm=ROWS["arm"].where(ROWS.index != 9)),
        ROWS.assign(arm=ROWS["arm"].where(ROWS.index != 9, "Z")),
        pd.concat([ROWS, ROWS.head(3)]),
        pd.concat([ROWS, ROWS.head(3).assign(arm="B")]),
        ROWS[(ROWS["arm"] == "A") | (ROWS.index % 2 == 0)],
        ROWS.assign(y=ROWS["y"].where(ROWS.index != 7)),
        ROWS.assign(bot=ROWS["d"]),
        ROWS.drop(columns="y"),
        ROWS.assign(y="7 EUR"),
        ROWS.assign(y=3.0),
    ]
    for rows in faults:
        expected = {(item.code, item.metric) for item in of_rows(rows=rows).refusals if item.segment is None}
        found = {(item.code, item.metric) for item in of(by_duckdb(SPEC, rows)).refusals if item.segment is None}
        told = {(code, metric) for code, metric in expected if code != "not_numeric"}
        assert expected
        assert told <= found, expected


def test_parquet_is_streamed_and_the_command_keeps_and_adds_aggregates(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(SPEC.to_line())
    halves = []
    for index, part in enumerate((ROWS[:900], ROWS[900:])):
        part.to_parquet(tmp_path / f"{index}.parquet")
        halves.append(tmp_path / f"{index}.json")
        analyze_files(
            tmp_path / f"{index}.parquet", tmp_path / "spec.json", tmp_path / "out.json", save_aggregates=halves[-1]
        )
    added = analyze_files(halves, tmp_path / "spec.json", tmp_path / "out.json")
    assert added.metrics[0].p == pytest.approx(of_rows().metrics[0].p, rel=1e-8)


def test_aggregates_that_cannot_be_are_refused() -> None:
    cell = {"arm": "A", "n": 5, "mean": [1.0], "m2": [[-1.0]]}
    for broken in (
        {},
        {"columns": ["y"], "cells": [cell]},
        {"columns": ["y", "x"], "cells": [{**cell, "m2": [[1.0]]}]},
    ):
        with pytest.raises(DataError, match="not of the shape"):
            Aggregates.of_json(broken)
    quantile = spec({"kind": "quantile", "q": 0.5})
    assert {item.code for item in of(by_duckdb(SPEC, ROWS), quantile).refusals} == {"needs_rows"}


def test_the_statistics_are_imported_without_what_only_some_need() -> None:
    told = "import sys, foretouch.experiments.analysis.analyze; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "foretouch.experiments.analysis.effects" in loaded
    later = {"pandas", "duckdb", "scipy.special", "scipy.stats", "scipy.optimize", "babel.dates", "lightgbm", "mlflow"}
    assert not later & set(loaded)


@pytest.mark.parametrize("part", [20_000_000, 300])
def test_a_unit_that_comes_twice_is_seen_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(parquet, "PART", part)
    rows = ROWS.assign(customer_id=ROWS["customer_id"].map("person {}".format))
    for name, table_of in (("once", rows), ("twice", pd.concat([rows, rows.iloc[[7]]]))):
        table_of.to_parquet(tmp_path / f"{name}.parquet", index=False)
        found = parquet.aggregates_of_file(tmp_path / f"{name}.parquet", SPEC)
        assert (found.repeated, found.without_arm) == (int(name == "twice"), 0)
    nameless = rows.assign(customer_id=rows["customer_id"].where(rows.index != 3))
    nameless.to_parquet(tmp_path / "nameless.parquet", index=False)
    assert parquet.aggregates_of_file(tmp_path / "nameless.parquet", SPEC).without_arm == 1


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (bool, ("False", "True")),
        (bool, ("false", "true")),
        (bool, ("0", "1")),
        (int, ("0", "1")),
        (float, ("0", "1")),
        (float, ("0.0", "1.0")),
    ],
)
def test_flags_and_numbers_name_arms(kind: type, names: tuple[str, str]) -> None:
    read = SPEC.replace(control=names[0], weights=dict.fromkeys(names, 0.5), segments=())
    named = ROWS.assign(arm=ROWS["arm"].map({"A": names[0], "B": names[1]}))
    plain = ROWS.assign(arm=(ROWS["arm"] == "B").astype(kind))
    expected = analyze(named, read)
    assert expected.metrics
    for found in (analyze(plain, read), of(by_duckdb(read, plain), read)):
        assert found.arms == expected.arms
        assert found.metrics[0].p == pytest.approx(expected.metrics[0].p, rel=1e-9)
