"""The pages in a real browser: signing in, tokens of forms, the content policy, languages, levers, keyboard, phone."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.experiments.app.screens import Visitor
from tests.experiments.report.chromium import find_chromium, overflowing
from tests.serving.service.world import Service, make_key, treated

pytestmark = pytest.mark.browser
PROGRAM = find_chromium()
PHONE = 390
LISTED = ("experiments", "insights", "what-if?policy=bold&sample=200", "uplift", "policies", "policy", "rules")
FIXED = ("decisions", "models", "data", "history")


@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Visitor]:
    """A browser whose visitor may change things; a first decision is in the log."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine")
    service.decide(treated(service.workspace)[0], purpose="transactional")
    with Visitor(PROGRAM) as found:
        found.sign_in(service.base, make_key(service.workspace, "admin"))
        yield found


@pytest.fixture(autouse=True)
def no_complaints(browser: Visitor) -> Iterator[None]:
    """Whatever a test does, the browser's console has nothing to say of it; a test that provokes it takes it away."""
    browser.complaints.clear()
    yield
    browser.evaluate("1")  # whatever was still on its way has come
    assert browser.complaints == []


def at(browser: Visitor) -> str:
    found: str = browser.evaluate("location.pathname + location.search")
    return found


def test_a_key_is_typed_and_becomes_a_session(service: Service) -> None:
    assert PROGRAM is not None
    with Visitor(PROGRAM) as fresh:
        fresh.go(f"{service.base}/app/models?lang=en")
        assert at(fresh).startswith("/app/sign-in?next=")
        assert fresh.evaluate("document.querySelector('#key').type") == "password"
        fresh.evaluate("document.querySelector('#key').focus()")
        fresh.call("Input.insertText", text="ftk_wrong")
        fresh.press("Enter")
        fresh.loaded()
        assert "unknown, revoked or expired" in fresh.text()
        assert all("403" in said for said in fresh.complaints)
        fresh.evaluate("document.querySelector('#key').focus()")
        fresh.call("Input.insertText", text=make_key(service.workspace, "report:read"))
        fresh.press("Enter")
        fresh.loaded()
        assert at(fresh) == "/app/models"
        assert "Signed in with key" in fresh.text()
        assert "foretouch_session" not in fresh.evaluate("document.cookie")
        assert fresh.evaluate("document.querySelectorAll('main form[method=post]').length") == 0


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", [*LISTED, *FIXED])
def test_a_phone_without_scripts_reads_every_page(service: Service, browser: Visitor, page: str, language: str) -> None:
    joined = f"{service.base}/app/{page}{'&' if '?' in page else '?'}lang={language}"
    browser.settled(joined, seconds=60.0)
    browser.go(joined, width=PHONE, height=844, scripts=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)  # for our own questions only
    assert browser.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh" else "en")
    assert browser.evaluate("innerWidth") == PHONE
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    # the text of a file keeps its lines, and scrolls in its own box
    assert [found for found in overflowing(browser) if not found.startswith("TEXTAREA")] == []
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("document.querySelector('h1').getBoundingClientRect().top") < 422
    own = (f"{service.base}/app", "data:image/svg+xml")  # the second is the browser's own picture of a calendar
    assert [url for url in browser.requested if not url.startswith(own)] == []
    assert browser.evaluate("document.querySelector('nav [aria-current=page]').textContent.length") > 0


def test_what_the_content_policy_forbids_is_not_run_and_is_noticed(service: Service, browser: Visitor) -> None:
    """The empty console of the other tests means something."""
    browser.go(f"{service.base}/app/policy?lang=en")
    for made, said in (
        ("script", "Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'})"),
        ("style", "Object.assign(document.createElement('style'), {textContent: 'h1 { color: red }'})"),
        ("img", "Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x.png'})"),
    ):
        browser.complaints.clear()
        browser.evaluate(f"document.body.append({said}); document.querySelectorAll('{made}').length")
        browser.wait_for(lambda: bool(browser.complaints))
        assert "Content Security Policy" in browser.complaints[0], made
    assert browser.evaluate("window.ran") is None
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"
    browser.complaints.clear()


