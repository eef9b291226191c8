"""Attribution as sections of the page: one of channels, one of offers."""

from collections.abc import Sequence

from foretouch.experiments.insights.charts import Bar, bars_for_both
from foretouch.experiments.insights.contract import Attribution, AttributionRow, Insights
from foretouch.experiments.insights.texts import called, text
from foretouch.experiments.insights.touch_attribution import MODELS
from foretouch.experiments.insights.touch_rules import HALF_LIFE_DAYS
from foretouch.experiments.report import numbers
from foretouch.experiments.report.meanings import meaning, meanings
from foretouch.experiments.report.section import Block

MOST_ROWS = 12
"""Offers that the table names; the rest is one line."""
ALIKE = 0.05
"""Methods agree where they differ by less than this share of the conversions."""


def attribution_blocks(insights: Insights, language: str) -> list[Block]:
    """Which channels and offers came before the conversions."""
    found = insights.attribution
    if found is None or not found.conversions:
        return []
    made = []
    for dimension in ("channel", "offer"):
        rows = [row for row in found.rows if row.dimension == dimension]
        made.append(_block(insights, found, rows, dimension, language))
    return made


def _block(
    insights: Insights, found: Attribution, rows: Sequence[AttributionRow], dimension: str, language: str
) -> Block:
    def name_of(row: AttributionRow) -> str:
        return called(insights, row.touch, language)

    shown, rest = rows[:MOST_ROWS], rows[MOST_ROWS:]
    table = [_cells(name_of(row), row.touches, row.credit) for row in shown]
    if rest:
        sums = {model: sum(row.credit[model] for row in rest) for model in MODELS}
        name = text("attribution_rest", language, count=len(rest))
        table.append(_cells(name, sum(row.touches for row in rest), sums))
    bars = [Bar(label=name_of(row), value=row.credit["markov"], shown=f"{row.credit['markov']:,.1f}") for row in shown]
    charts = bars_for_both(bars, name=f"attribution-{dimension}-{language}")
    conversions = numbers.count(found.conversions)
    sentences = [_agreement(insights, found, rows, language)]
    if dimension == "channel":
        sentences.insert(
            0,
            text(
                "attribution_counts",
                language,
                conversions=conversions,
                days=f"{found.window_days:g}",
                touches=f"{found.touches_per_conversion or 0.0:.2f}",
                alone=numbers.count(found.without_touch),
            ),
        )
    return Block(
        name=f"attribution-{dimension}",
        title=text(f"attribution_{dimension}", language),
        note=text("attribution_note", language, conversions=conversions),
        header=[text(name, language) for name in ("touch", "touches", *(f"model_{model}" for model in MODELS))],
        rows=table,
        chart=charts[0],
        narrow=charts[1],
        sentences=sentences,
        folded=True,
        footnotes=[text("attribution_foot", language, half=f"{HALF_LIFE_DAYS:g}")],
        meanings=meanings("insights", ("", "touches", *MODELS), language),
        also=[(text("conversions_name", language), meaning("insights", "conversions without_touch", language))],
        place="attribution",
    )


def _cells(name: str, touches: int, credit: dict[str, float]) -> list[str]:
    return [name, f"{touches:,}", *(f"{credit[model]:,.1f}" for model in MODELS)]


def _agreement(insights: Insights, found: Attribution, rows: Sequence[AttributionRow], language: str) -> str:
    """Whether it matters which method is chosen."""
    spread, touch = max((max(row.credit.values()) - min(row.credit.values()), row.touch) for row in rows)
    key = "attribution_agree" if spread <= max(1.0, ALIKE * found.conversions) else "attribution_differ"
    values = {"most": f"{spread:,.1f}"} | (
        {"touch": called(insights, touch, language)} if key == "attribution_differ" else {}
    )
    return text(key, language, **values)
