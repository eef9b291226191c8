"""The decision: a pure function of request, features, counters, models, catalogue, rules, policies, seed and time.

Touchpoint defaults → candidates → rules and slots → scores → worth at the best slot → distribution → one seeded draw →
send slot → reasons → record. "No contact" is always a candidate, with priority 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.policy import PolicySpec
from foretouch.core.rng import derive_seed, uniform
from foretouch.serving.decision.candidates import Key, Lineup, Option, list_candidates
from foretouch.serving.decision.cooling import contacts_behind, cooled
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.customer_rhythm import SEND_TIME_MODEL, rhythm_of
from foretouch.serving.decision.customer_scores import score_customer
from foretouch.serving.decision.early_scores import EarlyScores
from foretouch.serving.decision.fallback import find_propensities
from foretouch.serving.decision.holdout import hold
from foretouch.serving.decision.inputs import DEFAULT_POLICY, DecisionInputs
from foretouch.serving.decision.last_resort import default_options, probes, resorts, take_default
from foretouch.serving.decision.placements import screen_in_turn
from foretouch.serving.decision.priority import Appraiser
from foretouch.serving.decision.propensities import OfOffers, Propensities
from foretouch.serving.decision.record import write_record
from foretouch.serving.decision.screening import Screened
from foretouch.serving.decision.selection import Lottery, select
from foretouch.serving.decision.send_time import NO_RHYTHM, TimetableBook
from foretouch.serving.decision.setting import set_out
from foretouch.serving.decision.touchpoint import effective_request

__all__ = ["DEFAULT_POLICY", "DecisionInputs", "decide", "decide_course", "decision_seed"]

OWED = "transactional"
"""A message of this purpose is owed: it goes out at the first allowed slot, not at the customer's best hour."""


def decision_seed(seed_key: str, customer_id: str, decision_id: str) -> int:
    """The seed of every draw of one decision; ``seed_key`` is the workspace's secret ``seed``."""
    return derive_seed(seed_key, customer_id, decision_id)


def decide(request: DecisionRequest, inputs: DecisionInputs) -> DecisionRecord:
    """Decides one touchpoint.

    Pure: reads no clock, file or socket, and draws only from ``inputs.seed``. The same arguments give the same
    record; ``latency_ms`` is left empty for the caller to fill. A model that is missing or fails never costs the
    answer: the ladder of ``fallback.py`` says what takes its place, and contact rules hold on every step of it.

    Args:
        request: What is asked.
        inputs: Everything it depends on.

    Raises:
        ConfigError: A policy is of a kind that cannot be used (``policies.check_policy`` finds it earlier).
    """
    return write_record(request, inputs, decide_course(request, inputs))


def decide_course(request: DecisionRequest, inputs: DecisionInputs) -> Course:
    """What ``decide`` decides, before it is written down; the service writes it straight to bytes.

    Pure, as ``decide`` is.

    Raises:
        ConfigError: As in ``decide``.
    """
    request = effective_request(request, inputs.config)
    setting = set_out(request, inputs)
    early = _early(inputs)
    customer = score_customer(
        inputs.features,
        inputs.models,
        setting.spec,
        personalised=request.personalised,
        previous=inputs.previous,
        reading=None if early is None else early.reading,
    )
    course = _screened(request, inputs, Course(setting=setting, customer=customer))
    if course.survivors:
        course = _led(request, inputs, course)
    if course.survivors:
        course = _selected(request, inputs, course)
    return course


def _early(inputs: DecisionInputs) -> EarlyScores | None:
    """Scores that were worked out before, if they are of this decision."""
    early = inputs.early
    if early is None or not early.are_of(inputs.features, inputs.models, inputs.previous):
        return None
    return early


