"""The decision: what is asked, what is answered, and the record of how it came about."""

from datetime import datetime
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from foretouch.core.contact import known_zone
from foretouch.core.counters import CounterSnapshot
from foretouch.core.events import Purpose
from foretouch.core.ids import Id
from foretouch.core.offers import CandidateRef
from foretouch.core.schema import Attributes, Contract, Probability, Time

Status = Literal["decided", "suppressed", "control", "degraded", "fallback"]
Stage = Literal[
    "requested",
    "dates",
    "channel",
    "purpose",
    "consent",
    "suppression",
    "eligibility",
    "applicability",
    "suitability",
    "cool_down",
    "caps",
    "quiet_hours",
    "fallback",
    "model",
    "holdout",
]
"""What dropped a candidate, in the order in which it is asked (``docs/rules.md``); ``fallback``: a fallback offer where
a better one is left. ``quiet_hours`` is also the stage of working hours. A holdout takes candidates away last."""
ExplainLevel = Literal["none", "brief", "full"]


class SendWindow(Contract):
    """When the campaign engine could send; open ends mean now, and the decision's expiry."""

    earliest: Time | None = None
    latest: Time | None = None
    time_zone: str | None = None
    """The customer's IANA zone, if the caller knows better than our table."""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else known_zone(value)

    @model_validator(mode="after")
    def _order(self) -> "SendWindow":
        if self.earliest and self.latest and self.latest <= self.earliest:
            raise ValueError(f"latest == {self.latest.isoformat()}, must be after earliest")
        return self


class RequestOptions(Contract):
    """How to answer, not what."""

    explain: bool | ExplainLevel = "brief"
    """``brief``: why this candidate, and what the customer models found; ``full``: also what moved the chosen offer's
    score, computed in the request; ``none``: nothing. True is ``full``, false is ``none``."""
    language: Literal["en", "zh"] | None = None
    """Of texts; the customer's own where it is absent, English where that is neither."""
    dry_run: bool = False
    """Answer and log nothing, reserve nothing."""
    defer_activation: bool = False
    """The caller may yet decide not to send: nothing is reserved and nothing is learned until the action's
    reservation is confirmed."""
    reserve_caps: bool = True
    """Count the contact against caps as soon as it is decided."""

    @property
    def explain_level(self) -> ExplainLevel:
        """How much is explained."""
        if isinstance(self.explain, bool):
            return "full" if self.explain else "none"
        return self.explain


class DecisionRequest(Contract):
    """One touchpoint: may we contact this customer, with what, where, when?"""

    schema_version: Literal[1] = 1
    request_id: Id | None = None
    customer_id: Id
    household_id: Id | None = None
    touchpoint: Id = "default"
    purpose: Purpose = "marketing"
    channels: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Channels the engine can use now; absent is every configured channel."""
    context: Attributes = Field(default_factory=dict)
    candidates: tuple[CandidateRef, ...] | None = None
    collection: str | None = None
    """An offer category; only its offers are candidates."""
    exclude: tuple[Id, ...] = ()
    n: int = Field(default=1, ge=1, le=20)
    """Most actions, per placement where there are any."""
    placements: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=20)
    """Filled in this order; an offer is shown in one of them at most."""
    send_window: SendWindow = SendWindow()
    baseline_offer_id: Id | None = None
    default_action: CandidateRef | None = None
    consent: dict[str, bool] | None = Field(default=None, validation_alias=AliasChoices("consent", "consent_snapshot"))
    """Per channel; can only narrow what is on record."""
    personalised: bool = True
    """False: nothing about the person but the contact rules may enter the choice."""
    options: RequestOptions = RequestOptions()

    @model_serializer(mode="wrap")
    def _as_asked(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Writes what a touchpoint's defaults yield to only where the caller said it, so that a replay sees the same.

        ``purpose`` and ``n`` have a default here and may have another one at the touchpoint.
        """
        values: dict[str, Any] = write(self)
        for name in ("purpose", "n"):
            if name in self.model_fields_set:
                values[name] = getattr(self, name)
            else:
                values.pop(name, None)
        return values

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of the fields: ``_as_asked`` leaves some out and adds none."""
        return handler({key: value for key, value in core_schema.items() if key != "serialization"})


class Interval(Contract):
    """A 95 % interval unless ``level`` says otherwise."""

    low: float
    high: float
    level: Probability = 0.95


class Reason(Contract):
    """Why a score is what it is, in words."""

    code: str
    feature: str | None = None
    direction: Literal["up", "down", "none"] = "none"
    contribution: float | None = None
    text: str = ""


class Send(Contract):
    """When to send, and how sure we are of it."""

    best_at: Time
    runner_up_at: Time | None = None
    score: float
    """Share of the customer's activity that the best hour holds; 1/168 is uniform."""
    effect: float | None = None
    """Response when sent at the best slot, relative to the average slot; null where it is not identified."""
    identified: bool = False
    """Whether sends were spread over hours enough to tell the effect of sending at a time."""
    waiting_cost: float | None = None
    """Expected value lost by waiting from the first allowed slot to the best one, in the workspace's currency."""
    gain_over_first: float | None = None
    """Expected value of the best slot less that of the first allowed one, waiting included."""
    support: float = 0.0
    """Number of the customer's own events behind it; 0 is everyone's pattern."""
    slot_probability: Probability = 1.0
    """Probability of this slot given the candidate."""
    explored: bool = False
    basis: str = "activity"
    """``activity``: when the customer is active, never an effect of sending at that time; ``effect``: what sending at
    that time did; ``prior``: everyone's pattern, because hours were never varied; ``none``: the first allowed slot."""


