"""The Bayesian view of an effect: a normal likelihood, a flat or a normal prior, the chance to be better, the risk.

On the lift, the likelihood is the delta method's: mean (t - c)/|c|, variance (Var t + (t/c)^2 Var c - 2 (t/c) Cov)/c^2.
"""

import math

from foretouch.core.experiment_options import Prior
from foretouch.experiments.analysis import special
from foretouch.experiments.analysis.effects import Effect, Pair
from foretouch.experiments.results import Bayesian


def bayesian_views(pair: Pair, effect: Effect, *, prior: Prior, alpha: float, up: bool) -> tuple[Bayesian, ...]:
    """The effect without a prior and with the spec's, both on the prior's scale where there is one.

    Args:
        pair: Both arms' estimates.
        effect: Their comparison.
        prior: Of the spec.
        alpha: 1 - the credible interval's level.
        up: More is better.

    Returns:
        Two views; one, on the difference, where the prior is on the lift and the control's mean is not positive, or no
        unit of the treatment has anything but 0, so that the delta method gives the lift no spread.
    """
    if prior.on == "difference":
        mean, variance = effect.difference, effect.se**2
    elif pair.control.mean > 0.0 and _lift(pair)[1] > 0.0:
        mean, variance = _lift(pair)
    else:
        return (_view(effect.difference, effect.se, None, on="difference", alpha=alpha, up=up),)
    flat = _view(mean, math.sqrt(variance), None, on=prior.on, alpha=alpha, up=up)
    weight = variance / (variance + prior.sd**2)
    together = weight * prior.mean + (1.0 - weight) * mean
    informed = _view(together, math.sqrt(weight) * prior.sd, prior, on=prior.on, alpha=alpha, up=up)
    return (flat, informed)


def _lift(pair: Pair) -> tuple[float, float]:
    c, t = pair.control, pair.treatment
    ratio = t.mean / c.mean
    variance = (t.variance + ratio**2 * c.variance - 2.0 * ratio * pair.covariance) / c.mean**2
    return ratio - 1.0, variance


def _view(mean: float, sd: float, prior: Prior | None, *, on: str, alpha: float, up: bool) -> Bayesian:
    good = mean if up else -mean
    half = float(special.ndtri(1.0 - alpha / 2.0)) * sd
    return Bayesian.model_validate(
        {
            "prior": "flat" if prior is None else "normal",
            "on": on,
            "prior_mean": None if prior is None else prior.mean,
            "prior_sd": None if prior is None else prior.sd,
            "mean": mean,
            "sd": sd,
            "ci": (mean - half, mean + half),
            "chance_better": float(special.ndtr(good / sd)),
            "risk_of_shipping": _loss(-good, sd),
            "risk_of_keeping": _loss(good, sd),
        }
    )


def _loss(mean: float, sd: float) -> float:
    """E[max(X, 0)] of a normal X, exact far out in the tail as well as it can be in doubles."""
    z = mean / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return max(sd * density + mean * float(special.ndtr(z)), 0.0)
