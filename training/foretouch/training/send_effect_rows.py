"""Past sends as the effect of an hour needs them: ingested touches and the service's own logged decisions.

A send counts once its label has closed (``sends.closing_times``). Its response is acceptance as the offer goal means
it, its hour is that of the customer's own clock when it went out, its slot probability is what the decision's record
says or, for ingested touches, the attribute ``slot_probability``. What is known of the customer (own hours, segment) is
what was known then.
"""

from contextlib import closing
from datetime import datetime
from typing import Final

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.core.columns import AS_OF, CHANNEL, CUSTOMER_ID, OFFER_ID, SENT_AT, TOUCH_ID
from foretouch.core.errors import NotFoundError
from foretouch.core.goals import OfferGoal
from foretouch.core.offers import Catalogue
from foretouch.core.rng import bucket
from foretouch.core.state.connection import stream
from foretouch.core.state.contacts import reservation_id
from foretouch.core.state.log import read_decision
from foretouch.core.state.opening import read_state
from foretouch.core.workspace import Workspace
from foretouch.features.history_sample import read_sample, sampled
from foretouch.features.offers import load_catalogue
from foretouch.features.store import training_frame
from foretouch.features.tables import connect
from foretouch.serving.models.rhythm import Rhythm, back_off, read_counts
from foretouch.serving.models.send_effect import DAY_HOURS, HOURS, fold
from foretouch.training.log.rows import logged_rows
from foretouch.training.send_effect import Sends
from foretouch.training.sends import CLOSES_AT, LABEL, accepted_by_event, closing_times
from foretouch.training.task import FloatArray

MAX_SENDS: Final = 60_000
"""More sends than this are thinned by customer, by a hash of the id."""
MAX_WEIGHT: Final = 20.0
"""Largest weight relative to the smallest: a slot that was explored beside one that was almost sure."""
MIN_REPEATED: Final = 0.5
"""Below this share of sends to customers with at least two, logged hours are compared across a whole segment."""
SLOT: Final = "slot_probability"
HOUR: Final = "hour"


