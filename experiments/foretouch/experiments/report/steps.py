"""What to do next, for every verdict: a fixed table, in English and Chinese, with the commands to run.

The words are ``locale/*/LC_MESSAGES/steps.po``.
"""

import math
from datetime import timedelta

from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import Catalogue, Phrase
from foretouch.experiments.report.names import arm_title
from foretouch.experiments.results import Results

STEPS = Catalogue("steps")
"""By name, then by language."""


def steps_of(results: Results) -> list[Phrase]:
    """What to do next, in order; nothing for a table of rows, except not to read broken ones."""
    names = [name for name in _names(results) if name != "size" or not results.plan]
    if not results.workspace:
        names = [name for name in names if name == "ignore"]
    place, key = results.workspace, results.key
    arm = arm_title(results, results.verdict.contrast or "")
    enrolment = results.enrolment
    due: Phrase | str = ""
    if enrolment is not None and enrolment.first_exposure is not None and enrolment.window_days:
        due = numbers.day(enrolment.first_exposure + timedelta(days=max(enrolment.window_days.values())))
    return [
        STEPS.both(
            name,
            arm=arm,
            key=key,
            date=due,
            days=_oldest_days(results),
            report=f"foretouch experiment report {key} {place}",
            design=f"foretouch experiment design {key} {place}",
            serve=f"foretouch serve {place}",
        )
        for name in names
    ]


def _names(results: Results) -> list[str]:
    code = results.verdict.code
    whole = {item.code for item in results.refusals if item.metric is None and item.segment is None}
    if code == "broken":
        return ["ignore", "again"]
    if "spec_wrong" in whole:
        return ["spec"]
    if whole & {"no_log", "no_units"}:
        return ["start", "size"]
    if "none_mature" in whole:
        return ["wait", *(["shorter"] if _oldest_days(results) else []), "size"]
    if code == "unclear":
        silent = any(check.code in {"fresh_old", "fresh_none"} for check in results.checks)
        return [*(["events"] if silent else []), "go_on" if results.running else "ended", "size"]
    return {"win": ["ship"], "harm": ["stop"], "equivalent": ["choose"]}[code]


def _oldest_days(results: Results) -> int:
    """Whole days since the first customer entered: the longest window that anybody has behind them."""
    enrolment = results.enrolment
    if enrolment is None or enrolment.first_exposure is None:
        return 0
    return math.floor((enrolment.as_of - enrolment.first_exposure) / timedelta(days=1))
