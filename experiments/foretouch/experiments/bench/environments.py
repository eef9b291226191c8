"""The peers' environments: made by the command, each library in one of its own, never in ours."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from foretouch.core.errors import NotReadyError

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "tea-tasting": ("tea-tasting==1.14.0", "polars==2.1.0", "pyarrow"),
    "uplift": ("causalml==0.18.0", "scikit-uplift==0.5.1", "pyarrow"),
}
"""tea-tasting 1.14 is the newest that runs on Python 3.11."""


def peer_python(name: str, folder: Path, packages: Sequence[str] | None = None) -> Path:
    """The interpreter of a peer's environment, made where it is not there.

    Args:
        name: Of the environment.
        folder: Holds the environments.
        packages: What it holds; those of ``PACKAGES`` where none are named.

    Raises:
        NotReadyError: It cannot be made, for instance without a package index.
    """
    root = folder / name
    python = root / "bin" / "python"
    done = root / "complete"
    if done.is_file():
        return python
    wanted = PACKAGES[name] if packages is None else packages
    folder.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        commands = [
            [sys.executable, "-m", "venv", "--clear", str(root)],
            [str(python), "-m", "pip", "install", "--quiet", *wanted],
        ]
    else:
        commands = [
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(root)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
        ]
    for command in commands:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own tools, by path
        if ended.returncode:
            raise NotReadyError(f"the environment of {name} could not be made: {ended.stderr.strip()[-400:]}")
    done.touch()
    return python
