"""A candidate policy on the workspace's own log: what it would have chosen, decision by decision, and what was earned.

The candidate's probabilities come from the pure decision on the stored record, so that rules, features, counters and
models are those of then. A row is one decision with one draw whose window has closed; the reward is the customer's goal
in the window of the decision, whatever was chosen, so that no contact earns as well.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.errors import NotFoundError, NotReadyError
from foretouch.core.state.db import State
from foretouch.core.state.log import count_decisions, read_decision, sample_decisions
from foretouch.core.state.opening import open_state
from foretouch.core.workspace import Workspace
from foretouch.serving.decide import OWED
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.selection import NO_CONTACT
from foretouch.serving.history.replay_log import Replayer
from foretouch.serving.history.rewards import rewards
from foretouch.serving.history.shadow import first_key
from foretouch.serving.history.what_if import Pair, decide_beside
from foretouch.serving.models.bundles import BundleStore
from foretouch.training.off_policy.candidate import PolicyCandidate
from foretouch.training.task import FloatArray

RewardKind = Literal["goal", "revenue"]
OPEN_WINDOW: Final = "the window is still open"
SEVERAL: Final = "several contacts in one answer"
MOST_ACTIONS: Final = 400
SAME: Final = 1e-12


@dataclass(frozen=True, kw_only=True)
class LoggedDecisions:
    """Decisions with their outcome, under the policies of then and under a candidate.

    Attributes:
        actions: What could be chosen, (offer, treatment, channel); the first is no contact.
        decision_id: Shape (n,).
        customer_id: Shape (n,): the cluster of every standard error.
        decided_at: Shape (n,), UTC.
        action: Index of the logged action, shape (n,).
        reward: Shape (n,).
        pscore: Logged selection probability of the action, shape (n,).
        slot_ratio: Probability of the logged slot under the candidate, given the action, over the logged one,
            shape (n,); 1 where nothing was sent.
        slots: The law of that ratio, as it was drawn: chances and ratios, shape (n, m) each.
        pi: The candidate's selection probabilities, shape (n, actions).
        logged_pi: Those of the policies that decided, shape (n, actions).
        features: Numeric features as the decisions saw them, shape (n, features); NaN is missing.
        propensity: What the models of then thought of each action, shape (n, actions); NaN is not known.
        in_range: Decisions in the range.
        left_out: Decisions that tell nothing, by reason.
        reward_kind: ``goal`` or ``revenue``.
    """

    actions: tuple[Key, ...]
    decision_id: NDArray[np.object_]
    customer_id: NDArray[np.object_]
    decided_at: "pd.Series[pd.Timestamp]"
    action: NDArray[np.int64]
    reward: FloatArray
    pscore: FloatArray
    slot_ratio: FloatArray
    slots: tuple[FloatArray, FloatArray]
    pi: FloatArray
    logged_pi: FloatArray
    features: FloatArray
    propensity: FloatArray
    in_range: int
    left_out: Mapping[str, int]
    reward_kind: RewardKind

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def timing_changed(self) -> float:
        """Share of logged contacts whose slot has another probability under the candidate."""
        sent = self.action > 0
        return float(np.mean(np.abs(self.slot_ratio[sent] - 1.0) > SAME)) if sent.any() else 0.0


def read_logged(
    workspace: Workspace,
    candidate: PolicyCandidate,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    sample: int,
    reward: RewardKind | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> LoggedDecisions:
    """Decides the log again under a candidate.

    Args:
        workspace: Whose log, outcomes and events.
        candidate: What is valued.
        since: Decided at or after.
        until: Decided before.
        sample: Most decisions, every k-th of the range.
        reward: What is earned; else what ``reward.goal`` says.
        progress: Told how many decisions are done.

    Raises:
        NotFoundError: There is no decision in the range.
        NotReadyError: Decisions have more than 400 different actions.
    """
    kind: RewardKind = reward or ("revenue" if workspace.config.reward.goal == "revenue" else "goal")
    earned = _earned(workspace, kind)
    with closing(open_state(workspace)) as state, closing(BundleStore(workspace.bundles)) as store:
        in_range = count_decisions(state.read(), since=since, until=until)
        if not in_range:
            raise NotFoundError("no decision is in the log in that range", hint="foretouch decide --customer ID")
        names = sample_decisions(state.read(), sample, since=since, until=until)
        replayer = Replayer(state, workspace.bundles, store.refresh().scorers)
        rows, left_out = _decide_again(
            names, earned, lambda decision_id: _row(state, replayer, candidate, decision_id), progress
        )
    actions = {NO_CONTACT: 0}
    for row in rows:
        for key in (row["key"], *row["pi"], *row["logged_pi"]):
            actions.setdefault(key, len(actions))
    if len(actions) > MOST_ACTIONS:
        raise NotReadyError(
            f"{len(actions)} different actions, must be {MOST_ACTIONS} at most", hint="--since, for fewer offers"
        )
    n = len(rows)
    tables = {name: np.zeros((n, len(actions))) for name in ("pi", "logged_pi")}
    propensity = np.full((n, len(actions)), np.nan)
    for index, row in enumerate(rows):
        for name, table in tables.items():
            for key, share in row[name].items():
                table[index, actions[key]] = share
        for key, chance in row["chances"].items():
            if chance is not None and key in actions:
                propensity[index, actions[key]] = chance
    return LoggedDecisions(
        actions=tuple(actions),
        decision_id=np.array([row["decision_id"] for row in rows], dtype=object),
        customer_id=np.array([row["customer_id"] for row in rows], dtype=object),
        decided_at=pd.Series(pd.to_datetime([row["decided_at"] for row in rows], utc=True)),
        action=np.array([actions[row["key"]] for row in rows], dtype=np.int64),
        reward=np.array([row["reward"] for row in rows], dtype=np.float64),
        pscore=np.array([row["pscore"] for row in rows], dtype=np.float64),
        slot_ratio=np.array([row["slot_ratio"] for row in rows], dtype=np.float64),
        slots=_laws([row["slots"] for row in rows]),
        pi=tables["pi"],
        logged_pi=tables["logged_pi"],
        features=_numbers([row["features"] for row in rows]),
        propensity=propensity,
        in_range=in_range,
        left_out=left_out,
        reward_kind=kind,
    )


def _earned(workspace: Workspace, kind: RewardKind) -> dict[str, tuple[str, float | None]]:
    """Customer (aliases resolved) and reward by decision; None while the window is open."""
    earned: dict[str, tuple[str, float | None]] = {}
    for row in rewards(workspace, as_of=workspace.clock.now()):
        if row.decided.rank <= 1:
            amount = row.revenue if kind == "revenue" else float(row.goal_occurred)
            earned[row.decided.decision_id] = (row.decided.customer_id, amount if row.goal_mature else None)
    return earned


def _decide_again(
    names: list[str],
    earned: Mapping[str, tuple[str, float | None]],
    again: Callable[[str], dict[str, Any] | str],
    progress: Callable[[int], None],
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    rows: list[dict[str, Any]] = []
    left_out: dict[str, int] = {}
    for done, decision_id in enumerate(names, start=1):
        customer_id, amount = earned.get(decision_id, ("", None))
        found = OPEN_WINDOW if amount is None else again(decision_id)
        if isinstance(found, str):
            left_out[found] = left_out.get(found, 0) + 1
        else:
            rows.append({**found, "reward": amount, "customer_id": customer_id})
        progress(done)
    return rows, left_out


def _row(state: State, replayer: Replayer, candidate: PolicyCandidate, decision_id: str) -> dict[str, Any] | str:
    record = read_decision(state.read(), decision_id)
    try:
        inputs = replayer.inputs_of(record)
    except NotFoundError:
        return "what it was made from is gone"
    known = record.features
    pair = decide_beside(record, inputs, candidate.inputs(inputs))
    if isinstance(pair, str):
        return pair
    if len(pair.base.selection.picks) > 1 or record.request.placements is not None or record.request.n > 1:
        return SEVERAL
    key = first_key(pair.base)
    return {
        "decision_id": decision_id,
        "decided_at": record.decided_at,
        "key": key,
        "pscore": pair.base.selection.probabilities[key],
        "slot_ratio": _slot_ratio(pair),
        "slots": _slot_law(pair),
        "pi": _tried(pair.changed),
        "logged_pi": _tried(pair.base),
        "chances": dict(pair.base.found.by_key),
        "features": known.values,  # noqa: PD011 - no data frame
    }


def _tried(course: Course) -> dict[Key, float]:
    return {key: share for key, share in course.selection.probabilities.items() if share > 0.0}


def _slot_ratio(pair: Pair) -> float:
    """Probability of the logged slot under the candidate over the logged one, given the logged contact."""
    if not pair.base.selection.picks:
        return 1.0
    pick = pair.base.selection.picks[0]
    return slot_probability(pair.changed, pick.item.option.key, pick.send_at) / pick.send.slot_probability


def _slot_law(pair: Pair) -> dict[float, float]:
    """What the ratio could have been, given the logged contact, with the probability of each."""
    if not pair.base.selection.picks:
        return {1.0: 1.0}
    key = pair.base.selection.picks[0].item.option.key
    changed = slot_probabilities(pair.changed, key)
    law: dict[float, float] = {}
    for slot, share in slot_probabilities(pair.base, key).items():
        if share > 0.0:
            ratio = changed.get(slot, 0.0) / share
            law[ratio] = law.get(ratio, 0.0) + share
    return law


def _laws(laws: list[dict[float, float]]) -> tuple[FloatArray, FloatArray]:
    """Chances and ratios, shape (n, most ratios of a row) each; what a row has not has chance 0."""
    most = max((len(law) for law in laws), default=1)
    chances, ratios = np.zeros((len(laws), most)), np.ones((len(laws), most))
    for row, law in enumerate(laws):
        ratios[row, : len(law)] = list(law)
        chances[row, : len(law)] = list(law.values())
    return chances, ratios


def slot_probability(course: Course, key: Key, send_at: datetime) -> float:
    """With which probability a course sends a contact at a time, if it chooses that contact; 0 where it never does."""
    return slot_probabilities(course, key).get(send_at, 0.0)


def slot_probabilities(course: Course, key: Key) -> dict[datetime, float]:
    """The probability of every slot of a contact, if a course chooses that contact; empty where it cannot.

    The policy's share ``slot_exploration`` falls on all allowed slots alike, the rest on the best one.
    """
    worth = course.selection.worths.get(key)
    item = next((found for found in course.survivors if found.option.key == key), None)
    if worth is None or item is None:
        return {}
    owed = course.setting.touch.request.purpose == OWED
    exploration = 0.0 if owed else course.setting.drawing.slot_exploration
    alike = exploration / len(item.slots)
    return {
        slot: min(alike + (1.0 - exploration if index == worth.best else 0.0), 1.0)
        for index, slot in enumerate(item.slots)
    }


def _numbers(rows: list[Mapping[str, Any]]) -> FloatArray:
    """Numeric features by name in order, shape (n, features); what is no number is NaN."""
    names = sorted({name for row in rows for name, value in row.items() if _is_number(value)})
    return np.array(
        [[float(row[name]) if _is_number(row.get(name)) else np.nan for name in names] for row in rows],
        dtype=np.float64,
    ).reshape(len(rows), len(names))


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and bool(np.isfinite(value))