class Action(Contract):
    """One contact to make."""

    rank: int = Field(ge=1)
    offer_id: Id
    treatment_id: Id | None = None
    channel: str
    placement: str | None = None
    """Where it is shown: the placement it fills, or the offer's own."""
    send_at: Time
    send: Send | None = None
    propensity: Probability | None = None
    propensity_interval: Interval | None = None
    uplift: float | None = None
    uplift_interval: Interval | None = None
    uplift_reason: str | None = None
    """Why uplift is null."""
    value: float | None = None
    cost: float | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    price: float | None = None
    priority: float | None = None
    selection_probability: Probability | None = None
    """Of this candidate in its draw, given the draws before it; the record keeps the first draw's distribution over
    every candidate."""
    explored: bool = False
    greedy: CandidateRef | None = None
    """The choice of highest priority, where another one was explored; its ``offer_id`` is ``*`` for no contact."""
    reason_codes: tuple[Reason, ...] = ()
    reservation_id: str | None = None


class Suppression(Contract):
    """A rule that dropped an offer (or ``*``: all of them)."""

    offer_id: str
    channel: str | None = None
    stage: Stage
    rule: str
    until: Time | None = None
    text: str = ""
    seen: dict[str, Any] = Field(default_factory=dict)
    """The values that the rule looked at, by ``namespace.name``."""


class Assignment(Contract):
    """The arm of one experiment that this customer is in."""

    key: str
    arm: str
    holdout: bool = False
    version: int = 1
    """Of the experiment's spec."""


class ModelRef(Contract):
    """A model that took part."""

    name: str
    version: str
    trained_through: Time | None = None
    role: Literal["champion", "previous"] = "champion"
    """``previous``: the champion before, on whose step of the ladder the decision rests."""


class Versions(Contract):
    """Content hashes and versions of everything that shaped the decision."""

    policy: str
    contact_policy: str
    offers: str
    experiments: str
    features: str
    config: str
    code: str
    engagement: str = ""
    """Of the engagement policy; empty in records of before there was one."""


class Decision(Contract):
    """The answer. An empty ``action`` means: do not contact."""

    schema_version: Literal[1] = 1
    decision_id: Id
    request_id: Id | None = None
    customer_id: Id
    status: Status
    status_reason: str
    """One sentence: why this status."""
    decided_at: Time
    expires_at: Time
    contact: bool
    action: tuple[Action, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
    experiments: tuple[Assignment, ...] = ()
    models: tuple[ModelRef, ...] = ()
    versions: Versions
    feature_ages: dict[str, float] = Field(default_factory=dict)
    """Seconds since each feature view's values were true, by view."""
    warnings: tuple[str, ...] = ()
    logged: bool = True


class Candidate(Contract):
    """One candidate in the record, kept also when a rule dropped it. ``offer_id`` null is no contact."""

    offer_id: Id | None
    treatment_id: Id | None = None
    channel: str | None = None
    dropped_by: Suppression | None = None
    propensity: Probability | None = None
    propensity_interval: Interval | None = None
    uplift: float | None = None
    uplift_interval: Interval | None = None
    value: float | None = None
    cost: float | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    price: float | None = None
    priority: float | None = None
    selection_probability: Probability | None = None
    """In the first draw; they sum to 1 over all candidates. 0 where that draw's placement does not show the offer."""


class FeatureSnapshot(Contract):
    """What was known of the customer, and since when."""

    known: bool = False
    values: dict[str, Any] = Field(default_factory=dict)
    """By feature name; null is missing."""
    as_of: dict[str, datetime] = Field(default_factory=dict)
    """By feature view: the time at which its values were true."""
    stale: tuple[str, ...] = ()
    """Views older than their ttl; their values are used and the decision is marked degraded."""
    error: str | None = None
    """Why the store could not be read."""
    reasons: dict[str, tuple[Reason, ...]] = Field(default_factory=dict)
    """By ``model/version`` of customer models: what moves their scores, strongest first, worked out beforehand."""


class ShadowChoice(Contract):
    """What a challenger model or policy chose beside the champion."""

    policy: str
    """Its policy's name."""
    policy_version: str = ""
    """Content hash of its policy."""
    models: tuple[ModelRef, ...] = ()
    """Challengers that took part."""
    offer_id: Id | None = None
    """Null is no contact."""
    treatment_id: Id | None = None
    channel: str | None = None
    send_at: Time | None = None
    selection_probability: Probability = 1.0
    """That the shadow gives its own choice."""
    probability_of_champion: Probability = 0.0
    """That the shadow gives the champion's choice."""
    agrees: bool = False
    """Whether it chose the champion's candidate."""
    step: str = "champion"
    """Step of the ladder that answered."""
    expected_value: float | None = None
    """Mean of the champion's priorities under the shadow's probabilities (first draw); null where one is not known."""
    champion_value: float | None = None
    """The same under the champion's own probabilities."""


class DecisionRecord(Decision):
    """The decision with everything needed to explain, replay and learn from it."""

    touchpoint: str
    purpose: Purpose
    request: DecisionRequest
    candidates: tuple[Candidate, ...]
    features: FeatureSnapshot
    counters: CounterSnapshot
    seed: str
    """The 64-bit seed of every draw, in hex."""
    fallback_step: str
    """Which step of the fallback ladder answered; ``champion`` is the normal one."""
    latency_ms: dict[str, float] = Field(default_factory=dict)
    shadow: tuple["ShadowChoice", ...] = ()
    """What others would have chosen on the same request; never returned to the campaign engine."""

    def answer(self) -> Decision:
        """The part that the campaign engine gets."""
        return Decision.model_construct(**{name: getattr(self, name) for name in Decision.model_fields})
