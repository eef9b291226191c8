"""The report's sections on effects: each a chart and the same as a table."""

from collections.abc import Sequence

from foretouch.experiments.report import numbers
from foretouch.experiments.report.audience import groups_block, plan_block
from foretouch.experiments.report.charts import Dot, Series, cumulative_plot, interval_plot
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.names import arm_title, differences, levels, title_of
from foretouch.experiments.report.section import Block
from foretouch.experiments.results import Look, MetricResult, Results, SegmentResult

MOST_ROWS = 60


def blocks_of(results: Results, language: str) -> list[Block]:
    """Every section that the results can fill, in the order of reading."""
    made = [
        metrics_block(results, language, secondary=False),
        *cumulative_blocks(results, language),
        segments_block(results, language),
        metrics_block(results, language, secondary=True),
        plan_block(results, language),
        groups_block(results, language),
    ]
    return [block for block in made if block is not None]


def metrics_block(results: Results, language: str, *, secondary: bool) -> Block | None:
    """Effects with intervals: what is decided on, or what is learned from."""
    rows = [row for row in results.metrics if (row.role == "secondary") is secondary]
    if not rows:
        return None
    anytime = results.basis == "anytime"
    level = numbers.percent(1.0 - results.alpha)[language]
    many = len(results.arms) > 2
    limited = any(row.non_inferiority is not None for row in rows)
    dots, table = [], []
    for row in rows:
        title = title_of(results, row.name)[language]
        role = "" if secondary else f" ({label(row.role, language)})"
        interval = row.decisive_ci
        lifts = _relative(row, interval)
        drawn = (lifts or _of_control(row, interval)) if row.control_mean > 0 else None
        if row.lift is not None and drawn is not None:
            dots.append(
                Dot(
                    label=f"{title} · {arm_title(results, row.contrast)[language]}" if many else title,
                    value=100 * row.lift,
                    low=100 * drawn[0],
                    high=100 * drawn[1],
                    tone=_tone(row, results.alpha),
                    margin=_margin(row),
                )
            )
        change, low, high = differences(results, row, (row.difference, *interval))
        relative = "–" if row.lift is None else numbers.percents([row.lift])[0][language]
        if row.lift is not None and lifts is not None:
            texts = numbers.percents((row.lift, *lifts))
            relative = f"{texts[0][language]}\n{numbers.span(texts[1], texts[2])[language]}"
        before, after = levels(results, row, (row.control_mean, row.treatment_mean))
        cells = [
            f"{title}{role}",
            *([arm_title(results, row.contrast)[language]] if many else []),
            before[language],
            after[language],
            f"{change[language]}\n{numbers.span(low, high)[language]}",
            relative,
        ]
        if limited:
            limit = row.non_inferiority
            state = "–"
            if limit is not None:
                word = "limit_broken" if limit.status == "broken" else limit.status
                state = label(word, language)
            cells.append(state)
        table.append(cells)
    between = label("anytime_interval" if anytime else "interval", language, level=level)
    first, second = rows[0].control, rows[0].contrast
    header = [label("metric", language), *([label("arm", language)] if many else [])]
    header.append(arm_title(results, first)[language])
    header.append(label("treatment", language) if many else arm_title(results, second)[language])
    header += [f"{label(key, language)}\n{between}" for key in ("change", "lift")]
    if limited:
        header.append(label("state", language))
    name = "secondary" if secondary else "main"
    note = label("secondary_note" if secondary else "main_note", language, level=level)
    if limited:
        note += ("" if language == "zh" else " ") + label("limit_note", language)
    if anytime and not secondary:
        note += ("" if language == "zh" else " ") + label("main_note_anytime", language)
    charts = _pair(
        dots, axis=label("change_percent", language), name=f"{name}-{language}", title=label("main_chart", language)
    )
    return Block(
        name=name,
        title=label(name, language),
        note=note,
        header=header,
        rows=table,
        chart=charts[0],
        narrow=charts[1],
        texts=frozenset({1}) if many else frozenset(),
    )


def _pair(dots: Sequence[Dot], *, axis: str, name: str, title: str, centre: float | None = None) -> tuple[str, str]:
    """The chart for a page and the one for a phone; nothing where there is nothing to draw."""
    if not dots:
        return "", ""
    return (
        interval_plot(dots, axis=axis, name=name, title=title, centre=centre),
        interval_plot(dots, axis=axis, name=f"{name}-narrow", title=title, centre=centre, narrow=True),
    )


def _relative(row: MetricResult, interval: tuple[float, float]) -> tuple[float, float] | None:
    """The relative interval; beside a limit, which is absolute, the absolute one as a share of the control."""
    if row.non_inferiority is None:
        return row.decisive_lift_ci
    return _of_control(row, interval)


def _of_control(row: MetricResult, interval: tuple[float, float]) -> tuple[float, float] | None:
    """An absolute interval as a share of the control mean, which is taken as known."""
    if row.control_mean <= 0:
        return None
    return (interval[0] / row.control_mean, interval[1] / row.control_mean)


def _tone(row: MetricResult, alpha: float) -> str:
    if row.non_inferiority is not None and row.role == "guardrail":
        return {"passed": "good", "broken": "bad"}.get(row.non_inferiority.status, "open")
    if row.p_adjusted >= alpha:
        return "open"
    return "good" if (row.difference > 0) == (row.better == "up") else "bad"


def _margin(row: MetricResult) -> float | None:
    if row.non_inferiority is None or row.control_mean <= 0:
        return None
    relative = 100 * row.non_inferiority.margin / row.control_mean
    return -relative if row.better == "up" else relative


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
    return Block(
        name=name,
        title=title,
        note=label("cumulative_note", language),
        header=header,
        rows=rows[-MOST_ROWS:],
        chart=cumulative_plot(series, axis=axis, labels=texts, name=name, title=title),
        narrow=cumulative_plot(series, axis=axis, labels=texts, name=f"{name}-narrow", title=title, narrow=True),
        folded=True,
    )


def _percent_range(pair: tuple[float, float] | None) -> tuple[float, float]:
    low, high = pair or (0.0, 0.0)
    return (100 * low, 100 * high)


def segments_block(results: Results, language: str) -> Block | None:
    """The primary metric by segment, intervals at the false coverage rate, and one sentence on differences."""
    primary = next((row for row in results.metrics if row.role == "primary"), None)
    if primary is None:
        return None
    cells = [cell for cell in results.segments if (cell.name, cell.contrast) == (primary.name, primary.contrast)]
    if not cells:
        return None
    metric = title_of(results, primary.name)[language]
    sentences = [
        label("q_differs" if test.p < results.alpha else "q_same", language, metric=metric, segment=test.segment)
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
    charts = _pair(
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
