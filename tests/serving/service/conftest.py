"""One small world for all tests of the service; each module gets a copy of its own, and starts the service once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from foretouch.core.workspace import Workspace
from tests.serving.service.world import Service, build_world, copy_world, serving


@pytest.fixture(scope="session")
def base_world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Built once."""
    return build_world(tmp_path_factory.mktemp("world") / "base")


@pytest.fixture(scope="module")
def world(base_world: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy per module."""
    return copy_world(base_world, tmp_path_factory.mktemp("module") / "w")


@pytest.fixture
def fresh(base_world: Workspace, tmp_path: Path) -> Workspace:
    """A copy per test."""
    return copy_world(base_world, tmp_path / "w")


@pytest.fixture(scope="module")
def service(world: Workspace) -> Iterator[Service]:
    """The service on the module's copy."""
    with serving(world) as running:
        yield running
