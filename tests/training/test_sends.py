"""Past sends: labels against a brute-force reading, cuts in time, and the same vectors in training and in service."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.core.errors import DataError
from foretouch.core.goals import OfferGoal
from foretouch.core.offers import Catalogue, Offer
from foretouch.features.crosses import CROSS_FEATURES, OFFER_FEATURES, pair_row
from foretouch.training.data import encode
from foretouch.training.sends import category_rates, pair_rows, read_sends, split_sends

START = datetime(2024, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    """A time, in days after the start of the data."""
    return START + timedelta(days=days)


CATALOGUE = Catalogue(
    offers=(
        Offer(offer_id="a", name="a", category="food", channels=("email",), starts_at=at(1), ends_at=at(20)),
        Offer(offer_id="b", name="b", category="toys", channels=("email",), starts_at=at(1), ends_at=at(40)),
        Offer(offer_id="c", name="c", category="food", channels=("email",)),
        Offer(offer_id="late", name="late", category="food", channels=("email",), ends_at=at(900)),
    )
)
GOAL = OfferGoal(acceptance={"*": "conversion", "toys": "redeem"}, window_days=10)


def database(touches: Sequence[Mapping[str, Any]], events: Sequence[tuple[str, str, float, str | None]]) -> Any:
    """A connection with the two tables that sends are read from; the data begin on day 0 and end on day 60."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    frame = pd.DataFrame(
        [
            {
                "touch_id": str(index),
                "responded": None,
                "immature": None,
                "selection_probability": None,
                **row,
                "sent_at": at(row["sent_at"]),
            }
            for index, row in enumerate(touches)
        ]
    )
    frame["responded"] = frame["responded"].astype("boolean")
    frame["immature"] = frame["immature"].astype("boolean")
    frame["selection_probability"] = frame["selection_probability"].astype(float)
    rows = [("x", "other", 0.0, None), *events, ("x", "other", 60.0, None)]
    log = pd.DataFrame(
        [
            {
                "customer_id": who,
                "event": event,
                "occurred_at": at(day),
                "is_bot": False,
                "properties": json.dumps({"offer_id": offer} if offer else {}),
            }
            for who, event, day, offer in rows
        ]
    )
    connection.register("touches_frame", frame)
    connection.register("events_frame", log)
    connection.execute("CREATE TABLE touches AS FROM touches_frame")
    connection.execute("CREATE TABLE events AS FROM events_frame")
    return connection


def test_labels_come_from_the_event_of_the_category_until_the_offer_ends() -> None:
    touches = [
        {"customer_id": "1", "offer_id": "a", "sent_at": 2.0},  # converts in time
        {"customer_id": "2", "offer_id": "a", "sent_at": 2.0},  # converts after the end
        {"customer_id": "3", "offer_id": "a", "sent_at": 2.0},  # redeems, which is not this category's event
        {"customer_id": "3", "offer_id": "b", "sent_at": 2.0},  # redeems, which is
        {"customer_id": "4", "offer_id": "a", "sent_at": 5.0},  # converted before the send
        {"customer_id": "5", "offer_id": "a", "sent_at": 2.0},  # the event names another offer
        {"customer_id": "6", "offer_id": "c", "sent_at": 30.0},  # no end: ten days, in time
        {"customer_id": "7", "offer_id": "c", "sent_at": 30.0},  # no end: ten days, too late
        {"customer_id": "8", "offer_id": "c", "sent_at": 55.0},  # open when the data end
        {"customer_id": "9", "offer_id": "late", "sent_at": 2.0},  # ends after the data
        {"customer_id": "10", "offer_id": "a", "sent_at": -1.0},  # before the data
        {"customer_id": "11", "offer_id": "gone", "sent_at": 2.0},  # no longer in the catalogue
        {"customer_id": "12", "offer_id": "a", "sent_at": 2.0, "responded": True},  # the touch says so
        {"customer_id": "1", "offer_id": "c", "sent_at": 2.0, "responded": False},  # the touch is believed
        {"customer_id": "13", "offer_id": "a", "sent_at": 2.0, "immature": True},
    ]
    events = [
        ("1", "conversion", 3.0, None),
        ("2", "conversion", 20.0, None),
        ("3", "redeem", 39.9, None),
        ("4", "conversion", 4.9, None),
        ("5", "conversion", 3.0, "b"),
        ("6", "conversion", 39.9, "c"),
        ("7", "conversion", 40.0, None),
    ]
    found = read_sends(database(touches, events), CATALOGUE, GOAL)
    labels = {(row.customer_id, row.offer_id): row.label for row in found.itertuples()}
    assert labels == {
        ("1", "a"): 1.0,
        ("2", "a"): 0.0,
        ("3", "a"): 0.0,
        ("3", "b"): 1.0,
        ("4", "a"): 0.0,
        ("5", "a"): 0.0,
        ("6", "c"): 1.0,
        ("7", "c"): 0.0,
        ("12", "a"): 1.0,
        ("1", "c"): 0.0,
    }


