"""Means of arms whose shares a policy moved while it learned: augmented inverse-probability weighting.

A policy that learns (Thompson, softmax over scores) gives an arm fewer units after bad luck, which then never evens
out: plain means of its arms are too low, and their intervals too narrow. With the logged selection probabilities there
is an unbiased score of every arm for every unit, chosen or not (Robins, Rotnitzky, Zhao 1994):

    score_t(a) = m_t(a) + 1{a chosen} / e_t(a) * (y_t - m_t(a))

where e_t(a) is the logged probability and m_t(a) the mean of the arm's outcomes before t, so that every unit is scored
by a model that has not seen it. ``uniform`` weights average the scores: the house choice, unbiased at every size.
``variance`` weights each by sqrt(e_t(a)), the constant allocation rate of Hadad, Hirshberg, Zhan, Wager, Athey (2021),
"Confidence intervals for policy evaluation in adaptive experiments", PNAS 118(15): narrower where probabilities become
small, but in tests of a thousand units biased itself (``benchmarks/thompson_truth.py`` measures both). It may be used
only where probabilities do not depend on who the unit is; otherwise it would weigh some kinds of people more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foretouch.core.errors import DataError
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.aggregates import Codes, Floats

Weights = Literal["uniform", "variance"]


@dataclass(frozen=True, kw_only=True)
class ArmMean:
    """One arm.

    Attributes:
        allowed: Units at which the arm could have been chosen.
        chosen: Units that got it.
        plain: Mean outcome of those; biased where the policy learned from outcomes.
        plain_ci: Its 95 % interval, as if units had been dealt out evenly: shown to be compared, not to be used.
        mean: The estimate, over the units at which the arm was allowed.
        se: Its standard error.
        ci: Its interval.
        effective: How many evenly dealt units the estimate is worth: (sum of w)^2 / sum of w^2, w = 1/e of the chosen.
        smallest: The smallest logged probability among the allowed units.
    """

    allowed: int
    chosen: int
    plain: float | None
    plain_ci: tuple[float, float] | None
    mean: float
    se: float
    ci: tuple[float, float]
    effective: float
    smallest: float


def scores(outcomes: Floats, chosen: Codes, probabilities: Floats) -> Floats:
    """The unbiased score of an arm for every unit at which it was allowed, in order of time.

    Args:
        outcomes: Of each unit, whatever it got; shape (n,).
        chosen: 1 where the unit got the arm, else 0; shape (n,).
        probabilities: That it would; positive; shape (n,).

    Raises:
        DataError: A probability is not in (0, 1], or something is no number.
    """
    if not (np.isfinite(outcomes).all() and np.isfinite(probabilities).all()):
        raise DataError("outcomes and probabilities must be numbers", hint="foretouch doctor")
    if len(probabilities) and not (probabilities.min() > 0.0 and probabilities.max() <= 1.0 + 1e-9):
        raise DataError(
            f"selection probabilities lie in [{probabilities.min():.3g}, {probabilities.max():.3g}], must be in (0, 1]"
        )
    times = np.cumsum(chosen) - chosen
    sums = np.cumsum(chosen * outcomes) - chosen * outcomes
    before = np.where(times > 0, sums / np.maximum(times, 1), 0.0)
    scored: Floats = before + chosen / probabilities * (outcomes - before)
    return scored


def arm_mean(
    outcomes: Floats,
    chosen: Codes,
    probabilities: Floats,
    *,
    weights: Weights = "uniform",
    clusters: Codes | None = None,
    alpha: float = 0.05,
) -> ArmMean:
    """The mean outcome of an arm, had it been chosen at every unit at which it was allowed.

    Args:
        outcomes: As in ``scores``, in order of time; at least two units.
        chosen: As in ``scores``.
        probabilities: As in ``scores``.
        weights: See the module's docstring.
        clusters: Units of one number vary together (a customer's decisions); 0.., shape (n,).
        alpha: Two-sided error rate of the interval.

    Raises:
        DataError: As in ``scores``, or there are fewer than two units.
    """
    if len(outcomes) < 2:
        raise DataError(f"an arm was allowed at {len(outcomes)} units, must be at least 2")
    scored = scores(outcomes, chosen, probabilities)
    mean, se = weighted_mean(scored, weights_of(probabilities, weights), clusters)
    got = outcomes[chosen == 1]
    plain = float(got.mean()) if len(got) else None
    return ArmMean(
        allowed=len(outcomes),
        chosen=len(got),
        plain=plain,
        plain_ci=None
        if plain is None or len(got) < 2
        else _around(plain, float(got.std(ddof=1)) / math.sqrt(len(got)), alpha),
        mean=mean,
        se=se,
        ci=_around(mean, se, alpha),
        effective=effective(probabilities[chosen == 1]),
        smallest=float(probabilities.min()),
    )


def effective(probabilities: Floats) -> float:
    """How many evenly dealt units an arm's own units are worth: (sum of 1/e)^2 / sum of 1/e^2.

    Args:
        probabilities: Of the units that got the arm.
    """
    inverse = 1.0 / probabilities
    return float(inverse.sum() ** 2 / (inverse**2).sum()) if len(inverse) else 0.0


def weights_of(probabilities: Floats, weights: Weights) -> Floats:
    """Each unit's weight."""
    return np.sqrt(probabilities) if weights == "variance" else np.ones_like(probabilities)


def weighted_mean(scored: Floats, weight: Floats, clusters: Codes | None = None) -> tuple[float, float]:
    """A weighted mean of scores and its standard error, sqrt(sum over clusters of (sum w (s - mean))^2) / sum w."""
    total = float(weight.sum())
    mean = float((weight * scored).sum() / total)
    parts = weight * (scored - mean)
    if clusters is not None:
        parts = np.bincount(clusters, weights=parts).astype(np.float64)
    return mean, float(math.sqrt((parts**2).sum()) / total)


def difference(
    scored: Sequence[Floats], *, clusters: Codes | None = None, alpha: float = 0.05
) -> tuple[float, float, tuple[float, float]]:
    """The second arm's mean less the first's, over units at which both were allowed, by uniform weights.

    Args:
        scored: Both arms' scores of the same units.
        clusters: As in ``arm_mean``.
        alpha: Two-sided error rate.

    Returns:
        Difference, standard error, interval.
    """
    gap = scored[1] - scored[0]
    mean, se = weighted_mean(gap, np.ones_like(gap), clusters)
    return mean, se, _around(mean, se, alpha)


def _around(mean: float, se: float, alpha: float) -> tuple[float, float]:
    spread = float(special.ndtri(1.0 - alpha / 2.0)) * se
    return (mean - spread, mean + spread)
