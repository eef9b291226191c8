"""The rows that are compared: snapshots a model learnt from, everyone as of now, and labels that came true since."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import duckdb
import numpy as np
import pandas as pd

from foretouch.core import columns as c
from foretouch.core.bundle import ModelCard
from foretouch.core.config import Config
from foretouch.core.models import ModelName
from foretouch.core.rng import bucket
from foretouch.core.workspace import Workspace
from foretouch.features.build import build_features
from foretouch.features.history_sample import read_sample
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.serving.jobs.scores import out_of_scope
from foretouch.training.history import history_times
from foretouch.training.targets import LABEL, churn_labels, data_span, lead_labels, spine, value_labels
from foretouch.training.task import Dataset

CUSTOMER_MODELS: tuple[ModelName, ...] = ("lead", "churn", "value")
MOST_CUSTOMERS = 20_000
"""More than this are thinned by a hash of the id: what drifts is seen in a sample."""
MOST_SNAPSHOTS = 6

Labeller = Callable[[duckdb.DuckDBPyConnection, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a customer model predicts: its event, its window and how rows are labelled."""

    event: str
    window: timedelta
    labeller: Labeller


def goal_of(config: Config, model: str) -> Goal:
    """The goal of ``lead``, ``churn`` or ``value``, as the configuration has it."""
    goals = config.goals
    if model == "lead":
        days, event = goals.lead.window_days, goals.lead.goal_event
        return Goal(event=event, window=timedelta(days=days), labeller=partial(lead_labels, goal=goals.lead))
    if model == "churn":
        days, event = goals.churn.window_days, goals.churn.activity_event
        return Goal(event=event, window=timedelta(days=days), labeller=partial(churn_labels, goal=goals.churn))
    days, event = goals.value.window_days, goals.value.value_event
    return Goal(event=event, window=timedelta(days=days), labeller=partial(value_labels, goal=goals.value))


def reference_rows(workspace: Workspace, card: ModelCard) -> pd.DataFrame:
    """Snapshots that the model may have learnt from, the latest few of them, with its service's features.

    A snapshot counts where its label had closed by ``trained_through``; customers outside the model's scope are left
    out, as they are when it scores.

    Returns:
        ``customer_id``, ``as_of`` and features; empty where no such snapshot is kept any more.
    """
    window = goal_of(workspace.config, card.model).window
    times = [time for time in history_times(workspace) if time + window <= card.trained_through]
    with closing(connect(workspace)) as connection:
        rows = thinned(spine(connection, times[-MOST_SNAPSHOTS:], kept=read_sample(workspace).snapshots))
    if rows.empty:
        return rows
    return _in_scope(workspace, card.model, training_frame(workspace, card.model, rows))


def current_rows(workspace: Workspace, card: ModelCard) -> pd.DataFrame:
    """Everyone as of now, posted events included, as the model would score them."""
    now = workspace.clock.now()
    with closing(connect(workspace)) as connection:
        rows = thinned(spine(connection, [now]))
    return rows if rows.empty else _in_scope(workspace, card.model, build_features(workspace, rows))


def matured_since(workspace: Workspace, card: ModelCard) -> Dataset | None:
    """Labelled snapshots whose window closed after the model was made: it cannot have seen them.

    Returns:
        None where no label has closed since.
    """
    goal = goal_of(workspace.config, card.model)
    with closing(connect(workspace)) as connection:
        end = data_span(connection, goal.event, workspace.clock.now()).end
        times = [time for time in history_times(workspace) if _closed_since(time + goal.window, card.created_at, end)]
        if not times:
            return None
        rows = goal.labeller(connection, thinned(spine(connection, times, kept=read_sample(workspace).snapshots)))
    if rows.empty:
        return None
    frame = training_frame(workspace, card.model, rows)
    return Dataset(frame=frame.drop(columns=[LABEL]), label=frame[LABEL].to_numpy(dtype=np.float64))


def _closed_since(closes: datetime, made: datetime, end: datetime) -> bool:
    return made < closes <= end


def _in_scope(workspace: Workspace, model: str, frame: pd.DataFrame) -> pd.DataFrame:
    indexed = frame.reset_index(drop=True)
    outside = out_of_scope(workspace.config, model, indexed)
    return indexed.drop(index=outside.index).reset_index(drop=True)


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_CUSTOMERS`` customers, chosen by a hash of the id."""
    customers = pd.unique(rows[c.CUSTOMER_ID])
    share = MOST_CUSTOMERS / max(len(customers), 1)
    if share >= 1.0:
        return rows
    kept = {customer for customer in customers if bucket("drift-rows", str(customer)) < share}
    return rows[rows[c.CUSTOMER_ID].isin(kept)].reset_index(drop=True)
