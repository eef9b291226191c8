"""Four kinds of people: persuaded by a contact, put off by it, and those whom it leaves as they were.

What one person would do both ways is never seen, so that shares of kinds have bounds only (Fréchet). In a group of
people with the rate p1 when contacted and p0 when not::

    p1 - p0 <= share persuaded <= min(p1, 1 - p0)        p0 - p1 <= share put off <= min(p0, 1 - p1)

Groups are tenths by score, fixed before the outcomes are looked at; the lower bounds use the ends of simultaneous
intervals (Bonferroni over tenths and both kinds), so that a bound above 0 is wrong in at most 5 of 100 cases.
"""

import numpy as np
from scipy import special

from foretouch.experiments.uplift.contract import Quadrant
from foretouch.training.task import FloatArray

TENTHS = 10
ALPHA = 0.05


def quadrants(score: FloatArray, treated: FloatArray, outcome: FloatArray) -> tuple[Quadrant, ...]:
    """Bounds of the kinds whose lower bound is above 0; nothing where the outcome is not 0 or 1.

    Args:
        score: Higher is contacted first, shape (n,).
        treated: 0 or 1, shape (n,).
        outcome: Shape (n,).
    """
    if not np.isin(outcome, (0.0, 1.0)).all():
        return ()
    order = np.argsort(-score, kind="stable")
    z = float(special.ndtri(1.0 - ALPHA / (2.0 * 2 * TENTHS)))
    least = {"persuaded": 0.0, "put_off": 0.0}
    most = {"persuaded": 0.0, "put_off": 0.0}
    for rows in np.array_split(order, TENTHS):
        own, arm = outcome[rows], treated[rows] == 1.0
        share = len(rows) / len(order)
        if min(arm.sum(), (~arm).sum()) < 30:
            most = {kind: value + share for kind, value in most.items()}
            continue
        p1, p0 = float(own[arm].mean()), float(own[~arm].mean())
        se = float(np.sqrt(own[arm].var(ddof=1) / arm.sum() + own[~arm].var(ddof=1) / (~arm).sum()))
        least["persuaded"] += share * max(p1 - p0 - z * se, 0.0)
        least["put_off"] += share * max(p0 - p1 - z * se, 0.0)
        most["persuaded"] += share * min(p1, 1.0 - p0)
        most["put_off"] += share * min(p0, 1.0 - p1)
    return tuple(
        Quadrant.model_validate({"kind": kind, "least": value, "most": most[kind]})
        for kind, value in least.items()
        if value > 0.0
    )
