"""The decision log as training rows: the features that the service saw, what became of it, and who learns from it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd

from foretouch.core.errors import DataError
from foretouch.core.state.log import count_decisions
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import SERVICE_VIEWS, FeatureSpec, model_features
from foretouch.training.log.documents import Artifacts, read_rows
from foretouch.training.log.kinds import KINDS, LEARNERS, Facts, Kind, Learner, Treatment, kind_of, treatments
from foretouch.training.log.labels import KEY, known_until, machine_contacts, person_labels, reward_frame
from foretouch.training.log.weights import inverse_propensity

MAX_DECISIONS: Final = 400_000
"""More decisions than this are thinned by customer, by a hash of the id."""
BATCH: Final = 20_000
PERSON: Final[frozenset[Learner]] = frozenset({"lead", "churn", "value"})
"""Learners about the customer, not about a contact: one row per decision."""
COLUMNS: Final = (
    *("decision_id", "rank", "customer_id", "as_of", "offer_id", "channel", "send_at", "touchpoint", "arm"),
    *("arm_probability", "arms", "holdout", "randomised", "selection_probability", "offer_probability"),
    *("contact_probability", "slot_probability", "weight", "label", "reward", "goal_value", "revenue", "accepted"),
    *("closes_at", "kind", "offers_version"),
)
"""Before the features, by name."""
_HEAD: Final = (
    *("decision_id", "rank", "as_of", "offer_id", "channel", "send_at", "touchpoint", "purpose", "status", "step"),
    *("personalised", "known", "arm", "arm_probability", "arms", "contacts", "explored", "selection_probability"),
    *("offer_probability", "contact_probability", "slot_probability", "offers_version"),
)
_CHANCES: Final = ("selection_probability", "offer_probability", "contact_probability", "slot_probability")


@dataclass(frozen=True, kw_only=True)
class LoggedRows:
    """What a learner learns from the log.

    Attributes:
        learner: Who.
        frame: One row per contact, or (``rank`` 0) decision without any, of the kinds that the learner uses; columns
            ``COLUMNS``, then one per logged feature, NaN or None where it was missing and a default was used. Sorted
            by ``as_of``, decision and rank.
        counts: Every kind with its number of rows, what the learner does with it, and why.
        features: Names of the feature columns.
        as_of: What was received later is not in it.
        known_until: Windows that end later count as open.
    """

    learner: Learner
    frame: pd.DataFrame
    counts: pd.DataFrame
    features: tuple[str, ...]
    as_of: datetime
    known_until: datetime


def logged_rows(
    workspace: Workspace,
    learner: Learner,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of: datetime | None = None,
) -> LoggedRows:
    """Reads the rows that a learner may learn from: ``kinds.TABLE`` says which, and how (``training.weighted`` too).

    ``label`` is 1 where any goal of the customer occurred in the window of the decision, whoever caused it, for every
    decision alike; for ``lead``, ``churn`` and ``value`` it is that model's own label. ``accepted`` is 1 where a goal
    was credited to the contact itself. ``weight`` is ``weights.inverse_propensity`` of the offer (or of no contact),
    for ``send-time`` of the slot, and 1 where the table says ``keep``.

    Args:
        workspace: Whose log, events and goals.
        learner: Who learns.
        since: Decisions from then on.
        until: Decisions before.
        as_of: What was received by then counts; the workspace's now if absent.

    Raises:
        DataError: There is no such learner, or a time is in the future.
        StateError: The log cannot be read.
    """
    now = workspace.clock.now()
    if learner not in LEARNERS:
        raise DataError(f"learner == {learner!r}, must be one of {', '.join(LEARNERS)}")
    if as_of is not None and as_of > now:
        raise DataError(f"as_of == {as_of.isoformat()}, must not be later than now ({now.isoformat()})")
    moment = as_of or now
    end = known_until(workspace, moment)
    table = treatments(learner, weighted=learner in workspace.config.training.weighted)
    specs = feature_specs(workspace, learner)
    names = tuple(spec.name for spec in specs)
    rows, machines = _read(workspace, specs, since=since, until=min(until or moment, moment), as_of=moment)
    if learner in PERSON:
        rows = rows[rows["rank"] <= 1].reset_index(drop=True)
    if rows.empty:
        empty = pd.DataFrame(columns=[*COLUMNS, *names])
        return LoggedRows(
            learner=learner,
            frame=empty,
            counts=_counts(table, pd.Series(dtype=object)),
            features=names,
            as_of=moment,
            known_until=end,
        )
    rows = rows.merge(reward_frame(workspace, moment, end), on=KEY, how="left", validate="one_to_one")
    rows["in_scope"] = True
    if learner in PERSON:
        rows = _with_person_labels(workspace, learner, rows, moment)
    rows["by_machine"] = [key in machines for key in zip(rows["decision_id"], rows["rank"], strict=True)]
    rows["kind"] = _kinds(rows)
    counts = _counts(table, rows["kind"])
    rows["use"] = rows["kind"].map({kind: own.use for kind, own in table.items()})
    rows = rows[rows["use"] != "drop"].sort_values(["as_of", *KEY], ignore_index=True)
    rows["holdout"] = rows["arm"].isin(["no_contact", "business_as_usual"])
    chance = rows["selection_probability"].to_numpy(dtype=np.float64)
    rows["randomised"] = (chance > 0.0) & (chance < 1.0 - 1e-12)
    rows["weight"] = _weights(learner, rows)
    return LoggedRows(
        learner=learner,
        frame=rows[[*COLUMNS, *names]],
        counts=counts,
        features=names,
        as_of=moment,
        known_until=end,
    )


def feature_specs(workspace: Workspace, learner: Learner) -> tuple[FeatureSpec, ...]:
    """The customer features of a learner's rows: its service's, but for hours of the week; uplift has offer's."""
    service: Learner = learner if learner in SERVICE_VIEWS else "offer"
    return tuple(spec for spec in model_features(service, workspace.config) if spec.kind != "array")


