"""The results of an experiment: the JSON that the report is made of (``schema_version`` 1)."""

from typing import Any, Literal

from pydantic import Field

from foretouch.core.schema import Contract, Time
from foretouch.experiments.directed import NonInferiority, OneSided
from foretouch.experiments.past_trials import PastTrial
from foretouch.experiments.uplift.contract import UpliftResults

Range = tuple[float, float]
Light = Literal["green", "amber", "red"]
VerdictCode = Literal["win", "unclear", "harm", "equivalent", "broken"]
Basis = Literal["fixed", "anytime", "group_sequential", "hybrid"]


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


class SegmentSplit(Contract):
    """Is the split of one segment's units the one that was configured?"""

    segment: str
    value: str
    observed: dict[str, int]
    expected: dict[str, float]
    statistic: float
    df: int
    p: float
    p_adjusted: float
    """Holm's, over all segments of the spec."""
    ok: bool


class Check(Contract):
    """One light of the trust strip."""

    code: str
    light: Light
    text_en: str
    text_zh: str


class Decisive(Contract):
    """What the verdict goes by: the test that the design allows at this look."""

    basis: Basis
    p: float
    """Below alpha at any look with probability at most alpha, before the correction for many comparisons."""
    ci: Range
    """The interval that belongs to it; the repeated one of a group-sequential test."""
    lift_ci: Range | None
    z: float
    """The difference in standard errors."""
    bound: float | None = None
    """Of a group-sequential test, at this look, in standard errors."""
    crossed: bool | None = None
    """Of a group-sequential test: the bound is crossed, the test may stop."""


class Plain(Contract):
    """An effect without covariates and strata."""

    difference: float
    se: float
    ci: Range
    p: float
    lift: float | None
    lift_ci: Range | None


class Bayesian(Contract):
    """The Bayesian view: a normal prior (or none) and the estimate with its standard error, combined."""

    prior: Literal["flat", "normal"]
    on: Literal["lift", "difference"]
    """What the prior, the mean and the losses are about."""
    prior_mean: float | None = None
    prior_sd: float | None = None
    mean: float
    sd: float
    ci: Range
    """Credible interval of 1 - alpha, equal tails."""
    chance_better: float
    """That the treatment is better, in the direction that is good for the metric."""
    risk_of_shipping: float
    """Expected loss, in the unit of ``on``, if the treatment is rolled out and is in truth worse."""
    risk_of_keeping: float
    """Expected loss if the control is kept and the treatment is in truth better."""


class SampleLeft(Contract):
    """How far a running test is from seeing the smallest change that matters."""

    smallest_lift: float
    """Of the spec: the relative change that must not be missed."""
    power_now: float
    """Chance that the units so far show it."""
    units_needed: int
    """Units of both arms together for 80 % power, with the variance seen so far."""
    units_left: int


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
    anytime_one_sided: OneSided | None = None
    """Is it better? Absent in results of earlier releases."""
    decisive: Decisive | None = None
    """What the verdict goes by; absent in results of earlier releases."""
    non_inferiority: NonInferiority | None = None
    money: Money | None = None
    bayesian: tuple[Bayesian, ...] = ()
    """The same effect without a prior and with the spec's."""
    sample_left: SampleLeft | None = None
    """Where the metric names its smallest lift."""
    variance_explained: float | None = None
    """Share of the variance that covariates and strata took away."""
    unadjusted: Plain | None = None
    """The effect without covariates and strata, where there are any."""
    cap: float | None = None
    """Value at which a winsorised metric was capped."""
    without_cap: dict[str, Any] | None = None
    """Difference, interval and p of a winsorised metric as it was."""

    @property
    def decisive_ci(self) -> Range:
        """The interval of the difference that the verdict goes by."""
        return self.ci if self.decisive is None else self.decisive.ci

    @property
    def decisive_lift_ci(self) -> Range | None:
        """The same of the lift."""
        return self.lift_ci if self.decisive is None else self.decisive.lift_ci


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


class Price(Contract):
    """What a way of looking costs beside one test at the end."""

    looks: str
    """How often, and with which bounds: ``once``, ``5 looks, obrien-fleming``, ``hybrid``, ``any time``."""
    bounds: tuple[float, ...] = ()
    """Of each look, in standard errors; empty for any time."""
    factor: float
    """Most units needed for the same power, over those of one test at the end."""
    power: float
    """With the same number of units, where one test at the end has 80 %."""


class SequentialState(Contract):
    """The design's plan of looks, where the test stands in it, and what the plan costs."""

    kind: Basis
    planned_units: int | None = None
    information: float | None = None
    """Share of the planned units seen."""
    looks: tuple[float, ...] = ()
    """Information times of the looks so far, this one last."""
    bounds: tuple[float, ...] = ()
    """Their bounds in standard errors."""
    spending: str | None = None
    prices: tuple[Price, ...] = ()


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
    """Which test decides: without a plan of looks ``anytime`` while the experiment runs, so that looking is safe."""
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
    exposed: dict[str, float] = Field(default_factory=dict)
    """Share of counted units per arm that had a contact known to have gone out within the longest window; empty where
    no delivery or answer was ever posted. Effects are of being assigned, reached or not."""
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
    running: bool = False
    """The planned end has not come."""
    assignment: Literal["randomised", "observational"] = "randomised"
    """``observational``: the arms were not drawn by lot, and no verdict praises or blames."""
    sequential: SequentialState | None = None
    """Where the spec plans its looks."""
    n: int
    srm: Split
    srm_segments: tuple[SegmentSplit, ...] = ()
    """The same within every segment."""
    arms: dict[str, int]
    checks: tuple[Check, ...] = ()
    metrics: tuple[MetricResult, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    heterogeneity: tuple[Heterogeneity, ...] = ()
    cumulative: tuple[Look, ...] = ()
    multiplicity: dict[str, Any] = Field(default_factory=dict)
    uplift: dict[str, UpliftResults] = Field(default_factory=dict)
    """By treatment arm, where the spec names a score: is it right to choose by it?"""
    verdict: Verdict
    verdicts: tuple[Verdict, ...] = ()
    """One per treatment arm; ``verdict`` is the one to act on."""
    refusals: tuple[Refusal, ...] = ()
    definitions: dict[str, str] = Field(default_factory=dict)
    plan: tuple[PlannedMetric, ...] = ()
    """Only while nobody can be counted yet."""
    enrolment: Enrolment | None = None
    past_trials: tuple[PastTrial, ...] = ()
    """A/A trials of the metrics on this workspace's past units, oldest first."""
    assumptions: tuple[dict[str, Any], ...] = ()
    command: str = ""
    """What gives these very numbers again."""
    workspace: str = ""
    """How a command names the workspace; empty for a table of rows."""
    inputs: dict[str, str] = Field(default_factory=dict)
