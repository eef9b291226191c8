"""The report of an experiment: one self-contained HTML file per language, for a marketer first."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from markupsafe import Markup

from foretouch.experiments.analysis.definitions import definition
from foretouch.experiments.report import numbers
from foretouch.experiments.report.answers import ANSWERS, answers_of
from foretouch.experiments.report.blocks import blocks_of
from foretouch.experiments.report.details import detail_blocks
from foretouch.experiments.report.fragment import environment, how, render_blocks
from foretouch.experiments.report.labels import LABELS, label
from foretouch.experiments.report.meanings import RESULTS, meaning
from foretouch.experiments.report.names import arm_title, title_of
from foretouch.experiments.report.steps import steps_of
from foretouch.experiments.report.texts import SENTENCES, phrase, sentence
from foretouch.experiments.report.written import write_pages
from foretouch.experiments.results import MetricResult, Results

TEMPLATE = "report.html.j2"
MARKS = {"green": "✓", "amber": "!", "red": "✕"}


def write_reports(results: Results, folder: Path, languages: Sequence[str]) -> dict[str, Path]:
    """Writes one page per language.

    Args:
        results: What to show.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both; with both, each page links to the other.

    Returns:
        Paths by language.
    """
    stem = f"experiment-{results.key}"
    return write_pages(stem, folder, languages, lambda language, other: render(results, language, other=other))


def render(results: Results, language: str, *, other: str | None = None) -> str:
    """The page as text.

    Args:
        results: What to show; a broken experiment shows no number.
        language: ``en`` or ``zh``.
        other: Where the other language's page is.
    """
    withheld = results.verdict.code == "broken"
    drawn = partial(render_blocks, command=results.command)
    as_of = ""
    if results.enrolment is not None:
        as_of = label("as_of", language, time=numbers.moment(results.enrolment.as_of))
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            results=results,
            language=language,
            other=other,
            say=partial(label, language=language),
            title=results.title.get(language) or results.title.get("en") or results.key,
            origin=sentence(origin, language) if (origin := f"origin_{results.origin}") in SENTENCES else "",
            as_of=as_of,
            summary=_summary(results, language),
            steps=[_linked(step[language]) for step in steps_of(results)],
            definitions={name: definition(name, text, language) for name, text in results.definitions.items()},
            data=f"experiment-{results.key}.json",
            lights=_lights(results, language),
            four=[
                replace(item, question=ANSWERS[f"question_{item.question}"][language])
                for item in answers_of(results, language)
            ],
            answers=_answers(results, language),
            how=_how(results, language),
            withheld=withheld,
            money=[] if withheld else _money(results, language),
            sections="" if withheld else drawn(blocks_of(results, language), language),
            assumptions=[str(item.get(f"text_{language}", "")) for item in results.assumptions],
            counting=_counting(results, language),
            refusals=_refusals(results, language),
            statistics=_statistics(results, language),
            details=""
            if withheld
            else render_blocks(detail_blocks(results, language), language, level=3, command=results.command),
        )
    )


def _text(item: object, language: str) -> str:
    return str(getattr(item, f"text_{language}"))


def _lights(results: Results, language: str) -> list[dict[str, str]]:
    """Each check: its colour, a mark that says the same, a word for the strip, and the whole sentence."""
    found = []
    for check in results.checks:
        text, parts = _text(check, language), check.code.split("_")
        keys = [f"short_{'_'.join(parts[:many])}" for many in range(len(parts), 0, -1)]
        short = next((label(key, language) for key in keys if key in LABELS), text)
        found.append({"colour": check.light, "mark": MARKS[check.light], "short": short, "text": text})
    return found


def _answers(results: Results, language: str) -> list[str]:
    """The verdict to act on first, then those of the other arms."""
    rest = [item for item in results.verdicts if item != results.verdict]
    return [_text(item, language) for item in (results.verdict, *rest)]


HOW = {
    "trust": (("short_split", "srm"), ("counted", "n enrolment")),
    "verdict": (("verdict_rule", "decisive p_adjusted"),),
    "money": (("money", "money"),),
}
"""By part of the first screen: terms, each with the definitions that it rests on."""
PLACES = {"trust": "srm, checks, enrolment", "verdict": "verdict, metrics", "money": "metrics[].money"}


def _how(results: Results, language: str) -> dict[str, Markup]:
    """What the numbers of the first screen mean, by part."""
    interval = {"fixed": "lift_ci", "anytime": "anytime_lift_ci"}.get(results.basis, results.basis)
    asked = {"much": "lift difference control_mean", "sure": interval, "long": "more_units more_days"}
    answers = [
        (ANSWERS[f"question_{name}"][language], meaning(RESULTS, told, language)) for name, told in asked.items()
    ]
    found = {}
    for part, terms in HOW.items():
        told = [(label(name, language), meaning(RESULTS, fields, language)) for name, fields in terms]
        told = [*told, *answers] if part == "verdict" else told
        title = label(part, language)
        found[part] = how(told, language, title=title, commands=[results.command], place=PLACES[part])
    return found


def _money(results: Results, language: str) -> list[dict[str, str]]:
    rows = [row for row in results.metrics if row.money is not None and row.role != "guardrail"]
    primary = [row for row in rows if row.role == "primary"]
    return [_money_line(results, row, language) for row in primary or rows[:1]]


def _money_line(results: Results, row: MetricResult, language: str) -> dict[str, str]:
    worth = row.money
    if worth is None:
        return {}

    def shown(value: float) -> str:
        return numbers.money(value, worth.currency)[language]

    low, high = (shown(item) for item in worth.per_1000_ci)
    days = None if results.enrolment is None else results.enrolment.window_days.get(row.name)
    within = "" if days is None else label("within", language, days=numbers.plain(days))
    names = {"arm": arm_title(results, row.contrast)[language], "control": arm_title(results, row.control)[language]}
    per = label(
        f"money_{worth.kind}", language, **names, within=within, value=shown(worth.per_1000), low=low, high=high
    )
    low, high = (shown(item) for item in worth.audience_ci)
    audience = label(
        "money_audience",
        language,
        **names,
        n=numbers.count(worth.audience)[language],
        within=within,
        value=shown(worth.audience_total),
        low=low,
        high=high,
    )
    kind = f"{worth.kind}_cost" if worth.cost_per_unit else worth.kind
    cost = numbers.money(worth.cost_per_unit, worth.currency, sign=False)[language]
    currency = worth.currency or label("own_units", language)
    note = label(f"money_{kind}_note", language, currency=currency, cost=cost)
    return {"per": per, "audience": audience, "note": note}


def _summary(results: Results, language: str) -> str:
    """Who is in the test since when, how long each is watched, and until when customers enter."""
    enrolment = results.enrolment
    if enrolment is None or enrolment.first_exposure is None or enrolment.last_exposure is None:
        return ""
    first, last = (numbers.day(time)[language] for time in (enrolment.first_exposure, enrolment.last_exposure))
    told = label(
        "summary_day" if first == last else "summary",
        language,
        n=numbers.count(enrolment.entered)[language],
        first=first,
        last=last,
        days=numbers.plain(max(enrolment.window_days.values())),
    )
    if results.ends_at is None or results.ends_at <= enrolment.as_of:
        return told
    return f"{told} {label('summary_end', language, end=numbers.day(results.ends_at))}"


def _linked(step: str) -> tuple[str, str]:
    """A step's words and its command, if it ends with one."""
    words, mark, command = step.partition("foretouch ")
    return words, mark + command


