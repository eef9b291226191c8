"""Shared by the end-to-end tests: they run in one worker, on one workspace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sample import SampleService, build_sample, serving


@pytest.fixture(scope="session")
def sample_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Complete Journey, ingested, trained, promoted."""
    workspace = tmp_path_factory.mktemp("sample") / "complete-journey"
    build_sample(workspace)
    return workspace


@pytest.fixture(scope="session")
def sample_service(sample_workspace: Path) -> Iterator[SampleService]:
    """The service on the sample."""
    with serving(sample_workspace) as service:
        yield service
