"""What each offer or channel earned where the policy drew: by the probabilities that the log keeps, beside plain means.

A row is a decision at which the policy had a choice: at least two of the arms ("no contact" is one) had a probability
above zero. Its outcome is whether the customer did the goal within ``reward.window_days`` of the decision, whatever was
chosen. Decisions of one customer whose windows overlap count once: the first, and then the first after its window;
decisions of one customer vary together. Rows whose window is not over are left out. Shadows and dry runs are none.
"""

from array import array
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from foretouch.core.attribution import DAY, goal_events
from foretouch.core.errors import NotReadyError
from foretouch.core.schema import Contract, Time
from foretouch.core.state.connection import stream, to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.stored_record import read_columns
from foretouch.core.workspace import Workspace
from foretouch.experiments.analysis.adaptive import arm_mean, difference, effective, scores
from foretouch.experiments.analysis.aggregates import Codes, Floats
from foretouch.experiments.log.experiment import place_of
from foretouch.experiments.report.meanings import definitions_of
from foretouch.features.tables import connect, read_table, resolve_aliases

By = Literal["offer", "channel"]
NO_CONTACT: Final = "(no contact)"
SMALLEST: Final = 100
"""Rows at which an arm must have been allowed, for a number; ``FEWEST_CHOSEN`` of them must have got it."""
FEWEST_CHOSEN: Final = 20
FEWEST_EFFECTIVE: Final = 50.0
"""Evenly dealt rows that an estimate must be worth."""
STATUSES: Final = frozenset({"decided", "degraded", "fallback"})


class ArmRow(Contract):
    """One arm; estimates are null where ``withheld`` says why."""

    arm: str
    allowed: int
    """Rows at which it could have been chosen."""
    chosen: int
    plain: float | None = None
    """Mean outcome of the rows that got it: biased, because who gets it depends on scores and on luck so far."""
    mean: float | None = None
    """Had it been chosen at every row at which it was allowed."""
    ci: tuple[float, float] | None = None
    effective: float | None = None
    """How many evenly dealt rows the estimate is worth."""
    smallest_probability: float | None = None
    over_no_contact: float | None = None
    """Mean less that of no contact, over the same rows."""
    over_no_contact_ci: tuple[float, float] | None = None
    withheld: Literal["too_few_allowed", "too_few_chosen", "too_unevenly_dealt"] | None = None


class Arms(Contract):
    """Every arm of a period."""

    schema_version: Literal[1] = 1
    by: By
    since: Time | None
    until: Time | None
    as_of: Time
    window_days: float
    rows: int
    """Decisions with a choice, complete and not overlapping."""
    without_choice: int
    overlapping: int
    not_mature: int
    method: str = "AIPW with the logged probabilities, uniform weights, running means, errors by customer"
    arms: tuple[ArmRow, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)
    """What each number means, by the name of its field, else of what encloses it."""
    command: str = ""
    """What gives these very numbers again."""


@dataclass(kw_only=True)
class _Rows:
    """The rows of a period, and of each arm the rows at which it was allowed."""

    customers: list[str] = field(default_factory=list)
    at: "array[int]" = field(default_factory=lambda: array("q"))
    allowed: "dict[str, tuple[array[int], array[float], array[int]]]" = field(
        default_factory=lambda: defaultdict(lambda: (array("q"), array("d"), array("b")))
    )
    without_choice: int = 0
    overlapping: int = 0
    not_mature: int = 0