def test_a_form_with_another_token_changes_nothing(service: Service, browser: Visitor, policy_path: Path) -> None:
    before = policy_path.read_bytes()
    browser.go(f"{service.base}/app/policy?lang=en")
    browser.fill('[name="v.floor"]', "0.2")
    browser.evaluate("document.querySelectorAll('[name=csrf]').forEach(one => one.value = '0'.repeat(64))")
    browser.submit('form[action="/app/policy/values"] button:not([name])')
    assert "The form was not accepted" in browser.text()
    assert policy_path.read_bytes() == before
    assert all("403" in said for said in browser.complaints)
    browser.complaints.clear()


def test_the_language_is_switched_and_remembered(service: Service, browser: Visitor) -> None:
    browser.go(f"{service.base}/app/rules?lang=en")
    assert browser.evaluate("document.querySelector('h1').textContent") == "Contact rules"
    browser.submit(".tools a[hreflang]")
    assert at(browser) == "/app/rules?lang=zh"
    assert browser.evaluate("document.querySelector('h1').textContent") == "触达规则"
    browser.submit('nav a[href="/app/data"]')
    assert at(browser) == "/app/data"
    assert browser.evaluate("document.documentElement.lang") == "zh-CN"
    browser.submit(".tools a[hreflang]")
    assert browser.evaluate("document.documentElement.lang") == "en"


def test_a_lever_is_added_shown_in_the_history_and_taken_back(
    service: Service, browser: Visitor, policy_path: Path
) -> None:
    before = policy_path.read_text("utf-8")
    browser.go(f"{service.base}/app/policy?lang=en", width=PHONE)
    form = 'form[action="/app/policy/add"]'
    browser.fill(f'{form} [name="percent"]', "12.5")
    browser.submit(f"{form} button")
    assert at(browser) == "/app/policy?name=policy&done=saved"
    assert "Saved. In force within a second." in browser.text()
    assert tomllib.loads(policy_path.read_text("utf-8"))["levers"] == [{"percent": 12.5}]
    newest = browser.evaluate("document.querySelector('ol.edits li').innerText")
    assert "12.5" in newest
    assert "by key " in newest
    browser.submit("ol.edits li form button")
    assert policy_path.read_text("utf-8") == before
    assert browser.evaluate("document.querySelectorAll('ol.edits > li').length") >= 2


@pytest.mark.parametrize("page", ["policy", "decisions", "models"])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(service: Service, browser: Visitor, page: str) -> None:
    browser.go(f"{service.base}/app/{page}?lang=en")
    browser.press("Tab")
    skip = "document.activeElement.matches('.skip') && document.activeElement.getBoundingClientRect().left >= 0"
    assert browser.evaluate(skip)
    browser.press("Enter")
    assert browser.evaluate("document.activeElement.id") == "content"
    browser.go(f"{service.base}/app/{page}?lang=en")
    wanted = browser.evaluate(
        """(() => {
          const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary';
          window.reached = new Set();
          window.wanted = [...document.querySelectorAll(all)].filter(e => e.checkVisibility() && !e.disabled);
          return window.wanted.length;
        })()"""
    )
    assert wanted > 10
    unseen = []
    for _ in range(wanted + 1):
        browser.press("Tab")
        found = browser.evaluate(
            """(() => {
              const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
              window.reached.add(e);
              const shown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
              return e === document.body || (shown && box.width > 0 && box.left >= 0) ? '' : e.outerHTML.slice(0, 80);
            })()"""
        )
        unseen += [found] if found else []
    assert unseen == []
    left = browser.evaluate("window.wanted.filter(e => !window.reached.has(e)).map(e => e.outerHTML.slice(0, 80))")
    assert left == []
