"""The population stability index of one column, with its bins and with what it would be by chance alone.

PSI = sum over bins of (q - p) ln(q / p), with p the share of the reference in a bin and q that of the current rows
(Siddiqi 2006, ch. 6). Where nothing has changed, PSI times n m / (n + m) follows a chi-square distribution with one
degree of freedom less than there are bins (Yurdakul 2018), n and m being independent units: customers, not rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import chi2

from foretouch.training.task import FloatArray

BINS = 10
MISSING = "missing"
OTHER = "other"
_HALF = 0.5
"""Added to the count of every bin, so that an empty one has a logarithm."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of a column.

    Attributes:
        label: Its range, its level, or ``missing``.
        reference: Share of the reference rows.
        current: Share of the current rows.
    """

    label: str
    reference: float
    current: float


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How far a column has moved.

    Attributes:
        psi: The index; 0 where nothing moved.
        by_chance: Its 95th percentile if nothing had changed.
        p_value: Of Pearson's test that both sides have the same shares, customers counted: unlike the index's own
            distribution it holds its level with three customers a bin.
        bins: In order; missing values last.
    """

    psi: float
    by_chance: float
    p_value: float
    bins: tuple[Bin, ...]

    @property
    def missing(self) -> tuple[float, float]:
        """Share of missing values, before and now."""
        last = self.bins[-1]
        return last.reference, last.current

    @property
    def most_moved(self) -> Bin:
        """The bin that adds most to the index."""
        return max(self.bins, key=lambda item: _part(item.reference, item.current))


def number_stability(
    reference: FloatArray, current: FloatArray, *, units: tuple[int, int], bins: int = BINS
) -> Stability:
    """Of a number, in bins that each hold about as many reference rows; a value that many rows share is its own bin.

    Args:
        reference: Shape (n,); NaN is missing.
        current: Shape (m,).
        units: Independent units (customers) behind the reference and the current rows.
        bins: How many, without that of missing values.
    """
    known = reference[~np.isnan(reference)]
    shares = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    cuts = np.unique(np.quantile(known, shares, method="lower")) if len(known) else np.empty(0)
    counts = []
    for values in (reference, current):
        present = values[~np.isnan(values)]
        within = np.bincount(np.searchsorted(cuts, present, side="left"), minlength=len(cuts) + 1)
        counts.append([*within.tolist(), len(values) - len(present)])
    return _stability([*_ranges(cuts), MISSING], counts[0], counts[1], units)


def category_stability(
    reference: Sequence[str | None], current: Sequence[str | None], *, units: tuple[int, int], smallest: float = 0.01
) -> Stability:
    """Of a category, by level; levels that hold less than ``smallest`` of both sides are taken together.

    Args:
        reference: The level of each reference row; None is missing.
        current: That of each current row.
        units: Independent units (customers) behind the two.
        smallest: Least share of a level of its own on one of the sides.
    """
    sides = [[level for level in side if level is not None] for side in (reference, current)]
    counted: list[dict[str, int]] = [dict.fromkeys({*sides[0], *sides[1]}, 0) for _ in sides]
    for count, side in zip(counted, sides, strict=True):
        for level in side:
            count[level] += 1
    sizes = max(len(reference), 1), max(len(current), 1)
    kept = sorted(
        level
        for level in counted[0]
        if max(count[level] / size for count, size in zip(counted, sizes, strict=True)) >= smallest
    )
    rows = []
    for count, given in zip(counted, (reference, current), strict=True):
        own = [count[level] for level in kept]
        present = sum(count.values())
        rows.append([*own, present - sum(own), len(given) - present])
    return _stability([*kept, OTHER, MISSING], rows[0], rows[1], units)


def _ranges(cuts: FloatArray) -> list[str]:
    if not len(cuts):
        return ["all"]
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(cuts)]
    return [f"up to {cuts[0]:.4g}", *between, f"over {cuts[-1]:.4g}"]


def _stability(
    labels: Sequence[str], reference: Sequence[int], current: Sequence[int], units: tuple[int, int]
) -> Stability:
    used = sum(1 for before, now in zip(reference, current, strict=True) if before or now)
    whole = [max(sum(side), 1) for side in (reference, current)]
    index = 0.0
    for before, now in zip(reference, current, strict=True):
        if before or now:
            smooth = [
                (count + _HALF) / (total + _HALF * used) for count, total in zip((before, now), whole, strict=True)
            ]
            index += _part(smooth[0], smooth[1])
    scale = 1 / max(units[0], 1) + 1 / max(units[1], 1)
    return Stability(
        psi=index,
        by_chance=float(chi2.ppf(0.95, used - 1)) * scale if used > 1 else 0.0,
        p_value=_pearson(reference, current, units),
        bins=tuple(
            Bin(label=label, reference=before / whole[0], current=now / whole[1])
            for label, before, now in zip(labels, reference, current, strict=True)
        ),
    )


def _pearson(reference: Sequence[int], current: Sequence[int], units: tuple[int, int]) -> float:
    shares = [np.asarray(side, dtype=np.float64) / max(sum(side), 1) for side in (reference, current)]
    n, m = (max(count, 1) for count in units)
    pooled = (n * shares[0] + m * shares[1]) / (n + m)
    some = pooled > 0.0
    if some.sum() < 2:
        return 1.0
    statistic = n * m / (n + m) * float((np.square(shares[0] - shares[1])[some] / pooled[some]).sum())
    return float(chi2.sf(statistic, int(some.sum()) - 1))


def beyond_chance(p_values: Sequence[float], share: float) -> list[bool]:
    """Which of several columns moved by more than chance: Benjamini and Hochberg's step-up rule.

    Where nothing has moved, any column is named in at most ``share`` of the cases, however many columns there are
    (Benjamini and Hochberg 1995; also where they rise and fall together, Benjamini and Yekutieli 2001).

    Args:
        p_values: One per column.
        share: False alarms that are borne, 0 to 1.
    """
    ranked = sorted(p_values)
    passed = [value for place, value in enumerate(ranked, start=1) if value <= share * place / len(ranked)]
    return [bool(passed) and value <= passed[-1] for value in p_values]


def _part(before: float, now: float) -> float:
    low = 1e-9
    return (now - before) * float(np.log(max(now, low) / max(before, low)))