def _read(
    workspace: Workspace, specs: Sequence[FeatureSpec], *, since: datetime | None, until: datetime, as_of: datetime
) -> tuple[pd.DataFrame, frozenset[tuple[str, int]]]:
    state = read_state(workspace)
    if state is None:
        return pd.DataFrame(columns=[*_HEAD]), frozenset()
    with closing(state):
        count = count_decisions(state, since=since, until=until)
        share = min(1.0, MAX_DECISIONS / max(count, 1))
        found = read_rows(state, Artifacts(state), since=since, until=until, share=share)
        parts = [_chunk(batch, specs) for batch in _batches(found)]
        machines = machine_contacts(state, as_of)
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*_HEAD])
    return frame, machines


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _chunk(rows: Sequence[Mapping[str, Any]], specs: Sequence[FeatureSpec]) -> pd.DataFrame:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in _HEAD}
    for name in ("as_of", "send_at"):
        columns[name] = pd.to_datetime(pd.Series(columns[name], dtype=object), utc=True).astype("datetime64[us, UTC]")
    for name in (*_CHANCES, "arm_probability"):
        columns[name] = np.array([np.nan if value is None else value for value in columns[name]], dtype=np.float64)
    for spec in specs:
        cells = [row["values"].get(spec.name) for row in rows]
        columns[spec.name] = (
            pd.Series([None if cell is None else str(cell) for cell in cells], dtype=object)
            if spec.kind == "category"
            else np.array([_number(cell) for cell in cells], dtype=np.float64)
        )
    return pd.DataFrame(columns)


def _number(cell: Any) -> float:
    """A logged value as a number; NaN where it was missing or is none."""
    return float(cell) if isinstance(cell, (int, float)) else float("nan")


def _with_person_labels(workspace: Workspace, learner: Learner, rows: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """The model's own label in place of the goal's; rows without one are out of its scope."""
    own = person_labels(workspace, learner, rows, now)
    own["as_of"] = own["as_of"].astype("datetime64[us, UTC]")
    rest = rows.drop(columns=["label", "mature", "closes_at", "in_scope"])
    merged = rest.merge(own, on=["customer_id", "as_of"], how="left", validate="many_to_one")
    merged["in_scope"] = merged["label"].notna()
    merged["mature"] = merged["mature"].astype("boolean").fillna(value=False).astype(bool)
    return merged


def _kinds(rows: pd.DataFrame) -> list[Kind]:
    names = ("mature", "personalised", "known", "activated", "by_machine", "status", "step", "arm", "purpose")
    facts = zip(
        *(rows[name].tolist() for name in (*names, "contacts", "explored", "in_scope", "rank")),
        strict=True,
    )
    kinds = []
    for (
        mature,
        personalised,
        known,
        activated,
        by_machine,
        status,
        step,
        arm,
        purpose,
        contacts,
        explored,
        *rest,
    ) in facts:
        in_scope, rank = rest
        kinds.append(
            kind_of(
                Facts(
                    mature=mature is True,
                    personalised=personalised,
                    known=known,
                    contact=rank > 0,
                    activated=activated is True,
                    by_machine=by_machine,
                    status=status,
                    step=step,
                    arm=arm,
                    purpose=purpose,
                    contacts=contacts,
                    explored=explored,
                    in_scope=in_scope,
                )
            )
        )
    return kinds


def _weights(learner: Learner, rows: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    used = (rows["use"] == "weight").to_numpy()
    by, action = ("slot_probability", "channel") if learner == "send-time" else ("offer_probability", "offer_id")
    chance = rows[by].to_numpy(dtype=np.float64)
    return inverse_propensity(chance, rows[action].to_numpy(dtype=object), used)


def _counts(table: Mapping[Kind, Treatment], kinds: "pd.Series[str]") -> pd.DataFrame:
    found = kinds.value_counts()
    lines = [
        {
            "kind": kind,
            "rows": int(found.get(kind, 0)),
            "use": table[kind].use,
            "why": table[kind].why,
        }
        for kind in KINDS
    ]
    return pd.DataFrame(lines)
