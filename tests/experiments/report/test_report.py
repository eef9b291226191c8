"""The report page: self-contained, readable without scripts, honest about its origin, the same in both languages."""

import html
import json
import re
import shlex
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.experiments.analysis.definitions import DEFINITIONS, definition
from foretouch.experiments.log.design import design
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.report.numbers import about
from foretouch.experiments.report.page import render, write_reports
from foretouch.experiments.results import Results
from foretouch.features.ingest import ingest_tables


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that tags close in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input", "path", "use"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "data", "action"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results(planted: Any) -> Results:
    return analyze_experiment(planted.workspace, "spring", now=planted.now)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_stands_alone(results: Results, language: str) -> None:
    text = render(results, language)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith("#") for address in page.addresses)
    assert re.findall(r"(?:https?:)?//[a-z]", text) == []
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    assert len(text.encode()) < 2_000_000
    charts = page.tags.count("svg") // 2
    assert charts >= 3
    assert 2 * charts == page.tags.count("svg"), "every chart is drawn for a page and for a phone"
    assert page.tags.count("table") >= charts
    assert "<text" in text


def test_the_order_is_trust_verdict_money_then_detail(results: Results) -> None:
    text = render(results, "en")
    order = [text.index(f'id="h-{name}"') for name in ("trust", "verdict", "money", "main", "segments", "appendix")]
    assert order == sorted(order)


def test_origin_assumptions_and_command_are_on_its_face(results: Results) -> None:
    for language, marked in (("en", "SIMULATED DATA"), ("zh", "模拟数据")):
        text = render(results, language)
        assert marked in text
        assert results.assumptions[0][f"text_{language}"] in text
        assert "foretouch experiment analyze spring" in text
        assert results.inputs["sha256"] in text
        assert "EUR" in text


def test_both_languages_show_the_same_table_of_numbers(results: Results) -> None:
    def cells(language: str) -> list[str]:
        rows = re.findall(r"<td[^>]*>([^<]*)</td>", render(results, language))
        return [number for cell in rows for number in re.findall(r"[+-]?\d[\d,]*(?:\.\d+)?", cell)]

    assert cells("en") == cells("zh")
    assert len(cells("en")) > 40


def test_a_broken_experiment_shows_no_number(results: Results) -> None:
    broken = results.replace(
        verdict=results.verdict.replace(code="broken", text_en="Do not read the results.", text_zh="请勿采信结果。"),
        verdicts=(),
    )
    text = render(broken, "en")
    assert "Do not read the results." in text
    assert "<svg" not in text
    assert "per 1,000 customers" not in text
    assert "Numbers are withheld" in text


def test_names_from_a_spec_cannot_inject_markup(results: Results) -> None:
    hostile = results.replace(title={"en": "<script>alert(1)</script>"}, metric_titles={"revenue": {"en": "<b>x</b>"}})
    text = render(hostile, "en")
    assert "<script" not in text
    assert "<b>x" not in text


def test_a_young_experiment_still_has_a_page(planted: Any, tmp_path: Path) -> None:
    young = analyze_experiment(planted.workspace, "spring", now=min(planted.exposed.values()) + timedelta(days=1))
    written = write_reports(young, tmp_path, ("en", "zh"))
    assert "observation window" in written["en"].read_text(encoding="utf-8")
    assert "观察期" in written["zh"].read_text(encoding="utf-8")


def test_the_commands_write_and_print(planted: Any, tmp_path: Path) -> None:
    runner = CliRunner()
    place = ["--workspace", str(planted.workspace.root)]
    shown = runner.invoke(build_app(), ["experiment", "analyze", "spring", "--json", *place])
    assert shown.exit_code == 0, shown.output
    results = json.loads(shown.stdout)
    assert {"srm", "arms", "metrics", "segments", "cumulative", "multiplicity", "verdict", "refusals"} <= set(results)
    told = runner.invoke(build_app(), ["experiment", "analyze", "spring", *place])
    assert told.exit_code == 0, told.output
    assert results["verdict"]["text_en"].split()[0] in told.stdout
    made = runner.invoke(build_app(), ["experiment", "report", "spring", "--out", str(tmp_path), "--json", *place])
    assert made.exit_code == 0, made.output
    paths = json.loads(made.stdout)["reports"]
    assert all(Path(path).read_text(encoding="utf-8").startswith("<!doctype html>") for path in paths.values())
    assert 'href="experiment-spring.zh.html"' in Path(paths["en"]).read_text(encoding="utf-8")
    one = runner.invoke(build_app(), ["experiment", "report", "spring", "--lang", "fr", *place])
    assert one.exit_code == 2


def test_bench_reads_any_table(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    lines = [f"{n},{'AB'[n % 2]},{(n * 7919 % 101) / 10 + (n % 2)}" for n in range(400)]
    rows.write_text("id,arm,y\n" + "\n".join(lines))
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'key = "b"\nunit = "id"\ncontrol = "A"\nweights = {A = 0.5, B = 0.5}\n'
        '[[metrics]]\nname = "y"\nkind = "mean"\ncolumn = "y"\nrole = "primary"\n'
    )
    out = tmp_path / "out.json"
    arguments = ["bench", "experiment", "--rows", str(rows), "--spec", str(spec), "--out", str(out)]
    run = CliRunner().invoke(build_app(), arguments)
    assert run.exit_code == 0, run.output
    results = Results.model_validate_json(out.read_text(encoding="utf-8"))
    assert results.metrics[0].difference == pytest.approx(1.0, abs=0.6)
    assert results.arms == {"A": 200, "B": 200}


