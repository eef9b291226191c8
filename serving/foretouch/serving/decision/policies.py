"""Policies: from priorities to a whole distribution over candidates, then one seeded draw. Pure.

Laws, tested for every kind: the probabilities sum to 1 within 1e-12; the order of candidates does not matter;
raising a candidate's priority never lowers its probability; every candidate keeps its floor; what has probability
zero is never drawn.

A distribution is computed, never simulated: Thompson sampling, too, gives the exact probability with which a draw
from the model's bootstrap members would have chosen each candidate.
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from foretouch.core.errors import ConfigError
from foretouch.core.policy import PolicySpec

Distribution = tuple[float, ...]
Draws = NDArray[np.float64]
Rule = Callable[[Sequence[float], int, PolicySpec, Draws | None], Distribution]


def distribution(
    priorities: Sequence[float],
    no_contact: int,
    spec: PolicySpec,
    *,
    draws: Draws | None = None,
    widths: Sequence[float] | None = None,
    immature: Sequence[bool] | None = None,
) -> Distribution:
    """The selection probability of every candidate.

    Args:
        priorities: Expected value of each candidate, in the workspace's currency; no contact's is 0.
        no_contact: Index of "no contact" among them.
        spec: Which policy, with its temperature, floor, epsilon and the share of immature offers.
        draws: Priorities under each of K bootstrap members of the model, shape (K, n); only Thompson sampling looks
            at them. Without any it falls back to softmax: the caller says so (``fallback.Propensities.shortfall``).
        widths: How far each priority may be off (``doubt.widths``), at least 0; only a softmax whose temperature is
            measured in them looks at them. Without any, it is measured in the spread.
        immature: Which candidates are of immature offers; together they get at most
            ``spec.new_offers.immature_share``. None is nobody.

    Raises:
        ConfigError: The policy's kind is not known.
        ValueError: A priority is not finite, or ``draws`` or ``widths`` do not fit.
    """
    if not all(map(math.isfinite, priorities)):
        index = next(index for index, priority in enumerate(priorities) if not math.isfinite(priority))
        raise ValueError(f"priority {index} == {priorities[index]}, must be finite")
    _check(len(priorities), draws, widths)
    rule = KINDS.get(spec.kind)
    if rule is None:
        raise ConfigError(
            f"policy {spec.name!r}: kind == {spec.kind!r}, must be one of {', '.join(sorted(KINDS))}",
            hint="set kind in policy.toml",
        )
    about = widths if spec.kind == "softmax" and spec.explores_by == "evidence" else None
    if about is None:
        shares = rule(priorities, no_contact, spec, draws)
    else:
        shares = _by_width(priorities, no_contact, spec, about)
    if immature is not None and any(immature):

        def deal(grown: Sequence[int]) -> Distribution:
            some, none = [priorities[index] for index in grown], grown.index(no_contact)
            if about is not None:
                return _by_width(some, none, spec, [about[index] for index in grown])
            return rule(some, none, spec, None if draws is None else draws[:, list(grown)])

        young = [index for index, flag in enumerate(immature) if flag and index != no_contact]
        shares = _limited(shares, young, spec, deal)
    return _normalised(shares)


def _check(candidates: int, draws: Draws | None, widths: Sequence[float] | None) -> None:
    """Refuses members and widths that do not fit.

    Raises:
        ValueError: As it says.
    """
    if draws is not None:
        if draws.ndim != 2 or draws.shape[1] != candidates:
            raise ValueError(f"draws has shape {draws.shape}, must be (members, {candidates})")
        if not np.isfinite(draws).all():
            raise ValueError("a member's priority is not finite")
    if widths is not None and (len(widths) != candidates or not all(width >= 0.0 for width in widths)):
        raise ValueError(f"widths == {list(widths)}, must be {candidates} numbers that are at least 0")


def noop(priorities: Sequence[float], no_contact: int, _spec: PolicySpec, _draws: Draws | None) -> Distribution:
    """Never contacts."""
    return tuple(float(index == no_contact) for index in range(len(priorities)))


def shuffle(priorities: Sequence[float], _no_contact: int, _spec: PolicySpec, _draws: Draws | None) -> Distribution:
    """Every candidate alike, no contact among them."""
    return (1.0 / len(priorities),) * len(priorities)


def greedy(priorities: Sequence[float], _no_contact: int, _spec: PolicySpec, _draws: Draws | None) -> Distribution:
    """The highest priority; ties are shared evenly."""
    highest = max(priorities)
    best = [float(priority == highest) for priority in priorities]
    ties = sum(best)
    return tuple(share / ties for share in best)


def epsilon(priorities: Sequence[float], no_contact: int, spec: PolicySpec, draws: Draws | None) -> Distribution:
    """The highest priority, except for a share ``epsilon`` drawn from all alike."""
    return _mixed(greedy(priorities, no_contact, spec, draws), spec.epsilon)


def softmax(priorities: Sequence[float], _no_contact: int, spec: PolicySpec, _draws: Draws | None) -> Distribution:
    """Proportional to exp(priority / (temperature x spread)), with a share ``floor`` drawn from all alike.

    The spread is the distance between the highest and the lowest priority, so that the temperature means the same in
    every currency. The smallest probability is floor / number of candidates.
    """
    highest, lowest = max(priorities), min(priorities)
    spread = highest - lowest
    if spread <= 0.0:
        return (1.0 / len(priorities),) * len(priorities)
    if math.isinf(spread):  # beyond the range of floats: halves have the same ratios
        return softmax([priority / 2.0 for priority in priorities], _no_contact, spec, _draws)
    temperature, exp = spec.temperature, math.exp
    weights = [exp((priority - highest) / spread / temperature) for priority in priorities]
    total = math.fsum(weights)
    return _mixed([weight / total for weight in weights], spec.floor)


def _by_width(priorities: Sequence[float], no_contact: int, spec: PolicySpec, widths: Sequence[float]) -> Distribution:
    """Proportional to exp((priority - highest) / (temperature x width)), with a share ``floor`` drawn from all alike.

    Every candidate has a width of its own: one of which much is known has a share only where it is nearly as good as
    the best, one of which little is known also where it seems worse. A contact that is worth less than none has nothing
    but the floor: contacts that are worth their costs teach as much, and nobody is tired for the sake of learning.
    """
    highest, worth_it = max(priorities), priorities[no_contact]
    weights = [
        1.0
        if priority == highest
        else _closeness(priority - highest, spec.temperature * width)
        if priority >= worth_it
        else 0.0
        for priority, width in zip(priorities, widths, strict=True)
    ]
    total = math.fsum(weights)
    return _mixed([weight / total for weight in weights], spec.floor)


def _closeness(behind: float, width: float) -> float:
    """exp(behind / width) for what is behind the best (below 0); without any width 0."""
    return math.exp(behind / min(width, sys.float_info.max)) if width > 0.0 else 0.0


def thompson(priorities: Sequence[float], no_contact: int, spec: PolicySpec, draws: Draws | None) -> Distribution:
    """The share of the model's bootstrap members under which a candidate is the best, with the share ``floor``.

    A member that finds several candidates equally good shares its vote among them. The members stand for the model's
    posterior (Thompson 1933; bootstrap: Eckles and Kaptein 2014, "Thompson sampling with the online bootstrap",
    arXiv:1410.4009), so that this is the probability with which one draw from it would have chosen the candidate.
    """
    if draws is None or not len(draws):
        return softmax(priorities, no_contact, spec, None)
    best = draws == draws.max(axis=1, keepdims=True)
    votes: list[float] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0).tolist()
    return _mixed(votes, spec.floor)


def floor_of(spec: PolicySpec) -> float:
    """The share of a policy that is drawn from all candidates alike."""
    return {"shuffle": 1.0, "epsilon": spec.epsilon, "softmax": spec.floor, "thompson": spec.floor}.get(spec.kind, 0.0)


def _limited(
    shares: Distribution, young: Sequence[int], spec: PolicySpec, deal: Callable[[Sequence[int]], Distribution]
) -> Distribution:
    """Immature candidates cut to their joint limit; what they lose is dealt by the same policy among the others.

    Among themselves the immature ones keep their floor and the proportions above it, if the limit leaves room for the
    floor; else they are all cut alike.
    """
    limit = spec.new_offers.immature_share
    held = math.fsum(shares[index] for index in young)
    if held <= limit:
        return shares
    grown = [index for index in range(len(shares)) if index not in set(young)]
    floor = floor_of(spec) / len(shares)
    floored = floor * len(young)
    if floored >= limit or held <= floored:
        floor, floored = 0.0, 0.0
    result = list(shares)
    for index in young:
        result[index] = floor + (shares[index] - floor) * (limit - floored) / (held - floored)
    for index, share in zip(grown, deal(grown), strict=True):
        result[index] += (held - limit) * share
    return tuple(result)


def _mixed(shares: Sequence[float], uniform: float) -> Distribution:
    each, rest = uniform / len(shares), 1.0 - uniform
    return tuple([rest * share + each for share in shares])


def _normalised(shares: Distribution) -> Distribution:
    total = math.fsum(shares)
    return tuple([share / total for share in shares])


KINDS: Mapping[str, Rule] = {
    "noop": noop,
    "shuffle": shuffle,
    "greedy": greedy,
    "epsilon": epsilon,
    "softmax": softmax,
    "thompson": thompson,
}
"""Every policy that can be used."""


def check_policy(spec: PolicySpec) -> None:
    """Refuses a policy that no decision could follow.

    Raises:
        ConfigError: Its kind cannot be used; the message says why.
    """
    distribution((0.0, 1.0), 0, spec)


def draw(
    probabilities: Sequence[float],
    keys: Sequence[tuple[str, ...]],
    position: float,
    *,
    order: Sequence[int] | None = None,
) -> int:
    """The index of the candidate at a position in [0, 1) of the cumulated distribution.

    Candidates are cumulated in the order of their keys, so that the order in which they come does not matter.
    Those with probability zero are never drawn, also not by rounding at the end.

    Args:
        probabilities: Of each candidate.
        keys: Of each candidate.
        position: In [0, 1).
        order: Indices in the order of the keys, where it is known.
    """
    order = sorted(range(len(keys)), key=keys.__getitem__) if order is None else order
    place = bisect_right(list(accumulate(map(probabilities.__getitem__, order))), position)
    if place < len(order):
        return order[place]
    return next((index for index in reversed(order) if probabilities[index] > 0.0), 0)
