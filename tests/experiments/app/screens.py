"""Every page in both languages, on a desk and on a phone, as pictures to look at.

``python -m tests.experiments.app.screens http://127.0.0.1:8000 KEY FOLDER`` against a running service.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.experiments.report.chromium import Browser, find_chromium

WIDTHS = {"desk": 1200, "phone": 390}
PAGES = (
    "experiments",
    "insights",
    "what-if",
    "uplift",
    "policies",
    "policy",
    "rules",
    "decisions",
    "models",
    "data",
    "history",
    "nowhere",
)


class Visitor(Browser):
    """A browser that goes to addresses, and remembers what its console says."""

    def __init__(self, program: str) -> None:
        self.complaints: list[str] = []
        super().__init__(program)
        self.call("Log.enable")

    def go(self, url: str, *, width: int = 1200, height: int = 900, scripts: bool = True) -> None:
        """Opens an address and waits until it has loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.requested.clear()
        self.call("Page.navigate", url=url)
        self.loaded()

    def loaded(self) -> None:
        """Waits until a page has loaded."""
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def submit(self, selector: str) -> None:
        """Sends a form by its button, and waits for the page that comes."""
        self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r}).click()")
        self.loaded()

    def press(self, key: str) -> None:
        """Presses and lets go of a key: ``Tab``, ``Enter`` or ``Space``."""
        code = {"Tab": 9, "Enter": 13, "Space": 32}[key]
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        known = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        """Lets the browser tell what it has to tell until a condition holds."""
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until:
            self.evaluate("1")
            time.sleep(0.02)
        assert condition()

    def fill(self, selector: str, value: str) -> None:
        """Puts a value into a field."""
        self.evaluate(f"document.querySelector({selector!r}).value = {value!r}")

    def text(self) -> str:
        """What a reader sees."""
        found: str = self.evaluate("document.body.innerText")
        return found

    def sign_in(self, base: str, key: str) -> None:
        """Exchanges a key for a session."""
        self.go(f"{base}/app/sign-in?lang=en")
        self.fill("#key", key)
        self.submit("main form button")

    def settled(self, url: str, *, width: int = 1200, seconds: float = 180.0) -> None:
        """Opens a page, and waits until nothing on it is being worked out."""
        until = time.monotonic() + seconds
        self.go(url, width=width)
        while self.evaluate("!!document.querySelector('meta[http-equiv=refresh]')") and time.monotonic() < until:
            time.sleep(2.0)
            self.go(url, width=width)

    def _next(self) -> dict[str, Any]:
        message = super()._next()
        if message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["level"] in {"error", "warning"}:
                self.complaints.append(f"{entry['source']}: {entry['text']}")
        return message


def addresses(browser: Visitor, base: str) -> dict[str, str]:
    """Every page by name: the fixed ones, and one of each kind that the lists lead to."""
    found = {name: f"{base}/app/{name}" for name in PAGES}
    found["what-if-answer"] = f"{base}/app/what-if?policy=policy&sample=200"
    for name, page, selector in (
        ("report", "experiments", "main h2 a"),
        ("decision", "decisions", "tbody td:last-child a"),
    ):
        browser.go(found[page])
        link = browser.evaluate(f"(document.querySelector({selector!r}) || {{}}).href || ''")
        if link:
            found[name] = link
    return found


def take(base: str, key: str, folder: Path, only: tuple[str, ...] = ()) -> list[str]:
    """Makes the pictures.

    Returns:
        What the browser's console complained of.
    """
    program = find_chromium()
    if program is None:
        raise SystemExit("no Chromium on this machine")
    folder.mkdir(parents=True, exist_ok=True)
    with Visitor(program) as browser:
        for language in ("en", "zh"):
            for kind, width in WIDTHS.items():
                if not only or "sign-in" in only:
                    browser.go(f"{base}/app/sign-in?lang={language}", width=width)
                    browser.screenshot(folder / f"sign-in-{language}-{kind}.png")
        browser.sign_in(base, key)
        wanted = addresses(browser, base)
        for name, url in wanted.items():
            if only and name not in only:
                continue
            for language in ("en", "zh"):
                joined = f"{url}{'&' if '?' in url else '?'}lang={language}"
                browser.settled(joined)
                for kind, width in WIDTHS.items():
                    browser.go(joined, width=width)
                    browser.screenshot(folder / f"{name}-{language}-{kind}.png")
        return list(dict.fromkeys(browser.complaints))


if __name__ == "__main__":
    for complaint in take(sys.argv[1], sys.argv[2], Path(sys.argv[3]), tuple(sys.argv[4:])):
        print(complaint)
