"""Past sends as labelled rows: who was sent which offer, what the two were like then, and whether it was accepted.

A send's label is closed when its offer ends, or a window after the send for an offer without an end. Sends whose label
is still open when the data end, or that were made before the data begin, are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from foretouch.core.columns import AS_OF, CUSTOMER_ID, OFFER_ID, SENT_AT
from foretouch.core.errors import DataError
from foretouch.core.goals import OfferGoal
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.rng import bucket
from foretouch.features.crosses import CATEGORY_FEATURES, CROSS_FEATURES, CUSTOMER_SHARE, OFFER_FEATURES
from foretouch.features.history_sample import sampled
from foretouch.features.pair_table import FIXED, MOVING, PairTable
from foretouch.training.task import FloatArray

CLOSES_AT = "closes_at"
LABEL = "label"
MAX_SENDS = 200_000
"""More sends than this are thinned by customer, by a hash of the id."""
TEST_SHARES = (0.2, 0.4)
CALIBRATE_SHARES = (0.15, 0.35)
"""Least and most share of all closed sends that a part may hold."""
MIN_SENDS, MIN_ACCEPTED = 50, 10
"""Each part needs this many sends, and this many accepted and not accepted."""
RESPONSES = frozenset({"responses_365d", "sends_365d"})
"""Customer features that an offer's cross features are made of, beside the shares of spend."""
_MAX_CUTS = 400


def read_sends(
    connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, goal: OfferGoal, *, kept: float = 1.0
) -> pd.DataFrame:
    """Closed sends with their labels, sorted by time, customer and offer.

    A touch that says whether it was responded to is believed. For one that does not, acceptance is the event that the
    goal names for the offer's category, by that customer, from the send until the label closes; an event that names an
    offer (``properties.offer_id``) counts for that offer only.

    Args:
        connection: With the views ``touches``, ``events`` and ``customers``.
        catalogue: The offers.
        goal: What acceptance is.
        kept: Share of customers whose sends are read (``history_sample.read_sample``): those in the history.

    Returns:
        ``customer_id``, ``offer_id``, ``as_of`` (when it was sent), ``closes_at``, ``label`` (0 or 1), ``randomised``
        (whether its selection probability is on record).

    Raises:
        DataError: There is no send, or none whose label is closed.
    """
    offers = {offer.offer_id: offer for offer in catalogue.offers}
    thin = f" SEMI JOIN {sampled(connection, 'kept_sends', kept)} USING (customer_id)" if kept < 1.0 else ""
    sends = connection.execute(
        "SELECT customer_id, offer_id, sent_at, responded, coalesce(immature, false) AS immature,"  # noqa: S608 - ours
        f" selection_probability IS NOT NULL AS randomised FROM touches{thin}"
        " ORDER BY sent_at, customer_id, offer_id, touch_id"
    ).df()
    span = connection.execute(
        "SELECT epoch_us(min(occurred_at)), epoch_us(max(occurred_at)) FROM events WHERE NOT is_bot"
    ).fetchall()[0]
    if sends.empty or span[0] is None:
        raise DataError("no past sends to learn from", hint="foretouch ingest --touches F")
    start, end = (pd.Timestamp(micros, unit="us", tz="UTC") for micros in span)
    sends[AS_OF] = pd.to_datetime(sends[SENT_AT], utc=True)
    sends = sends[sends[OFFER_ID].isin(list(offers))].reset_index(drop=True)
    sends[CLOSES_AT] = closing_times(sends, offers, goal)
    closed = (sends[AS_OF] > start) & (sends[CLOSES_AT] <= end + pd.Timedelta(days=1)) & ~sends["immature"]
    if not closed.any():
        raise DataError(
            f"{len(sends)} sends, none with an outcome that was closed when the data ended",
            hint="ingest a longer history, or wait for a campaign to end",
        )
    sends = sends[closed].reset_index(drop=True)
    share = MAX_SENDS / len(sends)
    if share < 1.0:
        mine = [bucket("training-rows", str(customer)) < share for customer in sends[CUSTOMER_ID]]
        sends = sends[mine].reset_index(drop=True)
    accepted = sends["responded"].astype("boolean").fillna(accepted_by_event(connection, sends, offers, goal))
    sends[LABEL] = accepted.to_numpy(dtype=np.float64)
    return sends[[CUSTOMER_ID, OFFER_ID, AS_OF, CLOSES_AT, LABEL, "randomised"]]


