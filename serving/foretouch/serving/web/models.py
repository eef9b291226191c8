"""Bodies of the HTTP interface that are no contracts of their own: lists of contracts, and answers."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from foretouch.core.contact import SuppressionEntry, known_zone
from foretouch.core.decisions import Decision, Interval, ModelRef, Reason, RequestOptions, SendWindow
from foretouch.core.events import Consent, Purpose
from foretouch.core.ids import Id
from foretouch.core.offers import OfferCaps, Treatment
from foretouch.core.schema import Attributes, Contract, Time

MAX_ITEMS = 500


class BatchBody(Contract):
    """``POST /v1/decisions:batch``: up to 500 decision requests, each answered on its own."""

    requests: tuple[Any, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ConsentStatement(Contract):
    """What a customer allowed or withdrew; without ``at`` it holds from now."""

    channel: str = Field(min_length=1, max_length=100)
    purpose: Purpose
    granted: bool
    at: Time | None = None
    source: str = Field(default="api", max_length=200)

    def consent(self, customer_id: str, at: Any) -> Consent:
        """As a statement of one customer at a known time."""
        return Consent(
            customer_id=customer_id,
            channel=self.channel,
            purpose=self.purpose,
            granted=self.granted,
            at=at,
            source=self.source,
        )


class ConsentsBody(Contract):
    """``PUT /v1/customers/{id}/consents``."""

    consents: tuple[ConsentStatement, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class ConsentsAnswer(Contract):
    """What holds for the customer now."""

    customer_id: str
    accepted: int
    consents: dict[str, bool]
    """By ``channel/purpose``."""
    warnings: tuple[str, ...] = ()


class CustomersBody(Contract):
    """``POST /v1/scores/…``: one customer or several."""

    customer_id: Id | None = None
    customer_ids: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=MAX_ITEMS)

    @model_validator(mode="after")
    def _one_way(self) -> "CustomersBody":
        if (self.customer_id is None) == (self.customer_ids is None):
            raise ValueError("give customer_id or customer_ids, one of the two")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """Everyone named."""
        return self.customer_ids or (self.customer_id or "",)


class ScoreAnswer(Contract):
    """One customer's score, or why there is none."""

    customer_id: str
    model: str
    version: str | None = None
    score: float | None = None
    interval: Interval | None = None
    points: float | None = None
    """Of a lead by the marketers' rule, where there is no lead model yet; no probability."""
    band: str | None = None
    reason_codes: tuple[Reason, ...] = ()
    basis: Literal["customer", "segment", "points_rule"] | None = None
    """Whose rate it is: the customer's own by the model, or, where too little is known of them, their segment's; or
    that there are points instead."""
    reason: str | None = None
    """Why the score is null, or the segment's."""
    feature_ages: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class ScoresAnswer(Contract):
    """Several customers' scores, in the order asked for."""

    scores: tuple[ScoreAnswer, ...]


class RankBody(Contract):
    """``POST /v1/offers/rank``: what a decision would choose among, without choosing, logging or reserving."""

    customer_id: Id
    household_id: Id | None = None
    touchpoint: Id = "default"
    purpose: Purpose = "marketing"
    channels: tuple[str, ...] | None = Field(default=None, min_length=1)
    collection: str | None = None
    exclude: tuple[Id, ...] = ()
    context: Attributes = Field(default_factory=dict)
    send_window: SendWindow = SendWindow()
    n: int = Field(default=20, ge=1, le=500)

    def decision_request(self) -> dict[str, Any]:
        """The touchpoint whose candidates are ranked."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "n"}
        return {**fields, "options": RequestOptions(dry_run=True)}


class RankedOffer(Contract):
    """One candidate that no rule dropped; rank 1 has the highest priority. ``offer_id`` null is no contact."""

    rank: int
    offer_id: str | None
    treatment_id: str | None = None
    channel: str | None = None
    propensity: float | None = None
    propensity_interval: Interval | None = None
    uplift: float | None = None
    value: float | None = None
    cost: float | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    price: float | None = None
    priority: float | None = None
    selection_probability: float | None = None


class DroppedOffer(Contract):
    """One candidate that a rule dropped."""

    offer_id: str | None
    channel: str | None = None
    stage: str
    rule: str
    text: str = ""
    until: Time | None = None


class RankAnswer(Contract):
    """Every candidate of a touchpoint, by priority."""

    customer_id: str
    status: str
    status_reason: str
    offers: tuple[RankedOffer, ...]
    dropped: tuple[DroppedOffer, ...]
    models: tuple[ModelRef, ...] = ()
    warnings: tuple[str, ...] = ()


class SendTimesBody(Contract):
    """``POST /v1/send-times``: the best hours to send within a window."""

    customer_id: Id
    channel: str | None = None
    purpose: Purpose = "marketing"
    send_window: SendWindow = SendWindow()
    n: int = Field(default=5, ge=1, le=168)


class SendSlot(Contract):
    """One allowed slot."""

    send_at: Time
    local: str
    """The same moment on the customer's clock."""
    score: float
    """Share of the customer's activity in that hour of the week; 1/168 is uniform. No effect of sending then."""
    effect: float | None = None
    """What sending in that hour does to the response: 1.2 is one and a fifth times that of the average hour; null where
    that is not identified."""