def _screened(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Every option through every rule; where the catalogue has none, a named default action; else probes.

    A probe is no option: it only finds out whether the rules would let anything through on some channel.
    """
    listing = list_candidates(request, inputs.catalogue, inputs.plans)
    left_out = tuple(Screened(option=option, dropped=dropped) for option, dropped in listing.dropped)
    asked = bool(listing.options or left_out)
    options = listing.options if asked else Lineup(_resort_options(request, inputs))
    screened = _screen(options, course)
    return course.but(
        listed=options,
        screened=(*left_out, *screened) if left_out else screened,
        unknown=listing.unknown,
        empty=not asked,
        probes=() if asked or options else _screen(probes(request, inputs.config), course),
    )


def _resort_options(request: DecisionRequest, inputs: DecisionInputs) -> tuple[Option, ...]:
    """The options of every named default action, each once."""
    found = {
        option.key: option
        for _, ref in resorts(request, inputs.config)
        for option in default_options(ref, request, inputs.catalogue)
    }
    return tuple(found.values())


def _led(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Who decides among the survivors: a holdout, or the best step of the ladder."""
    setting, early = course.setting, _early(inputs)
    if setting.holdout is not None and setting.holdout[1].kind != "random":
        return hold(course, request)
    if course.empty:
        found = Propensities(step="rules", reason="the catalogue has no offer for this touchpoint")
    else:
        found = find_propensities(
            course.lineup,
            request=request,
            features=course.customer.features,
            models=inputs.models,
            at=inputs.decided_at,
            previous=inputs.previous,
            spec=setting.drawing,
            offer_contacts=inputs.counters.offer_contacts,
            unaided=setting.unaided,
            catalogue=inputs.catalogue,
            plans=inputs.plans,
            early=early.pairs if early is not None else (),
        )
    course = course.but(found=found, warnings=(*course.warnings, *found.notes))
    if found.step == "rules" and setting.holdout is None:
        return take_default(course, request, inputs, _screen)
    return course


def _screen(options: tuple[Option, ...], course: Course) -> Sequence[Screened]:
    return screen_in_turn(Lineup.of(options), course.setting, course.customer.features)


def _selected(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Worth, distribution, draw and slot."""
    setting, policy, seed = course.setting, course.setting.spec, inputs.seed
    found, chances = _credited(course.found, policy)
    owed = request.purpose == OWED
    scorer = inputs.models.get(SEND_TIME_MODEL)
    rhythm, warnings = (NO_RHYTHM, ()) if owed else rhythm_of(scorer, course.customer, inputs.plans)
    book = TimetableBook(
        setting.zone,
        rhythm,
        now=setting.touch.now,
        waiting_cost_per_hour=0.0 if owed else policy.waiting_cost_per_hour,
        use_effects=policy.factors.timing,
    )
    appraiser = Appraiser(
        spec=policy,
        config=inputs.config,
        context=request.context,
        levels=course.customer.levels,
        chances=chances,
        book=book,
        catalogue=inputs.catalogue,
        plans=inputs.plans,
    )
    lottery = Lottery(
        spec=cooled(setting.drawing, contacts_behind(found.step, inputs.models, inputs.previous)),
        appraiser=appraiser,
        found=found,
        rhythm=rhythm,
        slot_exploration=0.0 if owed else setting.drawing.slot_exploration,
        position=lambda stream: uniform(seed, stream),
        forced=course.forced,
        owed=owed,
    )
    selection = select(
        course.survivors,
        lottery,
        touch=setting.touch,
        zone=setting.zone,
        expires_at=setting.expires_at,
        lineup=course.lineup,
    )
    return course.but(found=found, selection=selection, rhythm=rhythm, warnings=(*course.warnings, *warnings))


def _credited(found: Propensities, policy: PolicySpec) -> tuple[Propensities, Mapping[Key, float | None]]:
    """What a contact is credited with: the response, or its uplift where that is known for every option.

    Where it is not, all are compared on their response, so that no option is measured by another yardstick. The
    model's bootstrap members are of the response: they say nothing of an uplift, and softmax draws.
    """
    if policy.propensity != "uplift" or not found.by_key:
        return found, found.by_key
    if any(found.uplift.get(key) is None for key in found.by_key):
        return found, found.by_key
    if found.members:
        said = f"policy {policy.name!r} draws from bootstrap members, and the uplift has none: softmax draws"
        found = replace(found, members=OfOffers(), shortfall=f"{found.shortfall}; {said}" if found.shortfall else said)
    return found, found.uplift
