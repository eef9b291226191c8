"""The proof of scale at a small size: each step is a measured process, and a smaller run says that it is one."""

import argparse
import tomllib
from pathlib import Path
from typing import Any

from tests.benchmarks.test_scripts import load


def test_a_small_run_says_its_size_and_what_failed(tmp_path: Path) -> None:
    script = load("train_scale")
    given = argparse.Namespace(customers=60, days=30, snapshot_days=10.0, seed=3, models=["value"])
    kept: list[dict[str, Any]] = []
    found = script.measure(tmp_path / "w", given, keep=kept.append)
    assert [len(figures["steps"]) for figures in kept] == [1, 2, 3, 4]
    assert not any(figures["finished"] for figures in kept)
    assert kept[-1] == found
    assert not found["whole"]
    assert "smaller than the whole of 1,000,000 customers" in found["note"]
    assert found["size"]["customers"] == 60
    assert found["size"]["history_rows_per_view"] > 60
    assert tomllib.loads((tmp_path / "w" / "foretouch.toml").read_text("utf-8"))["features"]["snapshot_days"] == 10
    steps = {step["name"]: step for step in found["steps"]}
    assert [steps[name]["exit_code"] for name in ("simulate", "features build", "features apply")] == [0] * 3
    assert all(step["peak_mib"] > 20.0 and step["seconds"] > 0.0 for step in found["steps"])
    short = steps["train value"]  # thirty days are too few for a window of 28: refused, and said
    assert (short["exit_code"], found["finished"]) == (1, False)
    assert short["said"]
