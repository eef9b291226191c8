"""The report page: self-contained, readable without scripts, honest about its origin, the same in both languages."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.experiments.report import render, write_reports
from foretouch.experiments.results import Results
from foretouch.experiments.workspace import analyze_experiment


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
    assert page.tags.count("svg") >= 3
    assert page.tags.count("table") >= page.tags.count("svg")
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
