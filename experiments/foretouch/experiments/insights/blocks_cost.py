"""Cost and profit as a section of the page."""

from foretouch.experiments.insights.blocks_incremental import arm_name
from foretouch.experiments.insights.charts import Bar, bars_for_both
from foretouch.experiments.insights.contract import CostRow, Insights, Words
from foretouch.experiments.insights.texts import called, text, words
from foretouch.experiments.report import numbers
from foretouch.experiments.report.meanings import meaning, meanings
from foretouch.experiments.report.section import Block

MOST_ROWS = 14
MEANT = ("contacts", "contact_cost", "costs__conversions", "costs__value", "offer_cost", "profit", "roi")
"""Definitions of the table's columns after the first."""


def cost_blocks(insights: Insights, language: str) -> list[Block]:
    """What contacts cost, what is credited to them, and what one more conversion costs."""
    if not insights.costs:
        return []
    header = ("touch", "contacts", "contact_cost", "credited", "value", "offer_cost", "profit", "roi")
    bars = [
        Bar(
            label=called(insights, row.touch, language),
            value=row.profit,
            shown=numbers.money(row.profit, insights.currency, sign=False)[language],
            tone="good" if row.profit > 0.0 else "bad",
        )
        for row in insights.costs[:MOST_ROWS]
        if row.dimension != "all"
    ]
    charts = bars_for_both(bars, name=f"costs-{language}")
    return [
        Block(
            name="costs",
            title=text("costs", language),
            note=text("costs_note", language),
            header=[text(name, language) for name in header],
            rows=[_cells(insights, row, language) for row in insights.costs[:MOST_ROWS]],
            chart=charts[0],
            narrow=charts[1],
            sentences=[getattr(item, f"text_{language}") for item in cost_words(insights)],
            folded=True,
            meanings=meanings("insights", ("", *MEANT), language),
            also=[(text("cost_per_name", language), meaning("insights", "cost_per_incremental", language))],
            place="costs, incremental",
        )
    ]


def cost_words(insights: Insights) -> list[Words]:
    """What one more conversion costs and what contacting earned, where a holdout can tell."""
    row = next(
        (row for row in insights.incremental if row.level == "no_contact" and row.contact_cost is not None), None
    )
    if row is None:
        return []

    def shown(value: float, *, sign: bool = False) -> dict[str, str]:
        return dict(numbers.money(value, insights.currency, sign=sign))

    if row.cost_per_incremental is None or row.cost_per_incremental_ci is None:
        told = [words("cost_per_unclear")]
    else:
        low, high = (shown(end) for end in row.cost_per_incremental_ci)
        told = [words("cost_per", value=shown(row.cost_per_incremental), low=low, high=high)]
    if row.profit is not None and row.profit_ci is not None:
        low, high = (shown(end) for end in row.profit_ci)
        name = arm_name(row, "treatment")
        told.append(words("profit_caused", treatment=name, value=shown(row.profit), low=low, high=high))
    return told


def _cells(insights: Insights, row: CostRow, language: str) -> list[str]:
    currency = insights.currency

    def shown(value: float) -> str:
        return numbers.money(value, currency, sign=False)[language]

    return [
        text("all_contacts", language) if row.dimension == "all" else called(insights, row.touch, language),
        numbers.count(row.contacts)[language],
        shown(row.contact_cost),
        numbers.count(row.conversions)[language],
        shown(row.value),
        shown(row.offer_cost),
        shown(row.profit),
        "–" if row.roi is None else numbers.percents([row.roi])[0][language],
    ]
