"""What each policy earns over draws of a world, and whether foretouch's lead is more than the luck of one of them.

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
    folders = _folders(work)
    found: dict[str, Any] = {}
    for other in others:
        pairs = {plus: _pair(folder, world, other) for plus, folder in folders.items()}
        pairs = {plus: pair for plus, pair in pairs.items() if pair is not None}
        if pairs:
            found[other] = {span: _of(pairs, start) for span, start in SPANS.items()}
    return found


def shares(work: Path, world: str, policies: list[str]) -> dict[str, Any]:
    """Shares of the oracle's value over draws of a world.

    Args:
        work: As in ``leads``.
        world: Its name.
        policies: Whose.

    Returns:
        By policy, then ``whole`` or ``last_50000``: ``draws``, ``share`` of each, ``mean``, and ``low`` and ``high`` of
        its interval where there are two draws.
    """
    found: dict[str, Any] = {}
    for policy in policies:
        runs = {plus: _runs(folder, world, [ORACLE, policy]) for plus, folder in _folders(work).items()}
        pairs = {plus: (run[policy], run[ORACLE]) for plus, run in runs.items() if run is not None}
        if pairs:
            found[policy] = {
                span: _line(
                    list(pairs),
                    np.array([value[start:].sum() / best[start:].sum() for value, best in pairs.values()]),
                    "share",
                )
                for span, start in SPANS.items()
            }
    return found


def interval(values: FloatArray) -> tuple[float, float]:
    """Student's interval of the mean of draws, shape (n,), n at least 2."""
    half = float(student.ppf(0.5 + LEVEL / 2.0, len(values) - 1)) * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half


def _folders(work: Path) -> dict[int, Path]:
    """Where the runs of every draw are, by what was added to the seed, in its order."""
    others = {int(folder.name.removeprefix("plus-")): folder for folder in work.glob("plus-*") if folder.is_dir()}
    return dict(sorted(({0: work} | others).items()))


def _runs(folder: Path, world: str, policies: list[str]) -> dict[str, FloatArray] | None:
    """Expected value by day of each policy; None where one of them has not run."""
    files = {name: folder / f"{world}-{name}.json" for name in policies}
    if not all(file.is_file() for file in files.values()):
        return None
    return {
        name: np.asarray(json.loads(file.read_text(encoding="utf-8"))["expected"], dtype=np.float64)
        for name, file in files.items()
    }


def _pair(folder: Path, world: str, other: str) -> dict[str, FloatArray] | None:
    runs = _runs(folder, world, [ORACLE, OURS, other])
    return None if runs is None else {"ours": runs[OURS], "theirs": runs[other], "best": runs[ORACLE]}


def _of(pairs: Mapping[int, Mapping[str, FloatArray] | None], start: int) -> dict[str, Any]:
    each = np.array(
        [
            (pair["ours"][start:].sum() - pair["theirs"][start:].sum()) / pair["best"][start:].sum()
            for pair in pairs.values()
            if pair is not None
        ]
    )
    return _line(list(pairs), each, "lead")


def _line(draws: list[int], each: FloatArray, name: str) -> dict[str, Any]:
    line: dict[str, Any] = {"draws": draws, name: each.tolist(), "mean": float(each.mean())}
    if len(each) > 1:
        line["low"], line["high"] = interval(each)
    return line
