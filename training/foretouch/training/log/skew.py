"""Whether training and service see the same features: the logged value beside the history's, feature by feature.

The history is what Feast joins at the decision's time. Where it says something else than the log, the cause is looked
for, in this order:

* ``older``: the features are worked out again, by the one definition, from all that had been received when the logged
  value was computed, and the result is the logged value. So both are right, each for its own time: the history holds a
  snapshot every so many days, the online store one that may be hours old.
* ``late event``: worked out once more as if every ingested event had been received some hours after it happened (a file
  of last night, an hour lost or doubled by a change of clocks), the result is the logged value. The service could not
  know what the file brought later; posted events carry the time at which they truly came.
* ``different``: neither. The same inputs gave two values, and that is a fault: another definition, another zone, a
  default, a column that moved.

Ages (days since something) differ by the time between two snapshots: they are compared like all others.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.errors import NotReadyError
from foretouch.core.rng import bucket
from foretouch.core.state.connection import stream, to_micros
from foretouch.core.state.opening import read_state
from foretouch.core.stored_record import read_fields, time_of
from foretouch.core.workspace import Workspace
from foretouch.features.build import compute, set_spine, stored_column
from foretouch.features.catalogue import FeatureSpec
from foretouch.features.history_sample import SALT, read_sample
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.training.log.kinds import Learner
from foretouch.training.log.rows import feature_specs

MAX_DECISIONS: Final = 5_000
"""Decisions that are compared: an even sample by a hash of the id."""
RELATIVE: Final = 1e-9
"""Numbers that differ by less, relative to the larger, are the same."""
LAGS_HOURS: Final = (2, 12, 36, 84, 180, 348, 732)
"""How late ingested events may have been."""


@dataclass(frozen=True, kw_only=True)
class Skew:
    """The log beside the history.

    Attributes:
        learner: Whose features.
        decisions: How many were compared.
        unjoined: Decisions for which the history has no snapshot that is recent enough: left out.
        features: One row per feature, worst first: ``feature``, ``rows``, ``differs`` (share of rows), ``older``,
            ``late_event``, ``different`` (shares of rows by cause), ``max_difference`` (largest absolute difference of
            numbers, in the feature's unit), ``missing_in_log``, ``missing_in_history`` (shares of rows).
    """

    learner: Learner
    decisions: int
    unjoined: int
    features: pd.DataFrame

    @property
    def faults(self) -> tuple[str, ...]:
        """Features with values that no cause explains, worst first."""
        return tuple(self.features.loc[self.features["different"] > 0.0, "feature"])

    def as_json(self) -> dict[str, Any]:
        """For programs and for the card."""
        return {
            "decisions": self.decisions,
            "unjoined": self.unjoined,
            "features": len(self.features),
            "differing": int((self.features["differs"] > 0.0).sum()),
            "different": list(self.faults),
            "worst": self.features.head(10).to_dict("records"),
        }


def measure_skew(
    workspace: Workspace,
    learner: Learner = "offer",
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    most: int = MAX_DECISIONS,
) -> Skew:
    """Compares every logged feature value with the history's at the decision's time.

    Args:
        workspace: Whose log and history.
        learner: Whose features: those of its service, but for hours of the week.
        since: Decisions from then on.
        until: Decisions before.
        most: At most so many, evenly drawn.

    Raises:
        NotReadyError: There is no log, no decision with features, or no history.
    """
    specs = feature_specs(workspace, learner)
    logged = _logged(workspace, specs, since=since, until=until, most=most)
    kept = read_sample(workspace).snapshots
    if kept < 1.0:  # of the others the history holds the newest snapshot alone
        logged = logged[[bucket(SALT, str(who)) < kept for who in logged["customer_id"]]].reset_index(drop=True)
    if logged.empty:
        raise NotReadyError("no decision in the log holds features", hint="foretouch serve")
    spine = logged[["customer_id", "as_of"]].drop_duplicates(ignore_index=True)
    service: Learner = "offer" if learner == "uplift" else learner
    joined = training_frame(workspace, service, spine)
    joined["as_of"] = joined["as_of"].astype("datetime64[us, UTC]")
    names = [spec.name for spec in specs]
    history = logged[["customer_id", "as_of"]].merge(joined, on=["customer_id", "as_of"], how="left")[names]
    found = history.notna().any(axis=1).to_numpy()
    unjoined = int((~found).sum())
    logged, history = logged[found].reset_index(drop=True), history[found].reset_index(drop=True)
    lines: list[dict[str, Any]] = []
    for views in _together(logged, specs):
        own = [spec for spec in specs if spec.view in views]
        moment = logged[f"at.{views[0]}"]
        again = _again(workspace, logged, moment, own)
        rest = {
            spec.name: ~_same(spec, logged[spec.name], history[spec.name])
            & ~_same(spec, logged[spec.name], again[spec.name])
            for spec in own
        }
        late = _late(workspace, logged, moment, own, rest)
        lines += [_line(spec, logged[spec.name], history[spec.name], again[spec.name], late[spec.name]) for spec in own]
    order = ["different", "late_event", "older", "max_difference"]
    table = pd.DataFrame(lines).sort_values([*order, "feature"], ascending=[False] * 4 + [True], ignore_index=True)
    return Skew(learner=learner, decisions=len(logged), unjoined=unjoined, features=table)


def _logged(
    workspace: Workspace,
    specs: Sequence[FeatureSpec],
    *,
    since: datetime | None,
    until: datetime | None,
    most: int,
) -> pd.DataFrame:
    """Logged values by decision; ``at.<view>`` is when each view's values were true."""
    state = read_state(workspace)
    if state is None:
        return pd.DataFrame()
    ends = (to_micros(since) if since else -(2**62), to_micros(until) if until else 2**62)
    where = "decided_at >= ? AND decided_at < ?"
    views = dict.fromkeys(spec.view for spec in specs)
    rows: list[dict[str, Any]] = []
    with closing(state):
        count = int(state.execute(f"SELECT count(*) FROM decisions WHERE {where}", ends).fetchone()[0])  # noqa: S608
        share = most / max(count, 1)
        query = f"SELECT decision_id, record FROM decisions WHERE {where} ORDER BY sequence"  # noqa: S608 - ours
        for decision_id, line in stream(state, query, ends):
            if share < 1.0 and bucket("skew", str(decision_id)) >= share:
                continue
            record = read_fields(line, candidates=False)
            features = record["features"]
            if not features.get("known") or features.get("error") is not None:
                continue
            values, times = features.get("values") or {}, features.get("as_of") or {}
            if any(view not in times for view in views):
                continue
            rows.append(
                {
                    "customer_id": record["customer_id"],
                    "as_of": time_of(record["decided_at"]),
                    **{f"at.{view}": time_of(times[view]) for view in views},
                    **{spec.name: values.get(spec.name) for spec in specs},
                }
            )
    frame = pd.DataFrame(rows)
    for name in ["as_of", *(f"at.{view}" for view in views)] if rows else ():
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame


def _again(
    workspace: Workspace,
    logged: pd.DataFrame,
    moment: "pd.Series[pd.Timestamp]",
    specs: Sequence[FeatureSpec],
    *,
    lag_hours: int = 0,
) -> pd.DataFrame:
    """Features by their definition, as of when the logged values were computed.

    Args:
        workspace: Whose events.
        logged: The rows.
        moment: When each one's values were computed.
        specs: Which features.
        lag_hours: How long after it happened an ingested event is taken to have been received, at least.
    """
    spine = pd.DataFrame({"customer_id": logged["customer_id"], "as_of": moment})
    distinct = spine.drop_duplicates(ignore_index=True)
    names = [spec.name for spec in specs]
    with closing(connect(workspace)) as tables:
        if lag_hours:
            tables.execute(_LAGGED.format(lag=lag_hours))
            tables.execute("CREATE OR REPLACE VIEW events AS SELECT * FROM lagged_events")
        set_spine(tables, distinct)
        compute(tables, workspace.config)
        joins = " ".join(f"JOIN f_{view} USING (row_id)" for view in dict.fromkeys(spec.view for spec in specs))
        listed = ", ".join(stored_column(spec) for spec in specs)
        built = tables.execute(
            f"SELECT customer_id, as_of, {listed} FROM spine {joins} ORDER BY row_id"  # noqa: S608 - our own names
        ).df()
    built["as_of"] = pd.to_datetime(built["as_of"], utc=True).astype("datetime64[us, UTC]")
    return spine.merge(built, on=["customer_id", "as_of"], how="left")[names]


_LAGGED: Final = """
    CREATE OR REPLACE TEMP TABLE lagged_events AS
    SELECT * REPLACE (CASE WHEN event_id IN (SELECT event_id FROM raw_events)
                           THEN greatest(received_at, occurred_at + INTERVAL {lag} HOUR)
                           ELSE received_at END AS received_at)
    FROM events"""


def _together(logged: pd.DataFrame, specs: Sequence[FeatureSpec]) -> list[list[str]]:
    """Views whose values were computed at the same moments: mostly all of them."""
    groups: list[list[str]] = []
    for view in dict.fromkeys(spec.view for spec in specs):
        same = [group for group in groups if logged[f"at.{group[0]}"].equals(logged[f"at.{view}"])]
        if same:
            same[0].append(view)
        else:
            groups.append([view])
    return groups


def _late(
    workspace: Workspace,
    logged: pd.DataFrame,
    moment: "pd.Series[pd.Timestamp]",
    specs: Sequence[FeatureSpec],
    rest: Mapping[str, NDArray[np.bool_]],
) -> dict[str, NDArray[np.bool_]]:
    """By feature: which of the unexplained rows (``rest``) events explain that came late."""
    late = {spec.name: np.zeros(len(logged), dtype=bool) for spec in specs}
    for lag in LAGS_HOURS:
        rows = np.flatnonzero(np.any([rest[name] & ~late[name] for name in late], axis=0))
        if not len(rows):
            break
        part = logged.iloc[rows].reset_index(drop=True)
        lagged = _again(workspace, part, moment.iloc[rows].reset_index(drop=True), specs, lag_hours=lag)
        for spec in specs:
            late[spec.name][rows] |= rest[spec.name][rows] & _same(spec, part[spec.name], lagged[spec.name])
    return late


def _line(
    spec: FeatureSpec,
    logged: "pd.Series[Any]",
    history: "pd.Series[Any]",
    again: "pd.Series[Any]",
    late: NDArray[np.bool_],
) -> dict[str, Any]:
    differs = ~_same(spec, logged, history)
    older = differs & _same(spec, logged, again)
    late_event = differs & ~older & late
    difference = np.zeros(0)
    if spec.kind != "category":
        gap = np.abs(_numbers(logged) - _numbers(history))
        difference = gap[np.isfinite(gap)]
    return {
        "feature": spec.name,
        "view": spec.view,
        "rows": len(logged),
        "differs": float(differs.mean()),
        "older": float(older.mean()),
        "late_event": float(late_event.mean()),
        "different": float((differs & ~older & ~late_event).mean()),
        "max_difference": float(difference.max()) if len(difference) else None,
        "missing_in_log": float(_missing(spec, logged).mean()),
        "missing_in_history": float(_missing(spec, history).mean()),
    }


def _same(spec: FeatureSpec, left: "pd.Series[Any]", right: "pd.Series[Any]") -> NDArray[np.bool_]:
    if spec.kind == "category":
        one, two = _texts(left), _texts(right)
        return np.asarray(one == two, dtype=np.bool_)
    a, b = _numbers(left), _numbers(right)
    near = np.abs(a - b) <= RELATIVE * np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
    return np.asarray(near | (np.isnan(a) & np.isnan(b)), dtype=np.bool_)


def _missing(spec: FeatureSpec, values: "pd.Series[Any]") -> NDArray[np.bool_]:
    return np.asarray(_texts(values) == "" if spec.kind == "category" else np.isnan(_numbers(values)), dtype=np.bool_)


def _numbers(values: "pd.Series[Any]") -> NDArray[np.float64]:
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(values: "pd.Series[Any]") -> NDArray[np.object_]:
    return np.array(["" if pd.isna(cell) else str(cell) for cell in values.astype(object)], dtype=object)
