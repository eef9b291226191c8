"""The band in which a day's figure is expected: by weekday, robust, from the weeks before it.

Figures are put on the square-root scale, where a count's spread hardly depends on its size (Anscombe 1948). The centre
is the median of the same weekday in the weeks before; the spread is 1.4826 times the median absolute difference from a
day to the same weekday a week later, over the square root of two, never below a count's own (1/2). Medians are not
moved by the odd days that are looked for. The band holds 99 % of healthy days or more (``docs/insights.md``).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from foretouch.experiments.analysis.aggregates import Floats

LEVEL: Final = 0.99
LONGEST: Final = 56
"""Days before the one that is judged that are looked at: eight weeks."""
SHORTEST: Final = 28
"""Days before it that there must be: every weekday four times."""
WEEK: Final = 7
MAD: Final = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""
MEDIAN_VARIANCE: Final = math.pi / 2.0
"""Variance of a median over that of a mean, of a normal distribution."""
EFFICIENCY: Final = 0.37 * 2.0 / 3.0
"""Degrees of freedom of the spread per difference: a median absolute deviation is worth 0.37 of a standard deviation's,
and differences that share a day two thirds of independent ones."""
COUNT_SPREAD: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Band:
    """What is expected of one day."""

    centre: float
    low: float
    high: float


def band(before: Floats, *, counts: bool = True) -> Band | None:
    """The band of the day after some days.

    Args:
        before: Figures of the days before, oldest first, not negative; the day that is judged is the next one.
        counts: They count something, so that their spread has a floor.

    Returns:
        The band; ``None`` where there are fewer than ``SHORTEST`` days, or nothing ever varied.
    """
    if len(before) < SHORTEST:
        return None
    used = np.sqrt(np.maximum(before[-LONGEST:], 0.0) + 0.375)
    n = len(used)
    weekly = np.abs(used[WEEK:] - used[:-WEEK])
    spread = MAD * float(np.median(weekly)) / math.sqrt(2.0)
    if counts:
        spread = max(spread, COUNT_SPREAD)
    if spread <= 0.0:
        return None
    own = used[np.arange(-n, 0) % WEEK == 0]
    critical = float(special.stdtrit(EFFICIENCY * (n - WEEK), 0.5 + LEVEL / 2.0))
    reach = critical * spread * math.sqrt(1.0 + MEDIAN_VARIANCE / len(own))
    centre = float(np.median(own))
    return Band(centre=_back(centre), low=_back(centre - reach), high=_back(centre + reach))


def _back(value: float) -> float:
    """From the square-root scale; what lies below it is 0."""
    return max(max(value, 0.0) ** 2 - 0.375, 0.0)
