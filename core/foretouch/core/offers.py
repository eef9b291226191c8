"""Offers and treatments: what may be proposed, and how it looks on a channel."""

from typing import Literal

from pydantic import Field, model_validator

from foretouch.core.events import Purpose
from foretouch.core.ids import Id
from foretouch.core.schema import Amount, Attributes, Contract, Cost, Time


class OfferCaps(Contract):
    """How often an offer may be issued; ``None`` is no limit."""

    total: int | None = Field(default=None, ge=0)
    per_customer: int | None = Field(default=None, ge=0)
    per_day: int | None = Field(default=None, ge=0)


class Treatment(Contract):
    """A content variant of an offer for one channel."""

    schema_version: Literal[1] = 1
    treatment_id: Id
    offer_id: Id
    channel: str = Field(min_length=1)
    name: str = ""


class Offer(Contract):
    """Something we may propose."""

    schema_version: Literal[1] = 1
    offer_id: Id
    name: str
    issue: str = ""
    """The business issue its category belongs to, e.g. ``retention``."""
    category: str = ""
    """Its group; offers of one category share rates, weights and rules."""
    channels: tuple[str, ...] = Field(min_length=1)
    value: Amount = 0.0
    """Expected contribution margin, in the workspace's currency, if the goal happens."""
    cost: Cost = 0.0
    """Cost of the offer itself, in the workspace's currency, if the goal happens; a channel's cost is the channel's."""
    starts_at: Time | None = None
    ends_at: Time | None = None
    """Exclusive."""
    eligibility: str = ""
    """May the customer have it at all? An expression over customer, feature, context and offer fields; empty is yes."""
    applicability: str = ""
    """Is it relevant now? An expression like ``eligibility``."""
    suitability: str = ""
    """Should they have it, even if it pays? An expression like ``eligibility``."""
    purposes: tuple[Purpose, ...] = ("marketing", "retention", "service")
    """Purposes that it may be sent for; an offer that is owed to the customer says ``transactional``."""
    fallback: bool = False
    """Proposed only where no other offer is left; ignores eligibility, applicability and suitability, never a contact
    rule."""
    caps: OfferCaps = OfferCaps()
    placement: str | None = None
    """Where it is shown, e.g. ``hero``; none is anywhere."""
    lever: float = Field(default=1.0, ge=0.0, le=1e6)
    """A marketer's multiplier of the priority."""
    attributes: Attributes = Field(default_factory=dict)
    treatments: tuple[Treatment, ...] = ()

    @model_validator(mode="after")
    def _dates(self) -> "Offer":
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError(f"ends_at == {self.ends_at.isoformat()}, must be after starts_at")
        return self


class Catalogue(Contract):
    """Every offer at one moment; its content hash is the offer version that a decision names."""

    schema_version: Literal[1] = 1
    offers: tuple[Offer, ...] = ()


class CandidateRef(Contract):
    """An offer named by the caller, optionally with its treatment and channel."""

    offer_id: Id
    """Of the catalogue, or of the campaign's own."""
    treatment_id: Id | None = None
    """Only this content variant."""
    channel: str | None = None
    """Only this channel."""
