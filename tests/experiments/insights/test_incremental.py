"""What contacting caused, against a holdout made by hand: found where it is, and not where it is not."""

import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from foretouch.experiments.insights.blocks_incremental import incremental_words, sentence_of
from foretouch.experiments.insights.contract import IncrementalRow
from foretouch.experiments.insights.incremental import money_of
from foretouch.experiments.insights.insights import insights
from tests.experiments.insights.made_log import MadeLog

SPEC = """
key = "hold"
control = "none"
[weights]
none = 0.5
all = 0.5
[arms.none]
kind = "no_contact"
title = { en = "left alone", zh = "不联系" }
[[metrics]]
name = "orders"
kind = "proportion"
event = "order"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    """120 left alone, of whom 12 order; 130 contacted, of whom 39 order, 30 of them after a delivered contact."""
    log = MadeLog(tmp_path_factory.mktemp("held"))
    (log.root / "experiments").mkdir()
    (log.root / "experiments" / "hold.toml").write_text(SPEC)
    for number in range(120):
        log.decide(f"n{number}", 1, arms={"hold": "none"}, status="control")
        if number < 12:
            log.event(f"n{number}", 2)
    for number in range(130):
        name = log.decide(f"t{number}", 1, chosen=("tea", "email"), arms={"hold": "all"})
        if number < 100:
            log.outcome(name, "delivered", 1)
        if number < 30 or number >= 121:
            log.event(f"t{number}", 3)
    log.decide("two", 1, arms={"hold": "all"})
    log.decide("two", 2, arms={"hold": "none"})
    log.decide("young", 58, arms={"hold": "none"})
    return log


def test_the_holdout_by_hand(made: MadeLog) -> None:
    (row,) = insights(made.workspace).incremental
    assert (row.level, row.n_control, row.n_treatment, row.attributed) == ("no_contact", 120, 130, 30)
    none, all_ = [1.0] * 12 + [0.0] * 108, [1.0] * 39 + [0.0] * 91
    welch = stats.ttest_ind(all_, none, equal_var=False).confidence_interval(0.95)
    assert row.difference == pytest.approx(39 / 130 - 0.1)
    assert row.ci == pytest.approx((welch.low, welch.high))
    assert row.incremental == pytest.approx(26.0)
    assert row.incremental_ci == pytest.approx((130 * welch.low, 130 * welch.high))
    assert row.contacts == 130
    assert row.contact_cost == pytest.approx(1.30)
    assert row.cost_per_incremental == pytest.approx(1.30 / 26.0)
    assert row.cost_per_incremental_ci == pytest.approx((1.30 / (130 * welch.high), 1.30 / (130 * welch.low)))
    assert row.margin_per_conversion == pytest.approx(8.0)
    assert row.profit == pytest.approx(26.0 * 8.0 - 1.30)
    said = sentence_of(row)
    assert said.code == "incremental_alike"
    assert "30 conversions" in said.text_en
    assert "26" in said.text_en
    assert "26" in said.text_zh


def row_of(**fields: Any) -> IncrementalRow:
    given = {"key": "k", "level": "no_contact", "control": "c", "treatment": "t", "window_days": 7.0}
    return IncrementalRow.model_validate({**given, "n_control": 1000, "n_treatment": 1000, **fields})


@pytest.mark.parametrize(
    ("incremental", "interval", "attributed", "code"),
    [
        (20.0, (10.0, 30.0), 50, "incremental_below"),
        (20.0, (10.0, 30.0), 25, "incremental_alike"),
        (20.0, (10.0, 30.0), 5, "incremental_above"),
        (20.0, (-1.0, 41.0), 50, "incremental_unclear"),
        (-20.0, (-30.0, -10.0), 50, "incremental_below"),
    ],
)
def test_the_sentence_follows_the_interval(
    incremental: float, interval: tuple[float, float], attributed: int, code: str
) -> None:
    row = row_of(incremental=incremental, incremental_ci=interval, attributed=attributed, difference=0.1)
    assert sentence_of(row).code == code


def test_what_includes_zero_has_no_cost_per_conversion() -> None:
    found = money_of(5.0, (-1.0, 11.0), cost=10.0, margin=2.0)
    assert "cost_per_incremental" not in found
    assert found["profit_ci"] == (-12.0, 12.0)
    low, high = money_of(5.0, (1.0, 9.0), cost=10.0, margin=None)["cost_per_incremental_ci"]
    assert (low, high) == (pytest.approx(10 / 9), 10.0)
    assert low < 10.0 / 5.0 < high
    assert not math.isnan(low)


def test_a_small_arm_and_a_missing_holdout_give_a_reason_and_no_number(tmp_path: Path, made: MadeLog) -> None:
    row = row_of(n_control=5, withheld="arm_too_small")
    assert "5 customers" in sentence_of(row).text_en
    assert [item.code for item in incremental_words([])] == ["no_holdout"]
    few = MadeLog(tmp_path / "few")
    (few.root / "experiments").mkdir()
    (few.root / "experiments" / "hold.toml").write_text(SPEC)
    few.decide("a", 1, arms={"hold": "none"})
    few.decide("b", 1, arms={"hold": "all"}, chosen=("tea", "email"))
    (found,) = insights(few.workspace).incremental
    assert (found.withheld, found.difference, found.cost_per_incremental) == ("arm_too_small", None, None)
