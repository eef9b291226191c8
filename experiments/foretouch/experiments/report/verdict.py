"""The verdict: a fixed rule table from checks, guardrails and the primary metric to one sentence in two languages.

In order, the first that holds:

1. the split, the arms or the units are wrong                                   -> broken
2. a guardrail lies wholly beyond its margin (or, without one, is surely worse) -> harm
3. a primary metric is surely worse                                             -> harm
4. a primary metric is surely better, every guardrail with a margin within it   -> win
5. a primary metric is surely better, such a guardrail not shown yet            -> unclear (keep running)
6. a primary metric with a margin is shown to be no worse than it               -> equivalent
7. otherwise                                                                    -> unclear (how many more are needed)

"Surely" is the adjusted p below alpha: of the fixed test at the planned end, of the anytime-valid one before it.
"""

import math
from collections.abc import Mapping, Sequence

from scipy import special

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.report import numbers
from foretouch.experiments.report.names import arm_title, differences, levels, size, title_of
from foretouch.experiments.report.texts import LANGUAGES, Phrase, phrase, say
from foretouch.experiments.results import Check, MetricResult, Refusal, Results, Split, Verdict

BREAKING = (
    "split_mismatch",
    "zero_weight_traffic",
    "unknown_arm",
    "unit_in_two_arms",
    "duplicate_units",
    "missing_arm",
    "assignment_mismatch",
)
"""Refusals of the whole that take numbers and verdict away."""
MISPLACED = ("zero_weight_traffic", "unknown_arm", "unit_in_two_arms", "duplicate_units", "missing_arm")
"""Those of them that say that units are where they should not be."""
WAITING = ("none_mature", "no_units", "no_log", "spec_wrong")
ORDER = ("broken", "win", "harm", "unclear", "equivalent")
"""Which arm's verdict is the one to act on."""
POWER = 0.8
TARGETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)
PENDING = Verdict(code="unclear", text_en="", text_zh="")


def verdicts(results: Results, spec: ExperimentSpec) -> tuple[Verdict, ...]:
    """One verdict per treatment arm of positive weight."""
    whole = [item for item in results.refusals if item.metric is None and item.segment is None]
    for item in whole:
        if item.code in BREAKING:
            key = "broken_split" if item.code == "split_mismatch" else "broken"
            return (_verdict("broken", key, results, None, reason=_reason(item)),)
    for item in whole:
        if item.code in WAITING:
            key = "unclear_spec" if item.code == "spec_wrong" else "unclear_none_mature"
            return (_verdict("unclear", key, results, None, reason=_reason(item)),)
    arms = [arm for arm, weight in spec.weights.items() if arm != spec.control and weight > 0.0]
    return tuple(_of_arm(results, spec, arm) for arm in arms)


def overall(found: Sequence[Verdict]) -> Verdict:
    """The verdict to act on: a win where there is one, else the worst news."""
    return min(found, key=lambda item: ORDER.index(item.code))


def split_lights(split: Split, titles: Mapping[str, Phrase], *, misplaced: bool) -> tuple[Check, ...]:
    """Lights for the sizes of the arms and for units in arms where they should not be; none without units.

    Args:
        split: Observed and expected sizes.
        titles: What readers call the arms.
        misplaced: Units are in arms where they should not be.
    """
    if not any(split.observed.values()):
        return ()
    sizes = [(titles[arm], f"{seen:,}", f"{split.expected[arm]:,.0f}") for arm, seen in split.observed.items()]
    text = {
        "en": ", ".join(f"“{arm['en']}” {seen} (planned {due})" for arm, seen, due in sizes),
        "zh": "，".join(f"“{arm['zh']}”{seen}（计划 {due}）" for arm, seen, due in sizes),
    }
    code = "split_ok" if split.ok else "split_bad"
    arms = "arms_bad" if misplaced else "arms_ok"
    return (
        Check(code=code, light="green" if split.ok else "red", **say(code, split=text)),
        Check(code=arms, light="red" if misplaced else "green", **say(arms)),
    )


