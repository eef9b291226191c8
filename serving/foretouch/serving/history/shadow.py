"""Shadow: what a challenger model or policy would have chosen on the same request, features and counters. Pure.

Its choice is logged beside the decision and never returned. Both draw from the same seed, so that two equal
distributions choose alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foretouch.core.canonical import content_hash
from foretouch.core.decisions import DecisionRequest, ShadowChoice
from foretouch.core.policy import PolicySpec
from foretouch.core.rng import uniform
from foretouch.serving.decide import decide_course
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DEFAULT_POLICY, DecisionInputs
from foretouch.serving.decision.selection import NO_CONTACT
from foretouch.serving.models.scoring import Scorer, model_ref

STREAM = "shadow"
"""Of the decision's seed: whether this decision has a shadow."""


def wants_shadow(inputs: DecisionInputs, course: Course) -> bool:
    """Whether a decision has a shadow: one is configured, a policy decided, and its share was drawn.

    A holdout, or rules that left nothing, would decide the same whatever the models and policies are.

    Args:
        inputs: What the champion decided from.
        course: What it found.
    """
    section = inputs.config.shadow
    if section.policy is None and not (section.challengers and inputs.challengers):
        return False
    if course.setting.holdout is not None or not course.survivors or course.forced is not None:
        return False
    return uniform(inputs.seed, STREAM) < section.share


def shadow_choice(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> ShadowChoice:
    """What the configured shadow chooses.

    Args:
        request: As it was asked.
        inputs: What the champion decided from.
        course: What the champion found.

    Raises:
        KeyError: The shadow's policy is not among the policies.
        ConfigError: Its policy cannot be followed.
    """
    section = inputs.config.shadow
    challengers = inputs.challengers if section.challengers else {}
    policies = inputs.policies if section.policy is None else under(inputs.policies, inputs.policies[section.policy])
    models: Mapping[str, Scorer] = {**inputs.models, **challengers}
    other = decide_course(request, replace(inputs, policies=policies, models=models))
    chosen, champion = first_key(other), first_key(course)
    picks = other.selection.picks
    return ShadowChoice(
        policy=other.setting.spec.name if section.policy is None else section.policy,
        policy_version=content_hash(policies[DEFAULT_POLICY]),
        models=tuple(model_ref(challengers[name].card) for name in sorted(challengers)),
        offer_id=None if chosen == NO_CONTACT else chosen[0],
        treatment_id=chosen[1] or None,
        channel=chosen[2] or None,
        send_at=picks[0].send_at if picks else None,
        selection_probability=_probability(other, chosen),
        probability_of_champion=_probability(other, champion),
        agrees=chosen == champion,
        step=other.found.step,
        expected_value=expected_value(other, course),
        champion_value=expected_value(course, course),
    )


def under(policies: Mapping[str, PolicySpec], spec: PolicySpec) -> Mapping[str, PolicySpec]:
    """One policy in the place of every policy, also of those that arms and touchpoints name."""
    return {DEFAULT_POLICY: spec, **dict.fromkeys(policies, spec)}


def first_key(course: Course) -> Key:
    """The candidate that the first draw chose."""
    return course.selection.picks[0].item.option.key if course.selection.picks else NO_CONTACT


def _probability(course: Course, key: Key) -> float:
    return min(max(float(course.selection.probabilities.get(key, 0.0)), 0.0), 1.0)


def expected_value(course: Course, valued: Course) -> float | None:
    """Mean priority of the first draw of one course, in the priorities of another; None where some are not known.

    Args:
        course: Whose probabilities.
        valued: Whose priorities; no contact's is 0.
    """
    total = 0.0
    for key, share in course.selection.probabilities.items():
        if key != NO_CONTACT and share > 0.0:
            worth = valued.selection.worths.get(key)
            if worth is None:
                return None
            total += share * worth.priority
    return total


def summary_line(choices: Sequence[ShadowChoice]) -> str:
    """What became of a shadow, for the counters: ``agrees`` or ``differs``."""
    return "agrees" if all(choice.agrees for choice in choices) else "differs"
