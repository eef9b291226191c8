"""Qini and gain curves of a score on randomised rows, their areas and honest intervals. House definitions.

Rows are sorted by score from the top; a threshold lies only at the end of a block of equal scores, and the curve
starts at (0, 0). After k rows, with n and y the rows and outcomes of the treated (t) and the controls (c) so far::

    Qini curve  y_t - y_c n_t / n_c            (Radcliffe 2007)
    gain curve  (y_t / n_t - y_c / n_c) k

    qini = (area under the Qini curve - area under its chord) / N^2       auuc = area under the gain curve / N^2

with areas by trapezoids. Both are outcomes per person, comparable between tables of any size. Other libraries scale
the same curves otherwise (scikit-uplift by a perfect curve, causalml by the end point), so the same score has other
numbers there.

Rows may count unequally (inverse propensities), and rows of one customer may be drawn together: the curves are then
those of the weighted population, and the intervals those of a bootstrap of customers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foretouch.core.errors import DataError
from foretouch.core.rng import derive_seed
from foretouch.training.task import FloatArray
from foretouch.training.uplift.once import Numbers, counted_once
from foretouch.training.uplift.order import descending

SHARES = tuple(round(0.1 * step, 1) for step in range(1, 11))
LARGE = 200_000
DRAWS, DRAWS_LARGE = 500, 200
CURVE_POINTS = 101


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What has been targeted at the ends of tie blocks; the first point is (0, 0).

    Attributes:
        targeted: Rows targeted so far, shape (points,).
        treated: Treated rows among them.
        treated_outcome: Sum of their outcomes.
        control: Control rows among them.
        control_outcome: Sum of their outcomes.
    """

    targeted: FloatArray
    treated: FloatArray
    treated_outcome: FloatArray
    control: FloatArray
    control_outcome: FloatArray

    @property
    def total(self) -> float:
        """Rows in all, N."""
        return float(self.targeted[-1])

    @cached_property
    def qini(self) -> FloatArray:
        """Outcomes gained by the Qini curve, shape (points,)."""
        expected = _per(self.control_outcome, self.control)
        expected *= self.treated
        return np.subtract(self.treated_outcome, expected, out=expected)

    @cached_property
    def gain(self) -> FloatArray:
        """Outcomes gained by the gain curve, shape (points,)."""
        return (_per(self.treated_outcome, self.treated) - _per(self.control_outcome, self.control)) * self.targeted

    @property
    def qini_coefficient(self) -> float:
        """(area - chord) / N^2 of the Qini curve."""
        chord = self.total * float(self.qini[-1]) / 2.0
        return (float(np.trapezoid(self.qini, self.targeted)) - chord) / self.total**2

    @property
    def auuc(self) -> float:
        """Area / N^2 of the gain curve."""
        return float(np.trapezoid(self.gain, self.targeted)) / self.total**2

    def uplift_at(self, rows: FloatArray) -> FloatArray:
        """Mean outcome of the treated less that of the controls among the first ``rows`` targeted.

        A cut inside a block of equal scores takes the same part of every row of the block. NaN where an arm has no
        row there.

        Args:
            rows: How many are targeted, shape (m,).
        """
        n_t, y_t, n_c, y_c = (
            np.interp(rows, self.targeted, column)
            for column in (self.treated, self.treated_outcome, self.control, self.control_outcome)
        )
        both = (n_t > 0.0) & (n_c > 0.0)
        return np.where(both, _per(y_t, n_t) - _per(y_c, n_c), np.nan)


def _per(total: FloatArray, count: FloatArray) -> FloatArray:
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0.0)