class SendTimesAnswer(Contract):
    """Allowed slots, best first."""

    customer_id: str
    time_zone: str
    slots: tuple[SendSlot, ...]
    support: float
    """Number of the customer's own events behind it."""
    basis: Literal["effect", "activity", "none"]
    """What puts them in order. ``effect``: what sending then does; ``activity``: when the customer is active, never an
    effect of sending; ``none``: no model, slots by time."""
    identified: bool = False
    """Whether hours of sending were varied enough to tell what sending at an hour does, on this channel."""
    identification: str | None = None
    """On what that rests, or what is missing."""
    version: str | None = None
    reason: str | None = None
    """Why there is no model's score, or no slot."""
    warnings: tuple[str, ...] = ()


class ItemResult(Contract):
    """What became of one posted outcome or event."""

    id: str
    status: Literal["accepted", "duplicate", "quarantined", "refused"]
    reason: str | None = None
    code: str | None = None
    warnings: tuple[str, ...] = ()


class ItemsAnswer(Contract):
    """What became of each posted item, in order, and how many of each kind."""

    results: tuple[ItemResult, ...]
    counts: dict[str, int]


class CustomerBody(Contract):
    """``PUT /v1/customers/{customer_id}``: what is known of a customer; it replaces what was known before."""

    household_id: Id | None = None
    time_zone: str | None = None
    """IANA name; without one the contact policy's default is used, with a warning."""
    language: str | None = Field(default=None, min_length=2, max_length=35)
    attributes: Attributes = Field(default_factory=dict, max_length=200)
    """Named by rules as ``customer.<name>``. Nothing that identifies a person."""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else known_zone(value)


class CustomerAnswer(CustomerBody):
    """What is kept; attributes that the configuration pseudonymises are shown as they are kept."""

    customer_id: str
    warnings: tuple[str, ...] = ()


class SuppressionLine(Contract):
    """Where and for what a customer is not contacted."""

    channel: str = Field(default="*", min_length=1, max_length=100)
    """``*`` is every channel."""
    purpose: Purpose | Literal["*"] = "*"
    """``*`` is every purpose, also transactional."""
    reason: str = Field(default="", max_length=500)
    until: Time | None = None
    """When the line ends; none is never."""


class SuppressionsBody(Contract):
    """``PUT /v1/customers/{customer_id}/suppressions``: lines to add; one of the same channel and purpose replaces."""

    suppressions: tuple[SuppressionLine, ...] = Field(default=(SuppressionLine(),), min_length=1, max_length=MAX_ITEMS)
    """Left out: every channel and purpose, for good."""


class SuppressionsAnswer(Contract):
    """The customer's lines now, also those that have ended."""

    customer_id: str
    changed: int
    """How many lines were added, replaced or taken off."""
    suppressions: tuple[SuppressionEntry, ...]
    warnings: tuple[str, ...] = ()


class TreatmentBody(Contract):
    """A content variant for one channel."""

    treatment_id: Id
    channel: str = Field(min_length=1)
    name: str = ""

    def treatment(self, offer_id: str) -> Treatment:
        """As a treatment of an offer."""
        return Treatment(offer_id=offer_id, **dict(self))


class OfferBody(Contract):
    """``PUT /v1/offers/{offer_id}``: the whole offer; it replaces an earlier one of that id."""

    offer_id: Id | None = None
    """The path's, or left out."""
    name: str = Field(min_length=1)
    issue: str = ""
    category: str = ""
    channels: tuple[str, ...] = Field(min_length=1)
    value: float = 0.0
    cost: float = Field(default=0.0, ge=0.0)
    starts_at: Time | None = None
    ends_at: Time | None = None
    eligibility: str = ""
    applicability: str = ""
    suitability: str = ""
    purposes: tuple[Purpose, ...] = Field(default=("marketing", "retention", "service"), min_length=1)
    fallback: bool = False
    caps: OfferCaps = OfferCaps()
    placement: str | None = None
    lever: float = Field(default=1.0, ge=0.0)
    attributes: Attributes = Field(default_factory=dict)
    treatments: tuple[TreatmentBody, ...] = ()

    @model_validator(mode="after")
    def _dates(self) -> "OfferBody":
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError(f"ends_at == {self.ends_at.isoformat()}, must be after starts_at")
        return self


class OfferAnswer(Contract):
    """The catalogue that decisions name from now on."""

    offer_id: str
    version: str
    """Content hash of the whole catalogue: ``versions.offers`` of the decisions made with it, within a second."""
    changed: bool
    """False where the offer was just so before."""


ReservationStatus = Literal["sent", "released"]


class ReservationAnswer(Contract):
    """A decided contact and what became of it."""

    reservation_id: str
    decision_id: str
    rank: int
    customer_id: str
    offer_id: str
    channel: str
    send_at: Time
    status: ReservationStatus
    """``sent``: confirmed; ``released``: given back."""
    changed: bool
    """False where the same was said before."""
    warnings: tuple[str, ...] = ()


class BatchItem(Contract):
    """One item of a batch: a decision, or a problem of its own."""

    index: int
    replayed: bool = False
    decision: Decision | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(Contract):
    """As many results as requests, in their order."""

    results: tuple[BatchItem, ...]
