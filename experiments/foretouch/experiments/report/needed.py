"""How many more customers a verdict takes, and how long they take to come at the pace so far."""

import math
from dataclasses import dataclass

from foretouch.experiments.analysis import special
from foretouch.experiments.report import numbers
from foretouch.experiments.report.names import arm_title
from foretouch.experiments.report.texts import LANGUAGES, SENTENCES, Phrase
from foretouch.experiments.results import MetricResult, Results

POWER = 0.8
TARGETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
NOTHING: Phrase = dict.fromkeys(LANGUAGES, "")


@dataclass(frozen=True, kw_only=True)
class Need:
    """What is missing.

    Attributes:
        text: In words; may be empty.
        units: Customers still needed, rounded up to two figures; None where it cannot be said.
        days: How long they take at the pace so far; None without a log of entries.
    """

    text: Phrase
    units: int | None = None
    days: int | None = None


def need_for_change(results: Results, row: MetricResult) -> Need:
    """How many more units a smaller, round change takes at 80 % power, and how long that lasts at today's pace."""
    level = abs(row.control_mean)
    if not level > 0.0:
        return Need(text=SENTENCES.both("needed_unknown", control=arm_title(results, row.control)))
    seen = _critical(results) * row.se / level
    smaller = [target for target in TARGETS if target < seen * 0.8]
    if not smaller:
        least = next(target for target in TARGETS if target >= seen)
        return Need(text=SENTENCES.both("needed_nothing", target=numbers.percent(least)))
    target = smaller[-1]
    more = (row.n_control + row.n_treatment) * ((seen / target) ** 2 - 1.0)
    return _more(results, "needed", more, target=numbers.percent(target))


def need_within(results: Results, row: MetricResult, margin: float) -> Need:
    """How many more units show, at 80 % power, that a guardrail is within its limit, if it stays as it is now."""
    distance = margin + row.difference * (1.0 if row.better == "up" else -1.0)
    if distance <= 0.0:
        return Need(text=NOTHING)
    more = (row.n_control + row.n_treatment) * ((_critical(results) * row.se / distance) ** 2 - 1.0)
    return _more(results, "needed_within", more) if more > 0.0 else Need(text=NOTHING)


def _critical(results: Results) -> float:
    return float(special.ndtri(1.0 - results.alpha / 2.0) + special.ndtri(POWER))


def _more(results: Results, key: str, more: float, **values: object) -> Need:
    """Units still needed, and how long they take at the pace so far."""
    pace = _pace(results)
    days = None if pace is None else numbers.about_units(math.ceil(more / pace))
    told: Phrase | str = "" if days is None else SENTENCES.both("needed_days", days=numbers.count(days))
    text = SENTENCES.both(key, units=numbers.about(more), days=told, **values)
    return Need(text=text, units=numbers.about_units(more), days=days)


def _pace(results: Results) -> float | None:
    """Units that enter per day."""
    enrolment = results.enrolment
    if enrolment is None or enrolment.first_exposure is None or enrolment.last_exposure is None:
        return None
    days = max(1.0, (enrolment.last_exposure - enrolment.first_exposure).total_seconds() / 86_400.0)
    return enrolment.entered / days
