"""A Poisson regression on top of an expectation: four numbers about a customer, strongly shrunk.

Fewer degrees of freedom than trees, so it holds where the log is short. The expectation enters as an offset, and the
coefficients say by which factor it is missed (McCullagh and Nelder 1989, chapter 6).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from foretouch.training.task import FloatArray

PENALTY = 30.0
"""Weight of half the sum of squared coefficients of standardised columns, in expected purchases."""
_LARGEST = 8.0


@dataclass(frozen=True, kw_only=True)
class PurchaseRegression:
    """A fitted regression.

    Attributes:
        middle: Mean of every column in the fit rows, shape (columns,).
        spread: Standard deviation of every column, shape (columns,).
        beta: Of the standardised columns, shape (columns,); the intercept is dropped, since the level is not believed.
    """

    middle: FloatArray
    spread: FloatArray
    beta: FloatArray

    @classmethod
    def fit(cls, rows: FloatArray, count: FloatArray, expected: FloatArray, *, penalty: float = PENALTY) -> Self:
        """Maximum of the penalised Poisson likelihood by Newton's method; steps that do not help are halved.

        Args:
            rows: Shape (n, columns), finite.
            count: What happened, shape (n,).
            expected: What was expected, above 0, shape (n,).
            penalty: As ``PENALTY``.
        """
        middle, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 1e-9, spread, np.inf)
        design = np.column_stack([np.ones(len(rows)), (rows - middle) / spread])
        ridge = np.full(design.shape[1], penalty)
        ridge[0] = 1e-9
        offset, beta = np.log(expected), np.zeros(design.shape[1])

        def loss(at: FloatArray) -> float:
            line = np.clip(offset + design @ at, -50.0, _LARGEST)
            return float(np.exp(line).sum() - count @ line + 0.5 * ridge @ np.square(at))

        now = loss(beta)
        for _ in range(50):
            mean = np.exp(np.clip(offset + design @ beta, -50.0, _LARGEST))
            gradient = design.T @ (count - mean) - ridge * beta
            hessian = (design * mean[:, None]).T @ design + np.diag(ridge)
            step = np.linalg.solve(hessian, gradient)
            then = loss(beta + step)
            while then > now and np.abs(step).max() > 1e-9:
                step *= 0.5
                then = loss(beta + step)
            beta, now = beta + step, then
            if np.abs(step).max() < 1e-7:
                break
        return cls(middle=middle, spread=spread, beta=beta[1:])

    def log_factor(self, rows: FloatArray) -> FloatArray:
        """Logarithm of the factor on the expectation, shape (n,), up to a constant."""
        return np.asarray(((rows - self.middle) / self.spread) @ self.beta)
