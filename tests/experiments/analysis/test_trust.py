"""Trust checks: each light turns for its own planted fault and for no other; the split decides over segments too."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.analysis.trust import contingency_p
from foretouch.experiments.results import Results
from tests.experiments.analysis.planted_table import spec, table

COLUMNS: dict[str, Any] = {
    "time": "entered",
    "segments": ["g"],
    "trust": {"bot": "bot", "delivered_at": "delivered"},
}
Fault = Callable[[pd.DataFrame], pd.DataFrame]
SOUND = {
    "split_ok", "arms_ok", "split_segments_ok", "balance_ok", "bots_ok", "entry_ok", "delivered_ok", "weekend_ok",
    "delay_ok",
}  # fmt: skip


def codes(results: Results) -> set[str]:
    return {check.code for check in results.checks}


def later_b(rows: pd.DataFrame) -> pd.DataFrame:
    late = rows["delivered"] + pd.to_timedelta(np.where(rows["arm"] == "B", 4.0, 0.0), unit="h")
    return rows.assign(delivered=late)


def unreached_b(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(delivered=rows["delivered"].where((rows["arm"] == "A") | (rows.index % 4 > 0)))


FAULTS: list[tuple[str, Fault]] = [
    ("bots_uneven", lambda rows: rows.assign(bot=(rows["arm"] == "B") & (rows.index % 5 == 0))),
    ("bots_many", lambda rows: rows.assign(bot=rows.index % 5 == 0)),
    ("entry_uneven", lambda rows: rows[(rows["arm"] == "A") ^ (rows.index % 3 > 0) | (rows["entered"].dt.day > 8)]),
    ("delivered_uneven", unreached_b),
    ("delay_uneven", later_b),
]  # fmt: skip


def test_a_sound_table_has_green_lights_only() -> None:
    results = analyze(table(), spec({"covariates": ["x"]}, **COLUMNS))
    assert codes(results) == SOUND
    assert {check.light for check in results.checks} == {"green"}


@pytest.mark.parametrize(("code", "fault"), FAULTS, ids=[item[0] for item in FAULTS])
def test_a_light_turns_for_its_own_fault(code: str, fault: Fault) -> None:
    found = analyze(fault(table()), spec({"covariates": ["x"]}, **COLUMNS))
    turned = {check.code for check in found.checks if check.light != "green"}
    assert code in turned
    if code != "entry_uneven":
        assert turned == {code}


def test_messages_of_one_arm_on_weekends_are_named() -> None:
    rows = table()
    monday = rows["delivered"].dt.floor("D") - pd.to_timedelta(rows["delivered"].dt.dayofweek, unit="D")
    shifted = monday + pd.to_timedelta(np.where(rows["arm"] == "B", 5.5, 1.5), unit="D")
    found = analyze(rows.assign(delivered=shifted, entered=shifted), spec(**COLUMNS))
    assert "weekend_uneven" in codes(found)


def test_a_split_that_is_wrong_in_one_segment_takes_its_numbers_and_says_where() -> None:
    rows = table(n=6000)
    lost = (rows["g"] == "q") & (rows["arm"] == "B") & (rows.index % 4 == 0)
    results = analyze(rows[~lost], spec(weights={"A": 0.525, "B": 0.475}, segments=["g"]))
    bad = [item for item in results.srm_segments if not item.ok]
    assert [(item.segment, item.value) for item in bad] == [("g", "q")]
    assert "split_segments_some" in codes(results)
    assert {item.value for item in results.segments} == {"p", "r"}
    assert ("segment_split_mismatch", "g = q") in {(item.code, item.segment) for item in results.refusals}
    assert results.verdict.code == "win"


def test_a_column_that_is_not_there_is_said() -> None:
    found = analyze(table(), spec(trust={"bot": "nowhere", "delivered_at": "never"}))
    assert [check.code for check in found.checks].count("check_missing") == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_groups_that_were_not_drawn_by_lot_are_neither_praised_nor_blamed(language: str) -> None:
    worth = {"covariates": ["x"], "value_per_unit": 2.0}
    results = analyze(table(effect=3.0), spec(worth, assignment="observational"))
    assert results.metrics
    assert all(row.money is None for row in results.metrics)
    assert any(row.money is not None for row in analyze(table(effect=3.0), spec(worth)).metrics)
    assert [item.code for item in results.refusals] == ["not_randomised"]
    assert results.verdict.code == "unclear"
    reason = {"en": "not drawn by lot", "zh": "并非随机"}[language]
    assert reason in getattr(results.verdict, f"text_{language}")
    assert results.metrics[0].p < 1e-6
    assert any(check.code == "observational" and check.light == "red" for check in results.checks)


def test_groups_that_differed_before_the_test_beyond_chance_have_no_verdict() -> None:
    rows = table()
    results = analyze(rows.assign(x=rows["x"] + (rows["arm"] == "B")), spec({"covariates": ["x"]}))
    assert results.verdict.code == "broken"
    assert "groups_unlike" in {item.code for item in results.refusals}
    assert not results.metrics


def test_the_contingency_test_is_scipys() -> None:
    from scipy import stats

    rng = np.random.default_rng(4)
    rows, columns = rng.integers(0, 3, 500), rng.integers(0, 4, 500)
    observed = pd.crosstab(rows, columns).to_numpy()
    assert contingency_p(rows, columns) == pytest.approx(stats.chi2_contingency(observed).pvalue, rel=1e-10)
