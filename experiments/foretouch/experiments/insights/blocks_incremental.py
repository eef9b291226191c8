"""What contacting caused, beside what attribution counts, as a section of the page."""

from collections.abc import Sequence

from foretouch.experiments.insights.contract import IncrementalRow, Insights, Words
from foretouch.experiments.insights.incremental import SMALLEST_ARM
from foretouch.experiments.insights.texts import named, text, words
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import LANGUAGES, Phrase
from foretouch.experiments.report.charts import Dot, interval_plot
from foretouch.experiments.report.meanings import meanings
from foretouch.experiments.report.section import Block

MEANT = ("n_treatment n_control", "control_rate", "treatment_rate", "incremental", "attributed")
"""Definitions of the table's columns after the first."""


def incremental_blocks(insights: Insights, language: str) -> list[Block]:
    """The figure from the holdouts, with a sentence on why it differs."""
    if not insights.funnel.decisions:
        return []
    rows = [row for row in insights.incremental if row.difference is not None]
    main = next((row for row in rows if row.level == "no_contact"), None)
    charts = ("", "") if main is None else _charts(main, language)
    told = [getattr(item, f"text_{language}") for item in incremental_words(insights.incremental)]
    days = rows[0].window_days if rows else 0.0
    header = ("comparison", "customers", "rate_control", "rate_treatment", "incremental_column", "attributed_column")
    return [
        Block(
            name="incremental",
            title=text("incremental", language),
            note=text("incremental_note", language),
            header=[text(name, language) for name in header] if rows else [],
            rows=[_cells(row, language) for row in rows],
            chart=charts[0],
            narrow=charts[1],
            sentences=told,
            footnotes=[text("incremental_foot", language, days=f"{days:g}")] if rows else [],
            meanings=meanings("insights", ("", *MEANT), language),
            place="incremental",
        )
    ]


def incremental_words(rows: Sequence[IncrementalRow]) -> list[Words]:
    """One sentence per comparison, and what is missing."""
    told = [sentence_of(row) for row in rows]
    if not any(row.level == "no_contact" for row in rows):
        told.insert(0, words("no_holdout"))
    return told


def sentence_of(row: IncrementalRow) -> Words:
    """What one comparison says, from a fixed table: by level, and by where the interval lies."""
    names = {"control": arm_name(row, "control"), "treatment": arm_name(row, "treatment")}
    if row.incremental is None or row.incremental_ci is None:
        few = numbers.count(min(row.n_control, row.n_treatment))
        more: dict[str, dict[str, object]] = {
            "arm_too_small": {"n": few, "least": SMALLEST_ARM},
            "not_by_customer": {"key": row.key},
        }
        return words(f"withheld_{row.withheld}", **names, **more.get(str(row.withheld), {}))
    low, high = row.incremental_ci
    figures = {
        "incremental": numbers.count(row.incremental),
        "low": numbers.count(low),
        "high": numbers.count(high),
    }
    if row.level != "no_contact":
        level = {code: named("level", row.level, code) for code in LANGUAGES}
        return words("incremental_over", **names, **figures, level=level)
    attributed = row.attributed or 0
    figures["attributed"] = numbers.count(attributed)
    if low <= 0.0 <= high:
        del figures["incremental"]
        return words("incremental_unclear", treatment=names["treatment"], **figures)
    case = "below" if high < attributed else "above" if low > attributed else "alike"
    return words(f"incremental_{case}", treatment=names["treatment"], **figures)


def arm_name(row: IncrementalRow, side: str) -> Phrase:
    """What readers call an arm: its title, else its own name."""
    given: dict[str, str] = getattr(row, f"{side}_title")
    plain = str(getattr(row, side)).replace("_", " ")
    return {code: given.get(code, plain) for code in LANGUAGES}


def _charts(row: IncrementalRow, language: str) -> tuple[str, str]:
    low, high = row.incremental_ci or (0.0, 0.0)
    attributed = float(row.attributed or 0)
    dots = [
        Dot(label=text("after_contact", language), value=attributed, low=attributed, high=attributed, tone="faint"),
        Dot(label=text("because_of_contact", language), value=row.incremental or 0.0, low=low, high=high),
    ]
    axis, name = text("incremental_axis", language), f"incremental-{language}"
    return interval_plot(dots, axis=axis, name=name), interval_plot(dots, axis=axis, name=f"{name}-narrow", narrow=True)


def _cells(row: IncrementalRow, language: str) -> list[str]:
    low, high = row.incremental_ci or (0.0, 0.0)
    count = {name: numbers.count(value)[language] for name, value in (("low", low), ("high", high))}
    rates = numbers.percents([row.control_rate or 0.0, row.treatment_rate or 0.0], sign=False)
    return [
        f"{arm_name(row, 'treatment')[language]} / {arm_name(row, 'control')[language]}",
        f"{numbers.count(row.n_treatment)[language]}\n/ {numbers.count(row.n_control)[language]}",
        rates[0][language],
        rates[1][language],
        f"{numbers.count(row.incremental or 0.0)[language]}\n{count['low']} … {count['high']}",
        numbers.count(row.attributed or 0)[language],
    ]
