"""``foretouch.toml``: the goals, channels and settings of one workspace, validated once."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from foretouch.core.contact import known_zone
from foretouch.core.errors import ConfigError
from foretouch.core.schema import Contract, Share


class WorkspaceSection(Contract):
    """Who we are."""

    name: str = "workspace"
    currency: str = Field(default="USD", min_length=3, max_length=3)
    time_zone: str = "UTC"
    """Where a customer without a zone of their own is taken to be; said in a warning."""
    origin: Literal["own", "complete-journey", "simulated"] = "own"
    """Where the data come from; every report made of a sample or a simulation says so."""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)


class ClockSection(Contract):
    """Which clock the workspace lives by."""

    kind: Literal["system", "offset", "manual"] = "system"
    offset_seconds: float = 0.0


class SourceSection(Contract):
    """What a table's source declares about itself."""

    time_zone: str | None = None
    """Zone of naive timestamps; without it they are refused."""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else known_zone(value)


class PrivacySection(Contract):
    """Columns that identify a person: hashed with the workspace's key, or refused."""

    pseudonymise: tuple[str, ...] = ()
    """Columns replaced by HMAC-SHA256 under ``secrets/pseudonym.key``. E-mail addresses, phone numbers and
    names found in any other column are refused."""


class LeadGoal(Contract):
    """Lead: the first ``goal_event`` within ``window_days``; leads have not yet done it."""

    goal_event: str = "conversion"
    window_days: float = Field(default=28.0, gt=0)
    points: dict[str, float] = Field(default_factory=lambda: {"page_view": 5.0, "form_submit": 10.0})
    """The points rule that marketers write, per event in the last ``points_days``; baseline and cold start."""
    points_days: float = Field(default=28.0, gt=0)
    hot_from: float = 20.0


class ChurnGoal(Contract):
    """Churn: no ``activity_event`` within ``window_days`` among those active in the last ``active_days``."""

    activity_event: str = "purchase"
    window_days: float = Field(default=28.0, gt=0)
    active_days: float = Field(default=56.0, gt=0)


class ValueGoal(Contract):
    """Value: the sum of ``value_event``'s value within ``window_days``: revenue; margin = revenue x ``margin_rate``."""

    value_event: str = "purchase"
    window_days: float = Field(default=90.0, gt=0)
    margin_rate: Share = 1.0


class OfferGoal(Contract):
    """Offer: the event that counts as acceptance, per offer category (``*`` for the rest)."""

    acceptance: dict[str, str] = Field(default_factory=lambda: {"*": "conversion"})
    window_days: float = Field(default=28.0, gt=0)
    """For an offer without an end date; one with an end date is accepted until then."""


class SendTimeGoal(Contract):
    """Send time: the event that shows a customer is active."""

    engagement_event: str = "purchase"


class Goals(Contract):
    """What each model predicts."""

    lead: LeadGoal = LeadGoal()
    churn: ChurnGoal = ChurnGoal()
    value: ValueGoal = ValueGoal()
    offer: OfferGoal = OfferGoal()
    send_time: SendTimeGoal = SendTimeGoal()


class ChannelSection(Contract):
    """One channel: what a contact costs, in the workspace's currency."""

    cost: float = Field(default=0.0, ge=0.0)


class FeaturesSection(Contract):
    """How features are built."""

    purchase_event: str = "purchase"
    engagement_events: tuple[str, ...] = ("open", "click", "page_view", "form_submit", "coupon_redemption")
    coupon_event: str = "coupon_redemption"
    categories: tuple[str, ...] = ()
    """Keys of ``properties.categories`` of purchase events whose shares become features; the rest is ``other``."""
    attributes: tuple[str, ...] = ()
    """Attribute columns of ``customers`` that become features ``attribute_<name>``, as categories."""
    snapshot_days: float = Field(default=7.0, gt=0)
    """Distance between the as-of times at which history is built."""
    max_age_hours: float = Field(default=72.0, gt=0)
    """Online values older than this are stale: used, and the decision is marked degraded."""


class TrainingSection(Contract):
    """How models are trained."""

    seed: int = 20240501
    trials: int = Field(default=12, ge=0)
    threads: int = Field(default=2, ge=1)


class LeadAlertSection(Contract):
    """The hand-off to sales: a signed webhook when a lead's score first reaches the threshold."""

    url: str | None = None
    threshold: Share = 0.5
    attempts: int = Field(default=5, ge=1)


class ServingSection(Contract):
    """How the service answers."""

    deadline_ms: float = Field(default=150.0, gt=0)
    max_body_bytes: int = Field(default=1_000_000, gt=0)
    front: bool = True
    """Decision routes are answered before BentoML's own layers; off: by BentoML's plain endpoints."""


class Config(Contract):
    """Everything in ``foretouch.toml``."""

    schema_version: Literal[1] = 1
    workspace: WorkspaceSection = WorkspaceSection()
    clock: ClockSection = ClockSection()
    sources: dict[str, SourceSection] = Field(default_factory=dict)
    """By table name, or ``*`` for all."""
    privacy: PrivacySection = PrivacySection()
    goals: Goals = Goals()
    channels: dict[str, ChannelSection] = Field(default_factory=lambda: {"email": ChannelSection(cost=0.01)})
    features: FeaturesSection = FeaturesSection()
    training: TrainingSection = TrainingSection()
    serving: ServingSection = ServingSection()
    lead_alert: LeadAlertSection = LeadAlertSection()


T = TypeVar("T", bound=Contract)


def load_toml(path: Path, contract: type[T]) -> T:
    """Reads a TOML file into a contract.

    Raises:
        ConfigError: The file is missing, is no TOML, or breaks the contract; the message names file and field.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there", hint="foretouch init DIR") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        return contract.model_validate(_aware(raw))
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(lines)) from error


def _aware(value: Any) -> Any:
    """TOML times without an offset are read as UTC."""
    if isinstance(value, dict):
        return {key: _aware(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_aware(item) for item in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
