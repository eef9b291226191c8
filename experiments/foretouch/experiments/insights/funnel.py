"""The funnel of candidates: how many were considered, which rule dropped how many, and what was left and chosen.

A candidate is one offer, treatment and channel of one decision; "no contact" is none. A decision survives a stage if a
candidate of it does; a customer, if a decision of theirs does. Stages are asked in the order of ``stages.STAGES``.
"""

from collections import defaultdict

from foretouch.experiments.insights.contract import Funnel, FunnelRule, FunnelStage
from foretouch.experiments.insights.reading import Gathered
from foretouch.experiments.insights.stages import CHOSEN, LEFT, STAGES

_RULES = """
    SELECT stage, rule, sum(candidates), count(*), count(DISTINCT customer_id)
    FROM dropped GROUP BY stage, rule ORDER BY sum(candidates) DESC, rule"""
_REACHED = """
    SELECT reached, count(*) FROM decided GROUP BY reached"""
_PEOPLE = """
    SELECT furthest, count(*) FROM (SELECT max(reached) AS furthest FROM decided GROUP BY customer_id)
    GROUP BY furthest"""
_TOTALS = """
    SELECT count(*), count(DISTINCT customer_id), coalesce(sum(considered), 0), coalesce(sum(remaining), 0),
           coalesce(sum(chosen), 0), count(*) FILTER (considered > 0),
           count(DISTINCT customer_id) FILTER (considered > 0)
    FROM decided"""


def funnel(gathered: Gathered) -> Funnel:
    """The funnel of a period."""
    tables = gathered.tables
    totals = [int(value) for value in tables.execute(_TOTALS).fetchall()[0]]
    statuses = tables.execute("SELECT status, count(*) FROM decided GROUP BY status ORDER BY status").fetchall()
    rules: dict[str, list[FunnelRule]] = defaultdict(list)
    for stage, rule, candidates, decisions, customers in tables.execute(_RULES).fetchall():
        rules[stage].append(FunnelRule(rule=rule, candidates=int(candidates), decisions=decisions, customers=customers))
    decisions_at = _beyond(dict(tables.execute(_REACHED).fetchall()))
    customers_at = _beyond(dict(tables.execute(_PEOPLE).fetchall()))
    left, stages = totals[2], []
    for position, stage in enumerate(STAGES):
        if stage not in rules:
            continue
        dropped = sum(item.candidates for item in rules[stage])
        left -= dropped
        stages.append(
            FunnelStage(
                stage=stage,
                dropped=dropped,
                left=left,
                decisions_left=decisions_at[position],
                customers_left=customers_at[position],
                rules=tuple(rules[stage]),
            )
        )
    return Funnel(
        decisions=totals[0],
        customers=totals[1],
        by_status=dict(statuses),
        considered=totals[2],
        left=totals[3],
        chosen=totals[4],
        decisions_considered=totals[5],
        customers_considered=totals[6],
        decisions_left=decisions_at[LEFT - 1],
        customers_left=customers_at[LEFT - 1],
        decisions_contacted=decisions_at[LEFT],
        customers_contacted=customers_at[LEFT],
        stages=tuple(stages),
    )


def _beyond(reached: dict[int, int]) -> list[int]:
    """By position of a stage: how many came further than it; then how many came to a choice."""
    return [sum(count for furthest, count in reached.items() if furthest > position) for position in range(CHOSEN)]
