"""Post-stratification: arms are compared within strata known before exposure, and the strata weighted by their size.

Each arm's estimate is the sum over strata of W_h x its mean there, W_h the stratum's share of both arms together; its
variance is the sum of W_h^2 s_h^2 / n_h (Miratrix, Sekhon and Yu 2013). Covariates adjust around their pooled mean with
one theta; a ratio is the ratio of the weighted means of numerator and denominator (delta method).
"""

import numpy as np

from foretouch.experiments.analysis.aggregates import Floats, Moments, total
from foretouch.experiments.analysis.effects import Estimate, Pair
from foretouch.experiments.analysis.estimators import linear_weights, pooled_theta
from foretouch.experiments.analysis.refusals import Refused

Cells = tuple[tuple[Moments, Moments], ...]
"""By stratum: control, treatment."""


def stratified_pair(cells: Cells, *, lead: int) -> Pair:
    """Both arms' post-stratified estimates.

    Args:
        cells: Moments of (y, x...) for lead 1, of (numerator, denominator, x...) for lead 2.
        lead: How many columns are the metric itself.

    Raises:
        Refused: A stratum has fewer than two units in an arm, or the denominator is not positive.
    """
    cells = tuple(cell for cell in cells if cell[0].n + cell[1].n > 0)
    thin = sum(min(control.n, treatment.n) < 2 for control, treatment in cells)
    if thin:
        raise Refused("strata_too_thin", value=thin)
    sizes = np.array([control.n + treatment.n for control, treatment in cells], dtype=float)
    shares: Floats = sizes / sizes.sum()
    arms = [[cell[arm] for cell in cells] for arm in (0, 1)]
    pooled = total(tuple(part for arm in arms for part in arm))
    within = pooled_within(cells)
    centre = np.array([1.0]) if lead == 1 else linear_weights(pooled.mean)
    theta = pooled_theta(within, centre, lead)
    overall = shares @ np.array([(c.n * c.mean + t.n * t.mean) / (c.n + t.n) for c, t in cells])
    estimates = []
    for parts in arms:
        means: Floats = shares @ np.array([part.mean for part in parts])
        if lead == 2 and means[1] <= 0.0:
            raise Refused("denominator_not_positive", value=float(means[1]))
        linear = np.array([1.0]) if lead == 1 else linear_weights(means)
        weights = np.concatenate([linear, -theta])
        variance = sum(
            share**2 * float(weights @ part.covariance() @ weights) / part.n
            for share, part in zip(shares, parts, strict=True)
        )
        level = float(means[0] if lead == 1 else means[0] / means[1])
        shift = float(theta @ (means[lead:] - overall[lead:]))
        n = sum(part.n for part in parts)
        estimates.append(Estimate(n=n, mean=level - shift, variance=max(float(variance), 0.0)))
    return Pair(control=estimates[0], treatment=estimates[1])


def pooled_within(cells: Cells) -> Floats:
    """Covariances of both arms together within strata, weighted by n - 1; shape (k, k)."""
    groups = [control + treatment for control, treatment in cells]
    m2: Floats = np.sum([group.m2 for group in groups], axis=0)
    return m2 / sum(group.n - 1 for group in groups)
