"""Estimates of a metric in two arms from their moments: means, ratios, and both adjusted by covariates (CUPED).

Moments hold the columns (y, x1..xk) for a mean and (numerator, denominator, x1..xk) for a ratio. The coefficient
theta is the pooled one: covariance with the covariates over both arms together, ignoring the arm.
"""

import numpy as np

from foretouch.experiments.analysis.aggregates import Floats, Moments
from foretouch.experiments.analysis.effects import Estimate, Pair
from foretouch.experiments.analysis.refusals import Refused

SMALLEST_PIVOT = 1e-10
"""Covariates whose scaled covariance matrix has a smaller eigenvalue than this are collinear."""


def mean_pair(control: Moments, treatment: Moments) -> Pair:
    """Means (or proportions) of two arms, adjusted by the covariates in columns 1.. if there are any."""
    weights = np.array([1.0])
    return _pair(control, treatment, weights, weights, weights, lead=1)


def ratio_pair(control: Moments, treatment: Moments) -> Pair:
    """Ratios sum(numerator) / sum(denominator) of two arms by the delta method at the level of units."""
    pooled = control + treatment
    for part in (control, treatment):
        if part.mean[1] <= 0.0:
            raise Refused("denominator_not_positive", value=float(part.mean[1]))
    of_control, of_treatment = linear_weights(control.mean), linear_weights(treatment.mean)
    return _pair(control, treatment, of_control, of_treatment, linear_weights(pooled.mean), lead=2)


def linear_weights(means: Floats) -> Floats:
    """Weights that make numerator and denominator one linearised value, (numerator - R denominator) / mean."""
    numerator, denominator = means[0], means[1]
    return np.array([1.0 / denominator, -numerator / denominator**2])


def _pair(
    control: Moments, treatment: Moments, of_control: Floats, of_treatment: Floats, of_pooled: Floats, *, lead: int
) -> Pair:
    pooled = control + treatment
    theta = pooled_theta(pooled.covariance(), of_pooled, lead)
    estimates = []
    raw = 0.0
    for part, linear in ((control, of_control), (treatment, of_treatment)):
        weights = np.concatenate([linear, -theta])
        covariance = part.covariance()
        variance = float(weights @ covariance @ weights) / part.n
        raw += float(linear @ covariance[:lead, :lead] @ linear) / part.n
        level = float(part.mean[0] if lead == 1 else part.mean[0] / part.mean[1])
        shift = float(theta @ (part.mean[lead:] - pooled.mean[lead:]))
        estimates.append(Estimate(n=part.n, mean=level - shift, variance=max(variance, 0.0)))
    return Pair(control=estimates[0], treatment=estimates[1], raw_variance=raw)


def pooled_theta(covariance: Floats, linear: Floats, lead: int) -> Floats:
    """Coefficients of the covariates, shape (k,), from the covariances of both arms together.

    Args:
        covariance: Of (metric..., covariates...), shape (lead + k, lead + k).
        linear: Weights that make the metric's columns one value, shape (lead,).
        lead: How many columns are the metric itself.

    Raises:
        Refused: A covariate is constant, or covariates are collinear.
    """
    among = covariance[lead:, lead:]
    if among.shape[0] == 0:
        return np.zeros(0)
    scale = np.sqrt(np.diag(among))
    if (scale <= 0.0).any():
        raise Refused("covariate_constant")
    correlation = among / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < SMALLEST_PIVOT:
        raise Refused("covariates_collinear")
    theta: Floats = np.linalg.solve(correlation, (covariance[lead:, :lead] @ linear) / scale) / scale
    return theta


def covariate_shift(rows: Floats, lead: int, pooled: Moments) -> Floats:
    """Theta (x - mean) of each row, for estimators that need rows: shape (n,)."""
    linear = np.array([1.0]) if lead == 1 else linear_weights(pooled.mean)
    shift: Floats = (rows[:, lead:] - pooled.mean[lead:]) @ pooled_theta(pooled.covariance(), linear, lead)
    return shift
