"""Rows from the highest score down, equal scores in the order given, at the price of one plain sort.

A double's bits, read as a whole number, are in the order of the doubles. Most of the 64 bits are free: scores span few
of the 2,048 powers of two, and nothing lies between zero and the one nearest to it. The free bits take the row's
number, so that values are sorted instead of an argsort's pairs, and a stable order comes by itself. Where the bits do
not suffice, the lowest ones of the score are left out of the sort and put right afterwards where they matter.
"""

import numpy as np
from numpy.typing import NDArray

from foretouch.training.task import FloatArray

Keys = NDArray[np.uint64]
BITS = 64
MAGNITUDE = np.int64(2**63 - 1)


def descending(score: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of the rows, and where blocks of equal scores end in it.

    Args:
        score: Finite, shape (n,), at least one; 0.0 and -0.0 are equal.

    Returns:
        Rows from the highest score down, equal ones in the order given, shape (n,); the last place of every block of
        equal scores, ascending, shape (blocks,).
    """
    key = keys(score)
    number = max(len(key) - 1, 1).bit_length()
    left_out = max(int(key.max()).bit_length() + number - BITS, 0)
    row = np.arange(len(key), dtype=np.uint64)
    packed = key >> np.uint64(left_out)
    packed <<= number
    packed |= row
    packed.sort()
    order = np.bitwise_and(packed, 2**number - 1, out=row).view(np.intp)
    ranked: Keys = key[order]
    if left_out:
        _put_right(packed, number, order, ranked)
    return order, np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)


def keys(score: FloatArray) -> Keys:
    """Whole numbers from 0 up in the opposite order of the scores, equal where these are equal."""
    bits = (np.asarray(score, dtype=np.float64) + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    if bits.min() <= 0:  # zero, or a sign, which is the first bit
        _close_the_gap(bits)
    np.subtract(bits.max(), bits, out=bits)
    return bits.view(np.uint64)  # two signs may take all 64 bits: none is left for a sign


def _close_the_gap(bits: NDArray[np.int64]) -> None:
    """Puts negative scores below zero in their order, and the smallest distance from zero that occurs at 1."""
    negative = bits < 0
    bits &= MAGNITUDE
    bits -= bits.min(where=bits > 0, initial=MAGNITUDE) - 1
    np.maximum(bits, 0, out=bits)
    np.negative(bits, out=bits, where=negative)


def _put_right(packed: Keys, number: int, order: NDArray[np.intp], ranked: Keys) -> None:
    """Sorts, in place, the runs of equal high bits in which the bits left out are not in order."""
    descents = np.flatnonzero(ranked[1:] < ranked[:-1])
    high = np.unique(packed[descents] >> number) << number
    first = np.searchsorted(packed, high)
    length = np.searchsorted(packed, high | (2**number - 1), side="right") - first
    run = np.repeat(np.arange(len(first)), length)
    place = np.arange(length.sum()) + np.repeat(first - (np.cumsum(length) - length), length)
    within = np.lexsort((ranked[place], run))
    order[place] = order[place[within]]
    ranked[place] = ranked[place[within]]