def closing_times(sends: pd.DataFrame, offers: Mapping[str, Offer], goal: OfferGoal) -> "pd.Series[pd.Timestamp]":
    """When the label of each send is known: its offer's end, or ``window_days`` after the send."""
    window = timedelta(days=goal.window_days)
    times = [
        offers[offer_id].ends_at or sent_at + window
        for offer_id, sent_at in zip(sends[OFFER_ID], sends[AS_OF], strict=True)
    ]
    return pd.Series(pd.to_datetime(times, utc=True), index=sends.index)


def accepted_by_event(
    connection: duckdb.DuckDBPyConnection, sends: pd.DataFrame, offers: Mapping[str, Offer], goal: OfferGoal
) -> "pd.Series[bool]":
    """Whether the goal's event for the offer's category came between each send (``as_of``) and ``closes_at``."""
    events = [
        goal.acceptance.get(offers[offer_id].category, goal.acceptance.get("*", "")) for offer_id in sends[OFFER_ID]
    ]
    rows = sends[[CUSTOMER_ID, OFFER_ID, AS_OF, CLOSES_AT]].assign(row=np.arange(len(sends)), wanted=events)
    connection.register("send_rows", rows)
    try:
        found = connection.execute(
            """
            SELECT DISTINCT s.row FROM send_rows s JOIN events e
                ON e.customer_id = s.customer_id AND e.event = s.wanted AND NOT e.is_bot
                AND e.occurred_at >= s.as_of AND e.occurred_at < s.closes_at
            WHERE coalesce(json_extract_string(e.properties, '$.offer_id'), s.offer_id) = s.offer_id
            """
        ).df()
    finally:
        connection.unregister("send_rows")
    return pd.Series(np.isin(np.arange(len(sends)), found["row"].to_numpy()), index=sends.index)


@dataclass(frozen=True, kw_only=True)
class SendSplit:
    """Masks over the sends, each of shape (n,); sends in none of them were open when a later part began."""

    fit: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    calibrate: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    test: "np.ndarray[tuple[int], np.dtype[np.bool_]]"


def split_sends(sends: pd.DataFrame) -> SendSplit:
    """Cuts sends at two times, so that no label of an earlier part is open when a later part begins.

    The test cut is the time that leaves 20 to 40 % of the sends after it and the fewest open across it; the calibrate
    cut is found in the same way among what had closed by then.

    Raises:
        DataError: No such cut, or a part with too few sends or acceptances.
    """
    sent, closes = sends[AS_OF].to_numpy("datetime64[us]"), sends[CLOSES_AT].to_numpy("datetime64[us]")
    everything = np.ones(len(sends), dtype=bool)
    test_cut = _cut(sent, closes, everything, TEST_SHARES)
    test = sent >= test_cut
    earlier = ~test & (closes <= test_cut)
    calibrate_cut = _cut(sent, closes, earlier, CALIBRATE_SHARES)
    calibrate = earlier & (sent >= calibrate_cut)
    fit = earlier & ~calibrate & (closes <= calibrate_cut)
    label = sends[LABEL].to_numpy(dtype=np.float64)
    for name, part in (("fit", fit), ("calibrate", calibrate), ("test", test)):
        accepted = int(label[part].sum())
        if part.sum() < MIN_SENDS or not MIN_ACCEPTED <= accepted <= part.sum() - MIN_ACCEPTED:
            raise DataError(
                f"the {name} part has {int(part.sum())} sends, {accepted} of them accepted; need {MIN_SENDS} sends,"
                f" {MIN_ACCEPTED} of them accepted and {MIN_ACCEPTED} not",
                hint="ingest touches of more campaigns that have ended",
            )
    return SendSplit(fit=fit, calibrate=calibrate, test=test)


