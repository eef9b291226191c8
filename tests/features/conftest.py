"""Workspaces of the features tests: small ones by hand, and the sample once per session."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foretouch.core.clock import ManualClock
from foretouch.core.workspace import Workspace

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CONFIG = """
schema_version = 1
[workspace]
currency = "EUR"
time_zone = "Europe/Berlin"
[clock]
kind = "manual"
[goals.lead]
goal_event = "conversion"
points = {{ page_view = 5.0, form_submit = 10.0, send = 1.0 }}
[features]
categories = ["A", "B-1"]
attributes = ["plan"]
engagement_events = ["open", "page_view"]
snapshot_days = 30
{more}
"""
MakeWorkspace = Callable[..., Workspace]


@pytest.fixture
def make_workspace(tmp_path: Path) -> MakeWorkspace:
    """Makes an empty workspace that lives on 1 June 2024; ``more`` is appended to its configuration."""

    def make(name: str = "w", more: str = "") -> Workspace:
        root = tmp_path / name
        root.mkdir()
        (root / "foretouch.toml").write_text(CONFIG.format(more=more), encoding="utf-8")
        workspace = Workspace.open(root)
        ManualClock(workspace.clock_file).set(NOW)
        return workspace

    return make


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The Complete Journey, initialised and built."""
    from foretouch.features.build import build_history
    from foretouch.features.initialise import initialise

    workspace = initialise(tmp_path_factory.mktemp("sample") / "w", "complete-journey").workspace
    build_history(workspace)
    return workspace
