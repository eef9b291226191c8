"""``foretouch.toml``: the goals, channels and settings of one workspace, validated once."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from foretouch.core.contact import known_zone
from foretouch.core.errors import ConfigError
from foretouch.core.events import Purpose
from foretouch.core.goals import Goals
from foretouch.core.offers import CandidateRef
from foretouch.core.outcomes import OutcomeType
from foretouch.core.schema import Amount, Contract, Cost, Days, Hours, Share, Time
from foretouch.core.toml_places import Places, find_places


class WorkspaceSection(Contract):
    """Who we are."""

    name: str = "workspace"
    """For people: shown by the service and in reports."""
    currency: str = Field(default="USD", min_length=3, max_length=3)
    """ISO 4217; every amount of money is in it."""
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
    """The machine's time; that time moved by ``offset_seconds``; or one moved by hand through ``clock.json``."""
    offset_seconds: float = 0.0
    """Added to the machine's time, in seconds, where ``kind`` is ``offset``."""


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


class ChannelSection(Contract):
    """One channel: what a contact costs, in the workspace's currency."""

    cost: Cost = 0.0
    """Of one contact; part of the priority, whether the contact succeeds or not."""
    fatigue_cost: Cost = 0.0
    """Price of one more contact per contact of the last 7 days on this channel; the policy's comes on top."""
    unsubscribe_rate: Share = 0.0
    """Share of contacts on this channel after which the customer unsubscribes."""
    unsubscribe_cost: Cost = 0.0
    """What a customer lost to this channel costs; rate x cost is part of the price of every contact."""


class TouchpointSection(Contract):
    """Defaults of one touchpoint; what a request says itself wins."""

    purpose: Purpose | None = None
    """Of its contacts."""
    channels: tuple[str, ...] | None = None
    """Channels it can use."""
    collection: str | None = None
    """Offer category it is about."""
    placements: tuple[str, ...] | None = None
    """Where offers are shown; one answer fills each."""
    n: int | None = Field(default=None, ge=1, le=20)
    """Most actions per placement."""
    policy: str | None = None
    """A file in ``policies/``; none is ``policy.toml``."""
    default_action: CandidateRef | None = None
    """The campaign's static default: taken, where rules allow, when nothing else can decide."""


class RewardSection(Contract):
    """What a decision is credited with, for learning and for evaluation."""

    goal: Literal["accept", "click", "open", "revenue"] = "accept"
    """``accept``: the offer's acceptance event happened; ``revenue``: the value in the window."""
    window_days: Days = 28.0
    """After the send time; later outcomes do not count, earlier labels are immature."""
    default: Amount = 0.0
    """Reward of a delivered contact without any outcome when the window closes."""
    outcome_values: dict[OutcomeType, Amount] = Field(default_factory=dict)
    """Added per type of outcome, once each, e.g. ``unsubscribe = -2.0``."""


class StateSection(Contract):
    """Where the log, caps, consents and keys are kept."""

    url: str | None = None
    """``postgresql://…`` beyond one machine; none is ``state.db`` in the workspace. ``${NAME}`` is read from the
    environment, so that no password is in a file."""
    caps_url: str | None = None
    """``redis://…`` keeps the counters of caps there; none keeps them with the log."""


class ShadowSection(Contract):
    """What decides beside the champion on the same request: logged, never returned."""

    policy: str | None = None
    """A file in ``policies/``."""
    challengers: bool = False
    """Also score with the models' challengers."""
    share: Share = 1.0
    """Of decisions."""


class FeaturesSection(Contract):
    """How features are built."""

    purchase_event: str = "purchase"
    """The event that is a purchase: recency, frequency, monetary and profile features count it."""
    engagement_events: tuple[str, ...] = ("open", "click", "page_view", "form_submit", "coupon_redemption")
    """Events counted as responses and in ``engagement_hours``."""
    coupon_event: str = "coupon_redemption"
    """The event that is the use of a coupon."""
    categories: tuple[str, ...] = ()
    """Keys of ``properties.categories`` of purchase events whose shares become features; the rest is ``other``."""
    attributes: tuple[str, ...] = ()
    """Attribute columns of ``customers`` that become features ``attribute_<name>``, as categories."""
    snapshot_days: Days = 7.0
    """Distance between the as-of times at which history is built."""
    history_rows: int = Field(default=2_000_000, ge=1_000)
    """Snapshots that the history holds at most; above it the past is built for a sample of customers by a hash of the
    id, and for a quarter as many sends. Everyone's newest snapshot is in it."""
    memory_gib: float = Field(default=4.0, gt=0.25)
    """Memory that DuckDB may take while features are built and training rows are read; what needs more goes to disk."""
    max_age_hours: Hours = Field(default=72.0, gt=0)
    """Online values older than this are stale: used, and the decision is marked degraded."""


