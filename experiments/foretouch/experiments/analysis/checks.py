"""Trust checks: may these numbers be read at all?"""

from collections.abc import Mapping, Sequence

import numpy as np

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.aggregates import Moments
from foretouch.experiments.analysis.sequential import sequential_split_p
from foretouch.experiments.results import Split

ALARM = 0.001
"""Below this p the split is wrong."""


def split_of(counts: Mapping[str, int], spec: ExperimentSpec, *, running: bool) -> Split:
    """Compares the arms' sizes with the weights.

    Args:
        counts: Units per arm, zero where an arm of the spec has none.
        spec: Its weights; arms of weight 0 have an alarm of their own.
        running: Judge by the sequential p, which may be looked at every day; else by chi-square.
    """
    arms = [arm for arm, weight in spec.weights.items() if weight > 0.0]
    weights = np.array([spec.weights[arm] for arm in arms])
    weights = weights / weights.sum()
    observed = np.array([counts.get(arm, 0) for arm in arms], dtype=float)
    n = float(observed.sum())
    df = len(arms) - 1
    statistic = p = None
    if n > 0 and df > 0:
        expected = n * weights
        statistic = float((((observed - expected) ** 2) / expected).sum())
        p = float(special.chdtrc(df, statistic))
    sequential = sequential_split_p([int(item) for item in observed], [float(item) for item in weights])
    judged = sequential if running or p is None else p
    return Split(
        statistic=statistic,
        df=df,
        p=p,
        sequential_p=sequential,
        ok=judged >= ALARM,
        observed={arm: int(item) for arm, item in zip(arms, observed, strict=True)},
        expected={arm: float(n * weight) for arm, weight in zip(arms, weights, strict=True)},
    )


def imbalance_p(parts: Sequence[Moments]) -> float:
    """The p of a covariate's arm means being equal, whatever its variance in each arm (Wald chi-square).

    Args:
        parts: The covariate's moments by arm, of one column known before the exposure.
    """
    means = [float(part.mean[0]) for part in parts if part.n >= 2]
    variances = [float(part.covariance()[0, 0]) / part.n for part in parts if part.n >= 2]
    if len(means) < 2 or min(variances) <= 0.0:
        return 1.0
    weights = 1.0 / np.array(variances)
    centre = float(np.average(means, weights=weights))
    return float(special.chdtrc(len(means) - 1, float((weights * (np.array(means) - centre) ** 2).sum())))