def read_hours(workspace: Workspace, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """Closed sends with their labels, local hours and slot probabilities.

    Args:
        workspace: Whose touches, decisions and events.
        since: Only sends from then on.
        until: Only sends whose label had closed by then.

    Returns:
        ``touch_id``, ``customer_id``, ``offer_id``, ``channel``, ``as_of``, ``closes_at``, ``label``, ``hour``,
        ``slot_probability`` (missing where it was not logged); sorted by time, empty where there are none.
    """
    catalogue = load_catalogue(workspace)
    with closing(connect(workspace)) as connection:
        touches = _touches(connection, workspace.config.workspace.time_zone, kept=read_sample(workspace).sends)
        sends = _closed(connection, touches, catalogue, workspace.config.goals.offer)
    if since is not None:
        sends = sends[sends[AS_OF] >= since]
    if until is not None:
        sends = sends[sends[CLOSES_AT] <= until]
    sends = of_used_kinds(workspace, sends)
    share = MAX_SENDS / max(len(sends), 1)
    if share < 1.0:
        kept = [bucket("send-effect-rows", str(customer)) < share for customer in sends[CUSTOMER_ID]]
        sends = sends[kept]
    sends = sends.reset_index(drop=True)
    logged = logged_slots(workspace, sends[TOUCH_ID].astype(str).tolist())
    sends[SLOT] = sends[SLOT].fillna(sends[TOUCH_ID].map(logged).astype(np.float64))
    return sends


def of_used_kinds(workspace: Workspace, sends: pd.DataFrame) -> pd.DataFrame:
    """The sends without the service's own contacts that ``log.kinds.TABLE`` tells send-time to drop.

    Args:
        workspace: Whose log.
        sends: ``touch_id`` of a contact that the service made is its decision's id and rank.
    """
    state = read_state(workspace)
    if state is None or sends.empty:
        return sends
    with closing(state):
        logged = {str(name) for (name,) in stream(state, "SELECT decision_id FROM decisions")}
    own = sends[TOUCH_ID].astype(str).str.rpartition(".")[0].isin(logged)
    if not own.any():
        return sends
    used = logged_rows(workspace, "send-time").frame
    kept = {reservation_id(name, rank) for name, rank in zip(used["decision_id"], used["rank"], strict=True)}
    return sends[~own | sends[TOUCH_ID].isin(kept)]


def logged_slots(workspace: Workspace, contacts: list[str]) -> dict[str, float]:
    """Slot probability of the service's own contacts, by contact id (decision id and rank)."""
    state = read_state(workspace)
    if state is None:
        return {}
    found: dict[str, float] = {}
    with closing(state):
        for contact in contacts:
            decision_id, _, rank = contact.rpartition(".")
            if not decision_id or not rank.isdigit():
                continue
            try:
                record = read_decision(state, decision_id)
            except NotFoundError:
                continue
            for action in record.action:
                if action.rank == int(rank) and action.send is not None:
                    found[contact] = action.send.slot_probability
    return found


def _touches(connection: duckdb.DuckDBPyConnection, time_zone: str, *, kept: float) -> pd.DataFrame:
    columns = {str(row[0]) for row in connection.execute("DESCRIBE touches").fetchall()}
    own = "touch_id NOT IN (SELECT touch_id FROM raw_touches)"  # the service's: their label comes from events alone
    slot = f"try_cast({SLOT} AS DOUBLE)" if SLOT in columns else "NULL::DOUBLE"
    thin = f"SEMI JOIN {sampled(connection, 'kept_sends', kept)} USING (customer_id)" if kept < 1.0 else ""
    return connection.execute(
        f"""
        WITH zones AS (SELECT customer_id, any_value(time_zone) AS zone FROM customers GROUP BY customer_id),
        local AS (
            SELECT t.*, timezone(coalesce(z.zone, $zone), t.sent_at) AS wall
            FROM touches t {thin} LEFT JOIN zones z USING (customer_id)
        )
        SELECT touch_id, customer_id, offer_id, channel, sent_at,
               CASE WHEN {own} THEN NULL ELSE responded END AS responded,
               coalesce(immature, false) AND NOT ({own}) AS immature,
               ((isodow(wall) - 1) * 24 + hour(wall))::BIGINT AS {HOUR}, {slot} AS {SLOT}
        FROM local ORDER BY sent_at, customer_id, offer_id, touch_id
        """,  # noqa: S608 - column names of this package
        {"zone": time_zone},
    ).df()


def _closed(
    connection: duckdb.DuckDBPyConnection, sends: pd.DataFrame, catalogue: Catalogue, goal: OfferGoal
) -> pd.DataFrame:
    """Sends of known offers whose label had closed when the data ended, with the label."""
    offers = {offer.offer_id: offer for offer in catalogue.offers}
    sends[AS_OF] = pd.to_datetime(sends[SENT_AT], utc=True)
    sends = sends[sends[OFFER_ID].isin(list(offers))].reset_index(drop=True)
    start, end = connection.execute(
        "SELECT epoch_us(min(occurred_at)), epoch_us(max(occurred_at)) FROM events WHERE NOT is_bot"
    ).fetchall()[0]
    sends[CLOSES_AT] = closing_times(sends, offers, goal)
    if start is None:
        return sends.iloc[:0].assign(**{LABEL: 0.0})
    first, last = (pd.Timestamp(micros, unit="us", tz="UTC") for micros in (start, end))
    closed = (sends[AS_OF] > first) & (sends[CLOSES_AT] <= last + pd.Timedelta(days=1)) & ~sends["immature"]
    sends = sends[closed].reset_index(drop=True)
    accepted = sends["responded"].astype("boolean").fillna(accepted_by_event(connection, sends, offers, goal))
    sends[LABEL] = accepted.to_numpy(dtype=np.float64)
    return sends


def own_hours(workspace: Workspace, sends: pd.DataFrame, rhythm: Rhythm) -> tuple[FloatArray, NDArray[np.object_]]:
    """What was known of each send's customer: activity by local hour of day, shape (n, 24), and the segment, (n,)."""
    spine = sends[[CUSTOMER_ID, AS_OF]].drop_duplicates(ignore_index=True)
    known = training_frame(workspace, "send-time", spine)
    known = known.assign(**{AS_OF: pd.to_datetime(known[AS_OF], utc=True)})
    wanted = [rhythm.counts_feature, *([rhythm.segment_feature] if rhythm.segment_feature in known.columns else [])]
    joined = sends[[CUSTOMER_ID, AS_OF]].merge(
        known[[CUSTOMER_ID, AS_OF, *wanted]], on=[CUSTOMER_ID, AS_OF], how="left", validate="many_to_one"
    )
    segment = np.full(len(joined), None, dtype=object)
    if rhythm.segment_feature in joined.columns:
        values = joined[rhythm.segment_feature].astype(object)
        segment = np.asarray(values.where(values.notna(), None).to_numpy(), dtype=object)
    own = np.empty((len(joined), DAY_HOURS))
    counts = joined[rhythm.counts_feature].tolist()
    for first in range(0, len(joined), 5_000):
        part = slice(first, first + 5_000)
        block = np.stack([read_counts(value) for value in counts[part]]) if counts[part] else np.zeros((0, HOURS))
        own[part] = fold(back_off(rhythm, block, segment[part]))
    return own, segment


def as_arrays(frame: pd.DataFrame, own: FloatArray, segment: NDArray[np.object_]) -> Sends:
    """Sends as the model needs them.

    Strata are customers, and within them sends whose slot was logged apart from those of before: another policy chose
    what they hold. Where most customers have one send only and the slots' probabilities were logged, a stratum
    is a segment on a channel: there the draw, not the customer, makes hours comparable.

    Args:
        frame: As ``read_hours`` returns it.
        own: Shape (n, 24).
        segment: Shape (n,).
    """
    customer = frame[CUSTOMER_ID].astype(str).to_numpy(dtype=object)
    channels, offers = sorted(frame[CHANNEL].astype(str).unique()), sorted(frame[OFFER_ID].astype(str).unique())
    names = sorted({str(value) for value in segment if value is not None})
    channel = pd.Index(channels).get_indexer(pd.Index(frame[CHANNEL].astype(str)))
    group = np.array([names.index(str(value)) if value is not None else -1 for value in segment], dtype=np.int64)
    chance = frame[SLOT].to_numpy(dtype=np.float64)
    logged = np.isfinite(chance) & (chance > 0.0)
    _, code, times = np.unique(customer.astype(str), return_inverse=True, return_counts=True)
    stratum = 2 * code.astype(np.int64) + logged
    if len(frame) and (times[code] > 1).mean() < MIN_REPEATED:
        pooled = 2 * len(times) + (group + 1) * len(channels) + channel
        stratum = np.where(logged, pooled, stratum)
    return Sends(
        customer=customer,
        stratum=stratum,
        hour=frame[HOUR].to_numpy(dtype=np.int64),
        channel=channel.astype(np.int64),
        offer=pd.Index(offers).get_indexer(pd.Index(frame[OFFER_ID].astype(str))).astype(np.int64),
        segment=group,
        own=own,
        response=frame[LABEL].to_numpy(dtype=np.float64),
        weight=slot_weights(chance),
        micros=np.asarray(frame[AS_OF].astype("datetime64[us, UTC]").astype(np.int64), dtype=np.int64),
        logged=logged,
        channels=tuple(channels),
        segments=tuple(names),
        offers=tuple(offers),
    )


def slot_weights(chance: FloatArray) -> FloatArray:
    """Inverse slot probabilities, at most ``MAX_WEIGHT`` times the smallest, mean 1; 1 where none was logged."""
    logged = np.isfinite(chance) & (chance > 0.0)
    weight = np.ones(len(chance))
    if logged.any():
        inverse = 1.0 / chance[logged]
        inverse = np.minimum(inverse, MAX_WEIGHT * inverse.min())
        weight[logged] = inverse / inverse.mean()
    return weight