def _cut(
    sent: "np.ndarray[tuple[int], np.dtype[np.datetime64]]",
    closes: "np.ndarray[tuple[int], np.dtype[np.datetime64]]",
    rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    shares: tuple[float, float],
) -> np.datetime64:
    """The time that leaves a share of ``rows`` after it and the fewest of them open across it; the latest of equals."""
    times = np.unique(np.concatenate([sent[rows], closes[rows]]))
    if len(times) > _MAX_CUTS:
        times = times[np.unique(np.linspace(0, len(times) - 1, _MAX_CUTS).astype(int))]
    best: tuple[int, np.datetime64] | None = None
    for time in times[::-1]:
        after = int((rows & (sent >= time)).sum())
        if not shares[0] * len(sent) <= after <= shares[1] * len(sent):
            continue
        across = int((rows & (sent < time) & (closes > time)).sum())
        if best is None or across < best[0]:
            best = across, time
    if best is None:
        raise DataError(
            f"{int(rows.sum())} closed sends cannot be cut in time: most were made at one moment",
            hint="ingest touches of campaigns at more times",
        )
    return best[1]


def pair_rows(sends: pd.DataFrame, customers: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """Every feature of every send: the customer's, the offer's, and the two together.

    Args:
        sends: ``customer_id``, ``offer_id``, ``as_of``, in any order.
        customers: Customer features by ``customer_id`` and ``as_of``, one row per distinct pair.
        catalogue: The offers.

    Returns:
        One row per send, in the order of ``sends``: bit by bit what ``pair_row`` gives for each of them.
    """
    known = customers.assign(**{AS_OF: pd.to_datetime(customers[AS_OF], utc=True)})
    names = [name for name in known.columns if name not in {CUSTOMER_ID, AS_OF}]
    index = pd.MultiIndex.from_frame(known[[CUSTOMER_ID, AS_OF]].astype({CUSTOMER_ID: str}))
    at = index.get_indexer(pd.MultiIndex.from_frame(sends[[CUSTOMER_ID, AS_OF]].astype({CUSTOMER_ID: str})))
    own = known[names].reset_index(drop=True).reindex(at).reset_index(drop=True)
    table = PairTable(catalogue.offers)
    row_of = {offer.offer_id: row for row, offer in enumerate(table.offers)}
    rows = np.array([row_of[offer_id] for offer_id in sends[OFFER_ID]], dtype=np.int64)
    crossed = [name for name in names if name.startswith(CUSTOMER_SHARE) or name in RESPONSES]
    values = own[crossed].astype(object).where(own[crossed].notna(), None)
    people: list[dict[str, Any]] = [dict(zip(crossed, line, strict=True)) for line in values.itertuples(index=False)]
    moving = table.moving(people, sends[AS_OF].tolist(), np.arange(len(sends)), rows, frozenset(MOVING))
    categories = np.array([offer.category or None for offer in table.offers], dtype=object)
    parts = {
        **dict.fromkeys(CATEGORY_FEATURES, categories[rows]),
        **{name: table.fixed(name)[rows] for name in FIXED},
        **moving,
    }
    kept = own.drop(columns=[name for name in names if name in parts])
    keys = sends[[CUSTOMER_ID, AS_OF, OFFER_ID]].reset_index(drop=True)
    pairs = pd.DataFrame({name: parts[name] for name in (*OFFER_FEATURES, *CROSS_FEATURES)})
    return pd.concat([keys, kept, pairs], axis=1)


def category_rates(categories: "pd.Series[str]", label: FloatArray) -> dict[str, float]:
    """Share accepted by offer category, and under ``*`` of all: the baseline."""
    rates = pd.Series(label).groupby(categories.astype(object).fillna("").astype(str).to_numpy()).mean()
    return {**{str(name): float(rate) for name, rate in rates.items()}, "*": float(label.mean())}
