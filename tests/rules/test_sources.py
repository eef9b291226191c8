"""Rules that only this project has, read from the syntax tree of every source, not from its text."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOTS = ("core", "features", "training", "serving", "experiments")
EXTRA = ("benchmarks", "examples", "notebooks")
UNSAFE = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal", "skops"}
CLOCK_FILE = ROOT / "core/foretouch/core/clock.py"
CLOCK_CALLS = {
    "now", "utcnow", "today", "time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns",
    "localtime", "gmtime",
}  # fmt: skip
CLOCK_OWNERS = {"datetime", "date", "time", "Timestamp", "pd.Timestamp", "datetime.datetime", "datetime.date"}
ROOMS = {
    "mlflow": {"training/foretouch/training/registry.py"},
    "bentoml": {"serving/foretouch/serving/service.py"},
    "optuna": {"training/foretouch/training/tuning.py"},
    "shap": {"training/foretouch/training/plots.py"},
}


def sources() -> list[Path]:
    return [path for root in ROOTS for path in sorted((ROOT / root).rglob("*.py"))]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "__import__"}:
            yield from (
                arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )


def unsafe_imports(text: str) -> list[str]:
    return [name for name in imports(ast.parse(text)) if name.split(".")[0] in UNSAFE]


def clock_calls(text: str) -> list[int]:
    lines = []
    tree = ast.parse(text)
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            if ast.unparse(node.func.value) in CLOCK_OWNERS:
                lines.append(node.lineno)
        elif isinstance(node.func, ast.Name) and node.func.id in bare & CLOCK_CALLS:
            lines.append(node.lineno)
    return lines


def test_no_source_can_unpickle() -> None:
    paths = sources() + [path for root in EXTRA for path in (ROOT / root).rglob("*.py")]
    assert len(paths) > 20
    found = {str(path.relative_to(ROOT)): names for path in paths if (names := unsafe_imports(path.read_text("utf-8")))}
    assert found == {}


def test_only_the_clock_reads_the_clock() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if path != CLOCK_FILE and (lines := clock_calls(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import datetime\nx = datetime.datetime.now()",
        "from datetime import datetime\nx = datetime.now(UTC)",
        "import time\nx = time.time()",
        "from time import perf_counter\nx = perf_counter()",
        "import pandas as pd\nx = pd.Timestamp.now('UTC')",
    ],
)
def test_the_clock_rule_sees_a_planted_call(planted: str) -> None:
    assert clock_calls(planted) == [2]


@pytest.mark.parametrize(
    "planted", ["import pickle", "from joblib import dump", "import importlib\nimportlib.import_module('cloudpickle')"]
)
def test_the_pickle_rule_sees_a_planted_import(planted: str) -> None:
    assert unsafe_imports(planted)


def test_each_big_library_stays_in_its_room() -> None:
    strays = []
    for path in sources():
        relative = str(path.relative_to(ROOT))
        for name in imports(ast.parse(path.read_text("utf-8"))):
            top = name.split(".")[0]
            if top in ROOMS and relative not in ROOMS[top]:
                strays.append(f"{relative}: {name}")
            if top == "feast" and not relative.startswith("features/"):
                strays.append(f"{relative}: {name}")
    assert strays == []


def test_sources_validate_without_assert() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_the_namespace_package_has_no_init() -> None:
    assert [str(path) for root in ROOTS for path in (ROOT / root / "foretouch").glob("__init__.py*")] == []
    assert all((ROOT / root / "foretouch" / root / "py.typed").is_file() for root in ROOTS)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the git checkout to list tracked files")
def test_no_tracked_file_names_a_package_index() -> None:
    hosts = re.compile(
        "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs", "deb" + r"\.debian\.org"])
    )
    marks = re.compile(r"(--(extra-)?index-" + r"url|--find-" + r"links)\s+\S*://")
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        if hosts.search(text) or marks.search(text):
            found.append(str(path.relative_to(ROOT)))
    assert found == []


def run_import_linter(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache"]
    paths = ":".join(str(folder / root) for root in ROOTS)
    # The copy must be read, not the installed checkout: PYTHONPATH comes before editable installs.
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": paths, "PATH": ""}
    )


@pytest.fixture(scope="module")
def copied_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for root in ROOTS:
        shutil.copytree(
            ROOT / root / "foretouch", folder / root / "foretouch", ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_import_layers_hold(copied_sources: Path) -> None:
    done = run_import_linter(copied_sources)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        ("core/foretouch/core/planted.py", "import foretouch.features\n"),
        ("serving/foretouch/serving/planted.py", "import foretouch.training\n"),
        ("training/foretouch/training/planted.py", "import foretouch.experiments\n"),
        ("serving/foretouch/serving/planted.py", "import optuna\n"),
        ("core/foretouch/core/planted.py", "import pandas\n"),
    ],
)
def test_import_layers_break_when_a_forbidden_import_is_planted(
    copied_sources: Path, place: str, statement: str
) -> None:
    planted = copied_sources / place
    planted.write_text(f'"""Planted."""\n\n{statement}', encoding="utf-8")
    try:
        done = run_import_linter(copied_sources)
    finally:
        planted.unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
