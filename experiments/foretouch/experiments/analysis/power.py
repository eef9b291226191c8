"""How many units a test needs, what it can see, and how long it lasts. Normal theory, two-sided, both tails."""

import math

from foretouch.experiments.analysis import special

FARTHEST = 50.0
"""Standard errors; no power is asked for that needs more."""
HALVINGS = 64


def power_of(*, difference: float, variance_of_difference: float, alpha: float) -> float:
    """Chance that the two-sided test finds a true difference.

    Args:
        difference: The truth, in the metric's unit.
        variance_of_difference: Of the estimated difference at the planned size.
        alpha: Two-sided error rate.
    """
    shift = abs(difference) / math.sqrt(variance_of_difference)
    critical = float(special.ndtri(1.0 - alpha / 2.0))
    return float(special.ndtr(shift - critical) + special.ndtr(-shift - critical))


def shift_needed(*, power: float, alpha: float) -> float:
    """The true difference, in standard errors, that is found with the given chance."""
    low, high = 0.0, FARTHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if power_of(difference=middle, variance_of_difference=1.0, alpha=alpha) < power:
            low = middle
        else:
            high = middle
    return high


def units_needed(
    *, difference: float, control_variance: float, treatment_variance: float, share: float, power: float, alpha: float
) -> int:
    """Units of both arms together, rounded up.

    Args:
        difference: The smallest difference that must not be missed.
        control_variance: Of one unit in the control.
        treatment_variance: Of one unit in the treatment.
        share: The treatment's share of the two arms.
        power: Chance to find it.
        alpha: Two-sided error rate.
    """
    per_unit = control_variance / (1.0 - share) + treatment_variance / share
    return math.ceil((shift_needed(power=power, alpha=alpha) / difference) ** 2 * per_unit)


def detectable(*, variance_of_difference: float, power: float, alpha: float) -> float:
    """The smallest difference found with the given chance, in the metric's unit."""
    return shift_needed(power=power, alpha=alpha) * math.sqrt(variance_of_difference)
