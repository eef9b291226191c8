"""``foretouch ingest``: tables in, canonical Parquet out; every row is accepted, a duplicate, or quarantined.

Nothing is written before every table has been read and checked; then each file is replaced whole.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foretouch.core import columns as c
from foretouch.core.canonical import canonical_json
from foretouch.core.errors import DataError
from foretouch.core.workspace import Workspace
from foretouch.features.checks import check_rows
from foretouch.features.coerce import (
    Faults,
    coerce_column,
    is_missing,
    to_json,
    to_long_text,
    to_names,
)
from foretouch.features.people import register_people
from foretouch.features.posted import take_over_customers
from foretouch.features.privacy import protect
from foretouch.features.quality import QualityReport, TableQuality, count_reasons, describe
from foretouch.features.reading import RawTable, read_source
from foretouch.features.schemas import COLUMNS, FLAG, MOMENT, NUMBER, REQUIRED
from foretouch.features.settle import settle, stack
from foretouch.features.suppressed import fill_times, fill_words
from foretouch.features.tables import read_table

Source = Path | pd.DataFrame
Say = Callable[[str], None]

READERS: dict[tuple[str, str], Callable[["pd.Series[Any]", Faults], "pd.Series[Any]"]] = {
    (c.EVENTS, c.PROPERTIES): to_json,
    (c.OFFERS, c.CHANNELS): to_names,
    (c.OFFERS, c.CAPS): to_json,
    (c.OFFERS, c.PURPOSES): to_names,
    (c.OFFERS, c.ELIGIBILITY): to_long_text,
    (c.OFFERS, c.APPLICABILITY): to_long_text,
    (c.OFFERS, c.SUITABILITY): to_long_text,
    (c.OFFERS, c.NAME): to_long_text,
    (c.TREATMENTS, c.NAME): to_long_text,
    (c.SUPPRESSIONS, c.REASON): to_long_text,
}
"""Columns that are more than an id, a number, a flag or a time."""
NOT_CONTENT = {c.EVENTS: (c.RECEIVED_AT,)}
"""Columns that may differ when a row comes again."""
DIMENSIONS = (c.CUSTOMERS, c.OFFERS, c.TREATMENTS, c.ALIASES)
"""Tables whose rows may be replaced on request; what happened cannot."""
MACHINE_EVENTS = ("machine_open", "machine_click")
BOT_AGENT = r'"user_agent":"[^"]*(?:bot|crawler|spider|headless)'
ROW_GROUP = 20_000
"""Rows per Parquet row group: events are sorted by customer, so that one customer's are in one or two."""
NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity"})


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """One table, read and checked but not yet written."""

    table: str
    raw: RawTable
    merged: pd.DataFrame
    accepted: int
    updated: int
    duplicates: int
    faults: Faults
    cells: pd.DataFrame


def ingest_tables(
    workspace: Workspace, sources: Mapping[str, Source], *, update: bool = False, say: Say = lambda _: None
) -> QualityReport:
    """Validates, deduplicates and stores tables, and hands customers, consents and touches to the service.

    Args:
        workspace: Where to.
        sources: File or frame of each table.
        update: Rows of customers, offers, treatments and aliases replace stored rows with the same id.
        say: Receives one line per step.

    Returns:
        The data-quality report, also written to ``data/quality.json``.

    Raises:
        DataError: A table cannot be read, lacks a required column, or has a column that identifies people.
    """
    unknown = sorted(set(sources) - set(c.TABLES))
    if unknown:
        raise DataError(f"tables {', '.join(unknown)} are not known; there are {', '.join(c.TABLES)}")
    take_over_customers(workspace)
    now = workspace.clock.now()
    offers = set(read_table(workspace, c.OFFERS)[c.OFFER_ID])
    checked: list[_Checked] = []
    for table in (name for name in c.TABLES if name in sources):
        say(f"checking {table}")
        item = _check_table(workspace, table, sources[table], now, offers, update=update and table in DIMENSIONS)
        if table == c.OFFERS:
            offers = set(item.merged[c.OFFER_ID])
        checked.append(item)
    for item in checked:
        say(f"writing {item.table}")
        write_table(workspace, item.table, item.merged)
        _quarantine(workspace, item)
    say("registering customers")
    register_people(workspace)
    report = _report(workspace, checked, now)
    _keep_report(workspace.data / "quality.json", report)
    return report


