"""How far the priority of a candidate may be off, by how often its offer was tried. Pure.

A rate p that was seen in m contacts has the standard error sqrt(p (1 - p) / m). A model borrows from offers and
customers alike, and a new offer has its prior; both are worth ``new_offers.prior_strength`` contacts here::

    width = gain x sqrt(p (1 - p) / (prior strength + contacts of the offer))

in the workspace's currency, gain being what an acceptance is worth. "No contact" is worth exactly 0, but whether a
contact is worth more is known no better than the best-known contact is: it has the smallest width of all.
"""

import math
from collections.abc import Sequence

LEAST_STRENGTH = 1.0
"""A policy that gives the prior no weight still has not seen more than nothing."""


def widths(
    chances: Sequence[float], gains: Sequence[float], contacts: Sequence[int], prior_strength: float
) -> list[float]:
    """The width of "no contact", then of every candidate.

    Args:
        chances: Propensity of each candidate as it counts, clipped to [0, 1] (an uplift may be negative).
        gains: Worth of a certain acceptance of each, in the workspace's currency.
        contacts: Of anybody ever, with each one's offer.
        prior_strength: Contacts that the prior is worth.
    """
    strength = max(prior_strength, LEAST_STRENGTH)
    own = [
        abs(gain) * math.sqrt(min(max(chance * (1.0 - chance), 0.0), 0.25) / (strength + seen))
        for chance, gain, seen in zip(chances, gains, contacts, strict=True)
    ]
    return [min(own, default=0.0), *own]
