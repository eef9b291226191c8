"""Trust lights that only the decision log and its outcomes can tell: assignment, delivery, bots, fresh data."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.analysis.checks import ALARM
from foretouch.experiments.analysis.trust import MANY_BOTS, contingency_p, told_by_arm
from foretouch.experiments.log.bots import Bots
from foretouch.experiments.log.exposed import shares_by_arm
from foretouch.experiments.log.exposures import Exposure
from foretouch.experiments.report import numbers
from foretouch.experiments.report.names import named
from foretouch.experiments.report.texts import Phrase, say
from foretouch.experiments.results import Check, Enrolment

MOST_MISMATCHES = 0.001
"""Share of units whose logged arm may differ from the spec's assignment before the results are withheld."""
STALE_AFTER = timedelta(days=2)


def assignment_lights(enrolment: Enrolment) -> tuple[Check, ...]:
    """Is everyone in one arm, and in the one that the spec assigns?"""
    lights = []
    if enrolment.in_two_arms:
        lights.append(Check(code="arms_some", light="amber", **say("arms_some", count=enrolment.in_two_arms)))
    wrong = enrolment.assignment_mismatches or 0
    code = "assignment_bad" if wrong else "assignment_ok"
    bad = wrong > MOST_MISMATCHES * max(enrolment.entered, 1)
    light = "red" if bad else "amber" if wrong else "green"
    lights.append(Check.model_validate({"code": code, "light": light, **say(code, count=wrong)}))
    return tuple(lights)


def delivery_light(
    spec: ExperimentSpec, exposures: Sequence[Exposure], reached: Sequence[bool] | None
) -> tuple[Check, ...]:
    """Did contacts arrive alike in every arm? Of the units that their arm decided to contact.

    Nothing is said where no unit was to be contacted. Where no delivery was ever posted, that cannot be told: amber.

    Args:
        spec: Its arms' titles.
        exposures: Units whose window is over.
        reached: Which were reached; ``None`` where nothing was posted.
    """
    sent = [index for index, item in enumerate(exposures) if item.contacted]
    if not sent:
        return ()
    if reached is None:
        return (Check(code="exposure_unknown", light="amber", **say("exposure_unknown")),)
    among = [exposures[index] for index in sent]
    flags = [reached[index] for index in sent]
    shares = shares_by_arm(among, flags)
    _, arms = np.unique([item.arm for item in among], return_inverse=True)
    uneven = contingency_p(np.array(flags, dtype=np.int64), arms) < ALARM
    code = "exposure_none" if not any(flags) else "exposure_uneven" if uneven else "exposure_ok"
    said = say(code, by_arm=told_by_arm(shares, _titles(spec, shares)))
    return (Check.model_validate({"code": code, "light": "green" if code == "exposure_ok" else "amber", **said}),)


def bot_light(spec: ExperimentSpec, exposures: Sequence[Exposure], bots: Bots) -> tuple[Check, ...]:
    """How many units are bots by all that is known, and whether the arms had equally many before the test.

    Args:
        spec: Its arms' titles.
        exposures: Units whose window is over.
        bots: Their flags.
    """
    if not exposures:
        return ()
    _, arms = np.unique([item.arm for item in exposures], return_inverse=True)
    uneven = contingency_p(bots.before.astype(np.int64), arms) < ALARM
    share = float(bots.now.mean())
    code = "bots_uneven" if uneven else "bots_many" if share > MANY_BOTS else "bots_ok"
    shares = shares_by_arm(exposures, bots.before.tolist())
    shown = numbers.percents([share], sign=False)[0]
    said = say(code, share=shown, by_arm=told_by_arm(shares, _titles(spec, shares)))
    return (Check.model_validate({"code": code, "light": "green" if code == "bots_ok" else "amber", **said}),)


def fresh_light(enrolment: Enrolment, longest: timedelta, newest: datetime | None) -> Check:
    """Do data still come in, up to now or to the end of the last window?

    Args:
        enrolment: Its ``last_event`` is of the metrics' own kinds.
        longest: Of the windows.
        newest: When the newest event or outcome of any kind was received.
    """
    if enrolment.last_event is None or newest is None:
        return Check(code="fresh_none", light="amber", **say("fresh_none"))
    due = enrolment.as_of
    if enrolment.last_exposure is not None:
        due = min(due, enrolment.last_exposure + longest)
    old = due - newest > STALE_AFTER
    code = "fresh_old" if old else "fresh_ok"
    return Check(code=code, light="amber" if old else "green", **say(code, time=numbers.moment(newest)))


def _titles(spec: ExperimentSpec, arms: Mapping[str, float]) -> dict[str, Phrase]:
    given = {name: arm.title for name, arm in spec.arms.items() if arm.title}
    return {arm: named(given, arm) for arm in arms}
