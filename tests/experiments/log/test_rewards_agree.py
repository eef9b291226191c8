"""Rewards and experiments count the same goals: two readers of one log cannot tell two stories."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from foretouch.core.workspace import Workspace
from foretouch.experiments.log.frame import build_frame
from foretouch.serving.history.rewards import write_rewards


def test_goals_of_the_first_decision_equal_the_experiments_rows(planted: Any, tmp_path: Path) -> None:
    root = tmp_path / "w"
    shutil.copytree(planted.workspace.root, root)
    path = root / "foretouch.toml"
    settings = '\n[reward]\nwindow_days = 14\n[goals.offer.acceptance]\n"*" = "purchase"\n'
    path.write_text(path.read_text(encoding="utf-8") + settings, encoding="utf-8")
    out = tmp_path / "rewards.parquet"
    write_rewards(Workspace.open(root), out, as_of=planted.now)
    rows = pd.read_parquet(out).drop_duplicates("customer_id").set_index("customer_id")
    frame = build_frame(planted.workspace, planted.spec, now=planted.now).rows.set_index("customer_id")
    assert set(rows.index[rows["goal_mature"]]) == set(frame.index)
    rows = rows.loc[frame.index]
    assert len(rows) > 100
    assert (rows["revenue"] - frame["revenue: revenue"]).abs().max() < 1e-9
    assert (rows["goal_value"] - frame["revenue: revenue"]).abs().max() < 1e-9
    assert (rows["goal_count"] == frame["basket: purchase:count"]).all()
    assert (rows["goal_occurred"] == frame["buyers: buyers"].astype(bool)).all()
    assert rows["reward"].isna().all(), "nothing was delivered, so nothing is learned"
