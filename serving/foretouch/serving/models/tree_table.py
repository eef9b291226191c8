"""LightGBM's trees as a table: read from the model's own text, laid out for ``tree_kernels``. Pure.

A split compares one input with a threshold. All thresholds of an input are sorted once, so that an input's *place*
among them answers every split on it: a value goes left where its place is not behind the threshold's. Inputs whose
missing values go left at some splits and right at others have a place of each kind, and every set of categories is a
kind of its own, with one threshold: a category of the set lies before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import exp
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING_IS_ZERO: Final = 0
MISSING_RIGHT: Final = 2
MISSING_LEFT: Final = 3
CATEGORY: Final = 4
"""Kinds of places: what a missing value counts as, or that the value is a category."""

PLACE_BITS: Final = 24
INPUT_BITS: Final = 16
_MOST_PLACES: Final = (1 << PLACE_BITS) - 1
_MOST_KINDS: Final = (1 << INPUT_BITS) - 1
Kind = tuple[int, int, tuple[int, ...]]
"""An input, what its missing values count as, and the set of categories as words of 32 bits."""
_IDENTITY: Final = frozenset({"", "regression", "regression_l1", "huber", "fair", "quantile", "mape"})
_EXPONENTIAL: Final = frozenset({"poisson", "gamma", "tweedie"})


class TableError(ValueError):
    """These trees are of a kind that the table does not hold."""


class Trees(NamedTuple):
    """Trees of one output as arrays, as compiled code takes them.

    Attributes:
        nodes: Every node as one number: the place of its threshold (24 bits), the kind of place it asks (16 bits), and
            the node to the left (24 bits); that to the right is the next one. A leaf asks the kind after the last and
            lies left of itself.
        values: By node, a leaf's value.
        roots: First node of each tree.
        depths: Splits on the longest way through each tree.
        inputs: Which input each kind of place is of.
        missing: What a missing value counts as, by kind; or ``CATEGORY``.
        starts: First place of each kind, and after the last the number of places.
        thresholds: By place, rising within a kind.
        words: Sets of categories, 32 to a word.
        word_starts: First word of each kind, and after the last the number of words.
    """

    nodes: NDArray[np.int64]
    values: NDArray[np.float64]
    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    inputs: NDArray[np.int64]
    missing: NDArray[np.int64]
    starts: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    words: NDArray[np.int64]
    word_starts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class TreeTable:
    """A model of one output, laid out.

    Attributes:
        trees: Its trees.
        output: From the sum of a row's leaves to the model's output; None is the sum as it is.
        width: How many inputs the model has.
    """

    trees: Trees
    output: Callable[[float], float] | None
    width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tree:
    """One tree as the text has it: splits by number, leaves as ``~number``."""

    kinds: list[Kind]
    thresholds: list[float]
    left: list[int]
    right: list[int]
    values: list[float]


def count_leaves(text: str) -> int:
    """How many leaves a model's text names, without reading it in whole."""
    lines = [line for line in text.splitlines() if line.startswith("num_leaves=")]
    return sum(int(line.partition("=")[2]) for line in lines)


def read_trees(text: str) -> TreeTable:
    """Reads LightGBM's own text of a model.

    Raises:
        TableError: Several outputs, linear leaves, averaged trees, zeros as missing, or an objective whose
            output is not known here.
        ValueError: The text is not LightGBM's.
    """
    head, _, rest = text.partition("\nTree=")
    about = _fields(head)
    if about.get("num_tree_per_iteration") != "1" or "average_output" in head.splitlines():
        raise TableError("the model has several outputs, or averages its trees")
    blocks = rest.partition("\nend of trees")[0].split("\nTree=")
    trees = [_tree(_fields(block)) for block in blocks]
    found: dict[Kind, set[float]] = {}
    for tree in trees:
        for kind, threshold in zip(tree.kinds, tree.thresholds, strict=True):
            found.setdefault(kind, set()).add(threshold)
    kinds = sorted(found)
    starts: list[int] = [0]
    thresholds: list[float] = []
    places: dict[tuple[Kind, float], int] = {}
    for kind in kinds:
        for threshold in sorted(found[kind]):
            places[kind, threshold] = len(thresholds)
            thresholds.append(threshold)
        starts.append(len(thresholds))
    number = {kind: index for index, kind in enumerate(kinds)}
    nodes: list[int] = []
    values: list[float] = []
    roots, depths = [], []
    for tree in trees:
        roots.append(len(nodes))
        depths.append(_lay_out(tree, nodes, values, number, places))
    if max(len(nodes), len(thresholds)) > _MOST_PLACES or len(kinds) > _MOST_KINDS:
        raise TableError("the model has more nodes or inputs than the table holds")
    arrays = Trees(
        nodes=np.array(nodes, dtype=np.int64),
        values=np.array(values, dtype=np.float64),
        roots=np.array(roots, dtype=np.int64),
        depths=np.array(depths, dtype=np.int64),
        inputs=np.array([kind[0] for kind in kinds], dtype=np.int64),
        missing=np.array([kind[1] for kind in kinds], dtype=np.int64),
        starts=np.array(starts, dtype=np.int64),
        thresholds=np.array(thresholds, dtype=np.float64),
        words=np.array([word for kind in kinds for word in kind[2]], dtype=np.int64),
        word_starts=np.array([0, *accumulate(len(kind[2]) for kind in kinds)], dtype=np.int64),
    )
    width = int(about["max_feature_idx"]) + 1
    return TreeTable(trees=arrays, output=_output(about.get("objective", "")), width=width)


