"""A send-time model's health: when customers are active, then and now, and whether the foretold hours still hold."""

from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from foretouch.core.bundle import Bundle, ModelInput
from foretouch.core.columns import CUSTOMER_ID
from foretouch.features.build import build_features
from foretouch.features.history_sample import read_sample
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.serving.models.rhythm import HOURS, Rhythm, read_counts
from foretouch.training.activity import WINDOWS_DAYS, hits, later_hours
from foretouch.training.drift.decay import Decay, decay_of
from foretouch.training.drift.evidence import Evidence
from foretouch.training.drift.windows import MOST_SNAPSHOTS, thinned
from foretouch.training.gate.scoring import fitted_of
from foretouch.training.history import history_times
from foretouch.training.send_time import LATER, Hours, predict_shares
from foretouch.training.targets import data_span, spine
from foretouch.training.task import FloatArray, TrainingRun

WINDOW: Final = timedelta(days=min(WINDOWS_DAYS))
BEST: Final = 24
"""Hours of the week whose foretold share is held against what happened in them."""
INPUTS: Final = (
    ModelInput(name="busiest_hour", view="hours"),
    ModelInput(name="share_on_weekends", view="hours"),
    ModelInput(name="active_hours", view="hours"),
)
"""A customer's 168 counts, in three numbers that can be drawn: local hour with most events, share on Saturday and
Sunday, number of different hours of the week."""


def hour_evidence(run: TrainingRun, bundle: Bundle) -> Evidence:
    """Snapshots of everyone with activity; the label is how much of the later week falls into the foretold hours."""
    card, fitted = bundle.card, fitted_of(bundle)
    feature = Rhythm.from_extras(card.extras).counts_feature
    times = history_times(run.workspace)
    learned = [time for time in times if time + WINDOW <= card.trained_through][-MOST_SNAPSHOTS:]
    before = _rows(run, learned)
    now = _rows(run, [run.workspace.clock.now()], current=True)
    sides = [_of(frame, feature) for frame in (before, now)]
    compared = all(len(side.own) for side in sides)
    scores = None
    if compared:
        best = [np.argmax(predict_shares(fitted, side), axis=1) % 24 for side in sides]
        scores = best[0].astype(np.float64), best[1].astype(np.float64)
    return Evidence(
        before=described(sides[0]),
        now=described(sides[1]),
        inputs=INPUTS,
        importance=dict.fromkeys((item.name for item in INPUTS), 1.0 / len(INPUTS)),
        scores=scores,
        decay=_decay(run, bundle, times, feature),
    )


def _decay(run: TrainingRun, bundle: Bundle, times: list[datetime], feature: str) -> Decay | None:
    """Foretold share of activity in each customer's best hours beside the share that fell into them."""
    workspace = run.workspace
    event = workspace.config.goals.send_time.engagement_event
    with closing(connect(workspace)) as connection:
        end = data_span(connection, event, workspace.clock.now()).end
        closed = [time for time in times if bundle.card.created_at < time + WINDOW <= end][-MOST_SNAPSHOTS:]
        if not closed:
            return None
        rows = thinned(spine(connection, closed, kept=read_sample(workspace).snapshots))
        zone = workspace.config.workspace.time_zone
        later = later_hours(connection, rows, event=event, window=WINDOW, time_zone=zone)
    rows[LATER] = list(later)
    rows = rows[later.sum(axis=1) > 0].reset_index(drop=True)
    if rows.empty:
        return None
    features = training_frame(workspace, bundle.card.model, rows[[CUSTOMER_ID, "as_of"]])
    frame = rows.merge(features, on=[CUSTOMER_ID, "as_of"], how="left", validate="one_to_one")
    part = Hours(own=_counts(frame, feature), later=np.stack(list(frame[LATER])), frame=frame.drop(columns=[LATER]))
    shares = predict_shares(fitted_of(bundle), part)
    events = part.later.sum(axis=1)
    foretold = -np.sort(-shares, axis=1)[:, :BEST].sum(axis=1)
    observed = hits(part.later, shares, BEST) / events
    names = frame[CUSTOMER_ID].to_numpy(dtype=object)
    return decay_of(foretold, observed, names, target="amount", seed=run.seed)


def _rows(run: TrainingRun, times: list[datetime], *, current: bool = False) -> pd.DataFrame:
    with closing(connect(run.workspace)) as connection:
        kept = 1.0 if current else read_sample(run.workspace).snapshots
        rows = thinned(spine(connection, times, kept=kept))
    if rows.empty:
        return rows
    return build_features(run.workspace, rows) if current else training_frame(run.workspace, "send-time", rows)


def _of(frame: pd.DataFrame, feature: str) -> Hours:
    """Rows of customers with any activity."""
    own = _counts(frame, feature)
    active = own.sum(axis=1) > 0
    return Hours(own=own[active], later=np.zeros_like(own[active]), frame=frame[active].reset_index(drop=True))


def _counts(frame: pd.DataFrame, feature: str) -> FloatArray:
    values = frame[feature] if feature in frame.columns else ()
    return np.stack([read_counts(value) for value in values]) if len(values) else np.zeros((0, HOURS))


def described(part: Hours) -> pd.DataFrame:
    """Every customer's week in the numbers of ``INPUTS``."""
    by_day = part.own.reshape(len(part.own), 7, 24)
    total = np.maximum(part.own.sum(axis=1), 1.0)
    columns = {
        "busiest_hour": by_day.sum(axis=1).argmax(axis=1).astype(np.float64),
        "share_on_weekends": by_day[:, 5:].sum(axis=(1, 2)) / total,
        "active_hours": (part.own > 0).sum(axis=1).astype(np.float64),
    }
    names = part.frame[CUSTOMER_ID].to_numpy(dtype=object) if len(part.own) else np.zeros(0, dtype=object)
    return pd.DataFrame({CUSTOMER_ID: names, **columns})
