"""Policies beside each other: the JSON that the page is made of (``schema_version`` 1)."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract
from foretouch.experiments.results import Light, Range


class Amount(Contract):
    """Reward per decision, with its standard error and 95 % interval."""

    value: float
    se: float
    ci: Range


class PolicyReason(Contract):
    """Why a verdict is withheld."""

    code: str
    text: str


class PolicyEstimate(Contract):
    """One policy on the log that others wrote."""

    name: str
    version: str
    verdict: Literal["ok", "refused"]
    reasons: tuple[PolicyReason, ...] = ()
    text_en: str
    text_zh: str
    dr: Amount
    snips: Amount
    difference: Amount
    """The policy less those that decided, by DR of both on the same rows."""
    n: int
    customers: int
    ess: float
    """Effective sample size, in rows."""
    max_weight_share: float
    top_weight_share: float
    """Of the heaviest 1 % of rows."""
    unsupported: float
    """Share of the policy's choices that the log never tried."""
    mean_weight: float
    """1 with right propensities."""
    left_out: dict[str, int] = Field(default_factory=dict)
    overlap: Light
    """How far what was logged resembles what the policy would do."""


class PolicyResults(Contract):
    """Some policies on one log."""

    schema_version: Literal[1] = 1
    title: str
    origin: str = "own"
    reward: Literal["goal", "revenue"]
    currency: str | None = None
    logged: Amount
    """What the log earned on the same rows."""
    policies: tuple[PolicyEstimate, ...]
    definitions: dict[str, str] = Field(default_factory=dict)
    command: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
