"""The report's sections on effects: each a chart and the same as a table."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from foretouch.experiments.report import numbers
from foretouch.experiments.report.audience import groups_block, plan_block
from foretouch.experiments.report.charts import Dot, Series, cumulative_plot
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import RESULTS, meaning, meanings
from foretouch.experiments.report.metrics import interval_plots, metrics_block
from foretouch.experiments.report.names import arm_title, differences, title_of
from foretouch.experiments.report.progress import sample_left
from foretouch.experiments.report.section import Block
from foretouch.experiments.results import Look, MetricResult, Results, SegmentResult
from foretouch.experiments.uplift.blocks import WORDS, uplift_blocks

MOST_ROWS = 60


def blocks_of(results: Results, language: str) -> list[Block]:
    """Every section that the results can fill, in the order of reading."""
    made = [
        metrics_block(results, language, secondary=False),
        *cumulative_blocks(results, language),
        segments_block(results, language),
        *_uplift_blocks(results, language),
        metrics_block(results, language, secondary=True),
        plan_block(results, language),
        groups_block(results, language),
    ]
    return [block for block in made if block is not None]


def _uplift_blocks(results: Results, language: str) -> list[Block]:
    """Whom to contact by the score that the spec names, for the arm that the verdict is on."""
    arm = results.verdict.contrast or next(iter(results.uplift), "")
    if arm not in results.uplift:
        return []
    found = results.uplift[arm].replace(outcome=title_of(results, results.uplift[arm].outcome)[language])
    blocks = uplift_blocks(found, language)
    name = WORDS.text("of_experiment", language, score=found.score, arm=arm_title(results, arm)[language])
    return [replace(blocks[0], title=f"{name}. {blocks[0].title}"), *blocks[1:]]


def cumulative_blocks(results: Results, language: str) -> list[Block]:
    """One curve per primary contrast."""
    found = []
    for number, row in enumerate(row for row in results.metrics if row.role == "primary"):
        looks = [
            look
            for look in results.cumulative
            if (look.name, look.contrast) == (row.name, row.contrast) and look.lift is not None
        ]
        drawn = [look for look in looks if look.lift_ci is not None and look.anytime_lift_ci is not None]
        if len(drawn) < 3:
            continue
        found.append(_cumulative_block(results, row, drawn, f"cumulative-{number}-{language}", language))
    return found


def _cumulative_block(results: Results, row: MetricResult, looks: Sequence[Look], name: str, language: str) -> Block:
    level = numbers.percent(1.0 - results.alpha)[language]
    fixed = [_percent_range(look.lift_ci) for look in looks]
    anytime = [_percent_range(look.anytime_lift_ci) for look in looks]
    series = Series(
        days=[look.through for look in looks],
        values=[100 * (look.lift or 0.0) for look in looks],
        fixed=fixed,
        anytime=anytime,
    )
    texts = [label(key, language) for key in ("effect", "anytime_band", "fixed_band")]
    arm = arm_title(results, row.contrast)[language]
    title = f"{label('cumulative', language)}: {title_of(results, row.name)[language]} · {arm}"
    axis = label("change_percent", language)
    rows = [
        [
            numbers.day_of(look.through)[language],
            numbers.count(look.n)[language],
            numbers.percents([value / 100.0])[0][language],
            numbers.span(*numbers.percents((low / 100.0, high / 100.0)))[language],
        ]
        for look, value, (low, high) in zip(looks, series.values, anytime, strict=True)
    ]
    header = [label("day", language), label("customers", language), label("lift", language)]
    header.append(label("anytime_interval", language, level=level))
    end = None if results.ends_at is None else results.ends_at.date().isoformat()
    told = "" if results.ends_at is None else label("planned_end", language, day=numbers.day(results.ends_at))
    charts = [
        cumulative_plot(
            replace(series, days=[numbers.day_of(day)[language] for day in series.days], after=_after(series, end)),
            axis=axis,
            labels=[*texts, told],
            name=f"{name}-narrow" if narrow else name,
            title=title,
            narrow=narrow,
        )
        for narrow in (False, True)
    ]
    return Block(
        name=name,
        title=title,
        note=label("cumulative_note", language),
        extra=sample_left(results, row, language, name=name),
        header=header,
        rows=rows[-MOST_ROWS:],
        chart=charts[0],
        narrow=charts[1],
        folded=True,
        meanings=meanings(RESULTS, ("", "n", "lift", "anytime_lift_ci"), language),
        also=[
            (label("fixed_band", language), meaning(RESULTS, "lift_ci", language)),
            (label("how_left", language), meaning(RESULTS, "sample_left more_units", language)),
        ],
        place="cumulative",
    )


def _after(series: Series, end: str | None) -> float | None:
    """By how many looks the planned end lies after the last one; None where the looks are no days."""
    try:
        first, last = (date.fromisoformat(series.days[place]) for place in (0, -1))
        planned = date.fromisoformat(end or "")
    except ValueError:
        return None
    step = (last - first).days / (len(series.days) - 1)
    return (planned - last).days / step if step > 0.0 and planned >= first else None


def _percent_range(pair: tuple[float, float] | None) -> tuple[float, float]:
    low, high = pair or (0.0, 0.0)
    return (100 * low, 100 * high)


def segments_block(results: Results, language: str) -> Block | None:
    """The primary metric by segment, intervals at the false coverage rate, and one sentence on differences."""
    leading = [row for row in results.metrics if row.role == "primary"]
    spoken_of = [row for row in leading if row.contrast == results.verdict.contrast]
    primary = next(iter(spoken_of or leading), None)
    if primary is None:
        return None
    cells = [cell for cell in results.segments if (cell.name, cell.contrast) == (primary.name, primary.contrast)]
    if not cells:
        return None
    metric = title_of(results, primary.name)[language]
    sentences = [
        label(
            "q_test",
            language,
            sentence=label(
                "q_differs" if test.p < results.alpha else "q_same", language, metric=metric, segment=test.segment
            ).rstrip(".。"),
            p=numbers.figures(test.p, 2),
        )
        for test in results.heterogeneity
        if (test.name, test.contrast) == (primary.name, primary.contrast)
    ]
    dots = [_segment_dot(cell) for cell in cells if cell.control_mean > 0]
    rows = []
    for cell in cells:
        change, low, high = differences(results, primary, (cell.difference, *cell.ci_fcr))
        customers = numbers.count(cell.n_control + cell.n_treatment)[language]
        rows.append([f"{cell.segment}: {cell.value}", customers, change[language], numbers.span(low, high)[language]])
    centre = None if primary.lift is None else 100 * primary.lift
    level = numbers.percent(1.0 - results.alpha)[language]
    title = f"{label('segments', language)}: {metric} · {arm_title(results, primary.contrast)[language]}"
    charts = interval_plots(
        dots, axis=label("change_percent", language), name=f"segments-{language}", title=title, centre=centre
    )
    return Block(
        name="segments",
        title=title,
        note=label("segments_note", language),
        header=[
            label("segment", language),
            label("customers", language),
            label("change", language),
            label("interval", language, level=level),
        ],
        rows=rows,
        chart=charts[0],
        narrow=charts[1],
        sentences=sentences,
        folded=True,
        meanings=meanings(RESULTS, ("", "n", "difference", "ci_fcr"), language),
        also=[("Q", meaning(RESULTS, "heterogeneity", language))],
        place="segments",
    )


def _segment_dot(cell: SegmentResult) -> Dot:
    """Relative to the segment's own control mean, which is taken as known here."""
    scale = 100 / cell.control_mean
    return Dot(
        label=f"{cell.segment}: {cell.value}",
        value=scale * cell.difference,
        low=scale * cell.ci_fcr[0],
        high=scale * cell.ci_fcr[1],
        tone="faint",
    )
