"""Every number carries its definition and the command that gives it again: in JSON, on pages, in both languages."""

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.schema import Contract
from foretouch.experiments.analysis.definitions import CHINESE, DEFINITIONS
from foretouch.experiments.insights.blocks import insight_blocks
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.insights.insights import insights
from foretouch.experiments.insights.page import render as render_insights
from foretouch.experiments.log.arms import Arms
from foretouch.experiments.log.decompose import Decomposition
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.past_trials import PastTrial
from foretouch.experiments.policy.blocks import policy_blocks
from foretouch.experiments.policy.compare import estimate_of
from foretouch.experiments.policy.contract import Amount, PolicyResults
from foretouch.experiments.report.blocks import blocks_of
from foretouch.experiments.report.details import detail_blocks
from foretouch.experiments.report.fragment import how
from foretouch.experiments.report.meanings import WORDS, definitions_of
from foretouch.experiments.report.page import render
from foretouch.experiments.results import Results
from foretouch.experiments.uplift.blocks import uplift_blocks
from foretouch.experiments.uplift.contract import UpliftResults
from foretouch.experiments.uplift.judge import Worth, judge_score
from foretouch.features.ingest import ingest_tables
from foretouch.training.off_policy.candidate import PolicyCandidate
from foretouch.training.off_policy.valuation import judge
from tests.experiments.insights.made_log import MadeLog
from tests.experiments.report.defined import definition_of, undefined, unexplained
from tests.training.test_evaluate_policy import synthetic

LANGUAGES = ("en", "zh")
DOCUMENTS: dict[str, type[Contract]] = {
    "insights": Insights,
    "uplift": UpliftResults,
    "policy": PolicyResults,
    "arms": Arms,
    "parts": Decomposition,
}


@pytest.fixture(scope="module")
def results(planted: Any) -> Results:
    found = analyze_experiment(planted.workspace, "spring", now=planted.now)
    tried = PastTrial(
        key="spring",
        name="revenue",
        as_of=planted.now,
        units=400,
        splits=100,
        seed=0,
        false_alarms=0.05,
        false_alarms_ci=(0.02, 0.11),
        allowed=(0.0, 0.13),
        code="ok",
    )
    defined = {**found.definitions, "past_trials": DEFINITIONS["past_trials"]}
    return found.replace(past_trials=(tried,), definitions=defined)


@pytest.fixture(scope="module")
def happened(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeLog, Insights]:
    log = MadeLog(tmp_path_factory.mktemp("meanings"))
    rng = np.random.default_rng(7)
    both = [("tea", "email", None), ("cake", "sms", None), ("tea", "sms", ("consent", "withdrawn"))]
    for number in range(400):
        chosen = (("tea", "email"), ("cake", "sms"))[number % 2]
        made = log.decide(f"m{number}", number % 20, both, chosen=chosen, probabilities=[0.2, 0.4, 0.4, 0.0])
        log.outcome(made, "delivered", number % 20 + 0.1)
        if rng.random() < 0.4:
            log.event(f"m{number}", number % 20 + 1.0)
    return log, insights(log.workspace)


@pytest.fixture(scope="module")
def scored() -> UpliftResults:
    rng = np.random.default_rng(2)
    score, treated = rng.random(3000), (rng.random(3000) < 0.5).astype(float)
    outcome = (rng.random(3000) < 0.2 + 0.2 * treated * score).astype(float)
    return judge_score(
        score, treated, outcome, names=("x", "y"), title="t", worth=Worth(value=5.0, currency="EUR"), draws=60
    )


@pytest.fixture(scope="module")
def valued() -> PolicyResults:
    found = judge(synthetic(1, n=1600)[0], PolicyCandidate(name="bold", version="b"), since=None, seed=0)
    return PolicyResults(
        title="Shop",
        reward="goal",
        logged=Amount(value=found.logged.value, se=found.logged.se, ci=(found.logged.low, found.logged.high)),
        policies=(estimate_of(found).replace(left_out={"held out by an experiment": 3}),),
        definitions=definitions_of("policy"),
    )


def test_every_number_of_every_document_is_defined(
    results: Results, happened: tuple[MadeLog, Insights], scored: UpliftResults, valued: PolicyResults
) -> None:
    documents = [results, happened[1], scored, valued]
    assert [undefined(item.model_dump(mode="json")) for item in documents] == [[]] * len(documents)
    assert happened[1].engagement is not None
    assert happened[1].attribution is not None


