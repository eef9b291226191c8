"""Style sheets and the icon: named by their content, so that a browser may keep them for good."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from foretouch.experiments.report.fragment import style_sheet
from foretouch.serving.web.pages import PREFIX, PageAnswer

FOLDER = f"{PREFIX}/static/"
TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
REPORT = "report.css"
FOR_GOOD = "public, max-age=31536000, immutable"


@cache
def _contents() -> dict[str, tuple[str, bytes]]:
    """Served name, and content, by plain name."""
    folder = files("foretouch.experiments.app").joinpath("static")
    found = {item.name: item.read_bytes() for item in folder.iterdir() if PurePosixPath(item.name).suffix in TYPES}
    found[REPORT] = style_sheet().encode()
    served = {}
    for name, content in found.items():
        path = PurePosixPath(name)
        served[name] = (f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}", content)
    return served


def static_url(name: str) -> str:
    """The address of a file by its plain name."""
    return FOLDER + _contents()[name][0]


def static_answer(path: str) -> PageAnswer | None:
    """A file by its address; None where there is none."""
    for served, content in _contents().values():
        if path == FOLDER + served:
            kind = TYPES[PurePosixPath(served).suffix]
            return PageAnswer(body=content, content_type=kind, template=f"{PREFIX}/static")
    return None
