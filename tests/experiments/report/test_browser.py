"""The report in a browser: it fits a desk and a phone, asks the network for nothing, and needs no scripts."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.report.page import write_reports
from foretouch.experiments.report.written import page_name
from tests.experiments.report.chromium import Browser, overflowing

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(planted: Any, plant: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of both languages for each kind of page."""
    harmed = plant(customers=1200, harm=0.08, seed=8)
    first = min(planted.exposed.values())
    made = {
        "complete": analyze_experiment(planted.workspace, "spring", now=planted.now),
        "young": analyze_experiment(planted.workspace, "spring", now=first + timedelta(days=3)),
        "running": analyze_experiment(planted.workspace, "spring", now=first + timedelta(days=18)),
        "harm": analyze_experiment(harmed.workspace, "spring", now=harmed.now),
    }
    assert made["harm"].verdict.code == "harm"
    folders = {name: tmp_path_factory.mktemp(name) for name in made}
    for name, results in made.items():
        write_reports(results, folders[name], ("en", "zh"))
    return folders


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["complete", "young", "running", "harm"])
def test_the_page_fits_and_asks_nothing(
    browser: Browser, pages: dict[str, Path], kind: str, language: str, size: tuple[int, int]
) -> None:
    width, height = size
    page = pages[kind] / page_name("experiment-spring", language)
    browser.open(page, width=width, height=height, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    answered = "[...document.querySelectorAll('.four dd')].map(one => one.getBoundingClientRect().bottom)"
    bottoms = browser.evaluate(answered)
    assert len(bottoms) == 4
    assert max(bottoms) <= height, "ship, how much, how sure and how long are answered above the fold"
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.evaluate("innerWidth") == width
    assert overflowing(browser) == []
    assert browser.requested == [page.resolve().as_uri()]
    shown = browser.evaluate("[...document.querySelectorAll('.chart')].filter(one => one.offsetParent).length")
    drawn = browser.evaluate("document.querySelectorAll('.chart').length")
    assert 2 * shown == drawn


def test_a_page_that_overflows_or_asks_is_found_out(browser: Browser, tmp_path: Path) -> None:
    """The two checks above can fail."""
    page = tmp_path / "wide.html"
    page.write_text("<!doctype html><p style='width: 2000px'>wide</p><img src='http://localhost:9/picture.png'>")
    browser.open(page, width=420)
    assert any("page" in item for item in overflowing(browser))
    assert "http://localhost:9/picture.png" in browser.requested


def test_the_page_prints_with_its_folded_tables(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["complete"] / page_name("experiment-spring", "en"), width=1100)
    browser.call("Emulation.setEmulatedMedia", media="print")
    folded = browser.evaluate("[...document.querySelectorAll('details table')].map(one => one.offsetHeight)")
    browser.call("Emulation.setEmulatedMedia", media="")
    assert folded
    assert min(folded) > 0
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