def _counting(results: Results, language: str) -> list[str]:
    enrolment = results.enrolment
    if enrolment is None:
        return []
    lengths = sorted(set(enrolment.window_days.values()))
    windows = phrase("comma")[language].join(label("days", language, days=numbers.plain(days)) for days in lengths)
    told = [label("window", language, windows=windows)]
    mature = {"mature": numbers.count(enrolment.mature), "entered": numbers.count(enrolment.entered)}
    told.append(sentence("maturity", language, **mature))
    if enrolment.shortened_to_days is not None:
        told.append(label("shortened", language, days=numbers.plain(enrolment.shortened_to_days)))
    if results.running:
        told.append(sentence("running", language))
    return told


def _refusals(results: Results, language: str) -> list[str]:
    found = []
    for item in results.refusals:
        metric = None if item.metric in {None, "*"} else title_of(results, str(item.metric))[language]
        arm = None if item.contrast is None else arm_title(results, item.contrast)[language]
        where = " · ".join(part for part in (metric, arm, item.segment) if part)
        text = _text(item, language)
        found.append(f"{where}: {text}" if where else text)
    return found


def _statistics(results: Results, language: str) -> dict[str, list[str] | list[list[str]]]:
    level = numbers.percent(1.0 - results.alpha)[language]

    def shown(value: float, significant: int = 5) -> str:
        return numbers.figures(value, significant)[language]

    def ends(pair: tuple[float, float]) -> str:
        return f"{shown(pair[0])} … {shown(pair[1])}"

    def bound(row: MetricResult) -> str:
        one = row.anytime_one_sided
        return "" if one is None else f"\n{'≥' if one.side == 'at_least' else '≤'} {shown(one.bound)}"

    header = [label("metric", language), label("arm", language)]
    header += ["n", "Δ\nse, df", f"{level} CI\nanytime CI\n≥ ≤", "p\np adj.", "anytime p\n≥ ≤"]
    rows = [
        [
            title_of(results, row.name)[language],
            row.contrast,
            f"{numbers.count(row.n_control)[language]}\n+ {numbers.count(row.n_treatment)[language]}",
            f"{shown(row.difference, 6)}\n{shown(row.se)}, {'∞' if row.df is None else shown(row.df)}",
            f"{ends(row.ci)}\n{ends(row.anytime_ci)}{bound(row)}",
            f"{shown(row.p, 3)}\n{shown(row.p_adjusted, 3)}",
            shown(row.anytime_p, 3)
            + ("" if row.anytime_one_sided is None else f"\n{shown(row.anytime_one_sided.p, 3)}"),
        ]
        for row in results.metrics
    ]
    return {"header": header, "rows": rows} if rows else {}
