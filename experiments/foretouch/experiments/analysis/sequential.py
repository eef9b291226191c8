"""Answers that stay valid however often one looks.

Asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv 2103.06476v7), as used for
differences of means with n = units of both arms; sequential test of the split by a mixture of Dirichlet-multinomial
Bayes factors (Lindon and Malek, arXiv 2011.03567).
"""

import math
from collections.abc import Sequence

from foretouch.experiments.analysis import special

SPLIT_CONCENTRATIONS = (100.0, 10_000.0)
"""Prior weights of the split test: the small one sees gross faults early, the large one slight faults late."""


def anytime_rho(*, alpha: float, tuning: float) -> float:
    """The parameter that makes the two-sided band tightest at ``tuning`` units."""
    inner = -2.0 * math.log(alpha)
    return math.sqrt((inner + math.log(inner + 1.0)) / tuning)


def anytime_half_width(*, se: float, n: int, alpha: float, tuning: float) -> float:
    """Half the width of the confidence sequence at n units, in the metric's unit.

    Args:
        se: Standard error of the difference at this look.
        n: Units of both arms at this look.
        alpha: Two-sided error rate over all looks together.
        tuning: Units at which the band is tightest.
    """
    rho = anytime_rho(alpha=alpha, tuning=tuning)
    scale = n * rho**2 + 1.0
    return math.sqrt(n) * se * math.sqrt(2.0 * scale / (n * rho) ** 2 * math.log(math.sqrt(scale) / alpha))


def anytime_p(*, difference: float, se: float, n: int, alpha: float, tuning: float) -> float:
    """The p of this look; below ``alpha`` at any look with probability at most ``alpha`` if there is no effect."""
    rho = anytime_rho(alpha=alpha, tuning=tuning)
    scale = n * rho**2 + 1.0
    exponent = 0.5 * math.log(scale) - rho**2 * difference**2 * n / se**2 / (2.0 * scale)
    return math.exp(min(0.0, exponent))


def sequential_split_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The p of a split that may be looked at after every unit.

    1 / Bayes factor, the factor being the mean over two Dirichlet priors centred on the weights: a mean of
    martingales is one, so that the chance of ever falling below p is at most p (Ville).

    Args:
        counts: Units per arm.
        weights: Intended shares of the same arms, all positive, summing to 1.
    """
    n = sum(counts)
    if n == 0:
        return 1.0
    null = sum(count * math.log(weight) for count, weight in zip(counts, weights, strict=True))
    factors = []
    for concentration in SPLIT_CONCENTRATIONS:
        log_marginal = float(special.gammaln(concentration) - special.gammaln(concentration + n))
        for count, weight in zip(counts, weights, strict=True):
            prior = concentration * weight
            log_marginal += float(special.gammaln(prior + count) - special.gammaln(prior))
        factors.append(log_marginal - null)
    log_factor = float(special.logsumexp(factors)) - math.log(len(factors))
    return math.exp(min(0.0, -log_factor))
