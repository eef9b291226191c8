"""One result: figures with the date, the command and the size of the machine, as a JSON file for people to keep."""

import datetime as dt
import json
import math
import os
import platform
from pathlib import Path
from typing import Any

Json = Any
DIGITS = 5


def machine() -> str:
    """Cores, memory and kind of this machine, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def rounded(value: Json) -> Json:
    """Numbers to five significant digits; what is not finite is null."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def write(folder: Path, name: str, *, command: str, seconds: float, figures: Json) -> Path:
    """Writes ``<folder>/<name>.json``.

    Args:
        folder: Made where it is not there.
        name: Of the benchmark.
        command: How anybody runs it again.
        seconds: How long it took.
        figures: What was measured.

    Returns:
        The file.
    """
    result = {
        "benchmark": name,
        "command": command,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        **rounded(figures),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
