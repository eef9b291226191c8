"""Inverse-propensity weights: a row that was unlikely to be chosen stands for those that were not. Pure.

The weight of a row is 1 / p, with p the logged probability of what was done (the offer, or no contact), divided by the
mean over the rows of the same action, so that each action's weights have mean 1: how often an action was taken is what
its rows say anyway, and what is left is how its rows differ from the others. What is above ``MAX_WEIGHT`` is cut, and
the mean made 1 again: the price of a finite variance (Ionides 2008, truncated importance sampling).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from foretouch.training.task import FloatArray

MAX_WEIGHT: Final = 20.0
"""Where weights are cut, in units of the action's mean."""


def inverse_propensity(probability: FloatArray, action: "NDArray[np.object_]", used: NDArray[np.bool_]) -> FloatArray:
    """Weights of rows.

    Args:
        probability: Logged, shape (n,); NaN or 0 is not known, and weighs 1.
        action: What was done, shape (n,).
        used: Rows that are weighted, shape (n,); the others weigh 1.

    Returns:
        Shape (n,); mean 1 over the weighted rows of each action.
    """
    weight = np.ones(len(probability))
    chosen = used & np.isfinite(probability) & (probability > 0.0)
    names = np.asarray([str(name) for name in action], dtype=object)
    for name in np.unique(names[chosen]) if chosen.any() else ():
        rows = chosen & (names == name)
        inverse = 1.0 / probability[rows]
        cut = np.minimum(inverse / inverse.mean(), MAX_WEIGHT)
        weight[rows] = cut / cut.mean()
    return weight


def effective_rows(weight: FloatArray) -> float:
    """How many rows of equal weight have the variance of these: (sum w)^2 / sum w^2 (Kish 1965); 0 for no rows."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0