def test_the_rule_by_which_a_number_finds_its_definition() -> None:
    defined = {"value": "own", "costs.value": "of costs", "costs": "all", "ci": "interval"}
    assert definition_of(("costs", "value"), defined) == "of costs"
    assert definition_of(("daily", "value"), defined) == "own"
    assert definition_of(("costs", "roi"), defined) == "all"
    assert definition_of(("daily", "low"), defined) is None


def test_commands_print_definitions_and_themselves(
    happened: tuple[MadeLog, Insights], plant: Any, tmp_path: Path
) -> None:
    world = plant(customers=300, seed=14)
    people = {"customer_id": sorted(world.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(world.workspace, {"customers": pd.DataFrame(people)})
    place, other = str(happened[0].workspace.root), str(world.workspace.root)
    asked = [
        ["insights", "--out", str(tmp_path), "-w", place],
        ["experiment", "arms", "--by", "channel", "-w", place],
        ["experiment", "decompose", "spring", "-w", other],
        ["experiment", "design", "spring", "-w", other],
        ["experiment", "aa", "spring", "--splits", "100", "-w", other],
    ]
    for call in asked:
        done = CliRunner().invoke(build_app(), [*call, "--json"])
        assert done.exit_code in {0, 1}, done.output
        assert done.stdout, (call, done.exception)
        told = json.loads(done.stdout)
        assert undefined(told) == [], call
        words = told["command"].split()
        assert words[0] == "foretouch"
        assert "--as-of" in words
        again = CliRunner().invoke(
            build_app(), [*words[1:], *(["--out", str(tmp_path)] if call[0] == "insights" else [])]
        )
        assert json.loads(again.stdout) == told, "the command gives the very document again"


def test_an_earlier_answer_knows_nothing_later(happened: tuple[MadeLog, Insights]) -> None:
    log, now = happened
    before = insights(log.workspace, as_of=now.since + timedelta(days=10))
    assert 0 < before.funnel.decisions < now.funnel.decisions
    assert before.as_of == now.since + timedelta(days=10)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_of_numbers_is_explained(
    language: str,
    results: Results,
    happened: tuple[MadeLog, Insights],
    scored: UpliftResults,
    valued: PolicyResults,
) -> None:
    blocks = [
        *blocks_of(results, language),
        *detail_blocks(results, language),
        *insight_blocks(happened[1], language),
        *uplift_blocks(scored, language),
        *policy_blocks(valued, language),
    ]
    assert len(blocks) > 18
    assert unexplained(blocks) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_explains_each_section_without_scripts(
    language: str, results: Results, happened: tuple[MadeLog, Insights]
) -> None:
    """A native control per section, which a key opens and a screen reader names, with the terms and the command."""
    for page, command in (
        (render(results, language), results.command),
        (render_insights(happened[1], language), happened[1].command),
    ):
        marks = re.findall(r'<details class="how">(.*?)</details>', page, re.DOTALL)
        assert len(marks) >= 6
        names = []
        for mark in marks:
            summary = re.search(r"<summary>(.*?)</summary>", mark, re.DOTALL)
            assert summary is not None
            names.append(re.sub(r"<[^>]+>", "", summary[1]))
            assert mark.count("<dt>") == mark.count("<dd>") > 0
            assert "<dd></dd>" not in mark
            assert html.unescape(mark).count(command) == 1
        assert len(set(names)) == len(names), "each is named after its section"
        assert "<script" not in page
        for text in (DEFINITIONS if language == "zh" else CHINESE).values():
            assert html.escape(text) not in page


def test_definitions_are_of_fields_that_there_are() -> None:
    for document, contract in DOCUMENTS.items():
        schema = json.dumps(contract.model_json_schema())
        of_dicts = {"share", "first", "last", "linear", "time_decay", "position", "markov", "shapley", "chord"}
        of_dicts |= {"weight", "refused", "value", "snips", "control", "treated", "gain", "optimum", "money", "parts"}
        for field in definitions_of(document):
            assert f'"{field.split(".")[-1]}"' in schema or field in of_dicts, f"{document}: {field}"
    assert set(DEFINITIONS) == set(CHINESE)
    assert not [key for key, texts in WORDS.items() if texts["en"] == texts["zh"]]


def test_terms_are_escaped_and_nothing_stands_where_there_are_none() -> None:
    told = how([("<b>", "a < b")], "en", title="<i>", commands=["", "x > y"])
    assert "&lt;b&gt;" in told
    assert "a &lt; b" in told
    assert "x &gt; y" in told
    assert "<i>" not in told
    assert how([], "en", title="t") == ""
