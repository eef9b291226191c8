"""The sections of the insights, in the order of reading: what the page and ``/app`` show."""

from foretouch.experiments.insights.blocks_anomalies import anomaly_blocks
from foretouch.experiments.insights.blocks_attribution import attribution_blocks
from foretouch.experiments.insights.blocks_cost import cost_blocks
from foretouch.experiments.insights.blocks_engagement import engagement_blocks
from foretouch.experiments.insights.blocks_funnel import funnel_blocks
from foretouch.experiments.insights.blocks_incremental import incremental_blocks
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.report.section import Block


def insight_blocks(insights: Insights, language: str) -> list[Block]:
    """Every section that the insights can fill.

    Args:
        insights: Of a period.
        language: ``en`` or ``zh``.
    """
    people, rules = (*funnel_blocks(insights, language), None, None)[:2]
    made = [
        people,
        *engagement_blocks(insights, language),
        *incremental_blocks(insights, language),
        *cost_blocks(insights, language),
        *attribution_blocks(insights, language),
        *anomaly_blocks(insights, language),
        rules,
    ]
    return [block for block in made if block is not None]
