"""``make screens``: pictures of the demo's pages, both languages, on a desk and on a phone, to look at.

Reports of every experiment of the demo's workspaces are made anew and photographed as they open (what is above the
fold) and whole; then a service is started on each workspace, and every page of it is photographed. Pictures land in
``.demo/screens``. Whoever has other pages to show adds them to ``PAGES``.
"""

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from foretouch.core.errors import ForetouchError
from foretouch.core.workspace import Workspace
from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.report.page import write_reports
from tests.experiments.app.screens import take
from tests.experiments.report.chromium import Browser, find_chromium
from tests.serving.service.world import serving

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / ".demo"
OUT = DEMO / "screens"
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


def report_pages(workspace: Workspace, folder: Path) -> Iterator[Path]:
    """The reports of a workspace's experiments, in both languages."""
    for spec in workspace.experiments():
        try:
            results = analyze_experiment(workspace, spec.key, now=workspace.clock.now())
        except ForetouchError as error:
            print(f"no report of {spec.key}: {error.message}", file=sys.stderr)
            continue
        yield from write_reports(results, folder, ("en", "zh")).values()


PAGES: tuple[Callable[[Workspace, Path], Iterator[Path]], ...] = (report_pages,)
"""Each makes files of pages in a folder."""


def photograph(browser: Browser, page: Path, out: Path) -> None:
    """A page as it opens and whole, at each size."""
    for size, (width, height) in SIZES.items():
        browser.open(page, width=width, height=height)
        seen = browser.call("Page.captureScreenshot")
        (out / f"{page.stem}.{size}.png").write_bytes(base64.b64decode(seen["data"]))
        browser.screenshot(out / f"{page.stem}.{size}-whole.png")


def photograph_service(place: Path, out: Path) -> None:
    """Every page of a service on a workspace, once nothing on it is being worked out."""
    key = (place / "secrets" / "api.key").read_text(encoding="utf-8").strip()
    with serving(Workspace.open(place), key=key) as running:
        for complaint in take(running.base, key, out):
            print(f"{place.name}: the browser says: {complaint}", file=sys.stderr)


def main() -> int:
    """Makes the pages and their pictures; 1 where there is nothing to show or no browser."""
    program = find_chromium()
    if program is None:
        print("no Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    places = sorted(path.parent for path in DEMO.glob("*/foretouch.toml"))
    if not places:
        print("there is no demo to show: make demo", file=sys.stderr)
        return 1
    with Browser(program) as browser:
        for place in places:
            folder = OUT / place.name
            folder.mkdir(parents=True, exist_ok=True)
            for make in PAGES:
                for page in make(Workspace.open(place), folder):
                    photograph(browser, page, folder)
    for place in places:
        photograph_service(place, OUT / place.name / "app")
    print(f"look at {OUT.relative_to(ROOT)}: {len(list(OUT.rglob('*.png')))} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
