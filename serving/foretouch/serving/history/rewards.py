"""What every decision in the log earned: the log and the events, merged customer by customer, however many there are.

Decisions, outcomes and goal events are each sorted by customer by DuckDB, which spills to disk what does not fit, and
then read side by side: one customer's rows are in memory at a time. ``core.attribution`` does the rest.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import orjson
import pyarrow as pa

from foretouch.core.attribution import Decided, Happening, Occurrence, Reward, attribute, goal_events, happening
from foretouch.core.config import Config
from foretouch.core.errors import DataError
from foretouch.core.offers import Catalogue
from foretouch.core.outcomes import Outcome
from foretouch.core.state.connection import Connection, stream, to_micros
from foretouch.core.state.log import read_artifact
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.features.tables import connect, read_table, resolve_aliases
from foretouch.serving.jobs.score_file import ScoreFile

BATCH = 20_000
T = TypeVar("T")

_MOMENT = pa.timestamp("us", tz="UTC")
_COLUMNS: dict[str, pa.DataType] = {
    "decision_id": pa.string(),
    "rank": pa.int32(),
    "customer_id": pa.string(),
    "touchpoint": pa.string(),
    "status": pa.string(),
    "decided_at": _MOMENT,
    "send_at": _MOMENT,
    "offer_id": pa.string(),
    "category": pa.string(),
    "channel": pa.string(),
    "selection_probability": pa.float64(),
    "activated": pa.bool_(),
    "activated_by": pa.string(),
    "mature": pa.bool_(),
    "reward": pa.float64(),
    "parts": pa.string(),
    "credited_events": pa.string(),
    "window_ends_at": _MOMENT,
    "goal_mature": pa.bool_(),
    "goal_occurred": pa.bool_(),
    "goal_count": pa.int64(),
    "goal_value": pa.float64(),
    "revenue": pa.float64(),
    "as_of": _MOMENT,
}
SCHEMA = pa.schema(_COLUMNS)
"""One row per contact, and one with ``rank`` 0 per decision for no contact; see ``docs/outcomes.md``."""
_DECISION_COLUMNS: dict[str, pa.DataType] = {
    "decision_id": pa.string(),
    "rank": pa.int32(),
    "customer_id": pa.string(),
    "touchpoint": pa.string(),
    "status": pa.string(),
    "decided_at": pa.int64(),
    "send_at": pa.int64(),
    "offer_id": pa.string(),
    "category": pa.string(),
    "channel": pa.string(),
    "selection_probability": pa.float64(),
}
_DECIDED = pa.schema(_DECISION_COLUMNS)
_OUTCOME_COLUMNS: dict[str, pa.DataType] = {
    "customer_id": pa.string(),
    "outcome_id": pa.string(),
    "decision_id": pa.string(),
    "rank": pa.int32(),
    "type": pa.string(),
    "occurred_at": pa.int64(),
    "received_at": pa.int64(),
    "by_machine": pa.bool_(),
    "link": pa.string(),
    "links": pa.int32(),
}
_OUTCOMES = pa.schema(_OUTCOME_COLUMNS)


@dataclass(kw_only=True)
class RewardRun:
    """What was written, and what the reader should know before learning from it.

    Attributes:
        out: The file.
        as_of: What was known.
        decisions: Rows: contacts, and decisions for no contact.
        activated: Contacts that are known to have gone out.
        by_engagement: Of these, those known by an answer alone.
        mature: Activated contacts whose window is over.
        reward: Sum over the mature ones.
        warnings: Why the rows may mislead.
    """

    out: Path
    as_of: datetime
    decisions: int = 0
    activated: int = 0
    by_engagement: int = 0
    mature: int = 0
    reward: float = 0.0
    warnings: list[str] = field(default_factory=list)


def write_rewards(
    workspace: Workspace, out: Path, *, as_of: datetime | None = None, progress: Callable[[int], None] = lambda _: None
) -> RewardRun:
    """Writes what every logged decision earned, as known at a time; the same log and time give the same file.

    Args:
        workspace: Whose log and events.
        out: A ``.parquet`` or ``.csv`` file.
        as_of: What was received by then counts; the workspace's now if absent.
        progress: Told how many rows are done.

    Raises:
        DataError: The file's name ends in something else, or the time is in the future.
        StateError: The log cannot be read.
    """
    now = workspace.clock.now()
    if as_of is not None and as_of > now:
        raise DataError(f"--as-of == {as_of.isoformat()}, must not be later than now ({now.isoformat()})")
    run = RewardRun(out=out, as_of=as_of or now)
    with ScoreFile(out, SCHEMA) as file:
        for rows in batched(rewards(workspace, as_of=run.as_of)):
            file.add_table(table_of(rows))
            _count(run, rows)
            progress(run.decisions)
    if run.by_engagement:
        share = run.by_engagement / run.activated
        run.warnings.append(
            f"{run.by_engagement} of {run.activated} activated contacts ({share:.0%}) are known by an answer alone: "
            "post 'delivered' for every contact, or confirm it, or those who answered are over-represented"
        )
    return run


def rewards(workspace: Workspace, *, as_of: datetime, config: Config | None = None) -> Iterator[Reward]:
    """What every logged decision earned, sorted by customer, time, decision and rank.

    Aliases count as the customer that they stand for.

    Args:
        workspace: Whose log and events.
        as_of: Tz-aware; what was decided or received later is not known.
        config: Counts by these goals and rewards; the workspace's own if absent.
    """
    state = read_state(workspace)
    if state is None:
        return
    micros = to_micros(as_of)
    aliases = read_table(workspace, "aliases")
    roots = resolve_aliases(dict(zip(aliases["customer_id"], aliases["alias_of"], strict=True)))
    with closing(state), closing(connect(workspace)) as tables:
        _load(tables, "reward_decisions", _DECIDED, _decided(state, roots, micros))
        _load(tables, "reward_outcomes", _OUTCOMES, _happened(state, roots, micros))
        yield from _merged(tables, config or workspace.config, micros)


def _merged(tables: duckdb.DuckDBPyConnection, config: Config, as_of: int) -> Iterator[Reward]:
    accepted, value_event = goal_events(config)
    names = sorted(accepted | {value_event})
    happened = _Aside(
        _rows(tables, "SELECT * FROM reward_outcomes ORDER BY customer_id, outcome_id"),
        lambda row: Happening(**dict(zip(_OUTCOMES.names[1:], row[1:], strict=True))),
    )
    tables.execute(_EVENTS.format(marks=", ".join("?" * len(names))), [*names, as_of])  # cursors see no views of ours
    occurred = _Aside(_rows(tables, "SELECT * FROM reward_events ORDER BY customer_id, event_id"), _occurrence)
    ordered = "SELECT * FROM reward_decisions ORDER BY customer_id, decided_at, decision_id, rank"
    for customer_id, rows in groupby(_rows(tables, ordered), key=lambda row: row[_DECIDED.names.index("customer_id")]):
        decisions = [Decided(**dict(zip(_DECIDED.names, row, strict=True))) for row in rows]
        yield from attribute(decisions, happened.of(customer_id), occurred.of(customer_id), config, as_of)


_EVENTS = """
    CREATE OR REPLACE TABLE reward_events AS
    SELECT customer_id, event_id, event, epoch_us(occurred_at), epoch_us(received_at), value,
           json_extract_string(properties, '$.decision_id'),
           try_cast(json_extract_string(properties, '$.rank') AS INTEGER),
           json_extract_string(properties, '$.offer_id')
    FROM events
    WHERE event IN ({marks}) AND NOT is_bot AND epoch_us(received_at) <= ?
      AND customer_id IN (SELECT customer_id FROM reward_decisions)"""


def _occurrence(row: tuple[Any, ...]) -> Occurrence:
    customer_id, event_id, event, occurred_at, received_at, value, decision_id, rank, offer_id = row
    return Occurrence(
        customer_id=customer_id,
        event_id=event_id,
        event=event,
        occurred_at=occurred_at,
        received_at=received_at,
        value=value,
        decision_id=decision_id,
        rank=rank,
        offer_id=offer_id,
    )


class _Aside:
    """Rows sorted by customer, handed out customer by customer to a reader that comes in the same order.

    Args:
        rows: Their first column is the customer.
        make: What becomes of a row.
    """

    def __init__(self, rows: Iterator[tuple[Any, ...]], make: Callable[[tuple[Any, ...]], T]) -> None:
        self._groups = groupby(rows, key=lambda row: str(row[0]))
        self._make = make
        self._next: tuple[str, list[tuple[Any, ...]]] | None = None

    def of(self, customer_id: str) -> list[Any]:
        """One customer's rows; those of customers before it are passed over."""
        while self._next is None or self._next[0] < customer_id:
            found = next(self._groups, None)
            if found is None:
                return []
            self._next = found[0], list(found[1])
        return [self._make(row) for row in self._next[1]] if self._next[0] == customer_id else []


