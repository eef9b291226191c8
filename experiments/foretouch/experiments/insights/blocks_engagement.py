"""From sends to conversions as a section of the page."""

from foretouch.experiments.insights.charts import Bar, bars_for_both
from foretouch.experiments.insights.contract import Engagement, EngagementRow, Insights, Words
from foretouch.experiments.insights.texts import called, text, words
from foretouch.experiments.report import numbers
from foretouch.experiments.report.meanings import meanings
from foretouch.experiments.report.section import Block

MOST_OFFERS = 10
"""Offers that the table names."""
STEPS = ("sent", "delivered", "opened", "clicked", "converted")


def engagement_blocks(insights: Insights, language: str) -> list[Block]:
    """What became of the contacts."""
    found = insights.engagement
    if found is None or not found.total.decided:
        return []
    days = insights.attribution.window_days if insights.attribution else 0.0
    tones = {"sent": "faint", "converted": "good"}
    bars = [
        Bar(
            label=text(step, language),
            value=getattr(found.total, step),
            shown=numbers.count(getattr(found.total, step))[language],
            tone=tones.get(step, "open"),
        )
        for step in STEPS
    ]
    charts = bars_for_both(bars, name=f"engagement-{language}")
    return [
        Block(
            name="engagement",
            title=text("engagement", language),
            note=text("engagement_note", language),
            header=[text("channel_or_offer", language), *(text(step, language) for step in STEPS)],
            rows=[
                _cells(insights, row, language) for row in (found.total, *found.channels, *found.offers[:MOST_OFFERS])
            ],
            chart=charts[0] if found.total.delivered else "",
            narrow=charts[1] if found.total.delivered else "",
            sentences=[getattr(item, f"text_{language}") for item in engagement_words(found)],
            folded=True,
            footnotes=[text("engagement_foot", language, days=f"{days:g}")],
            meanings=meanings("insights", ("", *STEPS), language),
            place="engagement",
        )
    ]


def engagement_words(found: Engagement) -> list[Words]:
    """How many arrived, were opened, clicked and converted; machines and farewells."""
    total = found.total
    if not total.delivered:
        return [words("engagement_silent")]
    shares = {
        f"{step}_share": _share(getattr(total, step), total.sent if step == "delivered" else total.delivered)
        for step in STEPS[1:]
    }
    counts = {step: numbers.count(getattr(total, step)) for step in STEPS}
    told = [words("engagement_sentence", **counts, **shares)]
    if total.machine_only:
        told.append(words("engagement_machines", count=numbers.count(total.machine_only)))
    if total.unsubscribed:
        share = _share(total.unsubscribed, total.delivered)
        told.append(words("engagement_unsubscribed", count=numbers.count(total.unsubscribed), share=share))
    return told


def _share(part: int, whole: int) -> str:
    return numbers.percents([part / whole if whole else 0.0], sign=False)[0]["en"]


def _cells(insights: Insights, row: EngagementRow, language: str) -> list[str]:
    if row.channel == row.offer_id:
        name = text("all_contacts", language)
    else:
        name = called(insights, row.offer_id, language) if row.channel == "*" else row.channel
    cells = [name, numbers.count(row.sent)[language]]
    for step in STEPS[1:]:
        value = getattr(row, step)
        base = row.sent if step == "delivered" else row.delivered
        cells.append(f"{numbers.count(value)[language]}\n{_share(value, base)}")
    return cells
