"""The walk through a ``TreeTable``, compiled when it is first imported (Numba keeps the result beside the source).

Rows that differ in a few inputs only, as one customer with each offer, walk together: a split on what they share is
asked once, and one on what differs divides them by a bit mask. Rows that share nothing walk side by side, eight at a
time, so that the processor need not wait for one row's node before it asks for the next row's. A row's leaves are
added up tree by tree, as LightGBM adds them, so that the sum has the same bits.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from foretouch.serving.models.tree_table import CATEGORY, MISSING_IS_ZERO, MISSING_LEFT, Trees

F = TypeVar("F", bound=Callable[..., object])
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Masks = NDArray[np.uint64]
Flags = NDArray[np.bool_]

LANES = 8
MOST_TOGETHER = 64
LEAST_TOGETHER = 4
_ONE = np.uint64(1)
_MAGIC = np.uint64(0x03F79D71B4CB0A89)
_SHIFT = np.uint64(58)
_BIT = np.zeros(64, dtype=np.int64)
"""Number of a lone bit, by the top six bits of its product with a de Bruijn sequence."""
for _index in range(64):
    _BIT[(((1 << _index) * 0x03F79D71B4CB0A89) & (2**64 - 1)) >> 58] = _index


def compiled(function: F) -> F:
    """The function as machine code; kept on disk where there is a place for it."""
    try:
        made = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # nowhere to write: compiled anew by every process
        made = numba.njit(nogil=True)(function)
    return cast("F", made)


@compiled
def place_of(value: float, missing: int, thresholds: Floats, low: int, high: int) -> int:
    """The first place from ``low`` on whose threshold is not below a number; ``high`` where there is none."""
    if value != value:  # noqa: PLR0124 - missing
        if missing == MISSING_LEFT:
            return low
        if missing != MISSING_IS_ZERO:
            return high
        value = 0.0
    while low < high:
        middle = (low + high) >> 1
        if thresholds[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def is_within(value: float, words: Ints, low: int, high: int) -> int:
    """1 where a category is in the set of some words, else 0."""
    if value != value:  # noqa: PLR0124 - missing
        return 0
    category = int(value)
    if category < 0:
        return 0
    word = low + (category >> 5)
    return (words[word] >> (category & 31)) & 1 if word < high else 0


@compiled
def end_of_run(rows: Floats, first: int, differs: Flags) -> int:
    """Where the rows end that share at least half of their inputs with one; ``differs`` says in which they do not."""
    differs[:] = False
    last = first + 1
    while last < len(rows) and last - first < MOST_TOGETHER:
        count = 0
        for index in range(rows.shape[1]):
            here, there = rows[first, index], rows[last, index]
            if here != there and not (here != here and there != there):  # noqa: PLR0124 - both missing
                count += 1
        if 2 * count > rows.shape[1]:
            break
        for index in range(rows.shape[1]):
            here, there = rows[first, index], rows[last, index]
            if here != there and not (here != here and there != there):  # noqa: PLR0124 - both missing
                differs[index] = True
        last += 1
    return last


@compiled
def placed(trees: Trees, rows: Floats, first: int, last: int, differs: Flags) -> tuple[Ints, Masks]:
    """Of rows that share inputs: the place of each kind that they share, or -1; and who goes left, by threshold."""
    kinds, missing, thresholds = len(trees.inputs), trees.missing, trees.thresholds
    words, word_starts = trees.words, trees.word_starts
    masks = np.zeros(len(trees.thresholds) + 1, dtype=np.uint64)
    places = np.zeros(kinds + 1, dtype=np.int64)
    for kind in range(kinds):
        index, low, high = trees.inputs[kind], trees.starts[kind], trees.starts[kind + 1]
        if not differs[index]:
            if missing[kind] == CATEGORY:
                places[kind] = high - is_within(rows[first, index], words, word_starts[kind], word_starts[kind + 1])
            else:
                places[kind] = place_of(rows[first, index], missing[kind], thresholds, low, high)
            continue
        places[kind] = -1
        for row in range(last - first):
            value = rows[first + row, index]
            if missing[kind] == CATEGORY:
                at = high - is_within(value, words, word_starts[kind], word_starts[kind + 1])
            else:
                at = place_of(value, missing[kind], thresholds, low, high)
            if at < high:
                masks[at] |= _ONE << np.uint64(row)
        left = np.uint64(0)
        for at in range(low, high):
            left |= masks[at]
            masks[at] = left
    return places, masks


@compiled
def together(trees: Trees, places: Ints, masks: Masks, sums: Floats) -> None:
    """Adds the leaves of at most 64 rows that differ in some inputs only; ``placed`` says how they go."""
    kinds = len(trees.inputs)
    nodes, values = trees.nodes, trees.values
    everyone = (~np.uint64(0)) >> np.uint64(64 - len(sums))
    waiting = np.zeros(MOST_TOGETHER, dtype=np.int64)
    whose = np.zeros(MOST_TOGETHER, dtype=np.uint64)
    for tree in range(len(trees.roots)):
        node, who, depth = trees.roots[tree], everyone, 0
        while True:
            word = nodes[node]
            kind, threshold, child = (word >> 24) & 0xFFFF, word & 0xFFFFFF, word >> 40
            if kind == kinds:
                value = values[node]
                while who:
                    bit = who & (~who + _ONE)
                    sums[_BIT[(bit * _MAGIC) >> _SHIFT]] += value
                    who ^= bit
                if depth == 0:
                    break
                depth -= 1
                node, who = waiting[depth], whose[depth]
            elif places[kind] >= 0:
                node = child + (places[kind] > threshold)
            else:
                left = who & masks[threshold]
                if left == who:
                    node = child
                elif left == np.uint64(0):
                    node = child + 1
                else:
                    waiting[depth], whose[depth] = child + 1, who & ~left
                    depth += 1
                    node, who = child, left


@compiled
def beside(trees: Trees, rows: Floats, lanes: Ints, sums: Floats) -> None:
    """Adds the leaves of at most eight rows, ``lanes``, that share nothing."""
    kinds, nodes, missing, thresholds = len(trees.inputs), trees.nodes, trees.missing, trees.thresholds
    words, word_starts = trees.words, trees.word_starts
    at = np.zeros((kinds + 1, LANES), dtype=np.int64)
    for kind in range(kinds):
        low, high = trees.starts[kind], trees.starts[kind + 1]
        for lane in range(len(lanes)):
            value = rows[lanes[lane], trees.inputs[kind]]
            if missing[kind] == CATEGORY:
                at[kind, lane] = high - is_within(value, words, word_starts[kind], word_starts[kind + 1])
            else:
                at[kind, lane] = place_of(value, missing[kind], thresholds, low, high)
    for tree in range(len(trees.roots)):
        root = trees.roots[tree]
        a = b = c = d = e = f = g = h = root
        for _ in range(trees.depths[tree]):
            a = (nodes[a] >> 40) + (at[(nodes[a] >> 24) & 0xFFFF, 0] > (nodes[a] & 0xFFFFFF))
            b = (nodes[b] >> 40) + (at[(nodes[b] >> 24) & 0xFFFF, 1] > (nodes[b] & 0xFFFFFF))
            c = (nodes[c] >> 40) + (at[(nodes[c] >> 24) & 0xFFFF, 2] > (nodes[c] & 0xFFFFFF))
            d = (nodes[d] >> 40) + (at[(nodes[d] >> 24) & 0xFFFF, 3] > (nodes[d] & 0xFFFFFF))
            e = (nodes[e] >> 40) + (at[(nodes[e] >> 24) & 0xFFFF, 4] > (nodes[e] & 0xFFFFFF))
            f = (nodes[f] >> 40) + (at[(nodes[f] >> 24) & 0xFFFF, 5] > (nodes[f] & 0xFFFFFF))
            g = (nodes[g] >> 40) + (at[(nodes[g] >> 24) & 0xFFFF, 6] > (nodes[g] & 0xFFFFFF))
            h = (nodes[h] >> 40) + (at[(nodes[h] >> 24) & 0xFFFF, 7] > (nodes[h] & 0xFFFFFF))
        found = (a, b, c, d, e, f, g, h)
        for lane in range(len(lanes)):
            sums[lanes[lane]] += trees.values[found[lane]]


@compiled
def walk(trees: Trees, rows: Floats, sums: Floats) -> None:
    """Adds every row's leaves to its sum.

    Args:
        trees: The trees.
        rows: Encoded inputs, shape (n, inputs), C-contiguous; NaN is missing.
        sums: Shape (n,); added to.
    """
    differs = np.zeros(rows.shape[1], dtype=np.bool_)
    lanes = np.zeros(LANES, dtype=np.int64)
    count = 0
    first = 0
    while first < len(rows):
        last = end_of_run(rows, first, differs)
        if last - first >= LEAST_TOGETHER:
            places, masks = placed(trees, rows, first, last, differs)
            together(trees, places, masks, sums[first:last])
        else:
            for row in range(first, last):
                lanes[count] = row
                count += 1
                if count == LANES:
                    beside(trees, rows, lanes, sums)
                    count = 0
        first = last
    if count:
        beside(trees, rows, lanes[:count], sums)