def arms(
    workspace: Workspace,
    *,
    by: By = "offer",
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Arms:
    """What each arm earned, with intervals.

    Args:
        workspace: Whose log and events.
        by: Offers or channels.
        now: What was received by then is known.
        since: Decisions from then on.
        until: Decisions before it.

    Raises:
        NotReadyError: Nothing was ever decided.
        DataError: A logged probability is none.
    """
    window = round(workspace.config.reward.window_days * DAY)
    rows = _read(workspace, by, since, until, window=window, known=to_micros(now))
    outcomes = _goals(workspace, rows, window, to_micros(now))
    codes = np.unique(np.array(rows.customers, dtype=object), return_inverse=True)[1].astype(np.int64)
    parts = {name: _part(found) for name, found in rows.allowed.items()}
    ends = "".join(f" --{name} {at.isoformat()}" for name, at in (("since", since), ("until", until)) if at is not None)
    listed = sorted(parts, key=lambda name: (name != NO_CONTACT, -int(parts[name][2].sum()), name))
    return Arms(
        by=by,
        since=since,
        until=until,
        as_of=now,
        window_days=workspace.config.reward.window_days,
        rows=len(rows.customers),
        without_choice=rows.without_choice,
        overlapping=rows.overlapping,
        not_mature=rows.not_mature,
        arms=tuple(_row(name, parts, outcomes, codes) for name in listed),
        definitions=definitions_of("arms"),
        command=f"foretouch experiment arms --by {by}{ends} --as-of {now.isoformat()} {place_of(workspace)} --json",
    )


_Part = tuple[Codes, Floats, Codes]


def _part(found: "tuple[array[int], array[float], array[int]]") -> _Part:
    return (
        np.array(found[0], dtype=np.int64),
        np.minimum(np.array(found[1], dtype=np.float64), 1.0),
        np.array(found[2], dtype=np.int64),
    )


def _row(name: str, parts: Mapping[str, _Part], outcomes: Floats, codes: Codes) -> ArmRow:
    index, probabilities, chosen = parts[name]
    got = int(chosen.sum())
    counts: dict[str, Any] = {"arm": name, "allowed": len(index), "chosen": got}
    if len(index) < SMALLEST:
        return ArmRow.model_validate({**counts, "withheld": "too_few_allowed"})
    if got < FEWEST_CHOSEN:
        return ArmRow.model_validate({**counts, "withheld": "too_few_chosen"})
    own = outcomes[index]
    found = arm_mean(own, chosen, probabilities, clusters=codes[index])
    counts |= {"effective": found.effective, "smallest_probability": found.smallest, "plain": found.plain}
    if found.effective < FEWEST_EFFECTIVE:
        return ArmRow.model_validate({**counts, "withheld": "too_unevenly_dealt"})
    fields: dict[str, Any] = {"mean": found.mean, "ci": found.ci}
    if name != NO_CONTACT and NO_CONTACT in parts:
        fields |= _over(parts[NO_CONTACT], parts[name], outcomes, codes)
    return ArmRow.model_validate({**counts, **fields})


def _over(base: _Part, part: _Part, outcomes: Floats, codes: Codes) -> dict[str, Any]:
    """The difference over the rows at which both were allowed; nothing where either was hardly ever chosen."""
    shared, left, right = np.intersect1d(base[0], part[0], assume_unique=True, return_indices=True)
    chosen = (base[2][left], part[2][right])
    dealt = (base[1][left][chosen[0] == 1], part[1][right][chosen[1] == 1])
    if len(shared) < SMALLEST or min(effective(item) for item in dealt) < FEWEST_EFFECTIVE:
        return {}
    scored = [
        scores(outcomes[shared], chosen[0], base[1][left]),
        scores(outcomes[shared], chosen[1], part[1][right]),
    ]
    mean, _, interval = difference(scored, clusters=codes[shared])
    return {"over_no_contact": mean, "over_no_contact_ci": interval}


def _read(
    workspace: Workspace, by: By, since: datetime | None, until: datetime | None, *, window: int, known: int
) -> _Rows:
    state = read_state(workspace)
    if state is None:
        raise NotReadyError(f"{workspace.root} has logged no decision yet", hint="foretouch serve")
    aliases = read_table(workspace, "aliases")
    roots = resolve_aliases(dict(zip(aliases["customer_id"], aliases["alias_of"], strict=True)))
    rows = _Rows()
    free_from: dict[str, int] = {}
    ends = (to_micros(since) if since else -(2**62), min(to_micros(until) if until else 2**62, known + 1))
    query = (
        "SELECT decided_at, record FROM decisions WHERE decided_at >= ? AND decided_at < ?"
        " ORDER BY decided_at, sequence"
    )
    with closing(state):
        for at, line in stream(state, query, ends):
            record, columns = read_columns(line, ("offer_id", "channel", "selection_probability"))
            if record["status"] not in STATUSES or not record.get("logged", True):
                continue
            shares = _shares(columns, by)
            if len(shares) < 2:
                rows.without_choice += 1
                continue
            if at + window > known:
                rows.not_mature += 1
                continue
            customer = roots.get(record["customer_id"], record["customer_id"])
            if at < free_from.get(customer, at):
                rows.overlapping += 1
                continue
            free_from[customer] = at + window
            action = next(iter(record.get("action") or ()), None)
            got = NO_CONTACT if action is None else action["offer_id" if by == "offer" else "channel"]
            for name, share in shares.items():
                index, probability, chosen = rows.allowed[name]
                index.append(len(rows.customers))
                probability.append(share)
                chosen.append(name == got)
            rows.customers.append(customer)
            rows.at.append(at)
    return rows


def _shares(columns: Mapping[str, list[Any]], by: By) -> dict[str, float]:
    """The probability of each arm, those of its candidates together; arms without any are left out."""
    found: dict[str, float] = {}
    names = columns["offer_id"] if by == "offer" else columns["channel"]
    for offer, name, share in zip(columns["offer_id"], names, columns["selection_probability"], strict=True):
        if share:
            arm = NO_CONTACT if offer is None else str(name)
            found[arm] = found.get(arm, 0.0) + share
    return found


def _goals(workspace: Workspace, rows: _Rows, window: int, known: int) -> Floats:
    """Whether the goal happened in each row's window, for every row alike."""
    accepted, _ = goal_events(workspace.config)
    table = pa.table(
        {
            "row": pa.array(range(len(rows.customers)), pa.int64()),
            "customer_id": pa.array(rows.customers, pa.string()),
            "at": pa.array(rows.at, pa.int64()),
        }
    )
    done = np.zeros(len(rows.customers))
    with closing(connect(workspace)) as tables:
        tables.register("arm_rows", table)
        found = tables.execute(
            "SELECT DISTINCT r.row FROM arm_rows r JOIN events e ON e.customer_id = r.customer_id"
            " AND epoch_us(e.occurred_at) >= r.at AND epoch_us(e.occurred_at) < r.at + ?"
            " WHERE list_contains(?, e.event) AND NOT e.is_bot AND epoch_us(e.received_at) <= ?",
            [window, sorted(accepted), known],
        ).fetchnumpy()
        done[np.asarray(found["row"], dtype=np.int64)] = 1.0
    return done
