"""A LightGBM model of small trees on many rows at once: the same sums, a column at a time.

Much of a race was spent in walking 280 trees for 40,000 rows a day. Here every split of a tree is asked of all rows at
once: each row keeps a bit per leaf that it cannot reach, a split that sends it to the right sets those of its left
side, and the first that is not set is its leaf (Lucchese and others 2015, "QuickScorer", SIGIR). A day's candidates are
the same offers for every customer, so that most questions are about a customer alone or about an offer alone: those are
asked once (``Forest.table``). The sums are LightGBM's to the last bit; a test holds them to that.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from worlds_truth import FloatArray, IntArray

Columns = Collection[int]

MOST_LEAVES, LEVELS = 16, 64
AT_ONCE = 12_000
"""Rows whose columns stay in the processor's cache."""
_FIRST = np.array([(~number & (number + 1)).bit_length() - 1 for number in range(2**MOST_LEAVES)], dtype=np.uint8)
"""The lowest bit that is not set, of every number."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One question of a tree.

    Attributes:
        column: What is asked about.
        threshold: Rows with a larger value go right; of numbers alone.
        right: Which categories go right, by number; of categories alone.
        cleared: Bits of the leaves to the left.
    """

    column: int
    threshold: np.float32
    right: NDArray[np.bool_] | None
    cleared: np.uint16


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One tree.

    Attributes:
        splits: In any order.
        of_dead: Value of the first leaf that can be reached, by the bits of those that cannot.
    """

    splits: tuple[Split, ...]
    of_dead: FloatArray


class Forest:
    """A booster's trees, ready to score many rows.

    Raises:
        ValueError: A tree has more than ``MOST_LEAVES`` leaves, or asks what is not asked in the worlds.
    """

    def __init__(self, booster: lgb.Booster) -> None:
        dumped = booster.dump_model()["tree_info"]
        self._trees = tuple(_tree(item["tree_structure"]) for item in dumped)
        self._categories = {split.column for tree in self._trees for split in tree.splits if split.right is not None}

    def raw(self, rows: NDArray[np.float32]) -> FloatArray:
        """Log-odds of rows without missing values, shape (n,).

        Args:
            rows: Inputs, shape (n, inputs).
        """
        parts = [self._part(np.ascontiguousarray(rows[at : at + AT_ONCE].T)) for at in range(0, len(rows), AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def table(
        self, rows: NDArray[np.float32], *, groups: IntArray, of_row: Columns, of_candidate: Columns
    ) -> FloatArray:
        """Log-odds of the same n candidates for each of m customers, shape (m, n); no value is missing.

        Args:
            rows: Inputs, shape (m, n, inputs).
            groups: Of each candidate, shape (n,), from 0 on; a column that is of neither kind below is the same for all
                candidates of a group.
            of_row: Columns that are the same for all candidates.
            of_candidate: Columns that are the same for all customers.
        """
        customers, candidates = rows.shape[:2]
        first = np.array([int(np.argmax(groups == group)) for group in range(int(groups.max()) + 1)])
        person = {column: np.ascontiguousarray(rows[:, 0, column])[None, :] for column in of_row}
        offer = {column: np.ascontiguousarray(rows[0, :, column])[:, None] for column in of_candidate}
        total = np.zeros((candidates, customers))
        found: dict[int, NDArray[np.float32]] = {**person, **offer}
        for tree in self._trees:
            dead = np.zeros((len(first), customers), dtype=np.uint16)
            own = np.zeros((candidates, 1), dtype=np.uint16)
            for split in tree.splits:
                if split.column not in found:
                    found[split.column] = np.ascontiguousarray(rows[:, first, split.column].T)
                values = found[split.column]
                right = values > split.threshold if split.right is None else split.right[values.astype(np.intp)]
                into = own if split.column in offer else dead
                np.bitwise_or(into, np.multiply(right, split.cleared, dtype=np.uint16), out=into)
            total += tree.of_dead[dead[groups] | own]
        return total.T

    def _part(self, columns: NDArray[np.float32]) -> FloatArray:
        total = np.zeros(columns.shape[1])
        level = {column: columns[column].astype(np.intp) for column in self._categories}
        dead, right, marked = (np.empty(len(total), dtype=kind) for kind in (np.uint16, np.bool_, np.uint16))
        for tree in self._trees:
            dead[:] = 0
            for split in tree.splits:
                if split.right is None:
                    np.greater(columns[split.column], split.threshold, out=right)
                else:
                    np.take(split.right, level[split.column], out=right, mode="clip")
                np.multiply(right, split.cleared, out=marked, dtype=np.uint16)
                np.bitwise_or(dead, marked, out=dead)
            total += tree.of_dead[dead]
        return total


def _tree(node: Mapping[str, Any]) -> Tree:
    splits: list[Split] = []
    values: list[float] = []

    def walk(at: Mapping[str, Any]) -> None:
        if "leaf_value" in at:
            values.append(float(at["leaf_value"]))
            return
        first = len(values)
        walk(at["left_child"])
        cleared = np.uint16(2 ** len(values) - 2**first)
        walk(at["right_child"])
        if at["decision_type"] == "<=":
            splits.append(
                Split(column=at["split_feature"], threshold=_down(at["threshold"]), right=None, cleared=cleared)
            )
        else:
            right = np.ones(LEVELS, dtype=np.bool_)
            right[[int(level) for level in str(at["threshold"]).split("||")]] = False
            splits.append(Split(column=at["split_feature"], threshold=np.float32(0), right=right, cleared=cleared))

    walk(node)
    if len(values) > MOST_LEAVES:
        raise ValueError(f"a tree has {len(values)} leaves, must be at most {MOST_LEAVES}")
    return Tree(splits=tuple(splits), of_dead=np.array(values)[_FIRST[: 2 ** len(values) - 1]])


def _down(threshold: float) -> np.float32:
    """The largest float32 that is not above a threshold: rows compare with it as with the threshold itself."""
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))
