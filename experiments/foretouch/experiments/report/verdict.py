"""The verdict: a fixed rule table from checks, guardrails and the primary metric to one sentence in two languages.

In order, the first that holds:

1. the split, the arms or the units are wrong                                   -> broken
   the arms were not drawn by lot                                               -> unclear (never win, never harm)
2. a guardrail lies wholly beyond its margin (or, without one, is surely worse) -> harm
3. a primary metric is surely worse                                             -> harm
4. a primary metric is surely better, a guardrail's margin not shown yet        -> unclear (keep running)
5. a primary metric is surely better, but what it costs is surely more          -> harm (it wins and loses money)
6. a primary metric is surely better, but so far it costs more than it brings   -> unclear (it wins, and may not pay)
7. a primary metric is surely better                                            -> win (and whether it pays, if unsure)
8. a primary metric with a margin is shown to be no worse than it               -> equivalent
9. otherwise                                                                    -> unclear (how many more are needed)

Money is that of the metric that wins, after the cost that the spec states; without a price there is no such question.

"Surely" is the adjusted p below alpha: of the fixed test at the planned end, of the anytime-valid one before it.
"""

from collections.abc import Mapping, Sequence

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.report import numbers
from foretouch.experiments.report.names import arm_title, differences, levels, size, title_of
from foretouch.experiments.report.needed import Need, need_for_change, need_within
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
    "groups_unlike",
)
"""Refusals of the whole that take numbers and verdict away."""
MISPLACED = ("zero_weight_traffic", "unknown_arm", "unit_in_two_arms", "duplicate_units", "missing_arm")
"""Those of them that say that units are where they should not be."""
OBSERVED = "not_randomised"
"""The refusal that leaves the numbers and takes the praise and the blame: the arms were not drawn by lot."""
WAITING = ("none_mature", "no_units", "no_log", "spec_wrong")
ORDER = ("broken", "win", "harm", "unclear", "equivalent")
"""Which arm's verdict is the one to act on."""
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
    for item in whole:
        if item.code == OBSERVED:
            return tuple(_observed(results, item, arm) for arm in arms)
    return tuple(_of_arm(results, spec, arm) for arm in arms)


def overall(found: Sequence[Verdict], metrics: Sequence[MetricResult] = ()) -> Verdict:
    """The verdict to act on: a win where there is one, the one worth most of several, else the worst news.

    Args:
        found: One per treatment arm.
        metrics: What the arms are compared by: money after cost where there is any, else the relative change.
    """

    def worth(item: Verdict) -> float:
        row = next((row for row in metrics if (row.name, row.contrast) == (item.metric, item.contrast)), None)
        if item.code != "win" or row is None:
            return 0.0
        if row.money is not None:
            return row.money.per_1000
        return (row.difference if row.lift is None else row.lift) * (1.0 if row.better == "up" else -1.0)

    return min(found, key=lambda item: (ORDER.index(item.code), -worth(item)))


