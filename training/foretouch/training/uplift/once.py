"""The curve of rows that count once each, with outcomes of 0 or 1, at the price of one sort and nothing gathered.

The arm and the outcome are one bit each. They take the two lowest bits of the whole number that stands for a score
(``order.keys``), so that the sort of the scores carries them along; within a block of equal scores their order does not
matter, since a threshold lies only at its end. What is left is counting, piece by piece, in pieces that the processor's
cache holds. Counts are whole, so that the figures are those of any other way to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

from foretouch.training.task import FloatArray
from foretouch.training.uplift.order import BITS, Keys, keys

PIECE = 1 << 16
CARRIED = 2
"""Bits that go with a score."""
Numbers = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]
Columns = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def counted_once(score: FloatArray, treatment: Numbers, outcome: Numbers) -> Columns | None:
    """What has been targeted at the ends of tie blocks, from the highest score down; the first point is (0, 0).

    Args:
        score: Finite, shape (n,), at least one.
        treatment: 0 or 1, shape (n,).
        outcome: 0 or 1, shape (n,).

    Returns:
        Rows, treated rows, the sum of their outcomes, control rows, the sum of theirs, shape (points,) each; None where
        scores leave no two bits free (large ones of both signs).
    """
    key = keys(score)
    if int(key.max()).bit_length() + CARRIED > BITS:
        return None
    pieces = [slice(start, start + PIECE) for start in range(0, len(key), PIECE)]
    for piece in pieces:
        part = key[piece]
        part <<= CARRIED
        part |= (treatment[piece] == 1).astype(np.uint64) << 1
        part |= (outcome[piece] == 1).astype(np.uint64)
    key.sort()
    return _counts(key, pieces, _ends(key, pieces))


def _ends(key: Keys, pieces: list[slice]) -> NDArray[np.bool_]:
    """Whether a row is the last one with its score."""
    ends = np.ones(len(key), dtype=np.bool_)
    for piece in pieces:
        scores = key[piece.start : piece.stop + 1] >> CARRIED
        np.not_equal(scores[1:], scores[:-1], out=ends[piece.start : piece.start + len(scores) - 1])
    return ends


def _counts(key: Keys, pieces: list[slice], ends: NDArray[np.bool_]) -> Columns:
    points = int(np.count_nonzero(ends)) + 1
    taken, n_t, y_t, n_c, y_c = (np.empty(points) for _ in range(5))
    for column in (taken, n_t, y_t, n_c, y_c):
        column[0] = 0.0
    sums, filled = [0, 0, 0], 1
    for piece in pieces:
        part = key[piece].view(np.int64)
        last = np.flatnonzero(ends[piece])
        here = slice(filled, filled + len(last))
        filled += len(last)
        treated, answered = (part >> 1) & 1, part & 1
        counts = [np.cumsum(bit) for bit in (treated, treated & answered, answered)]
        taken[here] = last + (piece.start + 1)
        n_t[here], y_t[here], both = (count[last] + before for count, before in zip(counts, sums, strict=True))
        n_c[here] = taken[here] - n_t[here]
        y_c[here] = both - y_t[here]
        sums = [before + int(count[-1]) for count, before in zip(counts, sums, strict=True)]
    return taken, n_t, y_t, n_c, y_c
