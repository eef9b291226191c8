"""Customer events and consents: what a customer did, and what they allowed."""

from typing import Any, Literal

from pydantic import Field

from foretouch.core.ids import Id
from foretouch.core.schema import Amount, Contract, Time

Purpose = Literal["marketing", "retention", "service", "transactional"]


class CustomerEvent(Contract):
    """Something a customer did."""

    schema_version: Literal[1] = 1
    event_id: Id
    customer_id: Id
    event: str = Field(min_length=1, max_length=100)
    """The kind of event, e.g. ``purchase``; an open vocabulary that the goals in the config refer to."""
    occurred_at: Time
    received_at: Time | None = None
    """When it reached us; set by the service when absent. A feature as of t never sees a later one."""
    channel: str | None = None
    value: Amount | None = None
    """Money in ``currency``; the meaning (revenue) is the event's."""
    currency: str | None = Field(default=None, min_length=3, max_length=3)
    is_bot: bool = False
    """Bots and machine opens are kept and flagged, and never train a model."""
    properties: dict[str, Any] = Field(default_factory=dict)


class Consent(Contract):
    """One statement about whether a customer may be contacted on a channel for a purpose.

    The newest per (customer, channel, purpose) holds. No statement is no consent.
    """

    schema_version: Literal[1] = 1
    customer_id: Id
    channel: str = Field(min_length=1)
    purpose: Purpose
    granted: bool
    at: Time
    source: str = ""
