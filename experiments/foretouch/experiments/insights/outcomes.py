"""One walk over every customer's journey: engagement, attribution and cost, and what incremental figures need."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from foretouch.core.experiment import ExperimentSpec
from foretouch.experiments.insights.contract import Attribution, CostRow, Engagement, IncrementalRow
from foretouch.experiments.insights.cost import CostCount
from foretouch.experiments.insights.engagement import EngagementCount, steps_of
from foretouch.experiments.insights.incremental import incremental
from foretouch.experiments.insights.journeys import Contact, journeys, window_of
from foretouch.experiments.insights.reading import Gathered
from foretouch.experiments.insights.store import Store
from foretouch.experiments.insights.touch_attribution import AttributionCount

_AT: dict[str, pa.DataType] = {"customer_id": pa.string(), "at": pa.int64()}
_MONEY: dict[str, pa.DataType] = {"cost": pa.float64(), "margin": pa.float64(), "accepted": pa.bool_()}
_SCHEMAS = {"preceded": pa.schema(_AT), "went_out": pa.schema({**_AT, **_MONEY})}
"""Conversions with a contact before them; contacts that were sent, with the margin of the offer if accepted."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of the contacts of a period."""

    engagement: Engagement
    attribution: Attribution
    costs: tuple[CostRow, ...]
    incremental: tuple[IncrementalRow, ...]


def outcomes(gathered: Gathered, specs: Sequence[ExperimentSpec]) -> Outcomes:
    """Walks over the journeys once.

    Args:
        gathered: The period.
        specs: The workspace's experiments.
    """
    engagement, costs = EngagementCount(), CostCount()
    attribution = AttributionCount(window=window_of(gathered), end=gathered.end, known=gathered.known)
    store = Store(gathered.tables, _SCHEMAS)
    for journey in journeys(gathered):
        for contact in journey.contacts:
            steps = steps_of(contact)
            engagement.add(contact, steps)
            if "sent" in steps:
                costs.add(contact)
                _went_out(store, journey.customer_id, contact)
        for at in attribution.add(journey):
            store.add("preceded", (journey.customer_id, at))
    store.done()
    return Outcomes(
        engagement=engagement.result(),
        attribution=attribution.result(window_days=gathered.config.reward.window_days),
        costs=costs.result(),
        incremental=incremental(gathered, specs),
    )


def _went_out(store: Store, customer_id: str, contact: Contact) -> None:
    decided = contact.reward.decided
    at = decided.decided_at if decided.send_at is None else decided.send_at
    margin = contact.value - contact.offer_cost
    store.add("went_out", (customer_id, at, contact.cost, margin, bool(contact.reward.credited)))
