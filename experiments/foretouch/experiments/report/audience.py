"""The report's sections on customers: how many the test needs, and who took part."""

from foretouch.experiments.report import numbers
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import RESULTS, meanings
from foretouch.experiments.report.names import arm_title, title_of
from foretouch.experiments.report.section import Block
from foretouch.experiments.results import Results

MEANT = {
    "customers": "enrolment",
    "expected": "srm",
    "planned": "weights",
    "counted": "n",
    "contacted": "contacted",
    "reached": "exposed",
}
"""Definitions by column of the groups' table."""


def plan_block(results: Results, language: str) -> Block | None:
    """How many customers the test needs, from past data, while it has no numbers of its own."""
    lifts = sorted({lift for item in results.plan for lift in item.units}, key=float)
    if not lifts:
        return None
    rows, sentences = [], []
    for item in results.plan:
        title = title_of(results, item.name)[language]
        needed = [numbers.about(item.units[lift])[language] if lift in item.units else "–" for lift in lifts]
        seen = "–"
        if item.detectable_lift is not None:
            seen = numbers.percents([item.detectable_lift], sign=False)[0][language]
            audience = numbers.count(item.audience)[language]
            sentences.append(label("plan_seen", language, metric=title, n=audience, lift=seen))
        rows.append([title, *needed, seen])
    changes = [label("plan_change", language, lift=numbers.percent(float(lift))) for lift in lifts]
    return Block(
        name="plan",
        title=label("plan", language),
        note=label("plan_note", language),
        header=[label("metric", language), *changes, label("plan_all", language)],
        rows=rows,
        sentences=sentences,
        meanings=meanings(RESULTS, ("", *("plan" for _ in changes), "plan"), language),
        place="plan",
    )


def groups_block(results: Results, language: str) -> Block:
    """Who took part: what each group gets, sizes against the plan, how many are counted, how many were contacted."""
    enrolment = results.enrolment
    keys = ["arm", *(["does"] if results.arm_kinds else []), "customers", "expected", "planned"]
    if enrolment is not None:
        keys += ["counted", "contacted", *(["reached"] if enrolment.exposed else [])]
    rows = []
    for arm, counted in results.arms.items():
        expected = results.srm.expected.get(arm)
        row = [arm_title(results, arm)[language]]
        if results.arm_kinds:
            row.append(label(f"does_{results.arm_kinds[arm]}", language))
        entered = counted if enrolment is None else enrolment.entered_by_arm.get(arm, 0)
        row += [
            numbers.count(entered)[language],
            "–" if expected is None else numbers.count(expected)[language],
            numbers.percents([results.weights[arm]], sign=False)[0][language],
        ]
        if enrolment is not None:
            told = enrolment.contacted.get(arm)
            row.append(numbers.count(counted)[language])
            row.append("–" if told is None else numbers.percents([told], sign=False)[0][language])
            if enrolment.exposed:
                row.append(numbers.percents([enrolment.exposed.get(arm, 0.0)], sign=False)[0][language])
        rows.append(row)
    return Block(
        name="groups",
        title=label("groups", language),
        note="" if enrolment is None else label("groups_note", language),
        header=[label(key, language) for key in keys],
        rows=rows,
        texts=frozenset({1}) if results.arm_kinds else frozenset(),
        footnotes=[label("reached_note", language)] if enrolment is not None and enrolment.exposed else [],
        meanings=meanings(RESULTS, [MEANT.get(key, "") for key in keys], language),
        place="enrolment, srm, weights",
    )
