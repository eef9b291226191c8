"""What a policy would have changed over a stored sample of decisions: the contracts of the answer."""

from typing import Any, Literal

from pydantic import Field

from foretouch.core.ids import Id
from foretouch.core.policy import PolicySpec
from foretouch.core.schema import Contract, Time

MOST = 10_000
"""Decisions of one what-if over HTTP at most."""


class SimulateBody(Contract):
    """``POST /v1/simulate``: give ``policy``, or ``policy_name``."""

    policy: PolicySpec | None = None
    """The policy itself."""
    policy_name: Id | None = None
    """A file in ``policies/``."""
    sample: int = Field(default=1000, ge=1, le=MOST)
    """Most decisions, drawn evenly from the range."""
    since: Time | None = None
    """Decided at or after."""
    until: Time | None = None
    """Decided before."""
    segments: tuple[str, ...] = Field(default=(), max_length=8)
    """Customer attributes or features whose groups are shown apart."""
    losers: int = Field(default=20, ge=0, le=1000)
    """Most customers named among those who lose."""
    evidence: bool = True
    """Also what the logged outcomes say."""


class Beside(Contract):
    """One number under the logged policies and under the other one."""

    base: float
    changed: float

    @property
    def difference(self) -> float:
        """Changed less base."""
        return self.changed - self.base


class Totals(Contract):
    """Sums over decisions, in expectation over the draw; money in the workspace's currency."""

    decisions: int
    reach: Beside
    """Expected number of contacts (first draw)."""
    spend: Beside
    """Expected cost: the channel's of every contact, the offer's where the goal happens."""
    value: Beside
    """Expected margin less spend: propensity x (value - offer cost) - channel cost; levers and weights left out."""


class Group(Totals):
    """Totals of one offer, channel or segment."""

    name: str


class Loser(Contract):
    """A customer whose expected contact or value falls."""

    customer_id: str
    decisions: int
    reach: Beside
    value: Beside


class ModelBased(Contract):
    """What the models say of the two policies: as good as the models, and blind to what they do not know."""

    label: Literal["model-based"] = "model-based"
    totals: Totals
    by_offer: tuple[Group, ...] = ()
    by_channel: tuple[Group, ...] = ()
    by_segment: dict[str, tuple[Group, ...]] = Field(default_factory=dict)
    same_choice: float = 0.0
    """Share of decisions that choose the same candidate."""
    customers: int = 0
    customers_losing_contact: int = 0
    customers_losing_value: int = 0
    losers: tuple[Loser, ...] = ()
    """The largest falls of value first."""
    losing_segments: tuple[str, ...] = ()
    """``segment=group`` whose reach or value falls."""
    unvalued: int = 0
    """Decisions in which some candidate has no propensity: their value counts what is known."""


class Evidence(Contract):
    """What the logged outcomes say of the two policies, by inverse propensities: no model, or a reason why not."""

    label: Literal["logged-evidence"] = "logged-evidence"
    available: bool
    reason: str = ""
    """Why there is none."""
    reward: str = ""
    """What is averaged per decision."""
    decisions: int = 0
    """With a closed window and one draw."""
    base_mean: float | None = None
    """Mean reward of the logged policies."""
    effective_sample_size: float | None = None
    ips: dict[str, Any] | None = None
    """``value``, ``se`` and ``ci`` by inverse propensity scoring."""
    snips: dict[str, Any] | None = None
    """The same, self-normalised."""
    verdict: Literal["ok", "refused"] | None = None
    refusals: tuple[dict[str, str], ...] = ()
    """Why the numbers must not be believed."""


class WhatIf(Contract):
    """A policy over a stored sample of decisions, beside what was logged."""

    schema_version: Literal[1] = 1
    policy: str
    policy_version: str
    """Content hash."""
    since: Time | None = None
    until: Time | None = None
    in_range: int
    """Decisions in the range."""
    sampled: int
    left_out: dict[str, int] = Field(default_factory=dict)
    """Of the sample, by reason: held out, forbidden by rules, not replayable."""
    model_based: ModelBased
    evidence: Evidence
    warnings: tuple[str, ...] = ()
