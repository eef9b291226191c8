"""Pages that are made from the code are up to date, and a change of the code would be noticed."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from foretouch.core.config import Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.engagement import EngagementPolicy
from foretouch.core.experiment import Metric
from foretouch.core.policy import PolicySpec
from tests.e2e.readme import ROOT

SCRIPT = ROOT / "docs" / "generate.py"
PAGES = ("configuration.md", "openapi.json")


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--check", "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_pages_are_up_to_date() -> None:
    done = check(ROOT / "docs")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_has_drifted_is_named_and_left_alone(page: str, tmp_path: Path) -> None:
    for name in PAGES:
        shutil.copy(ROOT / "docs" / name, tmp_path)
    drifted = (tmp_path / page).read_text("utf-8").replace("deadline", "timeout").replace("Decision", "Choice")
    (tmp_path / page).write_text(drifted, encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / page) in done.stderr
    assert [name for name in PAGES if str(tmp_path / name) in done.stderr] == [page]
    assert (tmp_path / page).read_text("utf-8") == drifted


def test_every_setting_has_a_meaning() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 90
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_examples_on_the_page_are_accepted() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    blocks = [tomllib.loads(block.partition("```")[0]) for block in page.split("```toml\n")[1:]]
    named = {name: block for block in blocks for name in block}
    assert sorted(named) == ["caps", "context_weights", "cool_downs", "metrics", "rules", "working_hours"]
    assert PolicySpec.model_validate(named["context_weights"]).context_weights[0].percent == 30
    assert ContactPolicy.model_validate(named["caps"]).caps[0].limit == 3
    assert ContactPolicy.model_validate(named["cool_downs"]).cool_downs[0].count == 3
    assert ContactPolicy.model_validate(named["working_hours"]).working_hours[0].calendar == "CN"
    assert EngagementPolicy.model_validate(named["rules"]).rules[0].tier == "applicability"
    assert Metric.model_validate(named["metrics"]["metrics"][0]).role == "primary"


def test_the_page_names_every_section() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert [name for name in Config.model_fields if f"| `{name}` |" not in page] == []


def test_the_openapi_document_is_whole() -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    assert document["openapi"].startswith("3.1")
    assert "/v1/decisions" in document["paths"]
    schemas = document["components"]["schemas"]
    named = {text.split("/")[-1] for text in _references(document)}
    assert named
    assert named <= set(schemas)


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(item) for item in value))
    return set()
