"""Answers that stay valid however often one looks.

Asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (arXiv 2103.06476v7), two-sided and
one-sided, as used for differences of means with n = units of both arms; sequential test of the split by a mixture of
Dirichlet-multinomial Bayes factors (Lindon and Malek, arXiv 2011.03567).
"""

import math
from collections.abc import Sequence

from foretouch.experiments.analysis import special

SPLIT_CONCENTRATIONS = (100.0, 10_000.0)
"""Prior weights of the split test: the small one sees gross faults early, the large one slight faults late."""

SMALLEST_EXPONENT = 1e-12
"""Below it a one-sided p is 1 whatever the rest."""


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


def one_sided_rho(*, alpha: float, tuning: float) -> float:
    """The parameter of the one-sided bound: the two-sided one's at twice the error rate (after eq. 134)."""
    return anytime_rho(alpha=2.0 * alpha, tuning=tuning)


def one_sided_width(*, se: float, n: int, alpha: float, tuning: float) -> float:
    """How far the one-sided confidence sequence's bound lies from the difference at n units, in the metric's unit.

    Eq. 134 of arXiv 2103.06476v7. Mixing over drifts of one sign only gives the martingale
    2 / sqrt(s) * exp(x^2 / 2) * Phi(x), where s = n rho^2 + 1 and x^2 / 2 = rho^2 z^2 / (2 s), z the difference in
    standard errors; it is at least 2 / sqrt(s) * (exp(x^2 / 2) - 1), which is solved for z.

    Args:
        se: Standard error of the difference at this look.
        n: Units of both arms at this look.
        alpha: Error rate of the one bound over all looks together, below 1/2.
        tuning: Units at which the bound is about tightest.
    """
    rho = one_sided_rho(alpha=alpha, tuning=tuning)
    scale = n * rho**2 + 1.0
    return math.sqrt(n) * se * math.sqrt(2.0 * scale / (n * rho) ** 2 * math.log1p(math.sqrt(scale) / (2.0 * alpha)))


def one_sided_p(*, difference: float, se: float, n: int, alpha: float, tuning: float) -> float:
    """The p of this look against "the difference is zero or below".

    Below ``alpha`` exactly when ``difference - one_sided_width`` is above zero; at any look with probability at most
    ``alpha`` if the true difference is not positive; 1 where the one seen is not.

    Args:
        difference: Less whatever it is to be above, a limit for instance.
        se: As in ``one_sided_width``.
        n: As there.
        alpha: As there; it sets where the bound is tightest.
        tuning: As there.
    """
    if difference <= 0.0:
        return 1.0
    rho = one_sided_rho(alpha=alpha, tuning=tuning)
    scale = n * rho**2 + 1.0
    exponent = rho**2 * difference**2 * n / se**2 / (2.0 * scale)
    if exponent < SMALLEST_EXPONENT:
        return 1.0
    # log(exp(x) - 1) without overflow
    log_p = 0.5 * math.log(scale) - math.log(2.0) - exponent - math.log1p(-math.exp(-exponent))
    return math.exp(min(0.0, log_p))


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
