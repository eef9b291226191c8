"""Data-driven attribution by removal: a first-order Markov chain of what follows what, with one touch taken out.

Anderl, Becker, von Wangenheim, Schumann (2016), "Mapping the customer journey", IJRM 33. States are the start, every
touch, conversion and loss. The removal effect of a touch is the share of conversions that is lost when every step into
it leads to loss instead. Conversions are shared out in proportion to removal effects.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

START, CONVERTED, LOST = "(start)", "(conversion)", "(loss)"
Steps = Counter[tuple[str, str]]


def steps_of(path: Sequence[str], *, converted: bool) -> Steps:
    """The steps of one path, from the start to its end."""
    names = [START, *path, CONVERTED if converted else LOST]
    return Counter(pairwise(names))


def conversion_probability(steps: Mapping[tuple[str, str], float], *, without: str | None = None) -> float:
    """The probability that a journey ends in a conversion.

    Args:
        steps: How often each state was followed by each other one.
        without: Every step into this touch leads to loss.
    """
    touches = sorted({name for step in steps for name in step} - {START, CONVERTED, LOST})
    states = [START, *touches]
    position = {name: index for index, name in enumerate(states)}
    moves, ends, totals = np.zeros((len(states),) * 2), np.zeros(len(states)), np.zeros(len(states))
    for (before, after), count in steps.items():
        row = position[before]
        totals[row] += count
        if after == CONVERTED:
            ends[row] += count
        elif after not in {LOST, without}:
            moves[row, position[after]] += count
    seen = np.where(totals > 0.0, totals, 1.0)
    reached = np.linalg.solve(np.eye(len(states)) - moves / seen[:, None], ends / seen)
    return float(reached[0])


def removal_effects(steps: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """By touch: the share of conversions that is lost without it; 0 for all where nothing converts."""
    touches = sorted({name for step in steps for name in step} - {START, CONVERTED, LOST})
    whole = conversion_probability(steps)
    if whole <= 0.0:
        return dict.fromkeys(touches, 0.0)
    return {name: 1.0 - conversion_probability(steps, without=name) / whole for name in touches}


def shares(effects: Mapping[str, float]) -> dict[str, float]:
    """Removal effects scaled to sum to 1."""
    total = sum(effects.values())
    return {name: effect / total if total > 0.0 else 0.0 for name, effect in effects.items()}