class TrainingSection(Contract):
    """How models are trained."""

    seed: int = 20240501
    """Of every draw: tuning, sampling, bootstrap."""
    trials: int = Field(default=12, ge=0)
    """Tuning trials per model; 0 takes the defaults of the search space."""
    threads: int = Field(default=2, ge=1)
    """Of LightGBM."""
    source: Literal["auto", "log", "history"] = "auto"
    """What the offer model learns from: past touches with the features of the history, the service's own log with the
    features that it saw, or, with ``auto``, both as soon as the log has ``log_rows`` mature rows."""
    log_rows: int = Field(default=500, ge=1)
    """Mature rows of the log from which it is learned from."""
    new_rows: int = Field(default=200, ge=1)
    """Newly matured rows that make ``foretouch train --since`` train a model again."""
    weighted: tuple[Literal["lead", "churn", "value"], ...] = ()
    """Models of customers whose logged rows count by the inverse of the probability of what was decided."""
    refit: bool = True
    """After a model was judged on later rows, the one that is served is fitted again with these rows."""


class SegmentsSection(Contract):
    """Clusters of customers, besides RFM tier and lifecycle stage; see ``foretouch segments``."""

    clusters: bool = False
    """Whether every customer has a feature ``cluster``, for rules, audiences and reports; no model learns from it."""
    features: tuple[str, ...] = (
        *("recency_days", "frequency_90d", "monetary_90d", "basket_mean_365d", "gap_mean_days", "discount_share"),
        *("coupon_share", "response_rate_365d", "weekend_share"),
    )
    """What customers are compared by: features that are numbers."""
    most: int = Field(default=8, ge=2, le=20)
    """The largest number of clusters that is tried."""
    stability: Share = 0.8
    """Least agreement (adjusted Rand index) of clusters made of other draws of customers."""


class DriftSection(Contract):
    """When a champion's inputs, scores or predictions have moved too far; see ``foretouch drift``."""

    psi_watch: float = Field(default=0.1, gt=0)
    """Population stability index from which a column is watched."""
    psi_alarm: float = Field(default=0.25, gt=0)
    """Population stability index from which it is an alarm."""
    missing_alarm: Share = 0.1
    """Change of the share of missing values from which it is an alarm."""
    false_alarms: Share = 0.05
    """Share of checks that may raise an alarm about inputs or scores although nothing has moved, all taken together."""
    min_customers: int = Field(default=30, ge=1)
    """Customers on either side below which inputs and scores are not compared."""
    calibration_ratio: float = Field(default=1.25, gt=1)
    """An alarm where the interval of observed over predicted lies wholly above this, or wholly below one over it."""


class LeadAlertSection(Contract):
    """The hand-off to sales: a signed webhook when a lead's score first reaches the threshold."""

    url: str | None = None
    """Where the webhook goes; none sends nothing."""
    threshold: Share = 0.5
    """Score from which a lead is handed over."""
    attempts: int = Field(default=5, ge=1)
    """How often one message is tried in one run."""


class ServingSection(Contract):
    """How the service answers."""

    deadline_ms: float = Field(default=150.0, gt=0)
    """For a whole answer; a caller lowers it with ``X-Deadline-Ms``."""
    max_body_bytes: int = Field(default=1_000_000, gt=0)
    """A larger request gets 413."""
    front: bool = True
    """Decision routes are answered before BentoML's own layers; off: by BentoML's plain endpoints."""


