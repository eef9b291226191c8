"""The status of a decision, the step of the ladder that answered, and the sentence that says why. Pure."""

from foretouch.core.decisions import DecisionRequest, Status
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.fallback import STATUS
from foretouch.serving.decision.selection import NO_CONTACT
from foretouch.serving.decision.summary import is_off
from foretouch.serving.words.texts import ARMS, BASES, REASONS, say
from foretouch.serving.words.texts import STATUS as SENTENCES
from foretouch.serving.words.translations import in_chinese

NO_STEP = "none"
"""Step of the ladder where rules or a holdout decided, and no step was needed."""
STEPS = {"stale": "stale_features", "defaults": "default_features", "previous": "previous_model"}
"""What a step is called where its own reason is not in the answer's language."""


def status_of(request: DecisionRequest, course: Course, language: str = "en") -> tuple[Status, str, str]:
    """Status, step and sentence.

    Args:
        request: With its touchpoint's defaults.
        course: What the decision found.
        language: Of the sentence.
    """
    holdout = course.setting.holdout
    screened = course.probes or course.screened
    forbidden = bool(screened) and all(
        item.dropped is not None and item.dropped.stage != "holdout" for item in screened
    )
    if forbidden:
        return "suppressed", NO_STEP, _why_suppressed(course, language)
    if not course.survivors and not course.held:
        return "fallback", "nothing", say(SENTENCES, "no_offer", language)
    outcome = _outcome(course, language)
    step, why = course.found.step, course.found.reason
    if holdout is not None:
        names = f"arm {holdout[0].arm!r} of experiment {holdout[0].key!r}"
        if language != "en":
            names = f"{holdout[0].key}/{holdout[0].arm}"
        kind = say(ARMS, holdout[1].kind, language)
        sentence = say(SENTENCES, "control", language, arm=names, kind=kind, outcome=outcome)
        return "control", NO_STEP if course.held else step, sentence
    status = STATUS[step]
    if status == "decided" and course.found.shortfall:
        status, why = "degraded", course.found.shortfall
    if status == "decided" and request.personalised and course.customer.missing:
        status, step, why = "degraded", "defaults", f"{course.customer.reason}; its weight counts as 1"
    elif status == "decided" and request.personalised and course.customer.stood_in:
        status, step, why = "degraded", "previous", course.customer.reason
    if language != "en" and why:
        why = in_chinese(why) or (say(REASONS, STEPS[step], language) if step in STEPS else step)
    kind = step if step in SENTENCES else status
    basis = say(BASES, step, language) if step in BASES else ""
    return status, step, say(SENTENCES, kind, language, why=why, basis=basis, outcome=outcome)


def name_of(key: Key, language: str = "en") -> str:
    """A candidate in words."""
    if key == NO_CONTACT:
        return say(ARMS, "no_contact", language)
    offer_id, treatment_id, channel = key
    named = f"{offer_id} by {channel}" if language == "en" else f"{channel} 渠道的 {offer_id}"
    return named + (f" ({treatment_id})" if treatment_id else "")


def _outcome(course: Course, language: str) -> str:
    picks = course.selection.picks
    probability = picks[0].probability if picks else course.selection.probabilities[NO_CONTACT]
    what = ", ".join(name_of(pick.item.option.key, language) for pick in picks) or name_of(NO_CONTACT, language)
    return say(SENTENCES, "drawn", language, what=what, probability=f"{probability:.3g}")


def _why_suppressed(course: Course, language: str) -> str:
    drops = [item.dropped for item in course.probes or course.screened if item.dropped is not None]
    drops = [drop for drop in drops if not is_off(drop)] or drops  # what says something about the customer, if any
    rules = dict.fromkeys((drop.stage, drop.rule) for drop in drops)
    if set(rules) == {("consent", "no_record")}:
        known = course.setting.touch.counters.known
        return say(SENTENCES, "no_consent" if known else "unknown_customer", language)
    return say(SENTENCES, "forbidden", language, rules=", ".join(f"{stage} ({rule})" for stage, rule in rules))
