"""The verdict table: every rule, both directions, proportions and amounts, English and Chinese saying the same."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.analyze import Context, analyze
from foretouch.experiments.results import Results

BANNED = re.compile(r"p-value|significan|null hypothesis|\bnull\b|posterior|显著|零假设|后验|P 值", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


def results_of(
    *,
    primary: float,
    guardrail: float = 0.0,
    margin: float | None = None,
    guard_margin: float | None = 0.02,
    kind: str = "mean",
    better: str = "up",
    n: int = 4000,
    running: bool = False,
    uneven: bool = False,
) -> Results:
    """Two arms with exactly planted differences: residuals are the same in both arms."""
    rng = np.random.default_rng(11)
    arm = np.repeat(["A", "B"], n)
    if uneven:
        arm = np.where(rng.random(2 * n) < 0.55, "A", "B")
    treated = arm == "B"
    noise = np.tile(rng.gamma(2.0, 2.0, n), 2)
    uniform = np.tile((np.arange(n) + 0.5) / n, 2)
    y = noise + primary * treated if kind == "mean" else (uniform < 0.2 + primary * treated).astype(float)
    left = np.tile(rng.permutation(uniform[:n]), 2) < 0.03 + guardrail * treated
    metrics: list[dict[str, Any]] = [
        {
            "name": "main",
            "title": {"en": "revenue", "zh": "收入"},
            "kind": kind,
            "column": "y",
            "role": "primary",
            "better": better,
            "margin": margin,
        },
        {
            "name": "left",
            "title": {"en": "unsubscribe rate", "zh": "退订率"},
            "kind": "proportion",
            "column": "left",
            "role": "guardrail",
            "better": "down",
            "margin": guard_margin,
        },
    ]
    spec = ExperimentSpec.model_validate(
        {"key": "v", "control": "A", "weights": {"A": 0.5, "B": 0.5}, "metrics": metrics}
    )
    rows = pd.DataFrame({"customer_id": np.arange(2 * n), "arm": arm, "y": y, "left": left.astype(float)})
    return analyze(rows, spec, Context(running=running))


CASES: list[tuple[str, dict[str, Any], str]] = []
for sign, better in ((1.0, "up"), (-1.0, "down")):
    for kind, size in (("mean", 0.5), ("proportion", 0.06)):
        common = {"kind": kind, "better": better}
        moves = "raises" if sign > 0 else "lowers"
        against = "lowers" if sign > 0 else "raises"
        CASES += [
            ("win", {"primary": sign * size, **common}, rf"“B” {moves} revenue.*roll out"),
            ("harm", {"primary": -sign * size, **common}, rf"Stop: “B” {against} revenue"),
            ("unclear", {"primary": sign * size / 50, **common}, "We cannot tell yet.*more customers"),
            ("equivalent", {"primary": 0.0, "margin": size, **common}, "no worse than “A” on revenue by more than"),
            ("broken", {"primary": sign * size, "uneven": True, **common}, "not the size they should be"),
            ("harm", {"primary": sign * size, "guardrail": 0.06, **common}, "unsubscribe rate rose by .* points"),
            ("harm", {"primary": sign * size, "guardrail": 0.06, "guard_margin": None, **common}, "rate rose by"),
            ("unclear", {"primary": sign * size, "guardrail": 0.012, "guard_margin": 0.012, **common}, "keep running"),
            ("win", {"primary": sign * size, "running": True, **common}, "roll out"),
            ("unclear", {"primary": sign * size / 50, "running": True, **common}, "cannot tell yet"),
        ]


@pytest.mark.parametrize(("code", "case", "text"), CASES)
def test_the_verdict_is_the_rule_tables(code: str, case: dict[str, Any], text: str) -> None:
    verdict = results_of(**case).verdict
    assert verdict.code == code
    assert re.search(text, verdict.text_en)
    assert sorted(NUMBER.findall(verdict.text_en)) == sorted(NUMBER.findall(verdict.text_zh))
    assert not BANNED.search(verdict.text_en)
    assert not BANNED.search(verdict.text_zh)
    assert "{" not in verdict.text_en + verdict.text_zh


def test_a_running_test_is_judged_by_the_anytime_answer() -> None:
    """Between the two bands the fixed test would say win and the running one must wait."""
    found = {}
    for running in (False, True):
        found[running] = results_of(primary=0.16, running=running).verdict.code
    assert found == {False: "win", True: "unclear"}


def test_the_customers_still_needed_are_enough() -> None:
    text = results_of(primary=0.01, n=1000).verdict.text_en
    needed = re.search(r"About ([\d,]+) more customers are needed to see a (\S+)% change", text)
    assert needed is not None
    more, target = int(needed[1].replace(",", "")), float(needed[2]) / 100
    rng = np.random.default_rng(11)
    values = rng.gamma(2.0, 2.0, 1000)
    per_arm = (2000 + more) / 2
    shift = target * values.mean() / (values.std(ddof=1) * (2 / per_arm) ** 0.5)
    assert shift == pytest.approx(1.959964 + 0.841621, rel=0.05)


def test_the_verdict_says_both_levels_and_the_arms_titles() -> None:
    verdict = results_of(primary=0.06, kind="proportion").verdict
    assert "raises revenue from 20.0% (“A”) to 26.0%: about +30.0%" in verdict.text_en
    assert "使收入从 20.0%（“A”）提高到 26.0%：约 +30.0%" in verdict.text_zh


@pytest.mark.parametrize(("primary", "told"), [(0.0, "more customers"), (1e-4, "more customers")])
def test_an_undecided_verdict_says_how_many_more_are_needed(primary: float, told: str) -> None:
    verdict = results_of(primary=primary).verdict
    assert verdict.code == "unclear"
    assert told in verdict.text_en
    assert "名客户" in verdict.text_zh


def test_an_open_guardrail_says_how_many_more_settle_it() -> None:
    """At the present difference and the size told, the limit is two-sided alpha plus power away: 1.96 + 0.84 se."""
    verdict = results_of(primary=0.5, guardrail=0.01, guard_margin=0.018).verdict
    found = re.search(r"About ([\d,]+) more customers will show it", verdict.text_en)
    assert found is not None
    per_arm = (8000 + int(found[1].replace(",", ""))) / 2
    distance = 0.018 - 0.01
    se = ((0.03 * 0.97 + 0.04 * 0.96) / per_arm) ** 0.5
    assert distance / se == pytest.approx(1.959964 + 0.841621, rel=0.03)


def test_a_control_without_any_success_is_no_base_for_a_size() -> None:
    rows = pd.DataFrame({"customer_id": range(200), "arm": ["A", "B"] * 100, "y": [0.0] * 199 + [1.0]})
    spec = ExperimentSpec.model_validate(
        {
            "key": "v",
            "control": "A",
            "weights": {"A": 0.5, "B": 0.5},
            "metrics": [{"name": "m", "kind": "proportion", "column": "y", "role": "primary"}],
        }
    )
    verdict = analyze(rows, spec).verdict
    assert verdict.code == "unclear"
    assert "cannot be said yet: “A” shows nothing" in verdict.text_en
