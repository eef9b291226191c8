"""One declared aggregate query: sufficient statistics of an experiment by DuckDB, Postgres, Spark or any such engine.

The SQL is what the three have in common: grouping sets, ``avg``, ``covar_pop``, ``count``. A caller hands over a
function that runs a statement and returns rows; nothing else is known of the engine. Times count by the session's day:
set it to UTC. A second statement counts units with more than one row, which no sufficient statistic can tell.
"""

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from foretouch.core.errors import DataError
from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.aggregates import Moments
from foretouch.experiments.analysis.arm_names import arm_named
from foretouch.experiments.analysis.summary import DAYS, WHOLE, Aggregates, Key, columns_of, strata_name
from foretouch.experiments.analysis.table import MISSING, column_of

HEAD = 100
"""Rows of which the first value of a column tells its kind."""
Run = Callable[[str], tuple[Sequence[str], Sequence[Sequence[Any]]]]
"""Runs a statement: column names and rows, of a cursor's ``description`` and ``fetchall`` or a Spark frame's."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked.

    Attributes:
        columns: Columns of the metrics, in the order of the moments.
        pairs: Pairs of them whose covariance a metric needs.
        dimensions: Columns to group by.
        sets: By grouping: the dimensions that it groups by.
        binary: Columns of proportions.
        sql: The statement.
    """

    columns: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    dimensions: tuple[str, ...]
    sets: Mapping[str, tuple[str, ...]]
    binary: tuple[str, ...]
    sql: str


def by_query(spec: ExperimentSpec) -> bool:
    """Whether sufficient statistics carry everything that the spec asks for."""
    needs_rows = any(metric.kind == "quantile" or metric.winsor is not None for metric in spec.metrics)
    of_rows = spec.cluster or spec.score or spec.trust.bot or spec.trust.delivered_at
    return not needs_rows and not of_rows


def query_of(spec: ExperimentSpec, relation: str, there: Mapping[str, Any]) -> Query:
    """The statement.

    Args:
        spec: The experiment.
        relation: A table's name, or anything that may stand after FROM.
        there: The relation's columns, each with a value of its first rows: those that are not there are left out.
    """
    usable = [metric for metric in spec.metrics if all(_number(there, name) for name in columns_of(metric))]
    columns = tuple(dict.fromkeys(name for metric in usable for name in columns_of(metric)))
    at = {name: index for index, name in enumerate(columns)}
    pairs = sorted(
        {
            (min(at[a], at[b]), max(at[a], at[b]))
            for metric in usable
            for a, b in itertools.combinations_with_replacement(columns_of(metric), 2)
        }
    )
    sets: dict[str, tuple[str, ...]] = {WHOLE: ()}
    if spec.time in there and spec.time is not None:
        sets[DAYS] = (spec.time,)
    sets |= {name: (name,) for name in spec.segments if name in there}
    strata = {metric.strata for metric in usable if metric.strata and all(name in there for name in metric.strata)}
    sets |= {strata_name(names): names for names in sorted(strata)}
    dimensions = tuple(dict.fromkeys(name for names in sets.values() for name in names))
    binary = tuple(dict.fromkeys(column_of(metric) for metric in usable if metric.kind == "proportion"))
    return Query(
        columns=columns,
        pairs=tuple(pairs),
        dimensions=dimensions,
        sets=sets,
        binary=binary,
        sql=_sql(spec, relation, there, columns, tuple(pairs), dimensions, sets, binary),
    )


def _sql(  # noqa: PLR0917 - the parts of one statement, in its order
    spec: ExperimentSpec,
    relation: str,
    there: Mapping[str, Any],
    columns: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    dimensions: Sequence[str],
    sets: Mapping[str, tuple[str, ...]],
    binary: Sequence[str],
) -> str:
    def plain(name: str) -> str:
        day = name == spec.time and not isinstance(there.get(name), (int, float, Decimal))
        return f"CAST({_quoted(name)} AS DATE)" if day else _quoted(name)

    def floating(name: str) -> str:
        if isinstance(there.get(name), bool):
            return f"CASE WHEN {_quoted(name)} THEN 1.0 WHEN NOT {_quoted(name)} THEN 0.0 END"
        return _quoted(name)

    inner = [f"{_quoted(spec.arm)} AS arm"]
    inner += [f"{plain(name)} AS g{i}" for i, name in enumerate(dimensions)]
    inner += [f"CAST({floating(name)} AS DOUBLE PRECISION) AS c{i}" for i, name in enumerate(columns)]
    number = {name: i for i, name in enumerate(dimensions)}
    outer = ["arm"]
    outer += [f"g{i}" for i in range(len(dimensions))]
    outer += [f"GROUPING(g{i}) AS o{i}" for i in range(len(dimensions))]
    outer.append("count(*) AS n")
    for i, name in enumerate(columns):
        outer += [f"count(c{i}) AS k{i}", f"avg(c{i}) AS m{i}"]
        if name in binary:
            outer.append(f"sum(CASE WHEN c{i} = 0 OR c{i} = 1 THEN 0 ELSE 1 END) AS b{i}")
    outer += [f"covar_pop(c{i}, c{j}) AS v{i}_{j}" for i, j in pairs]
    grouped = ", ".join(
        "(" + ", ".join(["arm", *(f"g{number[name]}" for name in names)]) + ")" for names in sets.values()
    )
    _, told = told_of(spec)
    return (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {relation} WHERE {told}) AS units "  # noqa: S608
        f"GROUP BY GROUPING SETS ({grouped})"
    )


