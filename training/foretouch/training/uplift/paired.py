"""Two scores on the same randomised rows: how far their Qinis are apart."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foretouch.training.task import FloatArray
from foretouch.training.uplift.curve import Interval, Randomised, resample

DRAWS = 500


def qini_difference(
    score: FloatArray,
    other: FloatArray,
    treatment: FloatArray,
    outcome: FloatArray,
    *,
    count: FloatArray | None = None,
    cluster: NDArray[np.object_] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = 0.95,
) -> tuple[float, float, Interval]:
    """The Qini of each, and their difference with its interval: the same draw of rows, or clusters, for both.

    Args:
        score: Higher is targeted first, shape (n,).
        other: The same of another score.
        treatment: 0 or 1, shape (n,).
        outcome: Shape (n,).
        count: How often each row counts, shape (n,); None is once.
        cluster: Whose row it is, shape (n,); None is everybody's own.
        seed: Of the draws.
        draws: Bootstrap draws.
        level: Of the interval.

    Raises:
        DataError: The rows cannot be compared.
    """
    both = [Randomised(values, treatment, outcome, count) for values in (score, other)]
    here = [rows.curve().qini_coefficient for rows in both]
    code = None if cluster is None else np.unique(cluster.astype(str), return_inverse=True)[1]
    apart = np.empty(draws)
    for index, drawn in enumerate(resample(len(score), code, draws=draws, seed=seed)):
        first, second = (rows.curve(drawn[rows.order]).qini_coefficient for rows in both)
        apart[index] = first - second
    value, se = here[0] - here[1], float(apart.std(ddof=1))
    reach = float(ndtri((1.0 + level) / 2.0)) * se
    return here[0], here[1], Interval(value=value, se=se, low=value - reach, high=value + reach)
