"""What became of every logged decision, as known at a time: rewards by decision and rank, and what machines did."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson
import pandas as pd

from foretouch.core.attribution import Reward
from foretouch.core.config import Config
from foretouch.core.outcomes import ACTIVATING
from foretouch.core.state.connection import Connection, from_micros, stream, to_micros
from foretouch.core.workspace import Workspace
from foretouch.features.tables import connect
from foretouch.serving.history.rewards import batched, rewards
from foretouch.training.log.kinds import Learner
from foretouch.training.targets import churn_labels, data_span, lead_labels, value_labels

KEY: Final = ["decision_id", "rank"]
MACHINE_TYPES: Final = frozenset({"machine_open", "machine_click"})


def known_until(workspace: Workspace, as_of: datetime) -> datetime:
    """Until when the data tell what happened: the time asked, or the last event received before it, if that is earlier.

    A window that ends after it is still open, also where events are ingested in batches and now is later.
    """
    with closing(connect(workspace)) as tables:
        found = tables.execute(
            "SELECT epoch_us(max(received_at)) FROM events WHERE NOT is_bot AND received_at <= ?", [as_of]
        ).fetchall()[0][0]
    return as_of if found is None else min(as_of, from_micros(int(found)))


def reward_frame(workspace: Workspace, as_of: datetime, until: datetime) -> pd.DataFrame:
    """What every decision earned, one row per contact or (``rank`` 0) decision without any.

    Args:
        workspace: Whose log and events.
        as_of: What was received by then counts.
        until: Windows that end later are open.

    Returns:
        ``decision_id``, ``rank``, ``customer_id`` (aliases merged), ``activated``, ``evidence`` (what shows that it
        went out), ``mature``, ``label`` (the customer's goal occurred in the decision's window, whoever caused it),
        ``accepted`` (a goal credited to this contact), ``reward``, ``goal_value``, ``revenue``, ``closes_at``.
    """
    config = workspace.config
    own = _frame(rewards(workspace, as_of=as_of), config, to_micros(until))
    if config.reward.goal == "accept":
        own["accepted"] = own.pop("goal_part").clip(upper=1.0)
        return own
    accepting = config.replace(reward=config.reward.replace(goal="accept"))
    other = _frame(rewards(workspace, as_of=as_of, config=accepting), accepting, to_micros(until))
    own["accepted"] = other["goal_part"].clip(upper=1.0)  # the same rows in the same order
    return own.drop(columns="goal_part")


def _frame(found: Iterator[Reward], config: Config, until: int) -> pd.DataFrame:
    window = round(config.reward.window_days * 86_400e6)
    parts = []
    for batch in batched(found):
        ends = [max(item.window_ends_at, item.decided.decided_at + window) for item in batch]
        columns: dict[str, list[Any]] = {
            "decision_id": [item.decided.decision_id for item in batch],
            "rank": [item.decided.rank for item in batch],
            "customer_id": [item.decided.customer_id for item in batch],
            "activated": [item.activated for item in batch],
            "evidence": [item.activated_by or "" for item in batch],
            "mature": [end <= until for end in ends],
            "label": [float(item.goal_occurred) for item in batch],
            "goal_part": [item.parts.get("goal", 0.0) for item in batch],
            "reward": [float("nan") if item.reward is None else item.reward for item in batch],
            "goal_value": [item.goal_value for item in batch],
            "revenue": [item.revenue for item in batch],
            "closes_at": ends,
        }
        parts.append(pd.DataFrame(columns))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    frame["closes_at"] = pd.to_datetime(frame["closes_at"].astype("int64"), unit="us", utc=True)
    return frame


_COLUMNS: Final = (
    *("decision_id", "rank", "customer_id", "activated", "evidence", "mature", "label", "goal_part", "reward"),
    *("goal_value", "revenue", "closes_at"),
)


def machine_contacts(state: Connection, as_of: datetime) -> frozenset[tuple[str, int]]:
    """Contacts (decision, rank) whose only sign of having gone out is what a machine did."""
    people: set[tuple[str, int]] = set()
    machines: set[tuple[str, int]] = set()
    query = "SELECT decision_id, type, is_bot, body FROM outcomes WHERE received_at <= ? ORDER BY sequence"
    for decision_id, kind, is_bot, body in stream(state, query, (to_micros(as_of),)):
        if kind not in ACTIVATING:
            continue
        key = (str(decision_id), int(orjson.loads(body).get("rank", 1)))
        (machines if is_bot or kind in MACHINE_TYPES else people).add(key)
    return frozenset(machines - people)


def person_labels(workspace: Workspace, learner: Learner, rows: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """What customers did after their decisions, for the models of a customer: lead, churn, value.

    Args:
        workspace: Whose events and goals.
        learner: ``lead``, ``churn`` or ``value``.
        rows: ``customer_id`` and ``as_of``.
        now: What lies after it is not known.

    Returns:
        ``customer_id``, ``as_of``, ``label``, ``mature``, ``closes_at``; rows out of the model's scope are left out.
    """
    goals = workspace.config.goals
    event, days, labeller = {
        "lead": (goals.lead.goal_event, goals.lead.window_days, partial(lead_labels, goal=goals.lead)),
        "churn": (goals.churn.activity_event, goals.churn.window_days, partial(churn_labels, goal=goals.churn)),
        "value": (goals.value.value_event, goals.value.window_days, partial(value_labels, goal=goals.value)),
    }[learner]
    distinct = rows[["customer_id", "as_of"]].drop_duplicates(ignore_index=True)
    with closing(connect(workspace)) as tables:
        end = data_span(tables, event, now).end
    with closing(connect(workspace)) as tables:
        found = labeller(tables, distinct)
    found["closes_at"] = found["as_of"] + timedelta(days=days)
    found["mature"] = found["closes_at"] <= end
    return found
