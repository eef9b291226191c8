"""The value of the whole, split: planted effects of each part are found, small arms withheld, both languages alike."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import NotFoundError
from foretouch.experiments.log.decompose import PARTS, Decomposition, decompose
from foretouch.serving.decision.assignment import arm_of
from tests.experiments.insights.made_log import NOW, MadeLog

SPEC = """
key = "standing"
control = "random"
portfolio = true
ends_at = 2026-03-20T00:00:00Z
[weights]
random = 0.3
rules_only = 0.3
no_levers = 0.05
whole = 0.35
[arms.random]
kind = "random"
title = { en = "by chance", zh = "随机" }
[arms.rules_only]
kind = "rules_only"
[arms.no_levers]
kind = "no_levers"
[[metrics]]
name = "spend"
title = { en = "spend", zh = "消费" }
kind = "mean"
event = "order"
measure = "value"
window_days = 7
role = "primary"
"""
MEANS = {"random": 20.0, "rules_only": 20.0, "no_levers": 30.0, "whole": 30.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeLog, dict[str, list[float]]]:
    """The models add 10 to what rules earn; rules add nothing over chance."""
    log = MadeLog(tmp_path_factory.mktemp("standing"))
    (log.root / "experiments").mkdir()
    (log.root / "experiments" / "standing.toml").write_text(SPEC)
    (spec,) = log._opened.experiments()
    rng = np.random.default_rng(11)
    spent: dict[str, list[float]] = {arm: [] for arm in MEANS}
    for number in range(900):
        arm = arm_of(spec, f"u{number}")
        value = round(float(rng.gamma(4.0, MEANS[arm] / 4.0)), 2)
        spent[arm].append(value)
        log.decide(f"u{number}", 1, arms={"standing": arm}, status="decided")
        log.event(f"u{number}", 2, value=value)
    return log, spent


@pytest.fixture(scope="module")
def found(made: tuple[MadeLog, dict[str, list[float]]]) -> Decomposition:
    return decompose(made[0].workspace, now=NOW)


def test_each_arm_has_its_plain_mean(made: tuple[MadeLog, dict[str, list[float]]], found: Decomposition) -> None:
    assert {arm.arm: arm.n for arm in found.arms} == {arm: len(values) for arm, values in made[1].items()}
    for arm in found.arms:
        assert arm.mean == pytest.approx(np.mean(made[1][arm.arm]))
    assert found.currency == "EUR"


def test_parts_are_differences_with_simultaneous_welch_intervals(
    made: tuple[MadeLog, dict[str, list[float]]], found: Decomposition
) -> None:
    parts = {part.part: part for part in found.parts}
    assert set(parts) == {"choosing", "rules", "models", "levers"}
    shown = [part for part in found.parts if part.state != "withheld"]
    assert len(shown) == 3
    assert found.alpha == pytest.approx(0.05 / 3)
    for part in shown:
        welch = stats.ttest_ind(made[1][part.included], made[1][part.without], equal_var=False)
        interval = welch.confidence_interval(1 - 0.05 / 3)
        assert part.ci == pytest.approx((interval.low, interval.high))
    assert (parts["models"].state, parts["choosing"].state, parts["rules"].state) == ("adds", "adds", "unclear")
    assert parts["models"].ci is not None
    assert parts["models"].ci[0] <= 10.0 <= parts["models"].ci[1]


def test_steps_add_up(found: Decomposition) -> None:
    """Law: chance to rules to whole is chance to whole."""
    parts = {part.part: part.difference for part in found.parts}
    assert parts["rules"] is not None
    assert parts["models"] is not None
    assert parts["rules"] + parts["models"] == pytest.approx(parts["choosing"])


def test_a_small_arm_is_withheld_by_name(found: Decomposition) -> None:
    (levers,) = [part for part in found.parts if part.part == "levers"]
    assert (levers.state, levers.withheld, levers.difference, levers.ci) == ("withheld", "arm_too_small", None, None)
    assert "no levers" in levers.text_en
    assert "100" in levers.text_en


def test_both_languages_say_the_same_numbers(found: Decomposition) -> None:
    for part in found.parts:
        english, chinese = (sorted(re.findall(r"\d[\d,.]*\d|\d", text)) for text in (part.text_en, part.text_zh))
        assert english == chinese
        assert part.text_en != part.text_zh


def test_a_lower_is_better_metric_turns_the_words(made: tuple[MadeLog, dict[str, list[float]]], tmp_path: Path) -> None:
    path = made[0].root / "experiments" / "standing.toml"
    before = path.read_text()
    path.write_text(before + 'better = "down"\n')
    try:
        parts = {part.part: part for part in decompose(made[0].workspace, now=NOW).parts}
    finally:
        path.write_text(before)
    assert parts["models"].state == "costs"
    assert parts["models"].difference is not None
    assert parts["models"].difference > 0.0


def test_the_command_and_a_workspace_without_standing_arms(
    made: tuple[MadeLog, dict[str, list[float]]], tmp_path: Path
) -> None:
    done = CliRunner().invoke(build_app(), ["experiment", "decompose", "-w", str(made[0].workspace.root), "--json"])
    assert done.exit_code == 0, done.output
    assert Decomposition.from_line(done.stdout).parts
    assert {part.part for part in Decomposition.from_line(done.stdout).parts} <= set(PARTS)
    told = CliRunner().invoke(
        build_app(), ["experiment", "decompose", "-w", str(made[0].workspace.root), "--lang", "zh"]
    )
    assert "模型" in told.output
    drawn = CliRunner().invoke(build_app(), ["experiment", "arms", "-w", str(made[0].workspace.root)])
    assert drawn.exit_code == 0, drawn.output
    assert "900 without one" in drawn.output
    with pytest.raises(NotFoundError, match=r"portfolio = true"):
        decompose(MadeLog(tmp_path / "w").workspace, now=NOW)
