"""Group-sequential tests: a few planned looks, each with its own bound, and one error rate over all of them.

Two-sided and symmetric. The error is spent over information time t (Lan and DeMets 1983): O'Brien-Fleming spends
4 (1 - Phi(z_{alpha/4} / sqrt t)), Pocock alpha ln(1 + (e - 1) t), the power family alpha t^rho (Kim and DeMets 1987).
Bounds are found look by look from the density of the score process among trials that have not stopped (Armitage,
McPherson and Rowe 1969), integrated by Gauss-Legendre.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from foretouch.core.errors import DataError
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.power import shift_needed

FloatArray = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock", "power"]
NODES = 600
FARTHEST = 12.0
"""A bound in standard errors that nothing crosses: what is spent is too little to be told from nothing."""


def spent(t: float, *, alpha: float, spending: Spending = "obrien-fleming", rho: float = 3.0) -> float:
    """The error spent by information time ``t``.

    Args:
        t: Share of the planned units that have been seen, in (0, 1].
        alpha: Two-sided error rate over all looks.
        spending: How it is spent.
        rho: Exponent of ``power``.

    Raises:
        DataError: There is no such way to spend.
    """
    if spending == "obrien-fleming":
        return float(4.0 * special.ndtr(-special.ndtri(1.0 - alpha / 4.0) / math.sqrt(t)))
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1.0) * t)
    if spending == "power":
        return float(alpha * t**rho)
    raise DataError(f"spending == {spending!r}, must be one of {', '.join(get_args(Spending))}")


def bounds(
    times: Sequence[float], *, alpha: float = 0.05, spending: Spending = "obrien-fleming", rho: float = 3.0
) -> tuple[float, ...]:
    """The bound of each look, in standard errors: beyond it, above or below, the test stops.

    Args:
        times: Information times of the looks, rising, the last at most 1. Where the last look comes late or early, give
            the times as they were: bounds of looks that are past do not change.
        alpha: Two-sided error rate over all looks.
        spending: How it is spent.
        rho: Exponent of ``power``.

    Raises:
        DataError: The times do not rise from above 0 to at most 1.
    """
    _check(times)
    walk = _Walk()
    found: list[float] = []
    before = 0.0
    for t in times:
        now = spent(t, alpha=alpha, spending=spending, rho=rho)
        bound = _solve(walk.crossing(t), now - before)
        walk.look(t, bound)
        found.append(bound)
        before = now
    return tuple(found)


def crossing(times: Sequence[float], limits: Sequence[float], *, drift: float = 0.0) -> tuple[float, ...]:
    """The chance to stop at each look, above or below.

    Args:
        times: Information times of the looks.
        limits: Their bounds, in standard errors.
        drift: The true difference in standard errors of the last planned look (information time 1).
    """
    _check(times)
    walk = _Walk(drift=drift)
    chances = []
    for t, bound in zip(times, limits, strict=True):
        chances.append(walk.crossing(t)(bound))
        walk.look(t, bound)
    return tuple(chances)


def inflation(
    times: Sequence[float], *, alpha: float = 0.05, power: float = 0.8, spending: Spending = "obrien-fleming"
) -> float:
    """What the looks cost: the largest number of units, over that of one test at the end with the same power."""
    from scipy import optimize  # noqa: PLC0415 - a third of a second that only planned looks need

    limits = bounds(times, alpha=alpha, spending=spending)
    fixed = shift_needed(power=power, alpha=alpha)
    needed: float = optimize.brentq(
        lambda drift: sum(crossing(times, limits, drift=drift)) - power, 0.5 * fixed, 4.0 * fixed, xtol=1e-8
    )
    return (needed / fixed) ** 2


def expected_share(times: Sequence[float], limits: Sequence[float], *, drift: float) -> float:
    """The mean share of the planned units that is used before the test stops."""
    chances = crossing(times, limits, drift=drift)
    stopped = sum(chance * t for chance, t in zip(chances, times, strict=True))
    return stopped + (1.0 - sum(chances)) * times[-1]


class _Walk:
    """The score process among trials that have not stopped: a Brownian motion with drift, seen at the looks.

    Args:
        drift: Of the process per unit of information time.
    """

    def __init__(self, *, drift: float = 0.0) -> None:
        self._drift = drift
        self._at = 0.0
        self._nodes: FloatArray = np.zeros(1)
        self._mass: FloatArray = np.ones(1)  # density times weight at the nodes

    def crossing(self, t: float) -> Callable[[float], float]:
        """The chance to cross at ``t`` as a function of the bound in standard errors."""
        spread = math.sqrt(t - self._at)
        means = self._nodes + self._drift * (t - self._at)

        def chance(bound: float) -> float:
            edge = bound * math.sqrt(t)
            beyond = special.ndtr((means - edge) / spread) + special.ndtr((-edge - means) / spread)
            return float(self._mass @ beyond)

        return chance

    def look(self, t: float, bound: float) -> None:
        """Goes on with what did not cross at ``t``."""
        spread = math.sqrt(t - self._at)
        means = self._nodes + self._drift * (t - self._at)
        edge = bound * math.sqrt(t)
        points, weights = _legendre()
        nodes = edge * points
        gaps = (nodes[:, None] - means[None, :]) / spread
        density = np.exp(-0.5 * gaps**2) @ self._mass / (spread * math.sqrt(2.0 * math.pi))
        self._nodes, self._mass, self._at = nodes, density * weights * edge, t


@cache
def _legendre() -> tuple[FloatArray, FloatArray]:
    points, weights = np.polynomial.legendre.leggauss(NODES)
    return points, weights


def _solve(chance: Callable[[float], float], wanted: float) -> float:
    if wanted <= chance(FARTHEST):
        return FARTHEST
    from scipy import optimize  # noqa: PLC0415 - a third of a second that only planned looks need

    found: float = optimize.brentq(lambda bound: chance(bound) - wanted, 0.0, FARTHEST, xtol=1e-10)
    return found


def _check(times: Sequence[float]) -> None:
    rising = all(before < now for before, now in zip((0.0, *times), times, strict=False))
    if not times or not rising or times[-1] > 1.0:
        raise DataError(f"information times {list(times)} must rise from above 0 to at most 1")
