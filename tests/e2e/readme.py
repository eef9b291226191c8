"""The README's command blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?P<mark><!-- docs-test: service -->\n)?```sh\n(?P<body>.*?)```", re.DOTALL)
DEMO = ".demo/complete-journey"


def blocks() -> list[tuple[bool, str]]:
    """Whether it needs the service, and the commands; those of make are left to ``make`` itself."""
    found = []
    for match in BLOCK.finditer(README):
        lines = [line for line in match["body"].splitlines() if not line.startswith("make ")]
        if lines:
            found.append((match["mark"] is not None, "\n".join(lines)))
    return found
