"""From sends to conversions, and what they cost, against counts made by hand."""

import pytest

from foretouch.experiments.insights.contract import Engagement, EngagementRow, Insights
from foretouch.experiments.insights.insights import insights
from tests.experiments.insights.made_log import MadeLog

TEA, CAKE = [("tea", "email", None), ("tea", "sms", None)], [("cake", "email", None)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Insights:
    log = MadeLog(tmp_path_factory.mktemp("engagement"))
    opened = log.decide("a", 0, TEA, chosen=("tea", "email"))
    log.outcome(opened, "delivered", 0)
    log.outcome(opened, "open", 0.1)
    log.outcome(opened, "open", 0.2)  # twice is once
    log.outcome(opened, "click", 0.3)
    log.event("a", 1)
    by_machine = log.decide("b", 0, TEA, chosen=("tea", "email"))
    log.outcome(by_machine, "delivered", 0)
    log.outcome(by_machine, "machine_open", 0)
    log.outcome(by_machine, "click", 0, is_bot=True)
    burst = log.decide("c", 0, CAKE, chosen=("cake", "email"))
    log.outcome(burst, "delivered", 0)
    for link in ("one", "two", "three"):
        log.outcome(burst, "click", 0.00001, properties={"link": link})
    answered = log.decide("d", 0, TEA, chosen=("tea", "sms"))
    log.outcome(answered, "click", 0.5)  # an answer shows that it went out
    log.outcome(answered, "unsubscribe", 0.6)
    bounced = log.decide("e", 0, TEA, chosen=("tea", "sms"))
    log.outcome(bounced, "bounced", 0)
    released = log.decide("f", 0, TEA, chosen=("tea", "sms"))
    log.outcome(released, "released", 0)
    silent = log.decide("g", 0, CAKE, chosen=("cake", "email"))
    log.event("g", 1)
    assert silent
    return insights(log.workspace)


def rows(found: Insights) -> tuple[Engagement, dict[str, EngagementRow]]:
    assert found.engagement is not None
    both = {f"{row.offer_id} {row.channel}": row for row in found.engagement.both}
    return found.engagement, both


def test_steps_by_hand(found: Insights) -> None:
    engagement, both = rows(found)
    expected = {
        #             decided sent bounced delivered opened clicked converted unsubscribed machine_only
        "tea email": (2, 2, 0, 2, 1, 1, 1, 0, 1),
        "tea sms": (3, 2, 1, 1, 1, 1, 0, 1, 0),
        "cake email": (2, 2, 0, 1, 0, 0, 0, 0, 1),
    }
    fields = (
        "decided",
        "sent",
        "bounced",
        "delivered",
        "opened",
        "clicked",
        "converted",
        "unsubscribed",
        "machine_only",
    )
    assert {name: tuple(getattr(row, part) for part in fields) for name, row in both.items()} == expected
    assert tuple(getattr(engagement.total, part) for part in fields) == (7, 6, 1, 4, 2, 2, 1, 1, 2)


def test_parts_sum_to_the_whole_and_steps_never_grow(found: Insights) -> None:
    engagement, _ = rows(found)
    for part in ("decided", "sent", "delivered", "opened", "clicked", "converted", "machine_only"):
        for group in (engagement.channels, engagement.offers, engagement.both):
            assert sum(getattr(row, part) for row in group) == getattr(engagement.total, part)
    for row in (engagement.total, *engagement.both):
        assert row.decided >= row.sent >= row.delivered >= row.opened >= row.clicked


def test_costs_by_hand(found: Insights) -> None:
    by_touch = {(row.dimension, row.touch): row for row in found.costs}
    whole = by_touch["all", "*"]
    # what was released costs nothing; one tea was accepted: 10 less 2
    assert whole.contacts == 6
    assert whole.contact_cost == pytest.approx(4 * 0.01 + 2 * 0.05)
    assert (whole.conversions, whole.value, whole.offer_cost) == (1, 10.0, 2.0)
    assert whole.profit == pytest.approx(10.0 - 2.0 - 0.14)
    assert whole.roi == pytest.approx(whole.profit / 2.14)
    assert by_touch["offer", "cake"].profit == pytest.approx(-0.02)
    for dimension in ("channel", "offer"):
        parts = [row for row in found.costs if row.dimension == dimension]
        assert sum(row.profit for row in parts) == pytest.approx(whole.profit)
