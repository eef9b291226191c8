"""The report's sections with numbers: each a chart and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from foretouch.experiments import numbers
from foretouch.experiments.charts import Dot, Series, cumulative_plot, interval_plot
from foretouch.experiments.labels import label
from foretouch.experiments.results import Look, MetricResult, Results, SegmentResult
from foretouch.experiments.verdict import differences, title_of

MOST_ROWS = 60


@dataclass(frozen=True, kw_only=True)
class Block:
    """One section.

    Attributes:
        name: For ids.
        title: Heading.
        note: What the reader sees, in one sentence.
        header: Column names.
        rows: Cells as text.
        chart: An ``<svg>`` element, or nothing.
        sentences: Findings in words.
        texts: Columns that hold text rather than numbers.
        folded: The table is one click down.
    """

    name: str
    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    chart: str = ""
    sentences: Sequence[str] = ()
    texts: frozenset[int] = field(default=frozenset())
    folded: bool = False


def blocks_of(results: Results, language: str) -> list[Block]:
    """Every section that the results can fill, in the order of reading."""
    made = [
        metrics_block(results, language, secondary=False),
        *cumulative_blocks(results, language),
        segments_block(results, language),
        metrics_block(results, language, secondary=True),
        groups_block(results, language),
    ]
    return [block for block in made if block is not None]


def level_value(results: Results, row: MetricResult, value: float, language: str) -> str:
    """A mean in the metric's own unit."""
    if row.kind == "proportion":
        return numbers.percents([value], sign=False)[0][language]
    if row.money is not None and row.money.kind == "revenue":
        return numbers.money(value, results.currency, sign=False)[language]
    return numbers.amount(value)[language]


def metrics_block(results: Results, language: str, *, secondary: bool) -> Block | None:
    """Effects with intervals: what is decided on, or what is learned from."""
    rows = [row for row in results.metrics if (row.role == "secondary") is secondary]
    if not rows:
        return None
    anytime = results.basis == "anytime"
    level = f"{100 * (1 - results.alpha):.4g}%"
    many = len(results.arms) > 2
    limited = any(row.non_inferiority is not None for row in rows)
    dots, table = [], []
    for row in rows:
        title = title_of(results, row.name)[language]
        role = "" if secondary else f" ({label(row.role, language)})"
        interval = row.anytime_ci if anytime else row.ci
        lifts = _relative(row, interval, anytime=anytime)
        drawn = (lifts or _of_control(row, interval)) if row.control_mean > 0 else None
        if row.lift is not None and drawn is not None:
            dots.append(
                Dot(
                    label=f"{title} · {row.contrast}" if many else title,
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
            relative = f"{texts[0][language]} ({numbers.span(texts[1], texts[2])[language]})"
        cells = [
            f"{title}{role}",
            row.contrast,
            level_value(results, row, row.control_mean, language),
            level_value(results, row, row.treatment_mean, language),
            change[language],
            numbers.span(low, high)[language],
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
    header = [label(name, language) for name in ("metric", "arm", "control", "treatment", "change")]
    header += [label("anytime_interval" if anytime else "interval", language, level=level), label("lift", language)]
    if limited:
        header.append(label("state", language))
    name = "secondary" if secondary else "main"
    note = label("secondary_note" if secondary else "main_note", language, level=level)
    if limited:
        note += ("" if language == "zh" else " ") + label("limit_note", language)
    if anytime and not secondary:
        note += ("" if language == "zh" else " ") + label("main_note_anytime", language)
    chart = interval_plot(dots, axis=label("change_percent", language), name=f"{name}-{language}") if dots else ""
    return Block(
        name=name,
        title=label(name, language),
        note=note,
        header=header,
        rows=table,
        chart=chart,
        texts=frozenset({1, 7}),
    )


def _relative(row: MetricResult, interval: tuple[float, float], *, anytime: bool) -> tuple[float, float] | None:
    """The relative interval; beside a limit, which is absolute, the absolute one as a share of the control."""
    if row.non_inferiority is None:
        return row.anytime_lift_ci if anytime else row.lift_ci
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
    level = f"{100 * (1 - results.alpha):.4g}%"
    fixed = [_percent_range(look.lift_ci) for look in looks]
    anytime = [_percent_range(look.anytime_lift_ci) for look in looks]
    series = Series(
        days=[look.through for look in looks],
        values=[100 * (look.lift or 0.0) for look in looks],
        fixed=fixed,
        anytime=anytime,
    )
    texts = [label(key, language) for key in ("effect", "anytime_band", "fixed_band")]
    title = f"{label('cumulative', language)}: {title_of(results, row.name)[language]} · {row.contrast}"
    rows = [
        [
            look.through,
            numbers.count(look.n)[language],
            f"{value:+.1f}%",
            f"{low:+.1f}% … {high:+.1f}%",
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
        chart=cumulative_plot(series, axis=label("change_percent", language), labels=texts, name=name),
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
    level = f"{100 * (1 - results.alpha):.4g}%"
    return Block(
        name="segments",
        title=f"{label('segments', language)}: {metric} · {primary.contrast}",
        note=label("segments_note", language),
        header=[
            label("segment", language),
            label("customers", language),
            label("change", language),
            label("interval", language, level=level),
        ],
        rows=rows,
        chart=interval_plot(dots, axis=label("change_percent", language), name=f"segments-{language}", centre=centre)
        if dots
        else "",
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


def groups_block(results: Results, language: str) -> Block:
    """Who took part: sizes against the plan, and how many were told to be contacted."""
    enrolment = results.enrolment
    header = [label(key, language) for key in ("arm", "customers", "expected", "planned")]
    if enrolment is not None:
        header.append(label("contacted", language))
    rows = []
    for arm, size in results.arms.items():
        expected = results.srm.expected.get(arm)
        share = numbers.percents([results.weights[arm]], sign=False)[0][language]
        due = "–" if expected is None else numbers.count(expected)[language]
        row = [arm, numbers.count(size)[language], due, share]
        if enrolment is not None:
            told = enrolment.contacted.get(arm)
            row.append("–" if told is None else numbers.percents([told], sign=False)[0][language])
        rows.append(row)
    return Block(name="groups", title=label("groups", language), note="", header=header, rows=rows)
