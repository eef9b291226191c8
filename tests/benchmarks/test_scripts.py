"""The scripts of benchmarks/: what is not there is skipped by name, and an attempt to leave the machine is seen."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    """A script of the folder as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_jobs_without_their_data_are_skipped_by_name(tmp_path: Path) -> None:
    done = run("--data", tmp_path, "--out", tmp_path / "out", "--workspace", tmp_path / "none")
    assert done.returncode == 0, done.stderr
    for job in ("lead", "calibration", "churn", "uplift", "ope", "experiment", "service"):
        assert f"{job}: skipped" in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_job_that_fails_is_named_and_leaves_no_result(tmp_path: Path) -> None:
    public = load("public_data")
    frame = public.pd.DataFrame({"customer_id": ["a"], "occurred_on": ["1997-01-01"], "quantity": [1], "value": [1.0]})
    frame.to_parquet(tmp_path / "cdnow_sample.parquet")
    done = run("--data", tmp_path, "--out", tmp_path / "out", "--only", "churn")
    assert done.returncode == 1
    assert "failed: churn" in done.stderr
    assert not list(tmp_path.glob("out/*.json"))


def test_a_result_says_when_where_and_how_and_is_json(tmp_path: Path) -> None:
    result = load("result")
    path = result.write(
        tmp_path,
        "x",
        command="make x",
        seconds=1.234,
        figures={"a": 0.123456789, "b": [float("nan"), 3], "c": {1: "t"}},
    )
    made = json.loads(path.read_text("utf-8"))
    assert (made["a"], made["b"], made["c"]) == (0.12346, [None, 3], {"1": "t"})
    assert made["command"] == "make x"
    assert made["seconds"] == 1.2
    assert "cores" in made["machine"]
    assert made["date"]


def test_the_share_captured_counts_the_top_fifth() -> None:
    public = load("public_data")
    label = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0], dtype=float)
    score = np.arange(10, 0, -1, dtype=float)
    assert public.captured(label, score) == 0.5
    assert public.captured(label, label) == 1.0


@pytest.mark.parametrize(
    ("line", "leaves"),
    [
        ('connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("93.184.216.34")}, 16) = -1', True),
        ('sendto(3, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16) = 1', True),
        ('connect(3, {sa_family=AF_INET6, inet_pton(AF_INET6, "2606:2800::1", &sin6_addr)}, 28) = -1', True),
        ('connect(3, {sa_family=AF_INET, sin_port=htons(8000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0', False),
        ('connect(3, {sa_family=AF_INET6, inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0', False),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/socket"}, 110) = -1 ENOENT', False),
        ('write(1, "inet_addr(\\"93.184.216.34\\")", 26) = 26', False),
    ],
)
def test_an_attempt_to_leave_the_machine_is_seen(line: str, leaves: bool) -> None:
    assert bool(load("egress").attempts(line)) is leaves
