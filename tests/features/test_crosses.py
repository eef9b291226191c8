"""Offer and cross features by hand, and what happens where something is not known."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.core.offers import Offer
from foretouch.features.catalogue import FEATURES
from foretouch.features.crosses import (
    CROSS_FEATURES,
    OFFER_FEATURES,
    PRIOR_RATE,
    cross_features,
    offer_features,
    pair_row,
)

START = datetime(2024, 3, 1, tzinfo=UTC)


def offer(**changes: Any) -> Offer:
    """A four-week offer of meat and produce."""
    values: dict[str, Any] = {
        "offer_id": "o1",
        "name": "o1",
        "category": "Type A",
        "channels": ("email",),
        "value": 4.0,
        "cost": 1.0,
        "starts_at": START,
        "ends_at": START + timedelta(days=28),
        "attributes": {"coupons": 12, "products": 90, "share_meat": 0.75, "share_produce": 0.25, "share_note": "x"},
    }
    return Offer(**{**values, **changes})


def test_an_offer_at_a_moment() -> None:
    found = offer_features(offer(), START + timedelta(days=7, hours=12))
    assert {name: found[name] for name in OFFER_FEATURES} == {
        "offer_category": "Type A",
        "offer_remaining_days": 20.5,
        "offer_running_days": 7.5,
        "offer_duration_days": 28.0,
        "offer_coupons": 12.0,
        "offer_products": 90.0,
        "offer_value": 4.0,
        "offer_cost": 1.0,
    }


def test_a_customer_and_an_offer() -> None:
    customer = {
        "category_share_meat": 0.4,
        "category_share_produce": 0.1,
        "category_share_deli": 0.5,
        "sends_365d": 8,
        "responses_365d": 4,
    }
    found = cross_features(customer, offer_features(offer(), START))
    assert found["offer_affinity"] == pytest.approx(0.4 * 0.75 + 0.1 * 0.25)
    assert found["offer_affinity_ratio"] == pytest.approx((0.4 * 0.75 + 0.1 * 0.25) / (0.75**2 + 0.25**2))
    assert found["offer_favourite_share"] == 0.75
    assert found["response_rate"] == pytest.approx((4 + 2 * 0.1) / (8 + 2))


def test_who_buys_just_what_the_offer_holds_fits_perfectly() -> None:
    customer = {"category_share_meat": 0.75, "category_share_produce": 0.25}
    assert cross_features(customer, offer_features(offer(), START))["offer_affinity_ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "customer",
    [{}, {"category_share_meat": None, "category_share_produce": math.nan}, {"category_share_meat": "much"}],
)
def test_what_is_not_known_of_a_customer_is_none_and_never_zero(customer: dict[str, Any]) -> None:
    found = cross_features(customer, offer_features(offer(), START))
    assert found["offer_affinity"] is None
    assert found["offer_affinity_ratio"] is None
    assert found["offer_favourite_share"] is None
    assert found["response_rate"] == PRIOR_RATE


def test_an_offer_without_dates_and_attributes() -> None:
    bare = Offer(offer_id="o2", name="o2", channels=("email",))
    found = pair_row({"category_share_meat": 1.0, "recency_days": 3.0}, bare, START)
    assert [name for name in (*OFFER_FEATURES, *CROSS_FEATURES) if found[name] is not None] == [
        "offer_value",
        "offer_cost",
        "response_rate",
    ]
    assert found["recency_days"] == 3.0


def test_more_of_what_the_offer_holds_never_lowers_the_affinity() -> None:
    about = offer_features(offer(), START)
    steps = [cross_features({"category_share_meat": share / 10}, about)["offer_affinity"] for share in range(1, 11)]
    assert steps == sorted(steps)
    assert len(set(steps)) == len(steps)


def test_no_name_is_also_a_customer_feature() -> None:
    assert not {*OFFER_FEATURES, *CROSS_FEATURES} & set(FEATURES)


def test_a_card_encodes_a_pair() -> None:
    card = ModelCard(
        model="offer",
        version="1",
        target="probability",
        feature_service="offer_v1",
        inputs=(
            ModelInput(name="offer_category", view="cross", kind="category", levels=("Type A", "Type B")),
            ModelInput(name="offer_affinity", view="cross"),
        ),
        trained_through=START,
        created_at=START,
        data_sha256="0" * 64,
    )
    row = pair_row({"category_share_meat": 1.0}, offer(category="Type B"), START)
    assert card.encode(row) == [1.0, 0.75]
    unseen = card.encode(pair_row({}, offer(category="Type Z"), START))
    assert all(math.isnan(value) for value in unseen)
