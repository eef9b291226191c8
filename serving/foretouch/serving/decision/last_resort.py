"""The last resorts of the ladder: one named offer where nothing can be said of any, and probes. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from foretouch.core.config import Config
from foretouch.core.decisions import DecisionRequest
from foretouch.core.offers import CandidateRef, Catalogue, Offer
from foretouch.serving.decision.candidates import Option, expand, usable_channels
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.screening import Screened

LAST_RESORTS = ("default_action", "static_default")
"""Steps that take one named offer: the caller's, the touchpoint's."""


def resorts(request: DecisionRequest, config: Config | None) -> tuple[tuple[str, CandidateRef], ...]:
    """Named offers that may be taken where nothing can be said of any: the caller's, then the touchpoint's own."""
    section = None if config is None else config.touchpoints.get(request.touchpoint)
    static = None if section is None else section.default_action
    named = ((LAST_RESORTS[0], request.default_action), (LAST_RESORTS[1], static))
    return tuple((step, ref) for step, ref in named if ref is not None)


def default_options(ref: CandidateRef, request: DecisionRequest, catalogue: Catalogue) -> tuple[Option, ...]:
    """A named default action as options, in the order in which they are tried.

    An offer that the catalogue does not have is taken as it is named: for the request's purpose, without dates,
    value or caps of its own. The
    contact rules look at it like at any other.
    """
    offer = next((offer for offer in catalogue.offers if offer.offer_id == ref.offer_id), None)
    if offer is None:
        channels = (ref.channel,) if ref.channel is not None else request.channels
        if channels is None:
            return ()
        return tuple(
            Option(
                offer=Offer(offer_id=ref.offer_id, name=ref.offer_id, channels=channels, purposes=(request.purpose,)),
                treatment_id=ref.treatment_id,
                channel=channel,
            )
            for channel in channels
        )
    return tuple(expand(offer, treatment_id=ref.treatment_id, channel=ref.channel))


def probes(request: DecisionRequest, config: Config) -> tuple[Option, ...]:
    """One made-up offer per usable channel: would the rules let anything through?"""
    channels = usable_channels(request, config)
    if not channels:
        return ()
    offer = Offer(offer_id="*", name="any offer", channels=channels, purposes=(request.purpose,))
    return tuple(Option(offer=offer, treatment_id=None, channel=channel) for channel in channels)


def take_default(
    course: Course,
    request: DecisionRequest,
    inputs: DecisionInputs,
    screen: Callable[[tuple[Option, ...], Course], Sequence[Screened]],
) -> Course:
    """The first default action that the rules allow, chosen with probability 1; without one the course as it was.

    Args:
        course: Whose ladder could say nothing of the options.
        request: Names the caller's default action.
        inputs: Catalogue and touchpoints.
        screen: Puts options through the rules.
    """
    named = resorts(request, inputs.config)
    for step, ref in named:
        options = default_options(ref, request, inputs.catalogue)
        # An offer that yielded to others as a fallback is named here, and is put through the rules like any other.
        yielded = {item.option.key for item in course.screened if item.dropped and item.dropped.stage == "fallback"}
        known = {item.option.key for item in course.screened} - yielded
        more = screen(tuple(option for option in options if option.key not in known), course)
        again = {item.option.key for item in more}
        kept = tuple(item for item in course.screened if item.option.key not in again)
        course = replace(course, screened=(*kept, *more))
        allowed = {item.option.key for item in course.survivors}
        forced = next((option.key for option in options if option.key in allowed), None)
        if forced is not None:
            return replace(course, forced=forced, found=replace(course.found, step=step))
    if named:
        which = "the default action" if len(named) == 1 else "both default actions"
        reason = f"{course.found.reason}, and the rules forbid {which}"
        return replace(course, found=replace(course.found, reason=reason))
    return course