def told_of(spec: ExperimentSpec) -> tuple[str, str]:
    """The unit's column, quoted, and what is true of rows that name unit and arm."""
    unit, arm = _quoted(spec.unit), _quoted(spec.arm)
    return unit, f"{unit} IS NOT NULL AND {arm} IS NOT NULL"


def repeated_sql(spec: ExperimentSpec, relation: str) -> str:
    """A statement that counts units with more than one row, and in more than one arm."""
    unit, told = told_of(spec)
    arm = _quoted(spec.arm)
    return (
        f"SELECT count(*), coalesce(sum(CASE WHEN low <> high THEN 1 ELSE 0 END), 0) FROM (SELECT {unit} AS unit, "  # noqa: S608
        f"min({arm}) AS low, max({arm}) AS high FROM {relation} WHERE {told} GROUP BY {unit} "
        "HAVING count(*) > 1) AS twice"
    )


def aggregates_of(
    run: Run, spec: ExperimentSpec, relation: str, *, quote: str = '"', alone: Callable[[int], bool] | None = None
) -> Aggregates:
    """Asks an engine for the sufficient statistics of an experiment.

    Args:
        run: Runs a statement.
        spec: The experiment.
        relation: A table's name, or anything that may stand after FROM.
        quote: What the engine puts around names: a double quote by the standard, a backtick for Spark.
        alone: Given the number of rows with unit and arm, whether surely no unit has two of them, where an engine knows
            it more cheaply than by grouping.

    Raises:
        DataError: The unit or arm column is not in the relation.
    """
    names, head = run(f"SELECT * FROM {relation} LIMIT {HEAD}")  # noqa: S608
    there = {name: next((row[at] for row in head if row[at] is not None), None) for at, name in enumerate(names)}
    for name in (spec.arm, spec.unit):
        if name not in there:
            raise DataError(
                f"the rows have no column {name!r}; they have {', '.join(map(str, names))}",
                hint="name the columns in the spec: unit = …, arm = …",
            )
    query = query_of(spec, relation, there)
    heads, rows = run(_spoken(query.sql, quote))
    found = _read(query, heads, rows, spec.weights)
    named = sum(part.n for (grouping, _, _), part in found.cells.items() if grouping == WHOLE)
    ((everybody,),) = run(f"SELECT count(*) FROM {relation}")[1]  # noqa: S608
    found = replace(found, without_arm=int(everybody) - named)
    if alone is not None and alone(named):
        return found
    ((repeated, in_two_arms),) = run(_spoken(repeated_sql(spec, relation), quote))[1]
    return replace(found, repeated=int(repeated), in_two_arms=int(in_two_arms))


def _spoken(sql: str, quote: str) -> str:
    """A statement of the standard as an engine wants it; those with backticks know a double by its short name alone."""
    return sql if quote == '"' else sql.replace('"', quote).replace("DOUBLE PRECISION", "DOUBLE")


def _read(query: Query, heads: Sequence[str], rows: Sequence[Sequence[Any]], arms: Collection[str]) -> Aggregates:
    lowered = [head.lower() for head in heads]
    cells: dict[Key, Moments] = {}
    raw: dict[str, set[Any]] = {name: set() for name in query.sets}
    missing = dict.fromkeys(query.columns, 0)
    odd = dict.fromkeys(query.binary, 0)
    for values in rows:
        row = dict(zip(lowered, values, strict=True))
        used = {name for i, name in enumerate(query.dimensions) if int(row[f"o{i}"]) == 0}
        at = {name: row[f"g{i}"] for i, name in enumerate(query.dimensions) if name in used}
        for grouping, names in query.sets.items():
            if used != set(names):
                continue
            value = tuple(at[name] for name in names)
            raw[grouping].add(value)
            cells[grouping, _told(grouping, value), arm_named(row["arm"], arms)] = _moments(query, row)
        if not used:
            for i, name in enumerate(query.columns):
                missing[name] += int(row["n"]) - int(row[f"k{i}"])
                if name in odd:
                    odd[name] += int(row[f"b{i}"] or 0)
    if (None,) in raw.get(DAYS, set()):  # somebody has no time: no curve over time, as for rows
        del raw[DAYS]
        cells = {key: part for key, part in cells.items() if key[0] != DAYS}
    order = {
        grouping: tuple(dict.fromkeys(_told(grouping, value) for value in sorted(values, key=_sortable)))
        for grouping, values in raw.items()
    }
    return Aggregates(columns=query.columns, cells=cells, order=order, missing=missing, not_binary=odd)


def _moments(query: Query, row: Mapping[str, Any]) -> Moments:
    n, k = int(row["n"]), len(query.columns)
    mean = np.array([_float(row[f"m{i}"]) for i in range(k)])
    m2 = np.full((k, k), np.nan)
    for i, j in query.pairs:
        m2[i, j] = m2[j, i] = _float(row[f"v{i}_{j}"]) * n
    return Moments(n=n, mean=mean, m2=m2)


def _told(grouping: str, value: tuple[Any, ...]) -> str:
    if grouping == DAYS:
        (day,) = value
        if day is None:
            return MISSING
        if isinstance(day, datetime):
            return day.date().isoformat()
        return day.isoformat() if isinstance(day, date) else f"{float(day):g}"
    return "|".join(MISSING if item is None else str(item) for item in value)


def _sortable(value: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    return tuple((item is None, 0 if item is None else item) for item in value)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _number(there: Mapping[str, Any], name: str) -> bool:
    return name in there and not isinstance(there[name], (str, bytes, date))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
