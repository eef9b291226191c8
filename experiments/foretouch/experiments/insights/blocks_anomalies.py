"""Days that stand out, as a section of the page."""

from foretouch.experiments.insights.anomalies import COUNTS
from foretouch.experiments.insights.charts import band_plot
from foretouch.experiments.insights.contract import DailyPoint, DailySeries, Insights, Words
from foretouch.experiments.insights.texts import text, words
from foretouch.experiments.report import numbers
from foretouch.experiments.report.catalogue import LANGUAGES, Phrase
from foretouch.experiments.report.meanings import meanings
from foretouch.experiments.report.section import Block

MOST_DAYS = 12
"""Days that the table names."""
DRAWN = ("conversions", "revenue", "decisions")
"""The first of these that can be judged is drawn, unless another one has more days that stand out."""


def anomaly_blocks(insights: Insights, language: str) -> list[Block]:
    """Days outside their expected band."""
    if not insights.daily:
        return []
    odd = _odd(insights)
    drawn = _drawn(insights)
    name = f"daily-{language}"
    charts = ("", "") if drawn is None else (_chart(drawn, language, name), _chart(drawn, language, name, narrow=True))
    rows = [
        [
            f"{numbers.day_of(point.day)[language]}: {text(f'series_{series.name}', language)}",
            _shown(series, point.value, insights.currency)[language],
            _expected(series, point, insights.currency, language),
        ]
        for series, point in odd[:MOST_DAYS]
    ]
    return [
        Block(
            name="daily",
            title=text("daily", language),
            note=text("daily_note", language),
            header=[text(key, language) for key in ("daily_day", "daily_value", "daily_expected")] if rows else [],
            rows=rows,
            chart=charts[0],
            narrow=charts[1],
            sentences=[getattr(item, f"text_{language}") for item in anomaly_words(insights)],
            footnotes=[text("daily_foot", language)],
            meanings=meanings("insights", ("", "daily", "daily"), language),
            place="daily",
        )
    ]


def anomaly_words(insights: Insights) -> list[Words]:
    """How many days stand out, the oddest of them, and how many would by chance."""
    judged = sum(series.judged for series in insights.daily)
    if not judged:
        needed = max((series.needed_days for series in insights.daily), default=0)
        return [words("daily_short", needed=needed)]
    odd = _odd(insights)
    told = [words("daily_count", count=len(odd), judged=numbers.count(judged), chance=f"{judged / 100:.1f}")]
    if odd:
        series, point = odd[0]
        title: Phrase = {code: text(f"series_{series.name}", code) for code in LANGUAGES}
        ends = {
            name: _shown(series, value or 0.0, insights.currency)
            for name, value in (("value", point.value), ("low", point.low), ("high", point.high))
        }
        told.append(words("daily_oddest", day=numbers.day_of(point.day), series=title, **ends))
    return told


def _odd(insights: Insights) -> list[tuple[DailySeries, DailyPoint]]:
    """Days outside their band, those furthest outside first."""
    found = [(series, point) for series in insights.daily for point in series.points if point.outside]
    return sorted(found, key=lambda item: (-_distance(item[1]), item[1].day, item[0].name))


def _distance(point: DailyPoint) -> float:
    """How many widths of its band a day lies outside."""
    low, high = point.low or 0.0, point.high or 0.0
    return max(low - point.value, point.value - high) / max(high - low, 1e-9)


def _drawn(insights: Insights) -> DailySeries | None:
    judged = [series for series in insights.daily if series.judged]
    if not judged:
        return None
    rank = {name: index for index, name in enumerate(DRAWN)}
    return min(judged, key=lambda series: (-series.outside, rank.get(series.name, len(DRAWN)), series.name))


def _chart(series: DailySeries, language: str, name: str, *, narrow: bool = False) -> str:
    labels = [text(f"series_{series.name}", language), text("daily_band", language), text("daily_outside", language)]
    bands = [None if point.low is None or point.high is None else (point.low, point.high) for point in series.points]
    return band_plot(
        [point.day for point in series.points],
        [point.value for point in series.points],
        bands,
        labels=labels,
        name=f"{name}-narrow" if narrow else name,
        narrow=narrow,
    )


def _shown(series: DailySeries, value: float, currency: str) -> Phrase:
    return numbers.count(value) if series.name in COUNTS else numbers.money(value, currency, sign=False)


def _expected(series: DailySeries, point: DailyPoint, currency: str, language: str) -> str:
    ends = (_shown(series, end or 0.0, currency)[language] for end in (point.low, point.high))
    return " … ".join(ends)
