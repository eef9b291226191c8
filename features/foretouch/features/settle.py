"""Which rows are new, which came before, and which contradict what came before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What becomes of the rows of one ingest; every row is in exactly one of the three.

    Args:
        accepted: Rows to store, indexed by row number.
        duplicates: Number of rows that say what is known already.
        conflicts: Row numbers whose id came before with other content.
        replaced: Positions of stored rows that accepted ones replace.
    """

    accepted: pd.DataFrame
    duplicates: int
    conflicts: list[int]
    replaced: list[int]


def settle(
    rows: pd.DataFrame, stored: pd.DataFrame, key: Sequence[str], *, ignore: Sequence[str] = (), update: bool = False
) -> Settled:
    """Compares rows with each other and with what is stored, by key.

    Of several rows with one key the first counts; a later one with the same content is a duplicate, one with other
    content a conflict.

    Args:
        rows: New rows in canonical types, indexed by row number.
        stored: The table so far.
        key: Columns that identify a row.
        ignore: Columns that are no content, such as the time of receipt.
        update: A new row with other content replaces the stored one instead of being a conflict.
    """
    content = [name for name in dict.fromkeys([*rows.columns, *stored.columns]) if name not in {*key, *ignore}]
    keys = pd.MultiIndex.from_frame(rows[list(key)])
    repeated: BoolArray = np.asarray(rows.duplicated(list(key)))
    firsts = rows[~repeated]
    first_keys = keys[~repeated]
    repeats = rows[repeated]
    same_as_first = same_content(repeats, firsts.iloc[first_keys.get_indexer(keys[repeated])], content)
    position: NDArray[np.intp] = (
        pd.MultiIndex.from_frame(stored[list(key)]).get_indexer(first_keys)
        if len(stored)
        else np.full(len(firsts), -1, dtype=np.intp)
    )
    is_known = position >= 0
    known = firsts[is_known]
    same_as_stored = same_content(known, stored.iloc[position[is_known]], content)
    changed = known[~same_as_stored]
    accepted = firsts[~is_known | np.isin(firsts.index, changed.index)] if update else firsts[~is_known]
    conflicts = [*repeats.index[~same_as_first], *([] if update else changed.index)]
    return Settled(
        accepted=accepted.sort_index(),
        duplicates=int(same_as_first.sum() + same_as_stored.sum()),
        conflicts=sorted(int(row) for row in conflicts),
        replaced=[int(at) for at in position[is_known][~same_as_stored]] if update else [],
    )


def same_content(left: pd.DataFrame, right: pd.DataFrame, columns: Sequence[str]) -> BoolArray:
    """Row by row, whether two frames of equal length say the same; two missing values are the same."""
    same: BoolArray = np.ones(len(left), dtype=np.bool_)
    for name in columns:
        a, b = _column(left, name), _column(right, name)
        missing_a, missing_b = a.isna().to_numpy(), b.isna().to_numpy()
        if a.dtype != b.dtype:
            a, b = a.map(_plain_text), b.map(_plain_text)
        equal: BoolArray = np.asarray(a.to_numpy() == b.to_numpy(), dtype=np.bool_)
        same &= np.where(missing_a | missing_b, missing_a & missing_b, equal)
    return same


def _column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    if name in frame.columns:
        return frame[name]
    return pd.Series([None] * len(frame), index=frame.index, dtype=object)


def _plain_text(value: Any) -> str:
    """A value as text that does not depend on how its column is stored: 3 and 3.0 are the same number."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def stack(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames under each other, also where a column is of another type, or empty, in one of them.

    A column keeps its type if all parts that say something agree on it; otherwise it becomes text.
    """
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    return pd.DataFrame({name: _stacked([_column(part, name) for part in parts]) for name in names})


def _stacked(pieces: Sequence["pd.Series[Any]"]) -> "pd.Series[Any]":
    telling = [piece for piece in pieces if piece.notna().any()]
    kinds = {piece.dtype for piece in telling} or {np.dtype(object)}
    if len(kinds) == 1:
        (kind,) = kinds
        alike = [
            piece.astype(kind) if piece.notna().all() or kind == np.dtype(object) else _retyped(piece, kind)
            for piece in pieces
        ]
        return pd.concat(alike, ignore_index=True)
    texts = [piece.map(_plain_text, na_action="ignore").astype(object) for piece in pieces]
    return pd.concat(texts, ignore_index=True)


def _retyped(piece: "pd.Series[Any]", kind: Any) -> "pd.Series[Any]":
    """A piece with gaps in another type; a flag with gaps stays an object."""
    return piece.astype(object if kind == np.bool_ else kind)
