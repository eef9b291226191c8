"""Days that stand out: the false-alarm rate that is stated, planted days found, and a plain count of days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from foretouch.experiments.insights.blocks_anomalies import anomaly_words
from foretouch.experiments.insights.expected_band import LONGEST, SHORTEST, band
from foretouch.experiments.insights.insights import insights
from foretouch.experiments.report.numbers import day_of
from tests.experiments.insights.made_log import CONFIG, NOW, START, MadeLog

WEEKDAYS = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.6, 0.5])


def healthy(rng: np.random.Generator, kind: str, days: int, shift: int) -> np.ndarray:
    means = 100.0 * WEEKDAYS[(np.arange(days) + shift) % 7]
    if kind == "poisson":
        return rng.poisson(means).astype(float)
    if kind == "negative binomial":
        return rng.poisson(means * rng.gamma(10.0, 0.1, size=days)).astype(float)
    return means * rng.gamma(8.0, 1.0 / 8.0, size=days)


@pytest.mark.parametrize("kind", ["poisson", "negative binomial", "gamma"])
@pytest.mark.parametrize("days", [SHORTEST, LONGEST])
def test_of_healthy_days_one_in_a_hundred_stands_out_at_most(kind: str, days: int) -> None:
    """1 % is stated; of 3,000 days at most 1 % and four standard errors."""
    rng = np.random.default_rng(7)
    runs, outside = 3000, 0
    for run in range(runs):
        values = healthy(rng, kind, days + 1, run)
        found = band(values[:-1], counts=kind != "gamma")
        assert found is not None
        assert found.low <= found.centre <= found.high
        outside += not found.low <= values[-1] <= found.high
    assert outside / runs <= 0.01 + 4 * np.sqrt(0.01 * 0.99 / runs)


def test_a_planted_day_is_found_though_earlier_odd_days_are_in_the_history() -> None:
    rng = np.random.default_rng(3)
    found = {"half": 0, "double": 0}
    for run in range(200):
        values = healthy(rng, "poisson", LONGEST + 1, run)
        values[[20, 33]] = [0.0, 900.0]
        expected = band(values[:-1])
        assert expected is not None
        ordinary = 100.0 * WEEKDAYS[(LONGEST + run) % 7]
        found["half"] += 0.5 * ordinary < expected.low
        found["double"] += 2.0 * ordinary > expected.high
    assert min(found.values()) >= 180


def test_a_short_history_and_one_that_never_varies_have_no_band() -> None:
    assert band(np.full(SHORTEST - 1, 5.0)) is None
    assert band(np.full(SHORTEST, 5.0), counts=False) is None
    counted = band(np.full(SHORTEST, 100.0))
    assert counted is not None
    assert counted.low < 100.0 < counted.high


def test_figures_by_local_day_and_a_planted_collapse(tmp_path: Path) -> None:
    """Orders of 56 days, 20 a day but for one day without any, counted by days of Shanghai."""
    log = MadeLog(tmp_path / "w", CONFIG.replace('currency = "EUR"', 'currency = "EUR"\ntime_zone = "Asia/Shanghai"'))
    log.decide("a", 0, chosen=("tea", "email"))
    rng = np.random.default_rng(2)
    midnight = datetime(2026, 3, 1, 16, tzinfo=UTC)  # of 2 March in Shanghai
    counts = [0 if day == 50 else int(rng.poisson(20.0)) for day in range(57)]
    for day, count in enumerate(counts):
        for number in range(count):
            at = midnight + timedelta(days=day, hours=24 * number / count)
            log.event(f"x{number}", (at - START) / timedelta(days=1), value=2.0)
    found = insights(log.workspace, since=START)
    series = {item.name: item for item in found.daily}
    orders = {point.day: point for point in series["conversions"].points}
    first = (midnight + timedelta(hours=8)).date()
    for day, count in enumerate(counts):
        name = (first + timedelta(days=day)).isoformat()
        if day > 0:  # the period begins in the middle of the first
            assert orders[name].value == count
    collapse = orders[(first + timedelta(days=50)).isoformat()]
    assert collapse.outside
    assert collapse.value == 0.0
    assert series["revenue"].points[0].value == 2.0 * counts[1]
    said = anomaly_words(found)
    assert said[0].code == "daily_count"
    assert day_of(collapse.day)["en"] in said[1].text_en
    assert day_of(collapse.day)["zh"] in said[1].text_zh
    assert {item.code for item in found.summary} >= {"funnel_people", "no_holdout", "daily_oddest"}


def test_a_young_period_says_how_much_history_it_takes(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "w")
    log.decide("a", 50, chosen=("tea", "email"))
    log.event("a", 51)
    found = insights(log.workspace)
    assert found.until == NOW
    assert [item.code for item in anomaly_words(found)] == ["daily_short"]
    assert "28 days" in anomaly_words(found)[0].text_en
