"""Outcomes: what became of a delivered decision, posted with its id."""

from typing import Any, Literal

from pydantic import Field

from foretouch.core.ids import Id
from foretouch.core.schema import Amount, Contract, Time

OutcomeType = Literal[
    "confirmed",
    "released",
    "delivered",
    "bounced",
    "open",
    "machine_open",
    "click",
    "machine_click",
    "unsubscribe",
    "complaint",
    "reject",
    "convert",
    "revenue",
]

ACTIVATING: frozenset[str] = frozenset(
    {"confirmed", "delivered", "open", "machine_open", "click", "machine_click", "unsubscribe", "complaint"}
)
"""Outcomes that show that the contact went out: without one of them nothing is learned from a decision. Goals are none:
if only those who bought said so, everybody who was contacted would have bought."""
UNSENT: frozenset[str] = frozenset({"released", "bounced", "reject"})
"""Outcomes that say that the contact did not go out."""
MACHINES: dict[str, OutcomeType] = {"open": "machine_open", "click": "machine_click"}
"""What an ``open`` or ``click`` becomes where a machine did it."""
ANSWERS: frozenset[str] = frozenset({"open", "click", "convert", "revenue"})
"""Outcomes by which a person answered a contact; machine opens and clicks are none."""
GOAL_TYPES: frozenset[str] = frozenset({"convert", "revenue"})
"""Posted goals are stored as events too: goals are derived from events for every decision alike."""


class Outcome(Contract):
    """Delivery, engagement or goal of one decision; idempotent on ``outcome_id``.

    ``confirmed`` and ``released`` are what ``/v1/reservations`` stores: the contact was, or was not, taken up.
    """

    schema_version: Literal[1] = 1
    outcome_id: Id
    decision_id: Id
    type: OutcomeType
    occurred_at: Time
    received_at: Time | None = None
    rank: int = Field(default=1, ge=1)
    """Which of the decision's actions it belongs to."""
    value: Amount | None = None
    currency: str | None = Field(default=None, min_length=3, max_length=3)
    reason: str | None = None
    """Why, e.g. of a rejection."""
    is_bot: bool = False
    """A scanner or prefetcher did it: kept, flagged, never learned from. ``machine_open`` and ``machine_click`` are."""
    properties: dict[str, Any] = Field(default_factory=dict)
    """Of a click: ``link`` names what was clicked, ``links`` says how many the message has; scanners click them all."""

    @property
    def by_machine(self) -> bool:
        """Whether it says itself that no person did it."""
        return self.is_bot or self.type in {"machine_open", "machine_click"}
