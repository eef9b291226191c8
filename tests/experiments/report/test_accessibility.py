"""For everybody: headings in order, charts told in words, colours that differ and contrast, keys that move."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.report.charts import TONES
from foretouch.experiments.report.fragment import style_sheet
from foretouch.experiments.report.page import render
from foretouch.experiments.results import Results
from foretouch.experiments.uplift.judge import Worth
from foretouch.experiments.uplift.page import render_uplift
from tests.experiments.report.chromium import Browser, find_chromium
from tests.experiments.uplift.test_uplift import judged, world

LANGUAGES = {"en": "en", "zh": "zh-CN"}


@pytest.fixture(scope="module")
def results(planted: Any) -> Results:
    return analyze_experiment(planted.workspace, "spring", now=planted.now)


@pytest.fixture(scope="module")
def pages(results: Results) -> dict[tuple[str, str], str]:
    uplift = judged(world(1500), worth=Worth(value=10.0, cost=0.5, currency="EUR"))
    made = {("report", language): render(results, language, other="other.html") for language in LANGUAGES}
    return made | {("uplift", language): render_uplift(uplift, language) for language in LANGUAGES}


class Tags(HTMLParser):
    """Every tag with its attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *names: str) -> Iterator[dict[str, str]]:
        return (attributes for tag, attributes in self.found if tag in names)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["report", "uplift"])
def test_what_is_seen_is_also_told(pages: dict[tuple[str, str], str], kind: str, language: str) -> None:
    text = pages[kind, language]
    tags = Tags(text)
    assert next(tags.of("html"))["lang"] == LANGUAGES[language]
    assert len(list(tags.of("main"))) == 1
    headings = [int(tag[1]) for tag, _ in tags.found if re.fullmatch(r"h\d", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings)), "no level is skipped"
    ids = {attributes["id"] for _, attributes in tags.found if "id" in attributes}
    sections = list(tags.of("section"))
    assert all(attributes["aria-labelledby"] in ids for attributes in sections)
    for attributes in tags.of("svg"):
        assert attributes.get("aria-hidden") == "true" or len(attributes["aria-label"]) > 10
    assert len(list(tags.of("caption"))) == len(list(tags.of("table")))
    assert all(attributes["scope"] in {"row", "col"} for attributes in tags.of("th"))
    assert all("for" in attributes or kind == "uplift" for attributes in tags.of("label"))
    assert not any("tabindex" in attributes for _, attributes in tags.found), "keys move in the order of reading"
    for attributes in tags.of("a"):
        assert attributes["lang"] != LANGUAGES[language]


@pytest.mark.parametrize("kind", ["report", "uplift"])
def test_every_chart_has_its_table(pages: dict[tuple[str, str], str], kind: str) -> None:
    charted = [part for part in pages[kind, "en"].split("<section")[1:] if '<div class="chart">' in part]
    assert len(charted) >= 3
    assert all("<table" in part for part in charted)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_from_its_ground() -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for what a chart draws."""
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style_sheet()))
    for name in ("ink", "soft", "green", "amber", "red", "blue"):
        for ground in ("paper", "wash"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for name, colour in TONES.items():
        assert contrast(colour, "#ffffff") >= 3.0, name


MATRICES = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB."""


def seen(colour: str, kind: str) -> tuple[float, ...]:
    linear = [(int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
    mixed = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in MATRICES[kind]]
    return tuple(max(0.0, min(1.0, value)) ** (1 / 2.2) for value in mixed)


@pytest.mark.parametrize("kind", MATRICES)
def test_tones_differ_to_the_colour_blind(kind: str) -> None:
    decided = {name: colour for name, colour in TONES.items() if name != "faint"}
    for (one, first), (other, second) in combinations(decided.items(), 2):
        apart = sum((a - b) ** 2 for a, b in zip(seen(first, kind), seen(second, kind), strict=True)) ** 0.5
        assert apart > 0.15, (one, other)


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
def test_keys_reach_every_control_and_show_where_they_are(pages: dict[tuple[str, str], str], tmp_path: Path) -> None:
    page = tmp_path / "uplift.html"
    page.write_text(pages["uplift", "en"], encoding="utf-8")
    program = find_chromium()
    assert program is not None
    with Browser(program) as browser:
        browser.open(page, width=1280, height=800, scripts=False)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        assert browser.evaluate("document.getElementById('prices').checkVisibility()") is False, "without scripts"
        browser.open(page, width=1280, height=800)
        assert browser.evaluate("document.getElementById('prices').checkVisibility()") is True
        reached = []
        for _ in range(12):
            for kind in ("keyDown", "keyUp"):
                browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            place = browser.evaluate(
                "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
            )
            reached.append(tuple(place))
        assert reached.count(("INPUT", "solid")) >= 2
        assert reached.count(("SUMMARY", "solid")) >= 3
        before = browser.evaluate("document.querySelector('output[name=best]').textContent")
        browser.evaluate(
            "(f => { f.value = f.max; f.dispatchEvent(new Event('input', {bubbles: true})) })"
            "(document.querySelector('input[name=cost]'))"
        )
        after = browser.evaluate("document.querySelector('output[name=best]').textContent")
        assert before != after
        assert "[" not in before + after
        assert browser.requested == [page.resolve().as_uri()]
