"""What an experiment is: unit, arms, weights, metrics. Analysis and assignment both read this one spec."""

from typing import Literal

from pydantic import Field, model_validator

from foretouch.core.experiment_options import Prior, Sequential, TrustColumns
from foretouch.core.ids import Id
from foretouch.core.schema import Contract, Share, Time

ArmKind = Literal["policy", "no_contact", "business_as_usual", "random", "propensity_only", "no_levers", "rules_only"]
HOLDOUTS: frozenset[str] = frozenset({"no_contact", "business_as_usual", "random"})
"""Kinds of arm in which no score decides."""


class Arm(Contract):
    """What the decision does for a unit in this arm.

    ``policy`` follows a policy (the workspace's, or the named one). Three kinds are holdouts: no contact at all, the
    caller's ``baseline_offer_id``, or a uniform draw among eligible candidates. Three kinds split the value of the
    whole: ``propensity_only`` ranks by propensity alone, ``no_levers`` leaves out levers and context weights,
    ``rules_only`` ranks by the marketer's values and levers without any model.
    """

    kind: ArmKind = "policy"
    """What happens to its units."""
    policy: str | None = None
    """A file in ``policies/``; none is ``policy.toml``."""
    title: dict[str, str] = Field(default_factory=dict)
    """What reports call it, by language (``en``, ``zh``); the arm's name where there is none."""


class Metric(Contract):
    """One number per unit, and how its arms are compared."""

    name: str = Field(min_length=1)
    """Unique in the spec."""
    title: dict[str, str] = Field(default_factory=dict)
    """What reports call it, by language (``en``, ``zh``); the name where there is none."""
    kind: Literal["mean", "proportion", "ratio", "quantile"]
    """``proportion`` is a mean of 0 and 1; ``ratio`` is a ratio of two sums (delta method)."""
    column: str | None = None
    """Of the rows, where a table of units is analysed."""
    numerator: str | None = None
    """Column of a ratio."""
    denominator: str | None = None
    """Column of a ratio."""
    covariates: tuple[str, ...] = ()
    """Columns known before exposure: they narrow the interval (CUPED)."""
    strata: tuple[str, ...] = ()
    """Columns known before exposure whose groups are compared within and weighted by size (post-stratification)."""
    winsor: float | None = Field(default=None, gt=0.5, lt=1.0)
    """Upper quantile, over all arms pooled, at which values are capped."""
    winsor_ignore_zero: bool = False
    """Take that quantile of the values above zero: where most units have none, a cap over all of them would be zero."""
    q: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Which quantile, where ``kind`` is ``quantile``."""
    role: Literal["primary", "guardrail", "secondary"] = "secondary"
    """Primary and guardrail metrics decide; secondary ones are read with false discovery control."""
    margin: float | None = Field(default=None, ge=0.0)
    """How much worse is still acceptable: absolute, in the metric's unit (0.005 of a proportion is half a point)."""
    better: Literal["up", "down"] = "up"
    """Which direction is good."""
    smallest_lift: float | None = Field(default=None, gt=0.0)
    """The relative change that must not be missed: results say how many more units it takes to see it."""
    value_per_unit: float | None = None
    """Contribution margin of one unit of the metric, in the workspace's currency."""
    cost_per_unit: float | None = None
    """Cost of the treatment per customer in it, in the workspace's currency."""
    event: str | None = None
    """From the decision log: the event whose count, occurrence or value within ``window_days`` is this metric."""
    measure: Literal["occurred", "count", "value"] = "occurred"
    """Of that event: whether it occurred, how often, or the sum of its value."""
    window_days: float = Field(default=28.0, gt=0.0)
    """From the unit's first decision in the experiment."""

    @model_validator(mode="after")
    def _complete(self) -> "Metric":
        if self.kind == "ratio" and not (self.numerator and self.denominator):
            raise ValueError(f"metric {self.name!r}: kind 'ratio' needs numerator and denominator")
        if self.kind != "ratio" and not (self.column or self.event):
            raise ValueError(f"metric {self.name!r}: needs a column (rows) or an event (decision log)")
        if self.kind == "quantile" and self.q is None:
            raise ValueError(f"metric {self.name!r}: kind 'quantile' needs q")
        return self


