"""The insights of a period: the JSON that the page is made of (``schema_version`` 1)."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract, Time

Range = tuple[float, float]


class Words(Contract):
    """A sentence in both languages."""

    code: str
    text_en: str
    text_zh: str


class FunnelRule(Contract):
    """What one rule dropped."""

    rule: str
    candidates: int
    decisions: int
    """In which it dropped any."""
    customers: int
    """Of whom it dropped any."""


class FunnelStage(Contract):
    """One stage of the rules; stages that dropped nothing are left out."""

    stage: str
    dropped: int
    """Candidates."""
    left: int
    """Candidates after it."""
    decisions_left: int
    """Decisions with a candidate after it."""
    customers_left: int
    """Customers with such a decision."""
    rules: tuple[FunnelRule, ...]
    """Those that dropped most first."""


class Funnel(Contract):
    """From candidates to choices; "no contact" is no candidate here."""

    decisions: int
    customers: int
    by_status: dict[str, int]
    considered: int
    """Candidates."""
    left: int
    """Candidates that no rule dropped."""
    chosen: int
    """Contacts decided."""
    decisions_considered: int
    customers_considered: int
    decisions_left: int
    customers_left: int
    decisions_contacted: int
    customers_contacted: int
    stages: tuple[FunnelStage, ...]


class EngagementRow(Contract):
    """How far contacts came; ``*`` is every channel, or every offer."""

    channel: str
    offer_id: str
    decided: int = 0
    sent: int = 0
    """Decided, and nobody said that it was not sent."""
    bounced: int = 0
    delivered: int = 0
    """Known to have gone out."""
    opened: int = 0
    """A person opened or clicked."""
    clicked: int = 0
    """A person clicked."""
    converted: int = 0
    """A goal event was credited to it."""
    unsubscribed: int = 0
    """Or complained."""
    machine_only: int = 0
    """A machine opened or clicked, and no person did."""


class Engagement(Contract):
    """From sends to conversions."""

    total: EngagementRow
    channels: tuple[EngagementRow, ...] = ()
    offers: tuple[EngagementRow, ...] = ()
    both: tuple[EngagementRow, ...] = ()


class AttributionRow(Contract):
    """One channel's or offer's share of the conversions, by every model."""

    dimension: Literal["channel", "offer"]
    touch: str
    touches: int
    removal_effect: float
    """Share of conversions lost without it, by the Markov chain."""
    credit: dict[str, float]
    """Conversions, by model; a model's credits of one dimension sum to ``conversions``."""


class Attribution(Contract):
    """Which contacts came before the conversions: association, not effect."""

    window_days: float
    conversions: int
    """With a touch in the window before them."""
    without_touch: int
    """Conversions of customers who were decided on, with none."""
    lost: int
    """Paths that led to no conversion and are over."""
    open: int
    """Paths whose window is not over."""
    touches_per_conversion: float | None
    rows: tuple[AttributionRow, ...] = ()


class IncrementalRow(Contract):
    """What an arm caused over a holdout, by randomisation: every customer of both arms, contacted or not."""

    key: str
    """The experiment."""
    level: Literal["no_contact", "business_as_usual", "random"]
    control: str
    treatment: str
    control_title: dict[str, str] = Field(default_factory=dict)
    treatment_title: dict[str, str] = Field(default_factory=dict)
    window_days: float
    n_control: int
    n_treatment: int
    control_rate: float | None = None
    """Conversions per customer within the window of their first decision."""
    treatment_rate: float | None = None
    difference: float | None = None
    ci: Range | None = None
    incremental: float | None = None
    """Conversions of the treatment arm that would not have happened otherwise: difference times its size."""
    incremental_ci: Range | None = None
    attributed: int | None = None
    """Conversions of the treatment arm in the same windows that attribution credits to contacts."""
    contacts: int | None = None
    """Of the treatment arm in the same windows."""
    contact_cost: float | None = None
    cost_per_incremental: float | None = None
    """Null where the interval of the incremental conversions includes zero, or contacts of both arms cost."""
    cost_per_incremental_ci: Range | None = None
    margin_per_conversion: float | None = None
    """Mean value less offer cost of the credited offers of the treatment arm."""
    profit: float | None = None
    """Incremental conversions times that margin, less the cost of the contacts."""
    profit_ci: Range | None = None
    withheld: str | None = None
    """Why there is no number."""


class CostRow(Contract):
    """What contacts cost, and what is credited to them by last touch; ``*`` is all."""

    dimension: Literal["channel", "offer", "all"]
    touch: str
    contacts: int
    contact_cost: float
    conversions: int
    """Credited by last touch."""
    offer_cost: float
    """Of the accepted offers."""
    value: float
    """Of the credited conversions, before the offers' cost: contribution margin as the offers table states it."""
    profit: float
    roi: float | None
    """Profit over all cost; null where nothing was spent."""


class DailyPoint(Contract):
    """One day of the workspace's time zone."""

    day: str
    value: float
    low: float | None
    """Of the band expected from the weeks before; null where there are too few."""
    high: float | None
    outside: bool = False


class DailySeries(Contract):
    """One figure, day by day."""

    name: str
    judged: int
    """Days with a band."""
    outside: int
    """Of these, outside it; one in a hundred healthy days is."""
    history_days: int
    """Days before the period that are known."""
    needed_days: int
    """Days before a day that it takes to judge it."""
    points: tuple[DailyPoint, ...]


class Insights(Contract):
    """What happened in a period, and why."""

    schema_version: Literal[1] = 1
    name: str
    """The workspace's."""
    currency: str
    origin: str
    since: Time
    until: Time
    """Decisions before it."""
    as_of: Time
    """Outcomes and events received by then are known."""
    summary: tuple[Words, ...] = ()
    """From a fixed table of sentences."""
    names: dict[str, dict[str, str]] = Field(default_factory=dict)
    """What readers call an offer (by its id) and an arm (by ``experiment/arm``), by language."""
    funnel: Funnel
    engagement: Engagement | None = None
    attribution: Attribution | None = None
    incremental: tuple[IncrementalRow, ...] = ()
    costs: tuple[CostRow, ...] = ()
    daily: tuple[DailySeries, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)
    """What each number means, by the name of its field, else of what encloses it."""
    command: str = ""
    """What gives these very numbers again."""
