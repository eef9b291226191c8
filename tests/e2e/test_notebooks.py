"""Notebooks run from the first cell to the last on the real sample, each in a kernel of its own, and show plots."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.readme import ROOT

RUNNER = """
import sys
import jupytext, nbformat
from nbclient import NotebookClient
notebook = jupytext.read(sys.argv[1])
NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.py"))


def execute(notebook: Path, workspace: Path, out: Path) -> list[str]:
    """Runs a notebook and gives the kinds of everything that it showed."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(notebook), str(out)],
        env={**os.environ, "FORETOUCH_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads(out.read_text("utf-8"))["cells"]
    shown = [item for cell in cells for item in cell.get("outputs", ())]
    return [kind for item in shown for kind in item.get("data", {})]


def test_there_are_notebooks_and_none_holds_an_output() -> None:
    assert len(NOTEBOOKS) >= 3
    assert not list((ROOT / "notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize("name", ["explore_features.py", "retrain_and_compare.py"])
def test_a_notebook_runs_on_the_sample(name: str, sample_workspace: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(sample_workspace, workspace)  # a notebook may train
    shown = execute(ROOT / "notebooks" / name, workspace, tmp_path / "out.ipynb")
    assert "image/png" in shown
    assert "text/html" in shown


def test_the_policy_evaluation_runs_on_the_log_of_the_demo(tmp_path: Path) -> None:
    demo = ROOT / ".demo" / "simulated"
    if not (demo / "reports" / "campaign.json").is_file():
        pytest.skip("no decision log to read: make demo")
    workspace = tmp_path / "workspace"
    shutil.copytree(demo, workspace)
    shown = execute(ROOT / "notebooks" / "read_a_policy_evaluation.py", workspace, tmp_path / "out.ipynb")
    assert "image/png" in shown
    assert shown.count("text/html") >= 3