def _rows(tables: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    cursor = tables.cursor()
    cursor.execute(query)
    while rows := cursor.fetchmany(BATCH):
        yield from rows


def _load(tables: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> None:
    """Fills a table of DuckDB's from an iterator, in batches."""
    tables.register("reward_batch", schema.empty_table())
    tables.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM reward_batch")  # noqa: S608 - our own name
    for batch in batched(rows):
        columns = zip(*batch, strict=True)
        arrays = [pa.array(values, type=part.type) for values, part in zip(columns, schema, strict=True)]
        tables.register("reward_batch", pa.Table.from_arrays(arrays, schema=schema))
        tables.execute(f"INSERT INTO {name} SELECT * FROM reward_batch")  # noqa: S608 - our own name
    tables.unregister("reward_batch")


def _decided(state: Connection, roots: Mapping[str, str], until: int) -> Iterator[tuple[Any, ...]]:
    """One row per contact of every logged decision, or one for no contact."""
    categories: dict[str, Mapping[str, str]] = {}
    query = "SELECT decided_at, record FROM decisions WHERE decided_at <= ? ORDER BY sequence"
    for decided_at, body in stream(state, query, (until,)):
        record = orjson.loads(body)
        name, version = record["customer_id"], record["versions"]["offers"]
        head = (roots.get(name, name), record["touchpoint"], record["status"], decided_at)
        actions = record.get("action") or ()
        if actions and version not in categories:
            categories[version] = _categories(state, version)
        for action in actions:
            offer_id = action["offer_id"]
            yield (
                record["decision_id"],
                action["rank"],
                *head,
                to_micros(datetime.fromisoformat(action["send_at"])),
                offer_id,
                categories[version].get(offer_id, ""),
                action["channel"],
                action.get("selection_probability"),
            )
        if not actions:
            yield (record["decision_id"], 0, *head, None, None, "", None, None)


def _categories(state: Connection, version: str) -> dict[str, str]:
    """Offer to category, as they were when the decision was made."""
    catalogue = Catalogue.from_line(read_artifact(state, version))
    return {offer.offer_id: offer.category for offer in catalogue.offers}


def _happened(state: Connection, roots: Mapping[str, str], until: int) -> Iterator[tuple[Any, ...]]:
    query = "SELECT customer_id, received_at, body FROM outcomes WHERE received_at <= ? ORDER BY sequence"
    for customer_id, received_at, body in stream(state, query, (until,)):
        found = happening(Outcome.from_line(body), received_at)
        yield (
            roots.get(customer_id, customer_id),
            *(getattr(found, name) for name in _OUTCOMES.names[1:]),
        )


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of at most ``BATCH`` items."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def table_of(rows: Iterable[Reward]) -> pa.Table:
    """Rewards as an Arrow table of ``SCHEMA``."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for row in rows:
        for name in SCHEMA.names:
            if name == "parts":
                value: Any = json.dumps(dict(sorted(row.parts.items())))
            elif name == "credited_events":
                value = json.dumps(row.credited, ensure_ascii=False)
            else:
                value = getattr(row.decided if name in Decided.__slots__ else row, name)
            columns[name].append(value)
    return pa.Table.from_pydict(columns, schema=SCHEMA)


def _count(run: RewardRun, rows: Iterable[Reward]) -> None:
    for row in rows:
        run.decisions += 1
        run.activated += row.activated
        run.by_engagement += row.activated_by == "engagement"
        if row.reward is not None and row.mature:
            run.mature += 1
            run.reward += row.reward
