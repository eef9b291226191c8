"""The period in a few plain sentences from a fixed table: who was reached, what came of it and cost, what is odd."""

from foretouch.experiments.insights.blocks_anomalies import anomaly_words
from foretouch.experiments.insights.blocks_cost import cost_words
from foretouch.experiments.insights.blocks_engagement import engagement_words
from foretouch.experiments.insights.blocks_funnel import funnel_words
from foretouch.experiments.insights.blocks_incremental import incremental_words
from foretouch.experiments.insights.contract import Insights, Words

TOLD = {
    "funnel_people",
    "funnel_most",
    "engagement_sentence",
    "engagement_silent",
    "cost_per",
    "cost_per_unclear",
    "profit_caused",
    "daily_oddest",
}
"""Codes of sentences that the summary takes from its sections."""


def summary(insights: Insights) -> tuple[Words, ...]:
    """What a reader in a hurry should know; nothing where nothing was decided.

    Of the comparisons with holdouts only the first is told: the strictest one.
    """
    if not insights.funnel.decisions:
        return ()
    found = list(funnel_words(insights.funnel))
    if insights.engagement is not None and insights.engagement.total.decided:
        found += engagement_words(insights.engagement)
    caused = incremental_words(insights.incremental)[:1]
    rest = [*cost_words(insights), *anomaly_words(insights)]
    told = [item for item in found if item.code in TOLD]
    return (*told, *caused, *(item for item in rest if item.code in TOLD))
