"""Shared by the end-to-end tests: one trained sample for all workers, and each works on a copy of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sample import SampleService, build_sample, kept_by_demo, serving
from tests.once import once


@pytest.fixture(scope="session")
def sample_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Complete Journey, ingested, trained, promoted: the demo's copy if this very code made it."""

    def build(folder: Path) -> None:
        kept = kept_by_demo()
        if kept is None:
            build_sample(folder / "complete-journey")
        else:
            shutil.copytree(kept, folder / "complete-journey")

    shared = once(tmp_path_factory, "sample", build)
    workspace = tmp_path_factory.mktemp("sample") / "complete-journey"
    shutil.copytree(shared / "complete-journey", workspace)
    return workspace


@pytest.fixture(scope="session")
def sample_service(sample_workspace: Path) -> Iterator[SampleService]:
    """The service on the sample."""
    with serving(sample_workspace) as service:
        yield service