class ExperimentSpec(Contract):
    """A randomised comparison, from assignment to analysis."""

    schema_version: Literal[1] = 1
    key: Id
    """Names the experiment in decisions, files and reports."""
    unit: str = "customer_id"
    """What is assigned: ``customer_id``, or ``household_id``; a column's name where rows are analysed."""
    arm: str = "arm"
    """The column that holds the arm, when rows are analysed."""
    control: str
    """The arm that others are compared with."""
    assignment: Literal["randomised", "observational"] = "randomised"
    """``observational``: the arms were not drawn by lot; differences are shown, and no verdict praises or blames."""
    weights: dict[str, Share]
    """Share of each arm; they sum to 1."""
    arms: dict[str, Arm] = Field(default_factory=dict)
    """What each arm does in a decision; an arm without an entry follows the workspace's policy."""
    salt: str = ""
    """Defaults to the key; change it to re-randomise."""
    version: int = Field(default=1, ge=1)
    """Raised by whoever changes weights or arms; every assignment names it."""
    earlier_weights: tuple[dict[str, Share], ...] = ()
    """The weights before each change, oldest first: then a change moves only the units that it must."""
    layer: str = ""
    """Experiments of one layer share its salt, so that their ``slice``s are disjoint sets of units."""
    slice: tuple[Share, Share] = (0.0, 1.0)
    """The part of the layer's units that takes part, [from, to)."""
    portfolio: bool = False
    """Always on, above all others: a unit that it holds in any arm but ``policy`` takes part in no other experiment."""
    touchpoints: tuple[str, ...] = ()
    """Empty: every touchpoint, but for contacts of purpose ``transactional``."""
    starts_at: Time | None = None
    """Before it nobody is assigned."""
    ends_at: Time | None = None
    """From then on nobody is assigned; exclusive."""
    title: dict[str, str] = Field(default_factory=dict)
    """A short title by language (``en``, ``zh``)."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """Two-sided error rate of the whole family of decisive comparisons."""
    tuning: float = Field(default=5000.0, gt=0.0)
    """Number of units at which the anytime-valid interval is tightest."""
    time: str | None = None
    """Column with the first exposure, for results over time."""
    cluster: str | None = None
    """Column whose groups vary together; errors are by group."""
    segments: tuple[str, ...] = ()
    """Columns whose groups are shown apart."""
    score: str | None = None
    """Column (or feature) with a score known before exposure: the report says whether it is right to choose by it."""
    sequential: Sequential | None = None
    """When the results may decide; without it, by the anytime-valid answer while the test runs and once at its end."""
    prior: Prior = Prior()
    """Of the Bayesian view, which also shows the answer without any prior."""
    trust: TrustColumns = TrustColumns()
    """Columns that only the trust checks read."""
    metrics: tuple[Metric, ...] = Field(min_length=1)
    """What is compared."""

    @model_validator(mode="after")
    def _consistent(self) -> "ExperimentSpec":
        if self.control not in self.weights:
            raise ValueError(f"control == {self.control!r}, must be one of the arms {sorted(self.weights)}")
        if len(self.weights) < 2:
            raise ValueError(f"weights has {len(self.weights)} arm, must have at least 2")
        total = sum(self.weights.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"weights sum to {total:.6g}, must sum to 1")
        if self.slice[0] >= self.slice[1]:
            raise ValueError(f"slice == {list(self.slice)}, must be [from, to) with from below to")
        if self.slice != (0.0, 1.0) and not self.layer:
            raise ValueError("slice needs a layer: without one it would not be disjoint from anything")
        unknown = sorted(set(self.arms) - set(self.weights))
        if unknown:
            raise ValueError(f"arms {unknown} have no weight")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            raise ValueError("two metrics share a name")
        return self

    @model_validator(mode="after")
    def _history(self) -> "ExperimentSpec":
        for index, earlier in enumerate(self.earlier_weights):
            if abs(sum(earlier.values()) - 1.0) > 1e-6:
                raise ValueError(f"earlier_weights[{index}] sum to {sum(earlier.values()):.6g}, must sum to 1")
        if self.earlier_weights and self.version <= len(self.earlier_weights):
            raise ValueError(
                f"version == {self.version}, must be above {len(self.earlier_weights)}, the number of earlier weights"
            )
        return self
