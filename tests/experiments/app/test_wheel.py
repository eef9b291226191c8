"""The wheel holds everything that the pages are made of, and it is the wheel that this folder's service runs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.experiments.app.conftest import ROOT, Client
from tests.serving.service.world import Service

PARTS = ("core", "features", "training", "serving", "experiments")


def test_every_file_of_the_sources_is_in_the_wheel(installed: Path) -> None:
    wanted = {
        path.relative_to(ROOT / part)
        for part in PARTS
        for path in (ROOT / part / "foretouch").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert {path.suffix for path in wanted} >= {".py", ".j2", ".po", ".css", ".svg", ".js", ".typed"}
    assert wanted - there == set()


def test_the_service_of_these_tests_runs_from_the_wheel(service: Service, installed: Path) -> None:
    code = "import foretouch.experiments.app as app, foretouch.core.clock as core; print(app.__file__, core.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert all(path.startswith(str(installed)) for path in done.stdout.split())
    running = Path(f"/proc/{service.process.pid}/environ").read_bytes().split(b"\0")
    assert f"PYTHONPATH={installed}".encode() in running
    for language, title in (("en", "Sign in"), ("zh", "登录")):
        assert f"<h1>{title}</h1>" in Client(base=service.base).get(f"/app/sign-in?lang={language}").text