class Randomised:
    """Scored rows of a randomised comparison, sorted once, from which curves are drawn under any row weights.

    Args:
        score: Higher is targeted first, shape (n,).
        treatment: 0 or 1, shape (n,).
        outcome: What is gained, shape (n,).
        count: How often each row counts, above 0, shape (n,); None is once.

    Raises:
        DataError: A value is not finite, an arm is missing, or the lengths differ.
    """

    def __init__(
        self, score: FloatArray, treatment: Numbers, outcome: Numbers, count: FloatArray | None = None
    ) -> None:
        if not len(score) == len(treatment) == len(outcome):
            raise DataError("score, treatment and outcome must have one value per row each")
        for name, values in (("score", score), ("treatment", treatment), ("outcome", outcome)):
            if not np.isfinite(values).all():
                raise DataError(f"{name} holds {int((~np.isfinite(values)).sum())} missing or infinite values")
        if not ((treatment == 0.0) | (treatment == 1.0)).all():
            raise DataError("treatment must hold 0 and 1")
        if count is not None and (len(count) != len(score) or not (np.isfinite(count) & (count > 0.0)).all()):
            raise DataError("counts must be one finite number above 0 per row")
        for name, arm in (("control (treatment 0)", 0.0), ("treated (treatment 1)", 1.0)):
            if not (treatment == arm).any():
                raise DataError(f"no row is {name}; a comparison needs both")
        self._rows = score, treatment, outcome, count

    def __len__(self) -> int:
        return len(self._rows[0])

    @cached_property
    def _order(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return descending(self._rows[0])

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows from the highest score down, shape (n,)."""
        return self._order[0]

    @property
    def ends(self) -> NDArray[np.intp]:
        """The last place of every block of equal scores in that order, ascending, shape (blocks,)."""
        return self._order[1]

    @cached_property
    def treated(self) -> NDArray[np.bool_]:
        """Whether a row is treated, in that order, shape (n,)."""
        treated: NDArray[np.bool_] = np.asarray(self._rows[1] == 1.0)
        return treated[self.order]

    @cached_property
    def outcome(self) -> Numbers:
        """Outcomes in that order, shape (n,)."""
        return self._rows[2][self.order]

    @cached_property
    def _count(self) -> FloatArray | None:
        count = self._rows[3]
        return None if count is None else count[self.order]

    def curve(self, weight: FloatArray | None = None) -> Curve:
        """The curves, with row i of the sorted table counted ``weight[i]`` times (once where None)."""
        if weight is None and self._rows[3] is None and (plain := self._counted_once()) is not None:
            return plain
        if self._count is not None:
            weight = self._count if weight is None else self._count * weight
        one = self.treated if weight is None else self.treated * weight
        all_outcome = self.outcome if weight is None else self.outcome * weight
        sums = np.zeros(len(self) + 1)
        taken = self._cuts.astype(np.float64) if weight is None else self._through(weight, sums)
        n_t = self._through(one, sums)
        y_t = self._through(np.multiply(one, self.outcome, out=sums[1:]), sums)
        y = self._through(all_outcome, sums)
        return Curve(
            targeted=taken,
            treated=n_t,
            treated_outcome=y_t,
            control=taken - n_t,
            control_outcome=np.subtract(y, y_t, out=y),
        )

    def _counted_once(self) -> Curve | None:
        """The curves of rows that count once and answered or did not, unless they are in order already."""
        score, treatment, outcome, _ = self._rows
        if "_order" in self.__dict__ or not ((outcome == 0) | (outcome == 1)).all():
            return None
        columns = counted_once(score, treatment, outcome)
        if columns is None:
            return None
        taken, n_t, y_t, n_c, y_c = columns
        return Curve(targeted=taken, treated=n_t, treated_outcome=y_t, control=n_c, control_outcome=y_c)

    def _through(self, column: Numbers, sums: FloatArray) -> FloatArray:
        """Sums of a column through the end of each tie block, the first of nothing.

        Args:
            column: Shape (n,).
            sums: Room to work in, shape (n + 1,), the first 0; may hold the column.
        """
        np.cumsum(column, out=sums[1:])
        return sums.copy() if len(self.ends) == len(column) else sums[self._cuts]

    @cached_property
    def _cuts(self) -> NDArray[np.intp]:
        return np.append(0, self.ends + 1)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure, its standard error and its normal interval.

    Attributes:
        value: The figure on the rows.
        se: Standard deviation over bootstrap draws.
        low: ``value - z se``.
        high: ``value + z se``.
    """

    value: float
    se: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class UpliftEvaluation:
    """What a score is worth on randomised rows.

    Attributes:
        qini: House Qini.
        auuc: House AUUC.
        uplift_at: By share of everyone.
        curve: The curves on all rows.
        low: Lower ends of the pointwise Qini band at ``shares``, shape (points,).
        high: Upper ends of it.
        shares: Shares of everyone, shape (points,).
        draws: Bootstrap draws behind the intervals.
    """

    qini: Interval
    auuc: Interval
    uplift_at: dict[float, Interval]
    curve: Curve
    shares: FloatArray
    low: FloatArray
    high: FloatArray
    draws: int

    @property
    def better_than_random(self) -> bool:
        """Whether the interval of the Qini lies above 0."""
        return self.qini.low > 0.0


def evaluate_uplift(
    score: FloatArray,
    treatment: FloatArray,
    outcome: FloatArray,
    *,
    seed: int = 0,
    draws: int | None = None,
    level: float = 0.95,
    shares: Sequence[float] = SHARES,
    count: FloatArray | None = None,
    cluster: NDArray[np.object_] | None = None,
) -> UpliftEvaluation:
    """Areas, uplift by share and their intervals.

    Whole rows, or whole clusters of them, are drawn with replacement (Efron and Tibshirani 1993); the score stays, the
    ranks move with the draw. Intervals are normal with the bootstrap's standard error.

    Args:
        score: Higher is targeted first, shape (n,).
        treatment: 0 or 1, shape (n,).
        outcome: Shape (n,).
        seed: Of the draws.
        draws: Bootstrap draws; 500, or 200 from 200,000 rows on.
        level: Of the intervals.
        shares: Where uplift is stated.
        count: How often each row counts, shape (n,); None is once.
        cluster: Whose row it is, shape (n,); None is everybody's own.

    Raises:
        DataError: The rows cannot be compared.
    """
    rows = Randomised(score, treatment, outcome, count)
    draws = (DRAWS_LARGE if len(rows) >= LARGE else DRAWS) if draws is None else draws
    curve = rows.curve()
    grid = np.linspace(0.0, 1.0, CURVE_POINTS)
    cuts = np.array(shares) * curve.total
    if count is None:
        cuts = np.floor(cuts + 1e-9)
    figures = np.empty((draws, 2 + len(shares)))
    bands = np.empty((draws, len(grid)))
    code = None if cluster is None else np.unique(cluster.astype(str), return_inverse=True)[1][rows.order]
    for index, weight in enumerate(resample(len(rows), code, draws=draws, seed=seed)):
        drawn = rows.curve(weight)
        figures[index, :2] = drawn.qini_coefficient, drawn.auuc
        figures[index, 2:] = drawn.uplift_at(cuts * (drawn.total / curve.total))
        bands[index] = np.interp(grid * drawn.total, drawn.targeted, drawn.qini) / drawn.total
    z = float(ndtri((1.0 + level) / 2.0))
    values = [curve.qini_coefficient, curve.auuc, *curve.uplift_at(cuts)]
    intervals = [_interval(float(value), figures[:, index], z) for index, value in enumerate(values)]
    at = np.interp(grid * curve.total, curve.targeted, curve.qini) / curve.total
    reach = z * bands.std(axis=0, ddof=1)
    return UpliftEvaluation(
        qini=intervals[0],
        auuc=intervals[1],
        uplift_at=dict(zip(shares, intervals[2:], strict=True)),
        curve=curve,
        shares=grid,
        low=at - reach,
        high=at + reach,
        draws=draws,
    )


def resample(n: int, code: NDArray[np.intp] | None, *, draws: int, seed: int) -> Iterator[FloatArray]:
    """How often each of n rows is drawn in a bootstrap sample, shape (n,) each; rows of one code together."""
    rng = np.random.default_rng(derive_seed(str(seed), "uplift-bootstrap"))
    units = n if code is None else int(code.max()) + 1
    for _ in range(draws):
        drawn = np.bincount(rng.integers(units, size=units), minlength=units).astype(np.float64)
        yield drawn if code is None else drawn[code]


def _interval(value: float, drawn: FloatArray, z: float) -> Interval:
    known = drawn[np.isfinite(drawn)]
    se = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return Interval(value=value, se=se, low=value - z * se, high=value + z * se)
