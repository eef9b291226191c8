"""The README's own commands, run as written on the real sample, with the service up where they need it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.sample import SampleService

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?P<mark><!-- docs-test: service -->\n)?```sh\n(?P<body>.*?)```", re.DOTALL)
DEMO = ".demo/complete-journey"

pytestmark = [pytest.mark.xdist_group("sample"), pytest.mark.slow]


def blocks() -> list[tuple[bool, str]]:
    """Whether it needs the service, and the commands; those of make are left to ``make`` itself."""
    found = []
    for match in BLOCK.finditer(README):
        lines = [line for line in match["body"].splitlines() if not line.startswith("make ")]
        if lines:
            found.append((match["mark"] is not None, "\n".join(lines)))
    return found


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))
    assert named >= {"demo", "test", "serve"}
    assert named <= targets


@pytest.mark.parametrize("index", range(len(blocks())))
def test_the_readme_commands_work(index: int, sample_service: SampleService, tmp_path: Path) -> None:
    needs_service, script = blocks()[index]
    script = script.replace(DEMO, str(sample_service.workspace))
    if needs_service:
        script = script.replace("http://127.0.0.1:8000", sample_service.url)
        script = script.replace("curl -s ", "curl -sS --fail-with-body ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=sample_service.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.stdout.strip()


def test_every_local_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
