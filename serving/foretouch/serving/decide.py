"""The decision: a pure function of request, features, counters, models, catalogue, rules, policies, seed and time.

Candidates → dates, channel → consent, suppression → eligibility → caps → slots → scores → priority → distribution →
one seeded draw → send slot → reasons → record. "No contact" is always a candidate, with priority 0.
"""

from dataclasses import replace

from foretouch.core.decisions import DecisionRecord, DecisionRequest
from foretouch.core.rng import derive_seed, uniform
from foretouch.serving.candidates import Option, list_candidates
from foretouch.serving.course import Course
from foretouch.serving.customer_scores import CustomerScores, score_customer
from foretouch.serving.eligibility import rule_values
from foretouch.serving.fallback import Propensities, default_options, find_propensities, probes
from foretouch.serving.holdout import hold
from foretouch.serving.inputs import DEFAULT_POLICY, DecisionInputs
from foretouch.serving.priority import Worth, worth
from foretouch.serving.record import write_record
from foretouch.serving.rhythm import hour_distribution
from foretouch.serving.scoring import Scorer
from foretouch.serving.screening import Screened, screen
from foretouch.serving.selection import select
from foretouch.serving.send_time import NO_RHYTHM, Rhythm
from foretouch.serving.setting import set_out
from foretouch.serving.touchpoint import effective_request

__all__ = ["DEFAULT_POLICY", "DecisionInputs", "decide", "decide_course", "decision_seed"]

SEND_TIME_MODEL = "send-time"
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
    customer = score_customer(inputs.features, inputs.models, setting.spec, personalised=request.personalised)
    course = _screened(request, inputs, Course(setting=setting, customer=customer))
    if course.survivors:
        course = _led(request, inputs, course)
    if course.survivors:
        course = _selected(request, inputs, course)
    return course


def _screened(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Every option through every rule; where the catalogue has none, the caller's default action; else probes.

    A probe is no option: it only finds out whether the rules would let anything through on some channel.
    """
    listing = list_candidates(request, inputs.catalogue)
    left_out = tuple(Screened(option=option, dropped=dropped) for option, dropped in listing.dropped)
    asked = bool(listing.options or left_out)
    options = listing.options if asked else default_options(request, inputs.catalogue)
    return replace(
        course,
        screened=(*left_out, *_screen(options, course)),
        unknown=listing.unknown,
        empty=not asked,
        probes=() if asked or options else _screen(probes(request, inputs.config), course),
    )


def _screen(options: tuple[Option, ...], course: Course) -> tuple[Screened, ...]:
    setting = course.setting
    values = rule_values(setting.touch.request, course.customer.features, setting.touch.counters)
    return screen(options, setting.touch, values, setting.zone, setting.expires_at)


def _led(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Who decides among the survivors: a holdout, or the best step of the ladder."""
    holdout = course.setting.holdout
    if holdout is not None and holdout[1].kind != "random":
        return hold(course, request)
    if course.empty:
        found = Propensities(step="default_action", reason="the catalogue has no offer for this touchpoint")
    else:
        found = find_propensities(
            [item.option for item in course.survivors],
            request=request,
            features=course.customer.features,
            models=inputs.models,
            at=inputs.decided_at,
        )
    if holdout is not None:
        return replace(course, found=found, spec=course.setting.spec.model_copy(update={"kind": "shuffle"}))
    if found.step == "default_action":
        known = {item.option.key for item in course.screened}
        options = default_options(request, inputs.catalogue)
        more = _screen(tuple(option for option in options if option.key not in known), course)
        course = replace(course, screened=(*course.screened, *more))
        allowed = {item.option.key for item in course.survivors}
        forced = next((option.key for option in options if option.key in allowed), None)
        if forced is None:
            found = replace(found, step="rules", reason=f"{found.reason}, and the rules forbid the default action")
        course = replace(course, forced=forced)
    return replace(course, found=found)


def _selected(request: DecisionRequest, inputs: DecisionInputs, course: Course) -> Course:
    """Worth, distribution, draw and slot."""
    setting, found = course.setting, course.found
    spec = course.spec or setting.spec
    owed = request.purpose == OWED
    rhythm, warnings = (NO_RHYTHM, ()) if owed else _rhythm(inputs.models.get(SEND_TIME_MODEL), course.customer)
    if owed:
        spec = spec.model_copy(update={"slot_exploration": 0.0})

    def appraise(option: Option, recent_contacts: int) -> Worth:
        return worth(
            option,
            found.by_key.get(option.key),
            request=request,
            spec=setting.spec,
            config=inputs.config,
            levels=course.customer.levels,
            recent_contacts=recent_contacts,
        )

    selection = select(
        course.survivors,
        n=request.n,
        spec=spec,
        touch=setting.touch,
        zone=setting.zone,
        expires_at=setting.expires_at,
        appraise=appraise,
        rhythm=rhythm,
        position=lambda stream: uniform(inputs.seed, stream),
        forced=course.forced,
    )
    return replace(course, selection=selection, rhythm=rhythm, warnings=warnings)


def _rhythm(scorer: Scorer | None, customer: CustomerScores) -> tuple[Rhythm, tuple[str, ...]]:
    """When the customer is active; without a model that can say, every hour alike, and a warning."""
    if scorer is None:
        return NO_RHYTHM, ("the send-time model is missing: the first allowed slot counts as the best",)
    try:
        shares, support = hour_distribution(scorer, customer.features.values)
    except Exception as error:  # noqa: BLE001 - a model that fails must not cost the caller an answer
        return NO_RHYTHM, (f"the send-time model failed ({type(error).__name__}): the first allowed slot is the best",)
    return Rhythm(shares=shares, support=support), ()
