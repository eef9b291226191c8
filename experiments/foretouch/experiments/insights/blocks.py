"""The sections of the insights, in the order of reading: what the page and ``/app`` show."""

from foretouch.experiments.insights.blocks_funnel import funnel_blocks
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.report.section import Block


def insight_blocks(insights: Insights, language: str) -> list[Block]:
    """Every section that the insights can fill.

    Args:
        insights: Of a period.
        language: ``en`` or ``zh``.
    """
    return [*funnel_blocks(insights, language)]
