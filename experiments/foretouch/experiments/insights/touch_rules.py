"""How the contacts before a conversion share it, by rules that need no data: each gives weights that sum to 1."""

from collections.abc import Callable, Sequence

from foretouch.core.attribution import DAY

HALF_LIFE_DAYS = 7.0
"""Time decay: a contact this much older has half the weight."""
ENDS = 0.4
"""Position based: the first and the last contact each have this much, the others share the rest."""


def first(ages: Sequence[float]) -> list[float]:
    """All to the first contact."""
    return [1.0, *[0.0] * (len(ages) - 1)]


def last(ages: Sequence[float]) -> list[float]:
    """All to the last contact."""
    return [*[0.0] * (len(ages) - 1), 1.0]


def linear(ages: Sequence[float]) -> list[float]:
    """To all alike."""
    return [1.0 / len(ages)] * len(ages)


def time_decay(ages: Sequence[float]) -> list[float]:
    """Twice as much for every ``HALF_LIFE_DAYS`` nearer to the conversion."""
    newest = min(ages)
    weights = [2.0 ** (-(age - newest) / (HALF_LIFE_DAYS * DAY)) for age in ages]
    total = sum(weights)
    return [weight / total for weight in weights]


def position(ages: Sequence[float]) -> list[float]:
    """``ENDS`` to the first and to the last, the rest to those between; two share alike."""
    count = len(ages)
    if count <= 2:
        return linear(ages)
    between = (1.0 - 2.0 * ENDS) / (count - 2)
    return [ENDS, *[between] * (count - 2), ENDS]


RULES: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "first": first,
    "last": last,
    "linear": linear,
    "time_decay": time_decay,
    "position": position,
}
"""By name; each takes the contacts' ages at the conversion in microseconds, oldest contact first."""


def shapley(touches: Sequence[str]) -> dict[str, float]:
    """Each touch's Shapley value in one conversion's path.

    Zhao, Mahboobi, Bagheri (2018), "Shapley value methods for attribution modeling in online advertising": a coalition
    is worth the conversions whose touches are all in it. A conversion is then a unanimity game of its distinct touches,
    whose Shapley value is the equal split, so that any number of touches is exact.
    """
    distinct = dict.fromkeys(touches)
    return {name: 1.0 / len(distinct) for name in distinct}
