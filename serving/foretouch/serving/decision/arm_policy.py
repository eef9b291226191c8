"""Which policy decides: an arm's, the touchpoint's or the workspace's; and what standing arms make of it. Pure.

The standing arms split the value of the whole. Each takes a part of the policy away and leaves the rest, its
exploration too, as it is; the difference between two of them is what the part is worth:

* ``random``: a uniform draw among what the rules leave (a holdout);
* ``propensity_only``: ranks by propensity alone: no value, cost, price, weight, lever or timing;
* ``no_levers``: everything but levers and context weights;
* ``rules_only``: the marketer's values, costs and levers, without any model.
"""

from collections.abc import Mapping, Sequence

from foretouch.core.decisions import Assignment
from foretouch.core.experiment import HOLDOUTS, Arm
from foretouch.core.policy import Factors, NewOffers, PolicySpec
from foretouch.serving.decision.assignment import POLICY_ARM
from foretouch.serving.decision.inputs import DEFAULT_POLICY

WORKSPACE_POLICY = frozenset({DEFAULT_POLICY, "policy"})
"""Names by which an arm or a touchpoint may call the workspace's own policy."""
WITHOUT_PART = frozenset({*HOLDOUTS, "policy"})
"""Kinds of arms that take no part of a policy away."""
UNAIDED = "rules_only"
"""The arm in which no model takes part."""


def choose_policy(
    assigned: Sequence[tuple[Assignment, Arm]], touchpoint: str | None, policies: Mapping[str, PolicySpec]
) -> tuple[PolicySpec, Arm, tuple[str, ...]]:
    """The policy of the first arm that names one, else the touchpoint's, else the workspace's.

    Args:
        assigned: Every running experiment's arm.
        touchpoint: The policy that the touchpoint's section names.
        policies: By name.

    Returns:
        The policy as the standing arm leaves it, that arm (of kind ``policy`` where there is none), and warnings.
    """
    warnings = []
    arms = [arm for _, arm in assigned if arm.kind not in HOLDOUTS]
    named = [arm.policy for arm in arms if arm.policy is not None]
    if len(set(named)) > 1:
        warnings.append(f"arms name several policies ({', '.join(named)}); the first is used")
    spec = policies[DEFAULT_POLICY]
    for name, whose in ((named[0] if named else None, "an arm"), (touchpoint, "the touchpoint")):
        if name is None:
            continue
        if name in WORKSPACE_POLICY:
            break
        if name in policies:
            spec = policies[name]
            break
        warnings.append(f"policy {name!r} of {whose} is not there; the next one down is used")
    standing = [(assignment, arm) for assignment, arm in assigned if arm.kind not in WITHOUT_PART]
    if not standing:
        return spec, POLICY_ARM, tuple(warnings)
    if len(standing) > 1:
        keys = ", ".join(f"{assignment.key}/{assignment.arm}" for assignment, _ in standing)
        warnings.append(f"several standing arms hold this customer ({keys}); the first is followed")
    arm = standing[0][1]
    return reduced(spec, arm.kind), arm, tuple(warnings)


def reduced(spec: PolicySpec, kind: str) -> PolicySpec:
    """What a standing arm leaves of a policy; an arm of any other kind leaves it whole."""
    factors = spec.factors
    if kind == "propensity_only":
        alone = Factors(
            propensity=True, timing=False, context_weight=False, value=False, lever=False, cost=False, price=False
        )
        return spec.replace(factors=alone, score_weights=())
    if kind == "no_levers":
        return spec.replace(factors=factors.replace(lever=False, context_weight=False))
    if kind == UNAIDED:
        return spec.replace(
            factors=factors.replace(propensity=False, timing=False), score_weights=(), propensity="response"
        )
    return spec


def uniform(spec: PolicySpec) -> PolicySpec:
    """The policy of the arm ``random``: every candidate that the rules leave alike, whether its offer is new or not."""
    return spec.replace(kind="shuffle", new_offers=NewOffers(prior_strength=spec.new_offers.prior_strength))
