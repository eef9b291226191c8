"""Features of many offers at once are, bit by bit, those of one offer at a time."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.offers import Offer
from foretouch.features.crosses import CATEGORY_FEATURES, CROSS_FEATURES, OFFER_FEATURES, pair_part
from foretouch.features.pair_table import FIXED, MOVING, PairTable

NOW = datetime(2026, 3, 10, 14, 20, 0, 7, tzinfo=UTC)

shares = st.dictionaries(
    st.sampled_from(("share_food", "share_home", "share_toys")),
    st.none() | st.booleans() | st.sampled_from(("0.5", "x")) | st.floats(-1.0, 2.0) | st.sampled_from((1e200, -0.0)),
)
others = st.dictionaries(st.sampled_from(("coupons", "products")), st.none() | st.integers(0, 9) | st.just("x"))
moments = st.none() | st.timedeltas(timedelta(days=-400), timedelta(days=400)).map(lambda by: NOW + by) | st.just(NOW)
customers = st.dictionaries(
    st.sampled_from(
        (
            *("category_share_food", "category_share_home", "category_share_toys", "category_share_books"),
            *("responses_365d", "sends_365d", "offer_value"),
        )
    ),
    st.none() | st.floats(0.0, 1.0) | st.sampled_from((0, 3, 1e200, True, "x")),
)


@st.composite
def offers(draw: st.DrawFn) -> tuple[Offer, ...]:
    found = []
    for index in range(draw(st.integers(1, 6))):
        starts, ends = draw(moments), draw(moments)
        if starts is not None and ends is not None and ends <= starts:
            ends = starts + timedelta(hours=1)
        found.append(
            Offer(
                offer_id=f"o{index}",
                name="o",
                channels=("email",),
                category=draw(st.sampled_from(("", "food"))),
                value=draw(st.floats(0.0, 20.0)),
                cost=draw(st.floats(0.0, 2.0)),
                starts_at=starts,
                ends_at=ends,
                attributes={**draw(shares), **draw(others)},
            )
        )
    return tuple(found)


def bits(value: float | None) -> bytes:
    return struct.pack("<d", float("nan") if value is None else value)


@settings(max_examples=400, deadline=None)
@given(offers(), st.lists(customers, min_size=1, max_size=3), st.data())
def test_every_number_has_the_bits_that_one_offer_alone_is_given(
    known: tuple[Offer, ...], people: list[dict[str, Any]], data: st.DataObject
) -> None:
    table = PairTable(known)
    ats = [NOW + timedelta(hours=5, microseconds=1) * index for index in range(len(people))]
    one_pair = st.tuples(st.integers(0, len(people) - 1), st.integers(0, len(known) - 1))
    pairs = data.draw(st.lists(one_pair, min_size=1, max_size=8))
    who, rows = np.array(pairs).T
    expected = [pair_part(people[person], known[row], ats[person]) for person, row in pairs]
    for name in FIXED:
        assert [bits(value) for value in table.fixed(name)[rows]] == [bits(one[name]) for one in expected], name
    found = table.moving(people, ats, who, rows, MOVING)
    for name in MOVING:
        assert [bits(value) for value in found[name]] == [bits(one[name]) for one in expected], name


def test_every_feature_is_fixed_moving_or_a_category() -> None:
    assert {*FIXED, *MOVING, *CATEGORY_FEATURES} == {*OFFER_FEATURES, *CROSS_FEATURES}


def test_only_what_is_asked_for_is_worked_out() -> None:
    table = PairTable((Offer(offer_id="a", name="a", channels=("email",), attributes={"share_food": 1.0}),))
    zero = np.zeros(1, dtype=np.int64)
    assert table.moving([{}], [NOW], zero, zero, ("response_rate",)).keys() == {"response_rate"}
    assert "offer_affinity" not in table.moving([{}], [NOW], zero, zero, ("offer_running_days",))
