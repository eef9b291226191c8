"""The page of insights in a browser: it fits a desk and a phone, asks the network for nothing, needs no scripts."""

from pathlib import Path

import pytest

from foretouch.experiments.insights.insights import insights
from foretouch.experiments.insights.page import STEM, write_insights
from foretouch.experiments.report.written import page_name
from tests.experiments.insights.made_log import MadeLog
from tests.experiments.report.chromium import Browser, overflowing

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every section: contacts, answers, goals, a rule that drops, and weeks of days."""
    log = MadeLog(tmp_path_factory.mktemp("shown") / "w")
    for number in range(58):
        offer, channel = [("tea", "email"), ("tea", "sms"), ("cake", "email")][number % 3]
        candidates = [(offer, channel, None), ("cake", "sms", ("consent", "withdrawn"))]
        name = log.decide(f"c{number % 20}", number, candidates, chosen=(offer, channel))
        log.outcome(name, "delivered", number)
        if number % 2:
            log.outcome(name, "click", number + 0.1)
            log.event(f"c{number % 20}", number + 0.2)
    pages = tmp_path_factory.mktemp("pages")
    write_insights(insights(log.workspace), pages, ("en", "zh"))
    return pages


@pytest.mark.parametrize("width", [1200, 420])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_fits_and_asks_nothing(browser: Browser, folder: Path, language: str, width: int) -> None:
    page = folder / page_name(STEM, language)
    browser.open(page, width=width, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.evaluate("innerWidth") == width
    assert overflowing(browser) == []
    assert browser.requested == [page.resolve().as_uri()]
    assert browser.evaluate("document.querySelectorAll('main section').length") >= 9
    shown = browser.evaluate("[...document.querySelectorAll('.chart')].filter(one => one.offsetParent).length")
    assert 2 * shown == browser.evaluate("document.querySelectorAll('.chart').length") > 8
    assert page.stat().st_size < 2_000_000
