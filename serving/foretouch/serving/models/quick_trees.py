"""Trees in compiled code of our own, where it is installed, fits the model, and gives LightGBM's very bits.

LightGBM walks one row after the other, so that a customer with twenty offers costs twenty walks; here rows that share
most inputs walk together (``tree_kernels``). The choice is made when a model is loaded, and tried: a single bit that
differs, and the model goes LightGBM's way. See docs/decisions/0028-trees-walked-together.md.
"""

from importlib import import_module
from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from foretouch.serving.models.tree_table import TableError, TreeTable, count_leaves, on_thresholds, read_trees

FloatArray = NDArray[np.float64]

LEAST_LEAVES: Final = 1_000
"""Smaller models cost next to nothing either way, and the compiler's own import costs a second."""
_PROBES: Final = 64


class QuickTrees:
    """One model's trees, walked in compiled code; its outputs are those of ``Booster.predict``.

    Args:
        table: The trees.
        kernels: ``tree_kernels``.
    """

    def __init__(self, table: TreeTable, kernels: Any) -> None:
        self._table = table
        self._walk = kernels.walk

    def many(self, vectors: FloatArray) -> FloatArray:
        """Outputs of some vectors, shape (n,).

        Args:
            vectors: Encoded inputs, shape (n, inputs); NaN is missing.

        Raises:
            ValueError: The shape is not the model's.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._table.width:
            raise ValueError(f"vectors have shape {vectors.shape}, must be (n, {self._table.width})")
        sums = np.zeros(len(vectors))
        self._walk(self._table.trees, np.ascontiguousarray(vectors, dtype=np.float64), sums)
        output = self._table.output
        return sums if output is None else np.array([output(value) for value in sums.tolist()], dtype=np.float64)


def quick_or_none(booster: lightgbm.Booster, text: str, examples: FloatArray) -> tuple[QuickTrees | None, str]:
    """Compiled trees of a Booster, if they give the very bits that ``Booster.predict`` gives.

    Args:
        booster: The model.
        text: LightGBM's own text of it.
        examples: Vectors to try, shape (n, inputs); vectors on the trees' own thresholds are tried as well, alone and
            as rows that differ in a few inputs.

    Returns:
        The trees and an empty text, or None and why.
    """
    if count_leaves(text) < LEAST_LEAVES:
        return None, "the model is small"
    try:
        table = read_trees(text)
        quick = QuickTrees(table, import_module("foretouch.serving.models.tree_kernels"))
    except ImportError:
        return None, "numba is not installed"
    except (TableError, ValueError, KeyError) as error:
        return None, str(error)
    drawn = on_thresholds(table, _PROBES)
    shared = np.repeat(drawn[: _PROBES // 8], 8, axis=0)
    some = np.random.default_rng(1).choice(table.width, max(1, table.width // 5), replace=False)
    shared[:, some] = drawn[:, some]
    vectors = np.vstack([examples.reshape(-1, table.width), np.full((1, table.width), np.nan), drawn, shared])
    expected = np.asarray(booster.predict(vectors, num_threads=1), dtype=np.float64)
    found = quick.many(vectors)
    if found.shape != expected.shape or found.tobytes() != expected.tobytes():
        return None, "its scores differ from those of Booster.predict"
    return quick, ""
