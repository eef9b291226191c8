"""The results of an experiment: the JSON that the report is made of (``schema_version`` 1)."""

from typing import Any, Literal

from pydantic import Field

from foretouch.core.schema import Contract, Time

Range = tuple[float, float]
Light = Literal["green", "amber", "red"]
VerdictCode = Literal["win", "unclear", "harm", "equivalent", "broken"]
Basis = Literal["fixed", "anytime"]


class Split(Contract):
    """Is the split the one that was configured?"""

    statistic: float | None
    """Pearson's chi-square over arms of positive weight."""
    df: int
    p: float | None
    sequential_p: float
    """May be looked at after every unit."""
    ok: bool
    observed: dict[str, int]
    expected: dict[str, float]
    """Expected units per arm."""


class Check(Contract):
    """One light of the trust strip."""

    code: str
    light: Light
    text_en: str
    text_zh: str


class NonInferiority(Contract):
    """Is the treatment no worse than the control by more than the margin?"""

    margin: float
    """Absolute, in the metric's unit, in the harmful direction."""
    p: float
    """One-sided p against "worse by the margin or more"."""
    status: Literal["passed", "not_shown", "broken"]
    """By the two-sided interval (the anytime-valid one while the test runs): within the margin, across it, wholly
    beyond it."""


class Money(Contract):
    """What the effect is worth per 1,000 customers of the treatment, cost subtracted."""

    kind: Literal["revenue", "margin"]
    currency: str | None
    per_1000: float
    per_1000_ci: Range
    audience: int
    """Units of both arms together: what the whole audience is here."""
    audience_total: float
    audience_ci: Range
    cost_per_unit: float


class MetricResult(Contract):
    """One metric in one treatment arm against the control."""

    name: str
    contrast: str
    """The treatment arm."""
    control: str
    role: Literal["primary", "guardrail", "secondary"]
    kind: Literal["mean", "proportion", "ratio", "quantile"]
    better: Literal["up", "down"]
    n_control: int
    n_treatment: int
    control_mean: float
    treatment_mean: float
    difference: float
    se: float
    df: float | None
    """Null where normal theory is used."""
    ci: Range
    p: float
    p_adjusted: float
    lift: float | None
    lift_ci: Range | None
    lift_ci_log_delta: Range | None
    anytime_ci: Range
    anytime_lift_ci: Range | None
    anytime_p: float
    non_inferiority: NonInferiority | None = None
    money: Money | None = None
    variance_explained: float | None = None
    """Share of the variance that covariates took away."""
    cap: float | None = None
    """Value at which a winsorised metric was capped."""
    without_cap: dict[str, Any] | None = None
    """Difference, interval and p of a winsorised metric as it was."""


class SegmentResult(Contract):
    """One metric in one segment."""

    segment: str
    value: str
    name: str
    contrast: str
    n_control: int
    n_treatment: int
    control_mean: float
    treatment_mean: float
    difference: float
    se: float
    ci: Range
    ci_fcr: Range
    """At the false coverage rate of the whole family of segments."""
    p: float
    p_adjusted: float
    lift: float | None
    lift_ci: Range | None


class Heterogeneity(Contract):
    """Cochran's Q: do the segments differ in their effect?"""

    segment: str
    name: str
    contrast: str
    q: float
    df: int
    p: float


class Look(Contract):
    """One metric on all units that had entered by a time."""

    through: str
    name: str
    contrast: str
    n: int
    difference: float
    se: float
    ci: Range
    p: float
    lift: float | None
    lift_ci: Range | None
    anytime_ci: Range
    anytime_lift_ci: Range | None
    anytime_p_at_look: float
    anytime_p: float
    """Running minimum over the looks so far."""


class PlannedMetric(Contract):
    """What past data say about a metric before anybody can be counted: its level, and how many units a change takes."""

    name: str
    baseline: float
    """Its mean over everyone in the last full window."""
    units: dict[str, int]
    """Units of both arms needed at 80 % power, by relative change (``"0.05"``)."""
    detectable_lift: float | None
    """Smallest relative change seen with the whole audience."""
    audience: int
    """Customers (or households) that could enter."""


class Verdict(Contract):
    """The answer in one sentence, from a fixed rule table."""

    code: VerdictCode
    text_en: str
    text_zh: str
    contrast: str | None = None
    basis: Basis = "fixed"
    """``anytime`` while the experiment runs, so that looking often does no harm."""
    metric: str | None = None
    """The metric that it speaks of."""
    more_units: int | None = None
    """Units of both arms that are still needed, rounded up; null where none are or it cannot be said."""
    more_days: int | None = None
    """How long they take at the pace so far."""


class Refusal(Contract):
    """Why there is no number."""

    code: str
    text_en: str
    text_zh: str
    metric: str | None = None
    contrast: str | None = None
    segment: str | None = None


class Enrolment(Contract):
    """How units came from the decision log to the analysis; absent for a table of rows."""

    as_of: Time
    entered: int
    mature: int
    not_mature: int
    in_two_arms: int
    assignment_mismatches: int | None
    """Null where the assignment could not be recomputed."""
    first_exposure: Time | None
    last_exposure: Time | None
    last_event: Time | None
    """When the newest event of the metrics was received."""
    contacted: dict[str, float]
    """Share of units per arm that the first decision told to contact."""
    entered_by_arm: dict[str, int] = Field(default_factory=dict)
    """Units by the arm of their first exposure, whether their window is over or not: what the split is judged by."""
    window_days: dict[str, float]
    """By metric."""
    shortened_to_days: float | None = None


class Results(Contract):
    """Everything about one experiment at one moment."""

    schema_version: Literal[1] = 1
    key: str
    control: str
    alpha: float
    title: dict[str, str] = Field(default_factory=dict)
    metric_titles: dict[str, dict[str, str]] = Field(default_factory=dict)
    arm_titles: dict[str, dict[str, str]] = Field(default_factory=dict)
    arm_kinds: dict[str, str] = Field(default_factory=dict)
    """What each arm does in a decision; empty for a table of rows."""
    starts_at: Time | None = None
    ends_at: Time | None = None
    """The planned end of assignment."""
    weights: dict[str, float]
    currency: str | None = None
    origin: str = "own"
    basis: Basis = "fixed"
    n: int
    srm: Split
    arms: dict[str, int]
    checks: tuple[Check, ...] = ()
    metrics: tuple[MetricResult, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    heterogeneity: tuple[Heterogeneity, ...] = ()
    cumulative: tuple[Look, ...] = ()
    multiplicity: dict[str, Any] = Field(default_factory=dict)
    verdict: Verdict
    verdicts: tuple[Verdict, ...] = ()
    """One per treatment arm; ``verdict`` is the one to act on."""
    refusals: tuple[Refusal, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)
    plan: tuple[PlannedMetric, ...] = ()
    """Only while nobody can be counted yet."""
    enrolment: Enrolment | None = None
    assumptions: tuple[dict[str, Any], ...] = ()
    command: str = ""
    """What gives these very numbers again."""
    workspace: str = ""
    """How a command names the workspace; empty for a table of rows."""
    inputs: dict[str, str] = Field(default_factory=dict)
