"""How far foretouch is ahead of each competitor, and whether that is more than the luck of one draw of a world.

Two races in one draw share people, offers, visits, the random numbers behind answers and those behind choices, so that
the difference of their shares is one paired observation. What a model makes of one log is luck that all customers of a
race share: only other draws (other seeds) tell how large it is. The interval is Student's over draws.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from worlds_truth import FloatArray

LEVEL = 0.95
LAST_DAYS = 25
SPANS = {"whole": 0, "last_50000": -LAST_DAYS}
OURS, ORACLE = "foretouch", "oracle"


def leads(work: Path, world: str, others: list[str]) -> dict[str, Any]:
    """Leads over each competitor in a world, of every draw for which both have run.

    Args:
        work: Finished runs: those of the committed seeds, and of others in folders ``plus-<n>``.
        world: Its name.
        others: Competitors.

    Returns:
        By competitor, then ``whole`` or ``last_50000``: ``draws`` (what was added to the seed), ``lead`` of each in
        shares of the oracle's value, ``mean``, and ``low`` and ``high`` of its interval where there are two draws.
    """
    folders = {0: work} | {
        int(folder.name.removeprefix("plus-")): folder for folder in sorted(work.glob("plus-*")) if folder.is_dir()
    }
    found: dict[str, Any] = {}
    for other in others:
        pairs = {plus: _pair(folder, world, other) for plus, folder in sorted(folders.items())}
        pairs = {plus: pair for plus, pair in pairs.items() if pair is not None}
        if pairs:
            found[other] = {span: _of(pairs, start) for span, start in SPANS.items()}
    return found


def interval(values: FloatArray) -> tuple[float, float]:
    """Student's interval of the mean of draws, shape (n,), n at least 2."""
    half = float(student.ppf(0.5 + LEVEL / 2.0, len(values) - 1)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half


def _pair(folder: Path, world: str, other: str) -> "dict[str, FloatArray] | None":
    files = {name: folder / f"{world}-{name}.json" for name in (ORACLE, OURS, other)}
    if not all(file.is_file() for file in files.values()):
        return None
    runs = {name: json.loads(file.read_text(encoding="utf-8"))["expected"] for name, file in files.items()}
    return {
        "ours": np.asarray(runs[OURS], dtype=np.float64),
        "theirs": np.asarray(runs[other], dtype=np.float64),
        "best": np.asarray(runs[ORACLE], dtype=np.float64),
    }


def _of(pairs: "Mapping[int, Mapping[str, FloatArray] | None]", start: int) -> dict[str, Any]:
    each = np.array(
        [
            (pair["ours"][start:].sum() - pair["theirs"][start:].sum()) / pair["best"][start:].sum()
            for pair in pairs.values()
            if pair is not None
        ]
    )
    line: dict[str, Any] = {"draws": list(pairs), "lead": each.tolist(), "mean": float(each.mean())}
    if len(each) > 1:
        line["low"], line["high"] = interval(each)
    return line
