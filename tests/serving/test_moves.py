"""What moved a score: every thing once, the same in both languages, and all of it together the whole margin."""

import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.bundle import ModelCard, ModelInput
from foretouch.core.config import Config
from foretouch.serving.words.moves import moves

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CONFIG = Config()  # an activity is a purchase, so that two inputs below say the same where they are equal
NAMES = ("recency_days", "days_since_activity", "frequency_28d", "monetary_28d")
CARD = ModelCard(
    model="churn",
    version="1",
    target="probability",
    feature_service="churn_v1",
    inputs=tuple(ModelInput(name=name, view="v") for name in NAMES),
    trained_through=NOW,
    created_at=NOW,
    data_sha256="0" * 64,
)
SAME = {"recency_days": 12.0, "days_since_activity": 12.0, "frequency_28d": 3.0, "monetary_28d": None}
parts = st.lists(st.floats(-5.0, 5.0), min_size=4, max_size=4)


def test_inputs_that_say_the_same_are_one_reason_with_their_sum() -> None:
    found = moves(CARD, SAME, (0.5, 1.0, -2.0, 0.25), CONFIG)
    assert [(move.feature, move.direction, move.contribution) for move in found] == [
        ("frequency_28d", "down", -2.0),
        ("days_since_activity", "up", 1.5),
        ("monetary_28d", "up", 0.25),
    ]


def test_what_cancels_out_is_no_reason() -> None:
    assert [move.feature for move in moves(CARD, SAME, (0.5, -0.5, 0.0, 1.0), CONFIG)] == ["monetary_28d"]


def test_inputs_with_other_values_are_told_apart() -> None:
    found = moves(CARD, {**SAME, "days_since_activity": 3.0}, (0.5, 1.0, 0.0, 0.0), CONFIG)
    assert [move.feature for move in found] == ["days_since_activity", "recency_days"]


@given(parts)
def test_moves_add_up_and_are_told_once_strongest_first(added: list[float]) -> None:
    found = moves(CARD, SAME, added, CONFIG)
    assert math.isclose(math.fsum(move.contribution for move in found), math.fsum(added), abs_tol=1e-12)
    assert len({move.text for move in found}) == len(found)
    sizes = [abs(move.contribution) for move in found]
    assert sizes == sorted(sizes, reverse=True)
    assert all((move.contribution > 0.0) == (move.direction == "up") for move in found)


@given(parts)
def test_both_languages_tell_the_same_moves(added: list[float]) -> None:
    english, chinese = (moves(CARD, SAME, added, CONFIG, language) for language in ("en", "zh"))
    assert [move[:3] for move in english] == [move[:3] for move in chinese]
    assert not {move.text for move in english} & {move.text for move in chinese}
