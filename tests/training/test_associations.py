"""Association rules between offers: counts by hand, exposure is no association, chance is told as chance."""

import numpy as np
import pandas as pd
import pytest

from foretouch.core.errors import DataError
from foretouch.training.associations import COLUMNS, accepted_before, associate


def sends_of(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "offer_id", "label"])


def test_figures_of_a_table_that_can_be_counted_by_hand() -> None:
    rows = []
    for number in range(40):  # 10 accept both, 10 only tea, 4 only jam, 16 neither
        rows += [(f"c{number}", "tea", int(number < 20)), (f"c{number}", "jam", int(number < 10 or 20 <= number < 24))]
    rows += [("alone", "tea", 1), ("alone", "rye", 1)]
    found = associate(sends_of(rows))
    assert list(found.rules.columns) == list(COLUMNS)
    assert (found.customers, found.offers) == (41, 3)
    by_pair = found.rules.set_index(["offer_id", "then_offer_id"])
    assert sorted(by_pair.index) == [("jam", "tea"), ("tea", "jam")]  # rye and tea: one customer was sent both
    rule = by_pair.loc[("tea", "jam")]
    assert (rule["sent_both"], rule["accepted"], rule["accepted_then"], rule["accepted_both"]) == (40, 20, 14, 10)
    assert rule["support"] == pytest.approx(0.25)
    assert rule["confidence"] == pytest.approx(0.5)
    assert rule["lift"] == pytest.approx(0.5 / 0.35)
    assert rule["lift_shrunk"] == pytest.approx(15 / 12)
    error = np.sqrt(1 / 10 - 1 / 20 - 1 / 14 + (2 * 0.5 / 0.35 - 1) / 40)
    assert rule["lift_low"] == pytest.approx(rule["lift"] * np.exp(-1.959964 * error), rel=1e-6)
    assert by_pair.loc[("jam", "tea"), "lift"] == pytest.approx(rule["lift"])


def test_being_sent_the_same_offers_is_no_association() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for number in range(4000):
        sent = ("a", "b") if number % 2 else ("c", "d")  # campaigns choose: a and b always together
        rows += [(f"c{number}", offer, int(rng.random() < 0.3)) for offer in sent]
    rules = associate(sends_of(rows)).rules
    assert sorted(zip(rules["offer_id"], rules["then_offer_id"], strict=True)) == [
        ("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"),
    ]  # fmt: skip
    assert rules["lift"].to_numpy() == pytest.approx(1.0, abs=0.15)
    assert ((rules["lift_low"] < 1.0) & (rules["lift_high"] > 1.0)).all()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(200):
        took = rng.random((300, 2)) < 0.3  # independent: the lift is 1
        rows = [(f"c{n}", offer, int(took[n, column])) for n in range(300) for column, offer in enumerate("ab")]
        rule = associate(sends_of(rows)).rules.iloc[0]
        inside.append(rule["lift_low"] <= 1.0 <= rule["lift_high"])
    assert 0.91 <= np.mean(inside) <= 0.99


def test_the_strongest_known_association_scores_an_offer() -> None:
    rows = []
    for number in range(60):
        rows += [(f"c{number}", "tea", int(number < 30)), (f"c{number}", "jam", int(number < 25))]
    found = associate(sends_of(rows))
    score = found.score(
        pd.Series([frozenset({"tea"}), frozenset({"rye"}), frozenset(), None], dtype=object),
        pd.Series(["jam", "jam", "jam", "jam"], dtype=object),
    )
    lift = found.rules.set_index(["offer_id", "then_offer_id"]).loc[("tea", "jam"), "lift_shrunk"]
    assert score == pytest.approx([np.log(lift), 0.0, 0.0, 0.0])
    assert score[0] > 0.0


def test_only_what_was_accepted_and_closed_before_counts() -> None:
    day = pd.Timestamp("2025-05-01", tz="UTC")
    sends = sends_of([("c", "tea", 1), ("c", "jam", 1), ("c", "rye", 0)])
    sends["closes_at"] = [day, day + pd.Timedelta(days=9), day]
    rows = pd.DataFrame({"customer_id": ["c", "c", "d"], "as_of": [day, day + pd.Timedelta(days=10), day]})
    assert list(accepted_before(sends, rows)) == [frozenset({"tea"}), frozenset({"tea", "jam"}), frozenset()]


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="sends lack label"):
        associate(pd.DataFrame({"customer_id": ["c"], "offer_id": ["a"]}))
    with pytest.raises(DataError, match="pseudo == 0"):
        associate(sends_of([("c", "a", 1)]), pseudo=0.0)
    assert associate(sends_of([("c", "a", 1)])).rules.empty