def _of_arm(results: Results, spec: ExperimentSpec, arm: str) -> Verdict:
    rows = [row for row in results.metrics if row.contrast == arm]
    guardrails = [row for row in rows if row.role == "guardrail"]
    harmed = next((found for row in guardrails if (found := _guardrail_harm(results, row))), None)
    if harmed is not None:
        return harmed
    refused = _refused(results, spec, arm)
    if refused is not None:
        return refused
    return _of_primaries(results, arm, [row for row in rows if row.role == "primary"], guardrails)


def _of_primaries(
    results: Results, arm: str, primaries: Sequence[MetricResult], guardrails: Sequence[MetricResult]
) -> Verdict:
    if not primaries:
        return _verdict("unclear", "unclear_no_primary", results, arm)
    sure = sorted((row for row in primaries if row.p_adjusted < results.alpha), key=_good)
    if sure and not _good(sure[0]):
        return _verdict("harm", "harm_primary", results, arm, **_effect(results, sure[0]))
    if sure:
        return _better(results, sure[0], guardrails)
    for row in primaries:
        if row.non_inferiority is not None and row.non_inferiority.status == "passed":
            margin = size(results, row, row.non_inferiority.margin)
            metric = title_of(results, row.name)
            return _verdict("equivalent", "equivalent", results, arm, metric=metric, margin=margin)
    return _unclear(results, primaries[0])


def _guardrail_harm(results: Results, row: MetricResult) -> Verdict | None:
    limit = row.non_inferiority
    surely = row.p_adjusted < results.alpha and not _good(row)
    if (limit is None and not surely) or (limit is not None and limit.status != "broken"):
        return None
    interval = row.anytime_ci if results.basis == "anytime" else row.ci
    low, high = sorted(abs(item) for item in interval)
    sizes = [size(results, row, item) for item in (low, high)]
    if row.kind == "proportion":
        sizes = numbers.points((low, high))
    values: dict[str, object] = {
        "metric": title_of(results, row.name),
        "moved": phrase("rose" if row.difference > 0 else "fell"),
        "low": numbers.bare(sizes[0]),
        "high": sizes[1],
    }
    before, after = levels(results, row, (row.control_mean, row.treatment_mean))
    values |= {"before": before, "after": after}
    if limit is None:
        return _verdict("harm", "harm_guardrail_plain", results, row.contrast, **values)
    margin = size(results, row, limit.margin)
    return _verdict("harm", "harm_guardrail", results, row.contrast, **values, margin=margin)


def _refused(results: Results, spec: ExperimentSpec, arm: str) -> Verdict | None:
    decisive = {metric.name for metric in spec.metrics if metric.role == "primary"}
    for item in results.refusals:
        if item.metric in decisive and item.segment is None and item.contrast in {None, arm}:
            return _verdict(
                "unclear",
                "unclear_refused",
                results,
                arm,
                metric=title_of(results, str(item.metric)),
                reason=_reason(item),
            )
    return None


def _better(results: Results, row: MetricResult, guardrails: Sequence[MetricResult]) -> Verdict:
    values = _effect(results, row)
    for other in guardrails:
        status = other.non_inferiority
        if status is not None and status.status != "passed":
            return _verdict(
                "unclear",
                "win_guardrail_open",
                results,
                row.contrast,
                **values,
                guardrail=title_of(results, other.name),
                margin=size(results, other, status.margin),
                needed=_needed_within(results, other, status.margin),
            )
    told = phrase("guardrails_fine" if guardrails else "guardrails_none")
    return _verdict("win", "win", results, row.contrast, **values, guardrails=told)


def _unclear(results: Results, row: MetricResult) -> Verdict:
    values = _effect(results, row)
    family = [item for item in results.metrics if item.role != "secondary"]
    plain = row.anytime_p if results.basis == "anytime" else row.p
    key = "unclear_many" if plain < results.alpha else "unclear"
    return _verdict("unclear", key, results, row.contrast, **values, count=len(family), needed=_needed(results, row))


