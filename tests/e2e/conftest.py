"""Shared by the end-to-end tests: one trained sample for all workers, and each works on a copy of its own."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sample import SampleService, build_sample, kept_by_demo, serving


@pytest.fixture(scope="session")
def sample_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Complete Journey, ingested, trained, promoted: the demo's copy if this very code made it."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if own.name.startswith("popen-") else own) / "sample"
    shared.mkdir(exist_ok=True)
    built = shared / "built"
    with (shared / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not built.exists():
            kept = kept_by_demo()
            if kept is None:
                build_sample(shared / "complete-journey")
            else:
                shutil.copytree(kept, shared / "complete-journey", dirs_exist_ok=True)
            built.touch()
    workspace = tmp_path_factory.mktemp("sample") / "complete-journey"
    shutil.copytree(shared / "complete-journey", workspace)
    return workspace


@pytest.fixture(scope="session")
def sample_service(sample_workspace: Path) -> Iterator[SampleService]:
    """The service on the sample."""
    with serving(sample_workspace) as service:
        yield service
