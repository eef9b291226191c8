"""Estimates that need rows rather than moments: clusters and quantiles."""

import math

import numpy as np

from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.aggregates import Codes, Floats, Moments
from foretouch.experiments.analysis.effects import Estimate, Pair
from foretouch.experiments.analysis.estimators import covariate_shift
from foretouch.experiments.analysis.refusals import Refused


def clustered_pair(rows: Floats, treated: Codes, cluster: Codes, *, lead: int) -> Pair:
    """Means (lead 1) or ratios (lead 2) whose units come in clusters: CR1 sandwich, t with G - 1 degrees of freedom.

    Equal to ordinary least squares of the metric on the arm with cluster-robust errors,
    factor G/(G-1) x (N-1)/(N-2).

    Args:
        rows: Columns (y, x...) or (numerator, denominator, x...), shape (n, k).
        treated: 1 for the treatment, 0 for the control, shape (n,).
        cluster: Cluster of each row, 0..G-1, shape (n,).
        lead: How many of the columns are the metric itself.
    """
    _, cluster = np.unique(cluster, return_inverse=True)
    groups = int(cluster.max()) + 1
    if groups < 3:
        raise Refused("too_few_clusters", value=groups)
    n = len(rows)
    shift = covariate_shift(rows, lead, Moments.of(rows))
    factor = groups / (groups - 1) * (n - 1) / (n - 2)
    means, sums = [], []
    for arm in (0, 1):
        mask = treated == arm
        weight = rows[mask, 1] if lead == 2 else np.ones(int(mask.sum()))
        total = float(weight.sum())
        if total <= 0.0:
            raise Refused("denominator_not_positive", value=total)
        level = float(rows[mask, 0].sum()) / total
        # covariates move the estimate by their own mean; around it each row's influence is centred
        adjusted = (rows[mask, 0] - level * weight) / total - (shift[mask] - shift[mask].mean()) / int(mask.sum())
        means.append(level - float(shift[mask].mean()))
        sums.append(np.bincount(cluster[mask], weights=adjusted, minlength=groups))
    control = Estimate(n=int((treated == 0).sum()), mean=means[0], variance=factor * float(sums[0] @ sums[0]))
    treatment = Estimate(n=int((treated == 1).sum()), mean=means[1], variance=factor * float(sums[1] @ sums[1]))
    return Pair(control=control, treatment=treatment, covariance=factor * float(sums[0] @ sums[1]), df=groups - 1.0)


def quantile_pair(control: Floats, treatment: Floats, q: float) -> Pair:
    """Quantiles of two arms with normal theory."""
    return Pair(control=quantile_estimate(control, q), treatment=quantile_estimate(treatment, q), df=math.inf)


def quantile_estimate(values: Floats, q: float) -> Estimate:
    """A quantile (linear interpolation) and its variance by Maritz and Jarrett (1978).

    The variance is that of the order statistic under resampling, with binomial weights instead of draws: what
    a bootstrap with infinitely many draws would give.

    Args:
        values: The arm's values, shape (n,).
        q: Between 0 and 1.
    """
    n = len(values)
    if n * min(q, 1.0 - q) < 5.0:
        raise Refused("too_few_for_quantile", value=n)
    ordered = np.sort(values)
    position = q * (n + 1)
    spread = 10.0 * math.sqrt(n * q * (1.0 - q)) + 10.0
    first, last = max(0, int(q * n - spread)), min(n, int(q * n + spread) + 1)
    edges = np.arange(first, last + 1) / n
    weights = np.diff(special.betainc(position, n + 1 - position, edges))
    weights /= weights.sum()
    window = ordered[first:last]
    centre = float(weights @ window)
    variance = float(weights @ (window - centre) ** 2)
    return Estimate(n=n, mean=float(np.quantile(values, q)), variance=variance)
