"""One click down, for statisticians: Bayesian view, plan of looks, sizes within segments, A/A trials of the past."""

from foretouch.experiments.analysis.aa import FAMILY
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import Catalogue
from foretouch.experiments.report.meanings import RESULTS, meanings
from foretouch.experiments.report.names import arm_title, title_of
from foretouch.experiments.report.section import Block
from foretouch.experiments.results import Bayesian, Results

DETAILS = Catalogue("details")
"""By key, then by language."""


def detail_blocks(results: Results, language: str) -> list[Block]:
    """Every section that the results can fill."""
    made = (
        bayesian_block(results, language),
        looks_block(results, language),
        sizes_block(results, language),
        trials_block(results, language),
    )
    return [block for block in made if block is not None]


def bayesian_block(results: Results, language: str) -> Block | None:
    """The same effects seen with a prior, and without."""
    rows = []
    for row in results.metrics:
        for view in row.bayesian:
            shown, low, high = _sizes(view, (view.mean, *view.ci), language)
            ship, keep = _sizes(view, (view.risk_of_shipping, view.risk_of_keeping), language, sign=False)
            prior = DETAILS.text(f"prior_{view.prior}", language)
            if view.prior_mean is not None and view.prior_sd is not None:
                centre, width = _sizes(view, (view.prior_mean, view.prior_sd), language, sign=False)
                prior = f"{prior} ({centre} ± {width})"
            rows.append(
                [
                    f"{title_of(results, row.name)[language]} · {arm_title(results, row.contrast)[language]}",
                    prior,
                    f"{shown}\n{low} … {high}",
                    numbers.percents([view.chance_better], sign=False)[0][language],
                    f"{ship}\n{keep}",
                ]
            )
    if not rows:
        return None
    level = numbers.percent(1.0 - results.alpha)
    return Block(
        name="bayes",
        title=DETAILS.text("bayes", language),
        note=DETAILS.text("bayes_note", language),
        header=[DETAILS.text(key, language, level=level) for key in ("effect", "prior", "credible", "chance", "risks")],
        rows=rows,
        texts=frozenset({1}),
        meanings=meanings(RESULTS, ("", "", "bayesian", "bayesian", "bayesian"), language),
        place="metrics[].bayesian",
    )


def _sizes(view: Bayesian, values: tuple[float, ...], language: str, *, sign: bool = True) -> list[str]:
    if view.on == "lift":
        return [item[language] for item in numbers.percents(values, sign=sign)]
    return [numbers.amount(value, sign=sign)[language] for value in values]


def looks_block(results: Results, language: str) -> Block | None:
    """The plan of looks, and what looking costs."""
    plan = results.sequential
    if plan is None:
        return None
    sentences = []
    if plan.information is not None and plan.planned_units is not None:
        done, planned = numbers.percents([plan.information], sign=False)[0], numbers.count(plan.planned_units)
        sentences.append(DETAILS.text("looks_done", language, done=done, planned=planned))
    rows = [
        [
            price.looks,
            ", ".join(numbers.figures(bound, 4)[language] for bound in price.bounds) or "–",
            numbers.figures(price.factor, 3)[language],
            numbers.percents([price.power], sign=False)[0][language],
        ]
        for price in plan.prices
    ]
    return Block(
        name="looks",
        title=DETAILS.text("looks", language),
        note=DETAILS.text("looks_note", language),
        sentences=sentences,
        header=[DETAILS.text(key, language) for key in ("looking", "bounds", "factor", "power")] if rows else [],
        rows=rows,
        meanings=meanings(RESULTS, ("", "group_sequential", "sequential", "sequential"), language),
        place="sequential",
    )


def sizes_block(results: Results, language: str) -> Block | None:
    """Are the groups the size they should be within every segment?"""
    rows = [
        [
            f"{item.segment}: {item.value}",
            ", ".join(
                f"{arm_title(results, arm)[language]} {numbers.count(seen)[language]}"
                for arm, seen in item.observed.items()
            ),
            numbers.figures(item.p_adjusted, 3)[language],
            DETAILS.text("size_ok" if item.ok else "size_bad", language),
        ]
        for item in results.srm_segments
    ]
    if not rows:
        return None
    return Block(
        name="sizes",
        title=DETAILS.text("sizes", language),
        note=DETAILS.text("sizes_note", language),
        header=[DETAILS.text(key, language) for key in ("segment", "seen", "p", "state")],
        rows=rows,
        texts=frozenset({1, 3}),
        meanings=meanings(RESULTS, ("", "n", "srm", ""), language),
        place="srm_segments",
    )


def trials_block(results: Results, language: str) -> Block | None:
    """What A/A trials have said of the metrics on past customers."""
    rows = [
        [
            numbers.day_of(item.as_of.date().isoformat())[language],
            DETAILS.text("aa_family", language) if item.name == FAMILY else title_of(results, item.name)[language],
            f"{numbers.count(item.splits)[language]}\n{numbers.count(item.units)[language]}",
            _range([item.false_alarms, *item.false_alarms_ci], language),
            " … ".join(share[language] for share in numbers.percents(item.allowed, sign=False)),
            DETAILS.text(f"aa_{item.code}", language),
        ]
        for item in reversed(results.past_trials)
    ]
    if not rows:
        return None
    keys = ("aa_day", "effect", "aa_splits", "aa_alarms", "aa_allowed", "state")
    return Block(
        name="aa-trials",
        title=DETAILS.text("aa", language),
        note=DETAILS.text("aa_note", language),
        header=[DETAILS.text(key, language) for key in keys],
        rows=rows,
        texts=frozenset({1, 5}),
        meanings=meanings(RESULTS, ("", "", *("past_trials",) * 3, ""), language),
        place="past_trials",
    )


def _range(values: list[float], language: str) -> str:
    shown, low, high = (share[language] for share in numbers.percents(values, sign=False))
    return f"{shown}\n{low} … {high}"
