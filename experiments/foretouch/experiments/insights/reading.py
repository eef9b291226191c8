"""One pass over the decisions of a period: what the figures are counted from, as tables of DuckDB.

Only what is needed of a record is read (``core.stored_record.read_columns``); features, reasons and scores are passed
over. Aliases count as the customer that they stand for; decisions that say ``logged: false`` are no decisions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa

from foretouch.core.attribution import happening
from foretouch.core.config import Config
from foretouch.core.outcomes import Outcome
from foretouch.core.state.connection import Connection, from_micros, stream, to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.stored_record import read_columns, time_of
from foretouch.core.workspace import Workspace
from foretouch.experiments.insights.stages import CHOSEN, LEFT, reached_by
from foretouch.experiments.insights.store import Store
from foretouch.features.tables import connect, read_table, resolve_aliases
from foretouch.training.log.documents import Artifacts

_TEXT, _WHOLE, _NUMBER, _TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()


MEMORY = "768MB"
"""What the tables may hold in memory; the rest goes to a temporary folder."""


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


SCHEMAS: dict[str, pa.Schema] = {
    "decided": _schema(
        decision_id=_TEXT,
        customer_id=_TEXT,
        decided_at=_WHOLE,
        touchpoint=_TEXT,
        status=_TEXT,
        contact=_TRUTH,
        considered=_WHOLE,
        remaining=_WHOLE,
        chosen=_WHOLE,
        reached=_WHOLE,
    ),
    "dropped": _schema(customer_id=_TEXT, stage=_TEXT, rule=_TEXT, candidates=_WHOLE),
    "contacts": _schema(
        decision_id=_TEXT,
        rank=_WHOLE,
        customer_id=_TEXT,
        decided_at=_WHOLE,
        send_at=_WHOLE,
        offer_id=_TEXT,
        category=_TEXT,
        channel=_TEXT,
        cost=_NUMBER,
        offer_cost=_NUMBER,
        value=_NUMBER,
    ),
    "arms": _schema(customer_id=_TEXT, key=_TEXT, arm=_TEXT, decided_at=_WHOLE),
    "happened": _schema(
        decision_id=_TEXT,
        rank=_WHOLE,
        outcome_id=_TEXT,
        type=_TEXT,
        occurred_at=_WHOLE,
        received_at=_WHOLE,
        by_machine=_TRUTH,
        link=_TEXT,
        links=_WHOLE,
    ),
}
"""Times are microseconds since 1970 UTC. ``decided``: candidates without "no contact", and how far the decision came
(``stages``). ``dropped``: candidates of a decision that one rule dropped. ``contacts``: one row per action; ``cost`` is
the channel's, ``offer_cost`` and ``value`` count if the goal happens. ``arms``: one row per decision and experiment."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The tables of one period.

    Attributes:
        tables: With ``SCHEMAS`` filled, and the views ``events`` and ``customers``.
        since: First instant of the period.
        until: End of the period, exclusive.
        as_of: Outcomes and events received by then are known.
        decisions: How many there are.
        config: The goals and windows to count by.
        names: What readers call an offer, by its id, as the latest catalogue has it.
    """

    tables: duckdb.DuckDBPyConnection
    since: datetime
    until: datetime
    as_of: datetime
    decisions: int
    config: Config
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def begin(self) -> int:
        """``since`` in microseconds."""
        return to_micros(self.since)

    @property
    def end(self) -> int:
        """``until`` in microseconds."""
        return to_micros(self.until)

    @property
    def known(self) -> int:
        """``as_of`` in microseconds."""
        return to_micros(self.as_of)


@contextmanager
def gather(
    workspace: Workspace, *, since: datetime | None, until: datetime | None, as_of: datetime
) -> Iterator[Gathered]:
    """Reads the decisions with ``since <= decided_at < until`` and what was posted of them by ``as_of``.

    Args:
        workspace: Whose log and events.
        since: None is from the first decision on.
        until: None is to ``as_of``.
        as_of: Tz-aware.
    """
    end = as_of if until is None else until
    state = read_state(workspace)
    with TemporaryDirectory(prefix="insights-") as folder, closing(connect(workspace)) as tables:
        tables.execute(f"SET memory_limit = '{MEMORY}'")
        tables.execute("SET temp_directory = ?", [folder])
        store = Store(tables, SCHEMAS)
        count = 0
        first: int | None = None
        names: dict[str, str] = {}
        if state is not None:
            roots = _roots(workspace)
            with closing(state):
                low = -(2**62) if since is None else to_micros(since)
                count, first = _read_decisions(state, store, roots, (low, to_micros(end)), names)
                _read_outcomes(state, store, low, to_micros(as_of))
        store.done()
        begin = since or (end if first is None else from_micros(first))
        yield Gathered(
            tables=tables,
            since=begin,
            until=end,
            as_of=as_of,
            decisions=count,
            config=workspace.config,
            names=names,
        )


def _roots(workspace: Workspace) -> dict[str, str]:
    aliases = read_table(workspace, "aliases")
    return resolve_aliases(dict(zip(aliases["customer_id"], aliases["alias_of"], strict=True)))


def _read_decisions(
    state: Connection, store: Store, roots: Mapping[str, str], span: tuple[int, int], names: dict[str, str]
) -> tuple[int, int | None]:
    artifacts = Artifacts(state)
    offers: dict[str, dict[str, tuple[str, float, float]]] = {}
    count = 0
    first: int | None = None
    query = "SELECT decided_at, record FROM decisions WHERE decided_at >= ? AND decided_at < ? ORDER BY sequence"
    for at, line in stream(state, query, span):
        record, columns = read_columns(line, ("offer_id", "dropped_by"))
        if not record.get("logged", True):
            continue
        count += 1
        first = at if first is None else min(first, at)
        version = record["versions"]["offers"]
        actions = record.get("action") or ()
        if actions and version not in offers:
            catalogue = artifacts.catalogue(version)
            offers[version] = {item.offer_id: (item.category, item.cost, item.value) for item in catalogue.offers}
            names |= {item.offer_id: item.name for item in catalogue.offers}
        _add(store, record, columns, at=at, roots=roots, offers=offers.get(version, {}))
    return count, first


def _add(
    store: Store,
    record: Mapping[str, Any],
    columns: Mapping[str, list[Any]],
    *,
    at: int,
    roots: Mapping[str, str],
    offers: Mapping[str, tuple[str, float, float]],
) -> None:
    decision_id, customer_id = record["decision_id"], roots.get(record["customer_id"], record["customer_id"])
    actions = record.get("action") or ()
    rules = [rule for offer, rule in zip(columns["offer_id"], columns["dropped_by"], strict=True) if offer is not None]
    dropped = Counter(rule for rule in rules if rule is not None)
    remaining = len(rules) - sum(dropped.values())
    reached = CHOSEN if actions else LEFT if remaining else reached_by(stage for stage, _ in dropped)
    store.add(
        "decided",
        (
            decision_id,
            customer_id,
            at,
            record["touchpoint"],
            record["status"],
            bool(actions),
            len(rules),
            remaining,
            len(actions),
            reached,
        ),
    )
    for (stage, rule), candidates in dropped.items():
        store.add("dropped", (customer_id, stage, rule, candidates))
    for item in record.get("experiments") or ():
        store.add("arms", (customer_id, item["key"], item["arm"], at))
    for action in actions:
        category, offer_cost, value = offers.get(action["offer_id"], ("", 0.0, 0.0))
        store.add(
            "contacts",
            (
                decision_id,
                action["rank"],
                customer_id,
                at,
                to_micros(time_of(action["send_at"])),
                action["offer_id"],
                category,
                action["channel"],
                action.get("cost") or 0.0,
                offer_cost,
                value if action.get("value") is None else action["value"],
            ),
        )


def _read_outcomes(state: Connection, store: Store, low: int, known: int) -> None:
    """What was posted of decisions of the period; what is of none is left out when tables are joined."""
    query = "SELECT received_at, body FROM outcomes WHERE received_at >= ? AND received_at <= ? ORDER BY sequence"
    for received_at, body in stream(state, query, (low, known)):
        found = happening(Outcome.from_line(body), received_at)
        store.add(
            "happened",
            (
                found.decision_id,
                found.rank,
                found.outcome_id,
                found.type,
                found.occurred_at,
                found.received_at,
                found.by_machine,
                found.link,
                found.links,
            ),
        )
