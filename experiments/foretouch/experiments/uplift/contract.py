"""The uplift results: the JSON that the page is made of (``schema_version`` 1)."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract

Range = tuple[float, float]


class Measured(Contract):
    """A figure with its standard error and 95 % interval."""

    value: float
    se: float
    ci: Range


class CurvePoint(Contract):
    """The curves where a share of everyone, by score from the top, is contacted; outcomes per person of everyone."""

    share: float
    qini: float
    low: float
    """Lower end of the pointwise 95 % band of the Qini curve."""
    high: float
    chord: float
    """What a random order gains on average: the straight line to the end of the Qini curve."""
    gain: float
    """Outcomes gained per person by contacting this share rather than nobody."""
    gain_se: float


class TenthResult(Contract):
    """One tenth of the rows by score; the first is the top."""

    rows: int
    score: float
    """Mean score."""
    uplift: float
    """Mean outcome gained by a contact, estimated from both arms."""
    ci: Range


class MoneyPoint(Contract):
    """Money per 1,000 people where a share of them is contacted, after the cost of contacts."""

    share: float
    money: float
    ci: Range
    """Pointwise, 95 %."""


class Optimum(Contract):
    """The share that paid best, and how sure that is."""

    share: float
    share_ci: Range
    """From the 2.5th to the 97.5th percentile of the best shares of bootstrap samples."""
    money: float
    """Per 1,000 people at that share, less ``optimism``."""
    ci: Range
    """95 %, of the corrected figure."""
    optimism: float
    """By how much the best of many shares looks better than it is, on average over bootstrap samples."""
    flat: Range
    """Shares around the best one that cannot be told from it (95 %, paired)."""
    pays: bool
    """The interval lies above 0: contacting that share is better than contacting nobody."""
    beats_everyone: bool
    """Contacting that share is better than contacting everyone (95 %, paired)."""


class MoneyCurve(Contract):
    """Money by share."""

    value_per_outcome: float
    cost_per_contact: float
    currency: str | None
    points: tuple[MoneyPoint, ...]
    optimum: Optimum


class Quadrant(Contract):
    """Bounds of the share of people of one kind; what one person would do both ways is never seen."""

    kind: Literal["persuaded", "put_off"]
    least: float
    """Simultaneous 95 % lower bound; 0 says nothing."""
    most: float
    """Upper bound on the rows."""


class UpliftResults(Contract):
    """A score on randomised rows."""

    schema_version: Literal[1] = 1
    title: str
    score: str
    outcome: str
    binary: bool
    """The outcome is 0 or 1: effects are points of a share."""
    n: int
    treated: int
    control: int
    average: Measured
    """Mean outcome of the treated less that of the controls."""
    qini: Measured
    auuc: Measured
    better_than_random: bool
    curve: tuple[CurvePoint, ...]
    tenths: tuple[TenthResult, ...]
    money: MoneyCurve | None = None
    """Where a value per outcome is given."""
    quadrants: tuple[Quadrant, ...] = ()
    """Of outcomes that are 0 or 1, where a lower bound is above 0."""
    draws: int
    definitions: dict[str, str] = Field(default_factory=dict)
    command: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
