"""The verdict table: five verdicts by three kinds of metric, two directions and two languages, 60 cases; none is wrong.

What is right follows from what was planted, not from the code: residuals are the same in both arms, so that the
difference is the planted one to the last digit, and every planted difference is far from every bound.
"""

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import analyze
from foretouch.experiments.results import Results, VerdictCode

N = 3000
KINDS: dict[str, tuple[float, float]] = {"mean": (4.0, 0.5), "proportion": (0.2, 0.06), "ratio": (4.0, 0.5)}
"""Level of the control, and a difference that is seen for sure."""
CODES: tuple[VerdictCode, ...] = ("win", "unclear", "harm", "equivalent", "broken")
OPENINGS = {
    ("win", "en"): r"^“B” (raises|lowers) the metric from .* No guardrail was set\. Recommendation: roll out\.$",
    ("win", "zh"): r"^“B”使指标从.*(提高|降低)到.*未设定护栏指标。建议：全量上线。$",
    ("unclear", "en"): r"^We cannot tell yet\. .*more customers",
    ("unclear", "zh"): r"^目前还无法下结论。.*名客户",
    ("harm", "en"): r"^Stop: “B” (raises|lowers) the metric",
    ("harm", "zh"): r"^建议停止：“B”使指标从.*(提高|降低)到",
    ("equivalent", "en"): r"^“B” is no worse than “A” on the metric by more than .* \(the limit you set\)\.$",
    ("equivalent", "zh"): r"^“B”的指标不比“A”差超过 .*（你设定的界限）。$",
    ("broken", "en"): r"^Do not read the results: the groups are not the size they should be\.$",
    ("broken", "zh"): r"^请勿采信结果：分组人数与设定不符。$",
}
BANNED = re.compile(
    r"p-value|\bp\s*[<=]|significan|null hypothesis|\bnull\b|posterior|显著|零假设|后验|P\s*值", re.IGNORECASE
)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?%?")
MOVES = {("en", 1): "raises", ("en", -1): "lowers", ("zh", 1): "提高", ("zh", -1): "降低"}


@cache
def outcome(code: VerdictCode, kind: str, better: str) -> Results:
    """Two arms with exactly the difference that the verdict calls for."""
    level, large = KINDS[kind]
    good = 1.0 if better == "up" else -1.0
    shift = {"win": good * large, "harm": -good * large, "broken": good * large}.get(code, 0.0)
    rng = np.random.default_rng(17)
    arm = np.repeat(["A", "B"], N)
    if code == "broken":
        arm = np.where(rng.random(2 * N) < 0.56, "A", "B")
    treated = (arm == "B").astype(float)
    uniform = np.tile((np.arange(N) + 0.5) / N, 2)
    visits = np.tile(rng.integers(1, 4, N), 2).astype(float)
    noise = np.tile(rng.gamma(4.0, level / 4.0, N), 2)
    y = (uniform < level + shift * treated).astype(float) if kind == "proportion" else noise + shift * treated
    if kind == "ratio":
        y *= visits
    metric: dict[str, Any] = {
        "name": "main",
        "title": {"en": "the metric", "zh": "指标"},
        "kind": kind,
        "role": "primary",
        "better": better,
        "margin": large if code == "equivalent" else None,
        **({"numerator": "y", "denominator": "visits"} if kind == "ratio" else {"column": "y"}),
    }
    spec = {"key": "v", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "metrics": [metric]}
    rows = pd.DataFrame({"customer_id": np.arange(2 * N), "arm": arm, "y": y, "visits": visits})
    return analyze(rows, ExperimentSpec.model_validate(spec))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("better", ["up", "down"])
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("code", CODES)
def test_the_verdict_is_what_was_planted(code: VerdictCode, kind: str, better: str, language: str) -> None:
    verdict = outcome(code, kind, better).verdict
    text = verdict.text_zh if language == "zh" else verdict.text_en
    assert verdict.code == code
    assert re.search(OPENINGS[code, language], text), text
    assert not BANNED.search(text)
    assert sorted(NUMBER.findall(verdict.text_en)) == sorted(NUMBER.findall(verdict.text_zh))
    if code in {"win", "harm"}:
        direction = (1 if better == "up" else -1) * (1 if code == "win" else -1)
        assert MOVES[language, direction] in text
        level, large = KINDS[kind]
        lift = re.search(r"[+-]\d+\.\d%", text)
        assert lift is not None
        assert float(lift[0][:-1]) == pytest.approx(100.0 * direction * large / level, rel=0.05)


def test_there_are_sixty_cases() -> None:
    assert len(CODES) * len(KINDS) * 2 * 2 == 60


@pytest.mark.parametrize(
    ("value", "cost", "code", "told"),
    [
        (1.0, 0.0, "win", "roll out"),
        (1.0, 0.1, "win", "After its cost it brings +"),
        (1.0, 0.45, "win", "but that is not certain"),
        (1.0, 0.55, "unclear", "so far it costs more than it brings"),
        (1.0, 2.0, "harm", "it costs more than it brings"),
    ],
)
def test_a_won_metric_that_costs_more_than_it_brings_is_no_win(value: float, cost: float, code: str, told: str) -> None:
    """The planted gain is 0.5 a customer, and its standard error about 0.05."""
    rng = np.random.default_rng(17)
    noise = np.tile(rng.gamma(4.0, 1.0, N), 2)
    arm = np.repeat(["A", "B"], N)
    rows = pd.DataFrame({"customer_id": np.arange(2 * N), "arm": arm, "y": noise + 0.5 * (arm == "B")})
    metric = {"name": "m", "kind": "mean", "column": "y", "role": "primary", "value_per_unit": value}
    spec = {"key": "v", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "metrics": [{**metric, "cost_per_unit": cost}]}
    verdict = analyze(rows, ExperimentSpec.model_validate(spec)).verdict
    assert verdict.code == code
    assert told in verdict.text_en
    assert sorted(NUMBER.findall(verdict.text_en)) == sorted(NUMBER.findall(verdict.text_zh))
    assert ("roll out" in verdict.text_en) == (code != "unclear")


@pytest.mark.parametrize(("gain", "best"), [(0.8, "C"), (0.2, "B")])
def test_of_two_arms_that_win_the_one_worth_more_is_spoken_of_first(gain: float, best: str) -> None:
    """B gains 0.5 a customer, C more or less."""
    rng = np.random.default_rng(17)
    noise = np.tile(rng.gamma(4.0, 1.0, N), 3)
    arm = np.repeat(["A", "B", "C"], N)
    y = noise + 0.5 * (arm == "B") + gain * (arm == "C")
    rows = pd.DataFrame({"customer_id": np.arange(3 * N), "arm": arm, "y": y})
    metric = {"name": "m", "kind": "mean", "column": "y", "role": "primary", "value_per_unit": 1.0}
    weights = {"A": 1 / 3, "B": 1 / 3, "C": 1 / 3}
    spec = ExperimentSpec.model_validate({"key": "v", "control": "A", "weights": weights, "metrics": [metric]})
    results = analyze(rows, spec)
    assert results.verdict.code == "win"
    assert results.verdict.contrast == best
