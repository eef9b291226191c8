"""The four questions of a marketer, answered in a few words each: ship? how much? how sure? how long?

A fixed table, like the verdict whose detail they are: each answer is a text of the catalogue by the verdict's code.
"""

from dataclasses import dataclass
from datetime import timedelta

from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import Catalogue
from foretouch.experiments.report.names import arm_title, differences, levels, size, title_of
from foretouch.experiments.report.texts import Phrase
from foretouch.experiments.results import MetricResult, Results

ANSWERS = Catalogue("answers")
"""By key, then by language."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question with its answer.

    Attributes:
        question: ``ship``, ``much``, ``sure`` or ``long``: a key of the catalogue for its words.
        text: The answer in a few words.
        details: What stands under it in small letters.
    """

    question: str
    text: str
    details: tuple[str, ...] = ()


def answers_of(results: Results, language: str) -> tuple[Answer, ...]:
    """The four answers about the arm that the verdict is on."""
    row = _row(results)
    made = (_ship(results), _much(results, row), _sure(results, row), _long(results))
    return tuple(
        Answer(question=question, text=text[language], details=tuple(item[language] for item in details))
        for question, (text, details) in zip(("ship", "much", "sure", "long"), made, strict=True)
    )


Told = tuple[Phrase, list[Phrase]]


def _row(results: Results) -> MetricResult | None:
    """What the verdict speaks of; the first primary metric where it names none."""
    verdict = results.verdict
    if verdict.code == "broken":
        return None
    rows = [row for row in results.metrics if verdict.contrast in {None, row.contrast}]
    named = [row for row in rows if row.name == verdict.metric]
    return next(iter(named or [row for row in rows if row.role == "primary"]), None)


def _ship(results: Results) -> Told:
    verdict = results.verdict
    key = f"ship_{verdict.code}"
    if verdict.code == "unclear":
        key = "ship_waiting" if not results.metrics else "ship_unclear" if results.running else "ship_unproven"
    detail = f"{key}_detail"
    names = {"arm": arm_title(results, verdict.contrast or ""), "control": arm_title(results, results.control)}
    return ANSWERS.both(key), [ANSWERS.both(detail, **names)] if detail in ANSWERS else []


def _much(results: Results, row: MetricResult | None) -> Told:
    if row is None:
        return ANSWERS.both("none"), []
    effect = numbers.percents([row.lift])[0] if row.lift is not None else differences(results, row, [row.difference])[0]
    before, after = levels(results, row, (row.control_mean, row.treatment_mean))
    told = [ANSWERS.both("much_levels", metric=title_of(results, row.name), before=before, after=after)]
    if row.money is not None:
        low, high = (numbers.money(item, row.money.currency) for item in row.money.per_1000_ci)
        value = numbers.money(row.money.per_1000, row.money.currency)
        told.append(ANSWERS.both(f"much_{row.money.kind}", value=value, low=low, high=high))
    return effect, told


def _sure(results: Results, row: MetricResult | None) -> Told:
    if row is None:
        return ANSWERS.both("none"), []
    level = numbers.percent(1.0 - results.alpha)
    if results.verdict.code == "equivalent" and row.non_inferiority is not None:
        margin = size(results, row, row.non_inferiority.margin)
        return ANSWERS.both("sure", level=level), [ANSWERS.both("sure_no_worse", margin=margin)]
    if results.assignment == "observational":
        return ANSWERS.both("unsure"), []
    interval, lifts = row.decisive_ci, row.decisive_lift_ci
    if row.lift is not None and lifts is not None:
        ends = numbers.percents((row.lift, *lifts))[1:]
    else:
        low, high = differences(results, row, interval)
        ends = [numbers.bare(low), high]
    between = {"low": ends[0], "high": ends[1]}
    if interval[0] <= 0.0 <= interval[1]:
        return ANSWERS.both("unsure"), [ANSWERS.both("unsure_both", **between)]
    if results.verdict.code == "unclear" and row.p_adjusted >= results.alpha:
        return ANSWERS.both("unsure"), [ANSWERS.both("unsure_many", **between)]
    return ANSWERS.both("sure", level=level), [ANSWERS.both("sure_between", **between)]


def _long(results: Results) -> Told:
    verdict, enrolment = results.verdict, results.enrolment
    if verdict.code == "broken":
        return ANSWERS.both("none"), [ANSWERS.both("long_broken")]
    running = results.running
    told: list[Phrase] = []
    if running and results.ends_at is not None:
        told.append(ANSWERS.both("long_until", day=numbers.day(results.ends_at)))
    if not results.metrics:
        if enrolment is None or enrolment.first_exposure is None or not enrolment.window_days:
            return ANSWERS.both("long_not_started"), told
        due = enrolment.first_exposure + timedelta(days=max(enrolment.window_days.values()))
        return ANSWERS.both("long_first", day=numbers.day(due)), told
    if verdict.code == "unclear" and verdict.more_units:
        if verdict.more_days is not None:
            told.insert(0, ANSWERS.both("long_days", days=numbers.count(verdict.more_days)))
        elif not running:
            told.insert(0, ANSWERS.both("long_again"))
        return ANSWERS.both("long_more", units=numbers.count(verdict.more_units)), told
    if verdict.code == "unclear":
        return ANSWERS.both("long_unknown"), told
    told.insert(0, ANSWERS.both("long_counted", n=numbers.count(results.n)))
    return ANSWERS.both("long_enough" if running else "long_over"), told
