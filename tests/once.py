"""What is built once for all workers of a test run."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that the first worker to ask builds and the others find; nobody may change what is in it.

    Args:
        factory: Of the run's temporary folders.
        name: Of the folder; one per thing that is built.
        build: Fills the folder that it is given.
    """
    own = factory.getbasetemp()
    shared = (own.parent if own.name.startswith("popen-") else own) / name
    shared.mkdir(exist_ok=True)
    built = shared / "built"
    with (shared / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not built.exists():
            build(shared)
            built.touch()
    return shared
