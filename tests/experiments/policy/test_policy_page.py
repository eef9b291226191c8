"""The policy page: real valuations of a known log, withheld where the log is worth too little, in both languages."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.experiments.policy.blocks import WORDS
from foretouch.experiments.policy.compare import estimate_of
from foretouch.experiments.policy.contract import Amount, PolicyResults
from foretouch.experiments.policy.page import render_policies, write_policies
from foretouch.experiments.report.catalogue import LANGUAGES
from foretouch.training.off_policy.candidate import PolicyCandidate
from foretouch.training.off_policy.sentence import WHY
from foretouch.training.off_policy.valuation import Valuation, judge
from tests.training.test_evaluate_policy import synthetic

NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def valued() -> tuple[Valuation, Valuation]:
    """A candidate on 1,600 decisions, and another on 150: fewer effective rows than a verdict needs."""
    rows, few = synthetic(1, n=1600)[0], synthetic(2, n=150)[0]
    told = replace(rows, left_out={"held out by an experiment": 12})
    return (
        judge(told, PolicyCandidate(name="bold", version="b"), since=None, seed=0),
        judge(few, PolicyCandidate(name="thin", version="t"), since=None, seed=0),
    )


@pytest.fixture(scope="module")
def found(valued: tuple[Valuation, Valuation]) -> PolicyResults:
    logged = valued[0].logged
    return PolicyResults(
        title="Shop",
        reward="goal",
        logged=Amount(value=logged.value, se=logged.se, ci=(logged.low, logged.high)),
        policies=tuple(estimate_of(item) for item in valued),
        command="foretouch experiment policy bold thin --workspace shop",
    )


def test_estimates_are_the_valuations(valued: tuple[Valuation, Valuation], found: PolicyResults) -> None:
    first, thin = found.policies
    assert first.verdict == "ok"
    assert first.overlap == "green"
    assert first.dr.value == valued[0].estimates["dr"].value
    assert first.ess == pytest.approx(valued[0].ess)
    assert thin.verdict == "refused"
    assert thin.overlap == "red"
    assert "ess_below_200" in {item.code for item in thin.reasons}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refused_policy_shows_why_and_no_estimate(found: PolicyResults, language: str) -> None:
    text = html.unescape(render_policies(found, language))
    row = re.search(r'<th scope="row">thin</th>(.*?)</tr>', text, re.DOTALL)
    assert row is not None
    assert row[1].count(f">{WORDS.text('withheld', language)}<") == 3
    assert not NUMBER.search(re.sub(r"<[^>]*>", "", row[1]))
    assert "thin · DR" not in text
    assert WORDS.text("why_ess_below_200", language) in text
    assert WORDS.text("propensities", language) in text


def test_the_worth_of_the_rows_is_said_in_words(found: PolicyResults) -> None:
    text = html.unescape(render_policies(found, "en"))
    ess = f"{round(found.policies[0].ess):,}"
    assert f"worth {ess} of 1,600 rows" in text
    assert "held out by an experiment" in text


def test_both_languages_say_the_same_numbers_and_the_page_stands_alone(found: PolicyResults) -> None:
    cells = {}
    for language in LANGUAGES:
        text = render_policies(found, language)
        assert "<script" not in text
        assert re.findall(r"(?:https?:)?//[a-z]", text) == []
        assert text.count('<svg role="img" aria-label=') == 2
        cells[language] = [
            number
            for cell in re.findall(r"<td[^>]*>([^<]*)</t", html.unescape(text))
            for number in NUMBER.findall(cell)
        ]
    assert sorted(cells["en"]) == sorted(cells["zh"])
    assert len(cells["en"]) > 15


def test_every_reason_of_training_has_its_words() -> None:
    assert {f"why_{code}" for code in WHY} == {key for key in WORDS if key.startswith("why_")}


def test_revenue_is_told_as_money(found: PolicyResults, tmp_path: Path) -> None:
    priced = found.replace(reward="revenue", currency="EUR")
    written = write_policies(priced, tmp_path, LANGUAGES)
    assert "€" in written["en"].read_text(encoding="utf-8")
    assert PolicyResults.model_validate_json(written["data"].read_text(encoding="utf-8")) == priced
    assert 'href="policies.zh.html"' in written["en"].read_text(encoding="utf-8")


def test_a_wrong_call_is_told_what_is_wrong() -> None:
    for options in (["--lang", "fr"], ["--reward", "love"]):
        run = CliRunner().invoke(build_app(), ["experiment", "policy", "bold", *options])
        assert run.exit_code == 2
        assert "must be" in run.output