def _check_table(
    workspace: Workspace, table: str, source: Source, now: datetime, offers: set[str], *, update: bool
) -> _Checked:
    raw = read_source(source)
    lacking = [name for name in REQUIRED[table] if name not in raw.frame.columns]
    if lacking:
        raise DataError(
            f"{raw.source} lacks the column {', '.join(lacking)} of {table}; it has {', '.join(raw.frame.columns)}",
            hint=f"rename the columns and ingest again; {table} needs {', '.join(REQUIRED[table])}",
        )
    faults = Faults()
    frame = _canonical(workspace, table, raw.frame, faults)
    attributes = [name for name in frame.columns if name not in COLUMNS[table]]
    ids = [name for name in (c.CUSTOMER_ID, c.HOUSEHOLD_ID, c.ALIAS_OF) if name in COLUMNS[table]]
    frame = protect(workspace, frame, [*ids, *attributes], table, faults)
    stored = read_table(workspace, table)
    if table == c.SUPPRESSIONS:
        frame = fill_times(frame, stored, now)
    sound = frame[~frame.index.isin(faults.by_row)]
    checks = check_rows(table, sound, workspace.config, now, offers)
    sound = sound[~sound.index.isin(checks.by_row)]
    settled = settle(sound, stored, c.KEYS[table], ignore=NOT_CONTENT.get(table, ()), update=update)
    for row, found in checks.by_row.items():
        faults.by_row.setdefault(row, []).extend(found)
    for row in settled.conflicts:
        name = " and ".join(c.KEYS[table])
        faults.add(row, c.KEYS[table][0], "conflict", f"{name} came before with other content")
    for row, (fault, _) in raw.broken.items():
        faults.by_row.setdefault(row, []).append(fault)
    kept = stored.drop(index=stored.index[settled.replaced]) if settled.replaced else stored
    parts = [part for part in (kept, settled.accepted) if len(part)]
    merged = stack(parts) if parts else stored
    listed = [name for name in workspace.config.privacy.pseudonymise if name in raw.frame.columns]
    return _Checked(
        table=table,
        raw=raw,
        merged=merged,
        accepted=len(settled.accepted),
        updated=len(settled.replaced),
        duplicates=settled.duplicates,
        faults=faults,
        cells=raw.frame.assign(**{name: frame[name] for name in listed}),
    )


def _canonical(workspace: Workspace, table: str, cells: pd.DataFrame, faults: Faults) -> pd.DataFrame:
    """Canonical columns in their types, then the attributes, in the order in which they came."""
    declared = workspace.config.sources
    section = declared.get(table) or declared.get("*")
    zone = section.time_zone if section else None
    columns: dict[str, pd.Series[Any]] = {}
    for name, type_ in COLUMNS[table].items():
        values = cells[name] if name in cells.columns else pd.Series(None, index=cells.index, dtype=object, name=name)
        read = READERS.get((table, name))
        columns[name] = read(values, faults) if read else coerce_column(values, type_, zone, faults)
    for name in cells.columns:
        if name not in columns:
            columns[name] = _attribute(cells[name], faults)
    frame = pd.DataFrame(columns, index=cells.index)
    if table == c.EVENTS:
        frame[c.RECEIVED_AT] = frame[c.RECEIVED_AT].fillna(frame[c.OCCURRED_AT])
        agents = frame[c.PROPERTIES].str.contains(BOT_AGENT, case=False, regex=True, na=False).astype(bool)
        declared_bot = frame[c.IS_BOT].map(lambda value: value is True).astype(bool)
        frame[c.IS_BOT] = declared_bot | frame[c.EVENT].isin(MACHINE_EVENTS) | agents
    if table == c.CONSENTS:
        frame[c.SOURCE] = frame[c.SOURCE].fillna("")
    return fill_words(frame) if table == c.SUPPRESSIONS else frame