def assignment_lights(
    split: Split, titles: Mapping[str, Phrase], *, misplaced: bool, randomised: bool = True
) -> tuple[Check, ...]:
    """Lights for the sizes of the arms and for units in arms where they should not be; none without units.

    Args:
        split: Observed and expected sizes.
        titles: What readers call the arms.
        misplaced: Units are in arms where they should not be.
        randomised: The arms were drawn by lot, so that their sizes can be held against the weights.
    """
    if not any(split.observed.values()):
        return ()
    sizes = [
        _both("split_arm", arm=titles[arm], seen=numbers.count(seen), due=numbers.count(split.expected[arm]))
        for arm, seen in split.observed.items()
    ]
    text = {code: phrase("comma")[code].join(item[code] for item in sizes) for code in LANGUAGES}
    code = "split_ok" if split.ok else "split_bad"
    arms = "arms_bad" if misplaced else "arms_ok"
    first = Check(code=code, light="green" if split.ok else "red", **say(code, split=text))
    if not randomised:
        first = Check(code="observational", light="red", **say("observational"))
    return (
        first,
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


def _observed(results: Results, reason: Refusal, arm: str) -> Verdict:
    """No praise and no blame: the levels, and why they prove nothing."""
    rows = [row for row in results.metrics if row.contrast == arm]
    row = next((item for item in rows if item.role == "primary"), rows[0] if rows else None)
    if row is None:
        return _verdict("unclear", "unclear_none_mature", results, arm, reason=_reason(reason))
    values = {**_effect(results, row), "reason": _reason(reason), "about": row.name}
    return _verdict("unclear", "unclear_observational", results, arm, **values)


def _of_primaries(
    results: Results, arm: str, primaries: Sequence[MetricResult], guardrails: Sequence[MetricResult]
) -> Verdict:
    if not primaries:
        return _verdict("unclear", "unclear_no_primary", results, arm)
    sure = sorted((row for row in primaries if row.p_adjusted < results.alpha), key=_good)
    if sure and not _good(sure[0]):
        return _verdict("harm", "harm_primary", results, arm, **_effect(results, sure[0]), about=sure[0].name)
    if sure:
        return _better(results, sure[0], guardrails)
    for row in primaries:
        if row.non_inferiority is not None and row.non_inferiority.status == "passed":
            margin = size(results, row, row.non_inferiority.margin)
            metric = title_of(results, row.name)
            return _verdict("equivalent", "equivalent", results, arm, metric=metric, margin=margin, about=row.name)
    return _unclear(results, primaries[0])


def _guardrail_harm(results: Results, row: MetricResult) -> Verdict | None:
    limit = row.non_inferiority
    surely = row.p_adjusted < results.alpha and not _good(row)
    if (limit is None and not surely) or (limit is not None and limit.status != "broken"):
        return None
    low, high = sorted(abs(item) for item in row.decisive_ci)
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
        return _verdict("harm", "harm_guardrail_plain", results, row.contrast, **values, about=row.name)
    margin = size(results, row, limit.margin)
    return _verdict("harm", "harm_guardrail", results, row.contrast, **values, margin=margin, about=row.name)


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
                need=need_within(results, other, status.margin),
                about=row.name,
            )
    told = phrase("guardrails_fine" if guardrails else "guardrails_none")
    worth = row.money
    if worth is None or not worth.cost_per_unit:
        return _verdict("win", "win", results, row.contrast, **values, guardrails=told, pays="", about=row.name)
    low, high = (numbers.money(item, worth.currency) for item in worth.per_1000_ci)
    paid = {"value": numbers.money(worth.per_1000, worth.currency), "least": low, "most": high}
    if worth.per_1000_ci[1] < 0.0:
        return _verdict("harm", "win_costs_more", results, row.contrast, **values, **paid, about=row.name)
    if worth.per_1000 < 0.0:
        return _verdict("unclear", "win_may_not_pay", results, row.contrast, **values, **paid, about=row.name)
    pays = _both("win_pays" if worth.per_1000_ci[0] > 0.0 else "win_pays_perhaps", **paid)
    return _verdict("win", "win", results, row.contrast, **values, guardrails=told, pays=pays, about=row.name)


def _unclear(results: Results, row: MetricResult) -> Verdict:
    values = _effect(results, row)
    family = [item for item in results.metrics if item.role != "secondary"]
    plain = row.p if row.decisive is None else row.decisive.p
    key = "unclear_many" if plain < results.alpha else "unclear"
    return _verdict(
        "unclear",
        key,
        results,
        row.contrast,
        **values,
        count=len(family),
        need=need_for_change(results, row),
        about=row.name,
    )


def _effect(results: Results, row: MetricResult) -> dict[str, object]:
    lifts = row.decisive_lift_ci
    if row.lift is not None and lifts is not None and row.control_mean > 0.0:
        effect, low, high = numbers.percents((row.lift, *lifts))
    else:
        effect, low, high = differences(results, row, (row.difference, *row.decisive_ci))
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
    return numbers.percent(value)


def _reason(refusal: Refusal) -> Phrase:
    return {"en": refusal.text_en, "zh": refusal.text_zh}


def _both(key: str, **values: object) -> Phrase:
    said = say(key, **values)
    return {code: said[f"text_{code}"] for code in LANGUAGES}


def _verdict(
    code: str,
    key: str,
    results: Results,
    arm: str | None,
    *,
    about: object = None,
    need: object = None,
    **values: object,
) -> Verdict:
    values |= {"arm": arm_title(results, arm or ""), "control": arm_title(results, results.control)}
    given: dict[str, object] = {"code": code, "contrast": arm, "basis": results.basis, "metric": about}
    if isinstance(need, Need):
        values["needed"] = need.text
        given |= {"more_units": need.units, "more_days": need.days}
    return Verdict.model_validate({**given, **say(key, **values)})
