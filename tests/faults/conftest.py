"""The small world of the service's tests, for faults."""

from pathlib import Path

import pytest

from foretouch.core.workspace import Workspace
from tests.serving.service.world import build_world, copy_world


@pytest.fixture(scope="session")
def fault_base(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Built once; without models, so that a killed worker is back sooner: the log does not care who decided."""
    workspace = build_world(tmp_path_factory.mktemp("faults") / "base")
    for path in workspace.bundles.glob("*/aliases.json"):
        path.unlink()
    return workspace


@pytest.fixture
def fault_world(fault_base: Workspace, tmp_path: Path) -> Workspace:
    """A copy per test."""
    return copy_world(fault_base, tmp_path / "w")
