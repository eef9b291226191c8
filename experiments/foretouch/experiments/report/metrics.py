"""The report's sections on metrics: a plot of effects with their intervals, and the same as a table."""

from collections.abc import Sequence

from foretouch.experiments.analysis.definitions import DEFINITIONS, definition
from foretouch.experiments.report import numbers
from foretouch.experiments.report.charts import Dot, interval_plot
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import RESULTS, meanings
from foretouch.experiments.report.names import arm_title, differences, levels, title_of
from foretouch.experiments.report.section import Block
from foretouch.experiments.results import MetricResult, Results


def metrics_block(results: Results, language: str, *, secondary: bool) -> Block | None:
    """Effects with intervals: what is decided on, or what is learned from."""
    rows = [row for row in results.metrics if (row.role == "secondary") is secondary]
    if not rows:
        return None
    many = len(results.arms) > 2
    limited = any(row.non_inferiority is not None for row in rows)
    name = "secondary" if secondary else "main"
    charts = interval_plots(
        [dot for row in rows for dot in _dots(results, row, language)],
        axis=label("change_percent", language),
        name=f"{name}-{language}",
        title=label("main_chart", language),
    )
    return Block(
        name=name,
        title=label(name, language),
        note=_note(results, rows, language, limited=limited),
        header=_header(results, rows[0], language, limited=limited),
        rows=[_cells(results, row, language, limited=limited) for row in rows],
        chart=charts[0],
        narrow=charts[1],
        texts=frozenset({1}) if many else frozenset(),
        footnotes=[
            label(
                "definition_main",
                language,
                change=definition("difference", DEFINITIONS["difference"], language),
                lift=definition("lift", DEFINITIONS["lift"], language),
            )
        ],
        meanings=meanings(RESULTS, _columns(results, rows, limited=limited), language),
        place="metrics",
    )


def _columns(results: Results, rows: Sequence[MetricResult], *, limited: bool) -> list[str]:
    """What each column holds, by the names of the definitions."""
    interval = {"fixed": "ci", "anytime": "anytime_ci"}.get(results.basis, results.basis)
    of_lift = "anytime_lift_ci" if results.basis == "anytime" else "lift_ci"
    beside = ["unadjusted"] if any(row.unadjusted is not None for row in rows) else []
    beside += ["cap"] if any(row.without_cap is not None for row in rows) else []
    return [
        "",
        *([""] if len(results.arms) > 2 else []),
        "control_mean",
        "treatment_mean",
        " ".join(["difference", interval, *beside]),
        f"lift {of_lift}",
        *(["non_inferiority"] if limited else []),
    ]


def _note(results: Results, rows: Sequence[MetricResult], language: str, *, limited: bool) -> str:
    secondary = rows[0].role == "secondary"
    keys = ["secondary_note" if secondary else "main_note"]
    keys += ["limit_note"] if limited else []
    keys += ["main_note_anytime"] if results.basis == "anytime" and not secondary else []
    keys += ["raw_note"] if any(row.unadjusted is not None for row in rows) else []
    level = numbers.percent(1.0 - results.alpha)
    return ("" if language == "zh" else " ").join(label(key, language, level=level) for key in keys)


def _header(results: Results, first: MetricResult, language: str, *, limited: bool) -> list[str]:
    many = len(results.arms) > 2
    between = label(
        "anytime_interval" if results.basis == "anytime" else "interval",
        language,
        level=numbers.percent(1.0 - results.alpha),
    )
    return [
        label("metric", language),
        *([label("arm", language)] if many else []),
        arm_title(results, first.control)[language],
        label("treatment", language) if many else arm_title(results, first.contrast)[language],
        *(f"{label(key, language)}\n{between}" for key in ("change", "lift")),
        *([label("state", language)] if limited else []),
    ]


def _cells(results: Results, row: MetricResult, language: str, *, limited: bool) -> list[str]:
    title = title_of(results, row.name)[language]
    role = "" if row.role == "secondary" else f" ({label(row.role, language)})"
    lifts = _relative(row, row.decisive_ci)
    change, low, high = differences(results, row, (row.difference, *row.decisive_ci))
    relative = "–" if row.lift is None else numbers.percents([row.lift])[0][language]
    if row.lift is not None and lifts is not None:
        texts = numbers.percents((row.lift, *lifts))
        relative = f"{texts[0][language]}\n{numbers.span(texts[1], texts[2])[language]}"
    before, after = levels(results, row, (row.control_mean, row.treatment_mean))
    cells = [
        f"{title}{role}",
        *([arm_title(results, row.contrast)[language]] if len(results.arms) > 2 else []),
        before[language],
        after[language],
        "\n".join([change[language], numbers.span(low, high)[language], *_beside(results, row, language)]),
        relative,
    ]
    if limited:
        limit = row.non_inferiority
        word = "" if limit is None else "limit_broken" if limit.status == "broken" else limit.status
        cells.append(label(word, language) if word else "–")
    return cells


def _dots(results: Results, row: MetricResult, language: str) -> list[Dot]:
    """The effect as it decides, and as it is without covariates and strata."""
    drawn = (_relative(row, row.decisive_ci) or _of_control(row, row.decisive_ci)) if row.control_mean > 0 else None
    if row.lift is None or drawn is None:
        return []
    title = title_of(results, row.name)[language]
    name = f"{title} · {arm_title(results, row.contrast)[language]}" if len(results.arms) > 2 else title
    dots = [
        Dot(
            label=name,
            value=100 * row.lift,
            low=100 * drawn[0],
            high=100 * drawn[1],
            tone=_tone(row, results.alpha),
            margin=_margin(row),
        )
    ]
    raw = row.unadjusted
    if raw is not None and raw.lift is not None and raw.lift_ci is not None:
        # beside an interval that may be read on any day, one for a single look would seem sharper than it is
        low, high = (100 * end for end in (raw.lift_ci if results.basis == "fixed" else (raw.lift, raw.lift)))
        told = label("raw_dot", language, metric=name)
        dots.append(Dot(label=told, value=100 * raw.lift, low=low, high=high, tone="faint"))
    return dots


def interval_plots(
    dots: Sequence[Dot], *, axis: str, name: str, title: str, centre: float | None = None
) -> tuple[str, str]:
    """The chart for a page and the one for a phone; nothing where there is nothing to draw."""
    if not dots:
        return "", ""
    return (
        interval_plot(dots, axis=axis, name=name, title=title, centre=centre),
        interval_plot(dots, axis=axis, name=f"{name}-narrow", title=title, centre=centre, narrow=True),
    )


def _beside(results: Results, row: MetricResult, language: str) -> list[str]:
    """The effect as it is without covariates and strata, and without the cap."""
    found = []
    if row.unadjusted is not None:
        found.append(label("raw", language, value=differences(results, row, [row.unadjusted.difference])[0]))
    if row.without_cap is not None:
        found.append(label("uncapped", language, value=differences(results, row, [row.without_cap["difference"]])[0]))
    return found


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
