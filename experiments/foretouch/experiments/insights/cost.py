"""What contacts cost and what is credited to them, by channel and offer.

A contact costs its channel's cost once it is sent; an offer costs when it is accepted. What is credited goes by last
touch, the rule that rewards and learning follow; it is no effect of contacting (``incremental`` says that).
"""

from collections import defaultdict

from foretouch.experiments.insights.contract import CostRow
from foretouch.experiments.insights.engagement import ALL
from foretouch.experiments.insights.journeys import Contact

_Key = tuple[str, str]


class CostCount:
    """Adds contacts up."""

    def __init__(self) -> None:
        self._rows: dict[_Key, list[float]] = defaultdict(lambda: [0.0] * 5)

    def add(self, contact: Contact) -> None:
        """Counts a contact that was sent; what was not costs nothing."""
        accepted = float(bool(contact.reward.credited))
        figures = (1.0, contact.cost, accepted, accepted * contact.offer_cost, accepted * contact.value)
        decided = contact.reward.decided
        for key in (("all", ALL), ("channel", decided.channel or ""), ("offer", decided.offer_id or "")):
            self._rows[key] = [total + figure for total, figure in zip(self._rows[key], figures, strict=True)]

    def result(self) -> tuple[CostRow, ...]:
        """The whole first, then by channel and by offer, the dearest first."""
        order = {"all": 0, "channel": 1, "offer": 2}
        listed = sorted(self._rows.items(), key=lambda item: (order[item[0][0]], -item[1][1], item[0][1]))
        return tuple(_row(key, figures) for key, figures in listed)


def _row(key: _Key, figures: list[float]) -> CostRow:
    contacts, contact_cost, conversions, offer_cost, value = figures
    spent = contact_cost + offer_cost
    profit = value - spent
    return CostRow.model_validate(
        {
            "dimension": key[0],
            "touch": key[1],
            "contacts": int(contacts),
            "contact_cost": contact_cost,
            "conversions": int(conversions),
            "offer_cost": offer_cost,
            "value": value,
            "profit": profit,
            "roi": profit / spent if spent > 0.0 else None,
        }
    )
