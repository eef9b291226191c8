"""Holdouts: arms in which no score decides. Pure.

The rules come first, so that a customer whom they forbid to contact is ``suppressed`` in every arm alike, and the
arms stay comparable.
"""

from dataclasses import replace

from foretouch.core.decisions import DecisionRequest
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.propensities import Propensities
from foretouch.serving.decision.screening import Screened


def hold(course: Course, request: DecisionRequest) -> Course:
    """Leaves what the arm allows: nothing, or the caller's ``baseline_offer_id`` (business as usual).

    Of several treatments or channels of the baseline the first in the request's order of channels is taken.

    Args:
        course: With survivors, and a setting whose holdout is of kind ``no_contact`` or ``business_as_usual``.
        request: Names the baseline.
    """
    if course.setting.holdout is None:
        return course
    assignment, arm = course.setting.holdout
    warnings = course.warnings
    baseline: list[Screened] = []
    if arm.kind == "business_as_usual":
        baseline = [item for item in course.survivors if item.option.offer.offer_id == request.baseline_offer_id]
        channels = request.channels or ()
        baseline.sort(
            key=lambda item: (
                channels.index(item.option.channel) if item.option.channel in channels else len(channels),
                item.option.key,
            )
        )
        if request.baseline_offer_id is None:
            warnings = (*warnings, "the arm is business as usual, but the request names no baseline_offer_id")
    keep = baseline[0].option.key if baseline else None
    rule = f"{assignment.key}/{assignment.arm}"
    screened = tuple(
        item
        if item.dropped is not None or item.option.key == keep
        else Screened(option=item.option, dropped=item.option.drop("holdout", rule, "held out by an experiment"))
        for item in course.screened
    )
    return replace(
        course, screened=screened, held=True, forced=keep, found=Propensities(step="holdout"), warnings=warnings
    )