def test_no_sends_and_no_closed_sends_are_refused() -> None:
    with pytest.raises(DataError, match="none with an outcome that was closed"):
        read_sends(database([{"customer_id": "9", "offer_id": "late", "sent_at": 2.0}], []), CATALOGUE, GOAL)


def frame_of(campaigns: Sequence[tuple[int, int, int]]) -> pd.DataFrame:
    """Sends of campaigns given as (start day, days, sends); every third is accepted."""
    parts = [
        pd.DataFrame({"as_of": [at(start)] * n, "closes_at": [at(start + days)] * n, "customer_id": range(n)})
        for start, days, n in campaigns
    ]
    sends = pd.concat(parts, ignore_index=True)
    sends["label"] = (np.arange(len(sends)) % 3 == 0).astype(float)
    return sends


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(5, 60), st.integers(30, 300)), min_size=3, max_size=25).map(
        sorted
    )
)
def test_no_label_is_open_when_a_later_part_begins(campaigns: list[tuple[int, int, int]]) -> None:
    sends = frame_of(campaigns)
    try:
        parts = split_sends(sends)
    except DataError:
        return
    assert not (parts.fit & parts.calibrate).any()
    assert not ((parts.fit | parts.calibrate) & parts.test).any()
    assert sends["closes_at"][parts.fit].max() <= sends["as_of"][parts.calibrate].min()
    assert sends["closes_at"][parts.fit | parts.calibrate].max() <= sends["as_of"][parts.test].min()
    assert 0.2 * len(sends) <= parts.test.sum() <= 0.4 * len(sends)


def test_cuts_fall_between_campaigns_that_do_not_overlap() -> None:
    sends = frame_of([(start, 28, 100) for start in range(0, 280, 28)])
    parts = split_sends(sends)
    assert (parts.fit | parts.calibrate | parts.test).all()


def test_sends_of_one_moment_cannot_be_cut() -> None:
    with pytest.raises(DataError, match="cannot be cut in time"):
        split_sends(frame_of([(3, 28, 400)]))


def test_training_and_service_see_the_same_vectors_bit_for_bit() -> None:
    rng = np.random.default_rng(9)
    shares = rng.dirichlet(np.ones(3), 40)
    offers = tuple(
        Offer(
            offer_id=f"o{index}",
            name="",
            category=("food", "toys")[index % 2],
            channels=("email",),
            starts_at=at(index),
            ends_at=at(index + 17.25),
            attributes={"coupons": index, **{f"share_{name}": float(rng.random()) for name in ("x", "y", "z")}},
        )
        for index in range(5)
    )
    customers = pd.DataFrame(
        {
            "customer_id": [str(index) for index in range(40)],
            "as_of": pd.to_datetime([at(30 + index % 4) for index in range(40)], utc=True),
            "recency_days": np.where(rng.random(40) < 0.2, np.nan, rng.exponential(9, 40)),
            "rfm_tier": rng.choice(np.array(["gold", "tin", None], dtype=object), 40),
            "sends_365d": pd.array(rng.integers(0, 9, 40), dtype="Int64"),
            "responses_365d": rng.integers(0, 3, 40),
            **{f"category_share_{name}": shares[:, index] for index, name in enumerate(("x", "y", "z"))},
        }
    )
    sends = customers[["customer_id", "as_of"]].assign(offer_id=[f"o{index % 5}" for index in range(40)])
    frame = pair_rows(sends, customers, Catalogue(offers=offers))
    levels = {"offer_category": ("food",), "rfm_tier": ("gold", "tin")}
    numbers = [name for name in customers.columns if name not in {"customer_id", "as_of", "rfm_tier"}]
    inputs = tuple(
        ModelInput(name=name, view="v", kind="category", levels=levels[name])
        if name in levels
        else ModelInput(name=name, view="v")
        for name in (*numbers, "rfm_tier", *OFFER_FEATURES, *CROSS_FEATURES)
    )
    card = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=inputs,
        trained_through=START,
        created_at=START,
        data_sha256="0" * 64,
    )
    records = [  # what the service reads: JSON scalars, null for missing
        {
            name: None if pd.isna(value) else (value if isinstance(value, str) else float(value))
            for name, value in zip((*numbers, "rfm_tier"), row, strict=True)
        }
        for row in customers[[*numbers, "rfm_tier"]].itertuples(index=False, name=None)
    ]
    served = np.array(
        [
            card.encode(pair_row(record, offers[index % 5], sends["as_of"].iloc[index].to_pydatetime()))
            for index, record in enumerate(records)
        ]
    )
    assert encode(frame, inputs).tobytes() == served.tobytes()


def test_base_rates_by_category_and_of_all() -> None:
    rates = category_rates(pd.Series(["a", "a", "b", None]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert rates == {"a": 0.5, "b": 1.0, "": 0.0, "*": 0.5}
