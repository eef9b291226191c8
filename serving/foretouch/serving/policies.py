"""Policies: from priorities to a whole distribution over candidates, then one seeded draw. Pure.

Laws, tested for every kind: the probabilities sum to 1 within 1e-12; the order of candidates does not matter;
raising a candidate's priority never lowers its probability; what has probability zero is never drawn.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from foretouch.core.errors import ConfigError
from foretouch.core.policy import PolicySpec

Distribution = tuple[float, ...]
Rule = Callable[[Sequence[float], int, PolicySpec], Distribution]


def distribution(priorities: Sequence[float], no_contact: int, spec: PolicySpec) -> Distribution:
    """The selection probability of every candidate.

    Args:
        priorities: Expected value of each candidate, in the workspace's currency; no contact's is 0.
        no_contact: Index of "no contact" among them.
        spec: Which policy, with its temperature, floor and epsilon.

    Raises:
        ConfigError: The policy's kind cannot be used.
        ValueError: A priority is not finite.
    """
    for index, priority in enumerate(priorities):
        if not math.isfinite(priority):
            raise ValueError(f"priority {index} == {priority}, must be finite")
    rule = KINDS.get(spec.kind)
    if rule is None:
        raise ConfigError(
            f"policy {spec.name!r}: kind {spec.kind!r} needs a model's posterior, which no model exports yet",
            hint=f"set kind to one of {', '.join(sorted(KINDS))} in policy.toml",
        )
    return _normalised(rule(priorities, no_contact, spec))


def noop(priorities: Sequence[float], no_contact: int, _spec: PolicySpec) -> Distribution:
    """Never contacts."""
    return tuple(float(index == no_contact) for index in range(len(priorities)))


def shuffle(priorities: Sequence[float], _no_contact: int, _spec: PolicySpec) -> Distribution:
    """Every candidate alike, no contact among them."""
    return (1.0 / len(priorities),) * len(priorities)


def greedy(priorities: Sequence[float], _no_contact: int, _spec: PolicySpec) -> Distribution:
    """The highest priority; ties are shared evenly."""
    highest = max(priorities)
    best = [float(priority == highest) for priority in priorities]
    return tuple(share / sum(best) for share in best)


def epsilon(priorities: Sequence[float], no_contact: int, spec: PolicySpec) -> Distribution:
    """The highest priority, except for a share ``epsilon`` drawn from all alike."""
    return _mixed(greedy(priorities, no_contact, spec), spec.epsilon)


def softmax(priorities: Sequence[float], _no_contact: int, spec: PolicySpec) -> Distribution:
    """Proportional to exp(priority / (temperature x spread)), with a share ``floor`` drawn from all alike.

    The spread is the distance between the highest and the lowest priority, so that the temperature means the same in
    every currency. The smallest probability is floor / number of candidates.
    """
    highest, spread = max(priorities), max(priorities) - min(priorities)
    if spread <= 0.0:
        return (1.0 / len(priorities),) * len(priorities)
    weights = [math.exp((priority - highest) / spread / spec.temperature) for priority in priorities]
    total = math.fsum(weights)
    return _mixed(tuple(weight / total for weight in weights), spec.floor)


def _mixed(shares: Distribution, uniform: float) -> Distribution:
    return tuple((1.0 - uniform) * share + uniform / len(shares) for share in shares)


def _normalised(shares: Distribution) -> Distribution:
    total = math.fsum(shares)
    return tuple(share / total for share in shares)


KINDS: Mapping[str, Rule] = {
    "noop": noop,
    "shuffle": shuffle,
    "greedy": greedy,
    "epsilon": epsilon,
    "softmax": softmax,
}
"""Every policy that can be used. Thompson sampling is not among them: an interval of a calibrated score says how sure
we are of its bin, not of one candidate's propensity, so that drawing from it would not be a posterior draw."""


def check_policy(spec: PolicySpec) -> None:
    """Refuses a policy that no decision could follow.

    Raises:
        ConfigError: Its kind cannot be used; the message says why.
    """
    distribution((0.0, 1.0), 0, spec)


def draw(probabilities: Sequence[float], keys: Sequence[tuple[str, ...]], position: float) -> int:
    """The index of the candidate at a position in [0, 1) of the cumulated distribution.

    Candidates are cumulated in the order of their keys, so that the order in which they come does not matter.
    Those with probability zero are never drawn, also not by rounding at the end.
    """
    order = sorted((index for index, share in enumerate(probabilities) if share > 0.0), key=keys.__getitem__)
    cumulated = 0.0
    for index in order:
        cumulated += probabilities[index]
        if position < cumulated:
            return index
    return order[-1]