def test_the_printed_command_gives_the_very_numbers(planted: Any, tmp_path: Path) -> None:
    """Also later, when the workspace's clock has gone on."""
    runner = CliRunner()
    asked = planted.now - timedelta(days=9)
    place = ["--workspace", str(planted.workspace.root)]
    made = ["experiment", "report", "spring", "--as-of", asked.isoformat(), "--out", str(tmp_path), *place]
    assert runner.invoke(build_app(), made).exit_code == 0
    written = (tmp_path / "experiment-spring.json").read_text(encoding="utf-8")
    command = shlex.split(json.loads(written)["command"])
    assert command[0] == "foretouch"
    again = runner.invoke(build_app(), command[1:])
    assert again.exit_code == 0, again.output
    assert again.stdout == written
    assert html.escape(" ".join(command)) in (tmp_path / "experiment-spring.zh.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"), [("2026-03-20", "names no zone"), ("soon", "is no time"), ("2099-01-01T00:00Z", "later than")]
)
def test_a_time_that_cannot_be_asked_about_is_refused(planted: Any, text: str, message: str) -> None:
    place = ["--workspace", str(planted.workspace.root)]
    run = CliRunner().invoke(build_app(), ["experiment", "analyze", "spring", "--as-of", text, *place])
    assert run.exit_code == 2
    assert message in " ".join(run.output.split())


def test_a_spec_that_cannot_be_carried_out_gets_a_page_and_an_error(planted: Any, tmp_path: Path) -> None:
    root = tmp_path / "own"
    (root / "experiments").mkdir(parents=True)
    (root / "foretouch.toml").write_text((planted.workspace.root / "foretouch.toml").read_text())
    (root / "clock.json").write_text((planted.workspace.root / "clock.json").read_text())
    source = (planted.workspace.experiments_folder / "spring.toml").read_text()
    (root / "experiments" / "spring.toml").write_text(source.replace("purchase:count", "purchase:colour"))
    run = CliRunner().invoke(build_app(), ["experiment", "report", "spring", "--workspace", str(root)])
    assert run.exit_code == 1
    for language, todo in (("en", "Mend experiments/spring.toml"), ("zh", "请修改 experiments/spring.toml")):
        text = (root / "reports" / f"experiment-spring.{language}.html").read_text(encoding="utf-8")
        assert "colour" in text
        assert todo in text
        assert "foretouch experiment report spring" in text


def test_money_says_for_how_many_and_how_long(results: Results) -> None:
    text = html.unescape(render(results, "en"))
    assert "Extra revenue per 1,000 customers within 14 days of their first decision, “mailing” against" in text
    assert "If all 1,500 customers counted in this test were in “mailing” within 14 days" in text
    assert "每 1,000 名客户在首次决策后 14 天内增加收入" in html.unescape(render(results, "zh"))


def test_arms_are_called_by_their_titles(results: Results) -> None:
    titles = {"holdout": {"en": "nobody writes", "zh": "不写信"}, "mailing": {"en": "spring letter", "zh": "春季来信"}}
    named = results.replace(arm_titles=titles)
    for language in ("en", "zh"):
        text = render(named, language)
        assert text.count(titles["mailing"][language]) > 3
        assert titles["holdout"][language] in text


def test_definitions_are_chinese_on_the_chinese_page(results: Results) -> None:
    for name in DEFINITIONS:
        assert re.search("[\u4e00-\u9fff]", definition(name, DEFINITIONS[name], "zh")), name
    page = html.unescape(render(results, "zh"))
    assert all(definition(name, text, "zh") in page for name, text in results.definitions.items())
    assert not any(text in page for text in results.definitions.values())


def test_a_page_without_numbers_yet_says_how_many_customers_are_needed(planted: Any, plant: Any) -> None:
    """The same figures as ``experiment design`` gives, once there are customers to estimate from."""
    now = min(planted.exposed.values()) + timedelta(days=3)
    assert analyze_experiment(planted.workspace, "spring", now=now).plan == ()
    world = plant(customers=300, seed=14)
    people = {"customer_id": sorted(world.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(world.workspace, {"customers": pd.DataFrame(people)})
    young = analyze_experiment(world.workspace, "spring", now=now)
    assert not young.metrics
    plan = design(world.workspace, "spring", now=now, power=0.8)
    assert [(item.name, item.detectable_lift) for item in young.plan] == [
        (item.name, item.detectable_lift) for item in plan.metrics
    ]
    page = render(young, "en")
    revenue = next(item for item in young.plan if item.name == "revenue")
    assert about(revenue.units["0.1"])["en"] in page
    assert "With all 300 customers of this workspace, a change of “revenue per customer” by" in page
    assert analyze_experiment(world.workspace, "spring", now=world.now).plan == ()