def _attribute(values: "pd.Series[Any]", faults: Faults) -> "pd.Series[Any]":
    """An attribute as numbers, flags or text: numbers if every value is one (a leading zero makes it a code)."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return values
    present = values[~values.map(is_missing).astype(bool)]
    texts = present.map(lambda value: value.strip() if isinstance(value, str) else value)
    bad = texts.map(lambda value: str(value).casefold() in NOT_FINITE).astype(bool)
    faults.add_values(present[bad], "not a finite number", "be finite")
    texts = texts[~bad]
    number = texts.map(lambda value: not isinstance(value, str) or _is_number(value)).astype(bool)
    if len(texts) and bool(number.all()) and not texts.map(lambda value: isinstance(value, bool)).any():
        numeric = pd.to_numeric(texts, errors="coerce")
        if numeric.notna().all():
            return numeric.astype(float).reindex(values.index)
    return texts.map(str).reindex(values.index).astype(object)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-").removeprefix("+")
    if len(digits) > 1 and digits[0] == "0" and digits[1] != ".":
        return False
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def write_table(workspace: Workspace, table: str, frame: pd.DataFrame) -> None:
    """Replaces a canonical table's Parquet file whole, sorted by customer or id."""
    key = list(c.KEYS[table])
    order = [c.CUSTOMER_ID, c.OCCURRED_AT, *key] if table == c.EVENTS else key
    ordered = frame.sort_values(list(dict.fromkeys(order)), ignore_index=True)
    types = {NUMBER: pa.float64(), FLAG: pa.bool_(), MOMENT: pa.timestamp("us", tz="UTC")}
    arrays: dict[str, Any] = {}
    for name in ordered.columns:
        values = ordered[name]
        wanted = types.get(COLUMNS[table].get(name, ""), pa.string() if values.dtype == object else None)
        arrays[str(name)] = pa.array(values, type=wanted, from_pandas=True)
    path = workspace.table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{table}.{os.getpid()}.tmp")
    pq.write_table(pa.table(arrays), draft, compression="zstd", row_group_size=ROW_GROUP)
    draft.replace(path)


def _quarantine(workspace: Workspace, item: _Checked) -> None:
    """Appends refused rows with their reasons; a row that was refused before is not written twice."""
    path = workspace.quarantine / f"{item.table}.jsonl"
    lines = []
    for row, found in sorted(item.faults.by_row.items()):
        broken = item.raw.broken.get(row)
        content: Any = broken[1] if broken else item.cells.loc[row].to_dict()
        lines.append(
            json.dumps(
                {
                    "source": item.raw.source,
                    "row": row,
                    "reasons": [{"column": fault.column, "code": fault.code, "text": fault.text} for fault in found],
                    "content": content,
                },
                default=str,
                sort_keys=True,
            )
        )
    known = set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()
    new = [line for line in lines if line not in known]
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")) as handle:
            handle.write("".join(f"{line}\n" for line in new))


def _report(workspace: Workspace, checked: list[_Checked], now: datetime) -> QualityReport:
    customers = read_table(workspace, c.CUSTOMERS)[c.CUSTOMER_ID]
    tables = []
    for item in checked:
        reasons = [[f"{fault.column}: {fault.code}" for fault in row] for row in item.faults.by_row.values()]
        tables.append(
            TableQuality(
                table=item.table,
                source=item.raw.source,
                rows_in=item.raw.rows,
                accepted=item.accepted,
                updated=item.updated,
                duplicates=item.duplicates,
                quarantined=len(item.faults.by_row),
                reasons=count_reasons(reasons),
                **describe(item.table, item.merged, customers, now),
            )
        )
    return QualityReport(at=now, tables=tuple(tables))


def _keep_report(path: Path, report: QualityReport) -> None:
    """Writes the report; what an earlier ingest said of other tables stays."""
    body = report.as_json()
    if path.is_file():
        body["tables"] = {**json.loads(path.read_bytes())["tables"], **body["tables"]}
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(canonical_json(body))
    draft.replace(path)