def _lay_out(
    tree: _Tree,
    nodes: list[int],
    values: list[float],
    number: Mapping[Kind, int],
    places: Mapping[tuple[Kind, float], int],
) -> int:
    """Adds a tree's nodes, level by level, both children of a split side by side; returns its depth."""
    level = [0 if tree.kinds else -1]
    depth = -1
    free = len(nodes) + 1
    while level:
        depth += 1
        below: list[int] = []
        for node in level:
            if node < 0:
                nodes.append(_MOST_PLACES | len(number) << PLACE_BITS | len(nodes) << PLACE_BITS + INPUT_BITS)
                values.append(tree.values[~node])
                continue
            kind, threshold = tree.kinds[node], tree.thresholds[node]
            nodes.append(places[kind, threshold] | number[kind] << PLACE_BITS | free << PLACE_BITS + INPUT_BITS)
            values.append(0.0)
            below += [tree.left[node], tree.right[node]]
            free += 2
        level = below
    return depth


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _tree(fields: Mapping[str, str]) -> _Tree:
    values = [float(value) for value in fields["leaf_value"].split()]
    if fields.get("is_linear", "0") != "0":
        raise TableError("the model has linear leaves")
    if int(fields["num_leaves"]) == 1:
        return _Tree(kinds=[], thresholds=[], left=[], right=[], values=values)
    inputs, types = _whole(fields["split_feature"]), _whole(fields["decision_type"])
    thresholds = [float(value) for value in fields["threshold"].split()]
    bounds, words = _whole(fields.get("cat_boundaries", "")), _whole(fields.get("cat_threshold", ""))
    kinds: list[Kind] = []
    for node, (index, kind) in enumerate(zip(inputs, types, strict=True)):
        if kind & 1:  # the threshold is the number of a set
            which = int(thresholds[node])
            kinds.append((index, CATEGORY, tuple(words[bounds[which] : bounds[which + 1]])))
            thresholds[node] = 0.0
        else:
            kinds.append((index, _missing(kind), ()))
    return _Tree(
        kinds=kinds,
        thresholds=thresholds,
        left=_whole(fields["left_child"]),
        right=_whole(fields["right_child"]),
        values=values,
    )


def _whole(text: str) -> list[int]:
    return [int(value) for value in text.split()]


def _missing(decision_type: int) -> int:
    """What a missing value counts as at a split: LightGBM's bits are category, default left, and the kind (two)."""
    kind = decision_type >> 2 & 3
    if kind == 0:
        return MISSING_IS_ZERO
    if kind != 2:
        raise TableError("the model counts zeros as missing")
    return MISSING_LEFT if decision_type >> 1 & 1 else MISSING_RIGHT


def _output(objective: str) -> Callable[[float], float] | None:
    """LightGBM's ``ConvertOutput`` of an objective; None is the sum as it is.

    Raises:
        TableError: It is not known here.
    """
    name, *options = objective.split() or [""]
    if name in _IDENTITY and "sqrt" not in options:
        return None
    if name in _EXPONENTIAL:
        return _exp
    if name == "cross_entropy" or (name == "binary" and len(options) == 1 and options[0].startswith("sigmoid:")):
        slope = float(options[0].partition(":")[2]) if options else 1.0
        return partial(_sigmoid, -slope)
    raise TableError(f"the output of objective {objective!r} is not known")


def _exp(value: float) -> float:
    """The C library's, which is infinite where Python's raises."""
    try:
        return exp(value)
    except OverflowError:
        return float("inf")


def _sigmoid(slope: float, raw: float) -> float:
    try:
        return 1.0 / (1.0 + exp(slope * raw))
    except OverflowError:  # the C library's exponential is infinite there
        return 0.0


def on_thresholds(table: TreeTable, rows: int, seed: int = 0) -> NDArray[np.float64]:
    """Vectors that lie on the trees' own thresholds, one step beside them, or are missing, shape (rows, inputs).

    Args:
        table: The trees.
        rows: How many.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    trees = table.trees
    vectors = rng.normal(0.0, 1.0, size=(rows, table.width))
    for kind, (index, missing) in enumerate(zip(trees.inputs.tolist(), trees.missing.tolist(), strict=True)):
        if missing == CATEGORY:
            most = 32 * int(trees.word_starts[kind + 1] - trees.word_starts[kind])
            drawn = rng.integers(-1, most + 2, rows).astype(np.float64)
        else:
            drawn = rng.choice(trees.thresholds[trees.starts[kind] : trees.starts[kind + 1]], rows)
            with np.errstate(over="ignore"):  # beyond the largest threshold there is
                towards = rng.choice([-np.inf, np.inf], rows)
                drawn = np.where(rng.random(rows) < 0.6, np.nextafter(drawn, towards), drawn)
            drawn[~np.isfinite(drawn)] = np.nan
        taken = rng.random(rows) < 0.6
        vectors[taken, index] = drawn[taken]
    vectors[rng.random(vectors.shape) < 0.1] = np.nan
    return vectors