class PromotionSection(Contract):
    """What a challenger must show before it becomes the champion."""

    worse_margin: Share = 0.02
    """How much worse than the champion, as a share of its figure, the paired interval on later rows may reach."""
    min_rows: int = Field(default=200, ge=1)
    """Later rows, unseen by both, that a comparison with the champion needs."""
    slope: tuple[float, float] = (0.7, 1.4)
    """Calibration slope of a probability: its 95 % interval must reach into this range; below 1 scores are too bold,
    above 1 too timid."""
    max_ece: float = Field(default=0.02, gt=0.0, le=1.0)
    """Expected calibration error over ten bins of equal mass, beyond what chance makes of as many rows."""
    mean_ratio: tuple[float, float] = (0.8, 1.25)
    """Mean label over mean score, of everyone and of every segment: its 95 % interval must reach into this range."""
    segments: tuple[str, ...] = ()
    """Features in whose groups the model must hold as well; none takes the ``attribute_<name>`` features."""
    fairness: tuple[str, ...] = ()
    """Features of the fairness report; none takes those of ``segments``."""
    min_selection_ratio: Share = 0.0
    """Smallest share of a group among the top fifth over the largest group's; 0 only reports it."""
    max_latency_ms: float = Field(default=5.0, gt=0.0)
    """Median time of one score on this machine."""
    max_latency_ratio: float = Field(default=3.0, ge=1.0)
    """Median time of one score over the champion's, where it is above 0.1 ms."""
    policy_margin: float = Field(default=0.0, gt=-1.0)
    """By how much, as a share of what the log earned, the lower bound of an offer or uplift challenger's off-policy
    gain must exceed 0; negative accepts a possible loss of that share."""
    retrain_margin: Share = 0.05
    """For a challenger with the inputs, goal and learner of the champion (a routine retrain) in the place of
    ``policy_margin``: the share of what the log earned per decision that the lower bound may lie below it."""
    policy_rows: int = Field(default=1000, ge=1)
    """Decisions with a closed window, later than its data, from which a challenger is judged on the log."""
    policy_sample: int = Field(default=5_000, ge=1)
    """Most decisions that are decided again for that."""


class OffPolicySection(Contract):
    """What is known of policies that are valued on the log."""

    tuned_through: dict[str, Time] = Field(default_factory=dict)
    """By policy name: outcomes up to then had a say in it; it is valued on later decisions only."""


class Config(Contract):
    """Everything in ``foretouch.toml``."""

    schema_version: Literal[1] = 1
    workspace: WorkspaceSection = WorkspaceSection()
    """Who we are."""
    clock: ClockSection = ClockSection()
    """Which clock the workspace lives by."""
    sources: dict[str, SourceSection] = Field(default_factory=dict)
    """By table name, or ``*`` for all."""
    privacy: PrivacySection = PrivacySection()
    """Columns that identify a person."""
    goals: Goals = Goals()
    """What each model predicts."""
    channels: dict[str, ChannelSection] = Field(default_factory=lambda: {"email": ChannelSection(cost=0.01)})
    """By channel name; a channel that is not here is never used."""
    features: FeaturesSection = FeaturesSection()
    """How features are built."""
    training: TrainingSection = TrainingSection()
    """How models are trained."""
    segments: SegmentsSection = SegmentsSection()
    """Clusters of customers."""
    drift: DriftSection = DriftSection()
    """When a model is no longer of its time."""
    serving: ServingSection = ServingSection()
    """How the service answers."""
    lead_alert: LeadAlertSection = LeadAlertSection()
    """The hand-off to sales."""
    touchpoints: dict[str, TouchpointSection] = Field(default_factory=dict)
    """By touchpoint name."""
    reward: RewardSection = RewardSection()
    """What a decision is credited with."""
    state: StateSection = StateSection()
    """Where the log, caps, consents and keys are kept."""
    shadow: ShadowSection = ShadowSection()
    """What decides beside the champion."""
    promotion: PromotionSection = PromotionSection()
    """What a challenger must show."""
    off_policy: OffPolicySection = OffPolicySection()
    """What is known of policies that are valued on the log."""


T = TypeVar("T", bound=Contract)


def load_toml(path: Path, contract: type[T]) -> T:
    """Reads a TOML file into a contract.

    Raises:
        ConfigError: The file is missing, is no TOML, or breaks the contract; the message names file, line, column and
            field.
    """
    try:
        source = path.read_text(encoding="utf-8")
        raw: dict[str, Any] = tomllib.loads(source)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there", hint="foretouch init DIR") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        return contract.model_validate(_aware(raw))
    except ValidationError as error:
        places = find_places(source)
        lines = [_told(places, item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(lines)) from error


def _told(places: Places, where: tuple[str | int, ...], problem: str) -> str:
    """What is wrong with a value, with its line and column; a value that is missing has those of its table."""
    at = places.of(where)
    said = f"{'.'.join(str(part) for part in where)}: {problem}"
    return said if at is None else f"line {at[0]}, column {at[1]}: {said}"


def _aware(value: Any) -> Any:
    """TOML times without an offset are read as UTC."""
    if isinstance(value, dict):
        return {key: _aware(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_aware(item) for item in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