def _needed(results: Results, row: MetricResult) -> Phrase:
    """How many more units a smaller, round change takes at 80 % power, and how long that lasts at today's pace."""
    level = abs(row.control_mean)
    if not level > 0.0:
        return _both("needed_unknown", control=arm_title(results, row.control))
    seen = _critical(results) * row.se / level
    smaller = [target for target in TARGETS if target < seen * 0.8]
    if not smaller:
        return _both("needed_nothing", target=_plain_percent(next(target for target in TARGETS if target >= seen)))
    target = smaller[-1]
    more = (row.n_control + row.n_treatment) * ((seen / target) ** 2 - 1.0)
    return _more(results, "needed", more, target=_plain_percent(target))


def _needed_within(results: Results, row: MetricResult, margin: float) -> Phrase:
    """How many more units show, at 80 % power, that a guardrail is within its limit, if it stays as it is now."""
    distance = margin + row.difference * (1.0 if row.better == "up" else -1.0)
    if distance <= 0.0:
        return dict.fromkeys(LANGUAGES, "")
    more = (row.n_control + row.n_treatment) * ((_critical(results) * row.se / distance) ** 2 - 1.0)
    return _more(results, "needed_within", more) if more > 0.0 else dict.fromkeys(LANGUAGES, "")


def _critical(results: Results) -> float:
    return float(special.ndtri(1.0 - results.alpha / 2.0) + special.ndtri(POWER))


def _more(results: Results, key: str, more: float, **values: object) -> Phrase:
    """Units still needed, and how long they take at the pace so far."""
    values["units"] = numbers.about(more)
    pace = _pace(results)
    values["days"] = "" if pace is None else _both("needed_days", days=numbers.about(math.ceil(more / pace)))
    return _both(key, **values)


def _pace(results: Results) -> float | None:
    """Units that enter per day."""
    enrolment = results.enrolment
    if enrolment is None or enrolment.first_exposure is None or enrolment.last_exposure is None:
        return None
    days = max(1.0, (enrolment.last_exposure - enrolment.first_exposure).total_seconds() / 86_400.0)
    return enrolment.entered / days


def _effect(results: Results, row: MetricResult) -> dict[str, object]:
    anytime = results.basis == "anytime"
    lifts = row.anytime_lift_ci if anytime else row.lift_ci
    if row.lift is not None and lifts is not None and row.control_mean > 0.0:
        effect, low, high = numbers.percents((row.lift, *lifts))
    else:
        interval = row.anytime_ci if anytime else row.ci
        effect, low, high = differences(results, row, (row.difference, *interval))
        low = numbers.bare(low)
    before, after = levels(results, row, (row.control_mean, row.treatment_mean))
    return {
        "metric": title_of(results, row.name),
        "before": before,
        "after": after,
        "moves": phrase("raises" if row.difference > 0 else "lowers"),
        "effect": effect,
        "low": low,
        "high": high,
        "level": _plain_percent(1.0 - results.alpha),
    }


def _good(row: MetricResult) -> bool:
    return (row.difference > 0) == (row.better == "up")


def _plain_percent(value: float) -> Phrase:
    text = f"{100.0 * value:.4g}%"
    return dict.fromkeys(LANGUAGES, text)


def _reason(refusal: Refusal) -> Phrase:
    return {"en": refusal.text_en, "zh": refusal.text_zh}


def _both(key: str, **values: object) -> Phrase:
    said = say(key, **values)
    return {code: said[f"text_{code}"] for code in LANGUAGES}


def _verdict(code: str, key: str, results: Results, arm: str | None, **values: object) -> Verdict:
    values |= {"arm": arm_title(results, arm or ""), "control": arm_title(results, results.control)}
    return Verdict.model_validate({"code": code, "contrast": arm, "basis": results.basis, **say(key, **values)})
