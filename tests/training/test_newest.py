"""The correction by the newest rows: follows what has changed, adds nothing where nothing has, knows nothing early."""

import numpy as np
import pytest
from numpy.typing import NDArray

from foretouch.core.bundle import ModelInput
from foretouch.training.newest import NOTHING, Maturity, Rows, choose_half_life, grow

INPUTS = (
    ModelInput(name="age", view="person"),
    ModelInput(name="segment", view="person", kind="category", levels=("0", "1", "2", "3")),
    ModelInput(name="offer", view="offer", kind="category", levels=("0", "1", "2")),
    ModelInput(name="channel", view="offer", kind="category", levels=("0", "1")),
)
WINDOW, DAYS, PER_DAY = 5.0, 60, 400
BEFORE = -2.0
CHANGE = 1.5


def world(*, changed_on: float, seed: int = 1) -> Rows:
    """Every segment accepts alike until a day on which one half turns to an offer and the other away from it."""
    rng = np.random.default_rng(seed)
    n = DAYS * PER_DAY
    day = np.repeat(np.arange(DAYS, dtype=np.float64), PER_DAY)
    segment, offer = rng.integers(0, 4, n), rng.integers(0, 3, n)
    turn = np.where((day >= changed_on) & (offer == 0), np.where(segment < 2, CHANGE, -CHANGE), 0.0)
    accepted = rng.random(n) < 1.0 / (1.0 + np.exp(-(BEFORE + turn)))
    wait = np.ceil(rng.exponential(1.5, n))
    matrix = np.column_stack([rng.random(n), segment, offer, rng.integers(0, 2, n)]).astype(np.float64)
    return Rows(matrix=matrix, raw=np.full(n, BEFORE), day=day, known=np.where(accepted, day + wait, np.inf))


def cells(segment: int) -> NDArray[np.float64]:
    """Offer 0 and a segment, by channel."""
    return np.array([[0.5, segment, 0.0, 0.0], [0.5, segment, 0.0, 1.0]])


def test_a_change_is_followed_by_the_categories_that_changed() -> None:
    rows, now = world(changed_on=40.0), 60.0
    maturity = Maturity.of(rows, now, WINDOW)
    half_life = choose_half_life(rows, 40.0, now, inputs=INPUTS, maturity=maturity, seed=1)
    assert half_life is not None
    found = grow(rows, now, half_life, inputs=INPUTS, maturity=maturity, seed=1)
    assert found.columns == (1, 2, 3)
    for segment, moved in ((0, CHANGE), (1, CHANGE), (2, -CHANGE), (3, -CHANGE)):
        added = float(found.raw(cells(segment)).mean())
        assert abs(added - moved) < 0.5 * CHANGE, f"segment {segment}: {added}"
    untouched = found.raw(np.array([[0.5, segment, offer, 0.0] for segment in range(4) for offer in (1.0, 2.0)]))
    assert np.abs(untouched).max() < 0.5


def test_nothing_is_corrected_where_nothing_has_changed() -> None:
    chosen = []
    for seed in range(3):
        rows = world(changed_on=np.inf, seed=seed)
        maturity = Maturity.of(rows, 60.0, WINDOW)
        chosen.append(choose_half_life(rows, 45.0, 60.0, inputs=INPUTS, maturity=maturity, seed=seed))
    assert chosen.count(None) >= 2, chosen


def test_later_acceptances_and_rows_are_not_seen() -> None:
    rows, now = world(changed_on=40.0), 50.0
    maturity = Maturity.of(rows, now, WINDOW)
    past = rows.take(rows.day < now)
    forgotten = Rows(
        matrix=past.matrix, raw=past.raw, day=past.day, known=np.where(past.known > now, np.inf, past.known)
    )
    whole = grow(rows, now, 8.0, inputs=INPUTS, maturity=maturity, seed=3).raw(rows.matrix)
    known = grow(forgotten, now, 8.0, inputs=INPUTS, maturity=maturity, seed=3).raw(rows.matrix)
    np.testing.assert_array_equal(whole, known)
    np.testing.assert_array_equal(Maturity.of(forgotten, now, WINDOW).waits, maturity.waits)
    assert np.abs(whole).max() > 0.3


def test_open_labels_take_part_for_as_much_as_is_known_of_them() -> None:
    rows, now = world(changed_on=np.inf), 60.0
    maturity = Maturity.of(rows, now, WINDOW)
    share = maturity.at(np.array([0.0, 1.0, 2.0, 4.0, 5.0, 40.0]))
    assert share[0] == 0.0
    assert share[-2:].tolist() == [1.0, 1.0]
    assert (np.diff(share) >= 0.0).all()
    waits = np.ceil(np.random.default_rng(9).exponential(1.5, 200_000))
    np.testing.assert_allclose(share[1:4], [np.mean(waits[waits <= 5] <= age) for age in (1, 2, 4)], atol=0.03)
    newest = rows.take(rows.day >= now - 4.0)  # every window is open
    found = grow(newest, now, 16.0, inputs=INPUTS, maturity=maturity, seed=2)
    assert abs(float(found.raw(rows.matrix).mean())) < 0.1, "as many as expected have come so far"
    naive = grow(newest, now, 16.0, inputs=INPUTS, maturity=Maturity(waits=np.zeros(0), window_days=WINDOW), seed=2)
    assert float((naive.raw(rows.matrix) - found.raw(rows.matrix)).mean()) < -0.1, "open labels taken as refusals"


def test_the_same_rows_and_seed_give_the_same_correction() -> None:
    rows = world(changed_on=40.0)
    maturity = Maturity.of(rows, 60.0, WINDOW)
    first, second = (grow(rows, 60.0, 4.0, inputs=INPUTS, maturity=maturity, seed=5) for _ in range(2))
    assert first.booster is not None
    assert second.booster is not None
    assert first.booster.model_to_string() == second.booster.model_to_string()


@pytest.mark.parametrize("inputs", [INPUTS[:1], INPUTS])
def test_too_little_to_learn_from_adds_nothing(inputs: tuple[ModelInput, ...]) -> None:
    rows = world(changed_on=40.0)
    few = rows.take(rows.day >= 59.0)
    maturity = Maturity.of(rows, 60.0, WINDOW)
    kept = few if len(inputs) > 1 else rows
    found = grow(kept, 60.0, 4.0, inputs=inputs, maturity=maturity, seed=1)
    assert found is NOTHING
    assert found.raw(rows.matrix[:7]).tolist() == [0.0] * 7
    assert choose_half_life(few, 59.0, 60.0, inputs=inputs, maturity=maturity, seed=1) is None
