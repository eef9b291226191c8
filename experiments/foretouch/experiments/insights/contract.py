"""The insights of a period: the JSON that the page is made of (``schema_version`` 1)."""

from typing import Literal

from pydantic import Field

from foretouch.core.schema import Contract, Time


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
    funnel: Funnel
    definitions: dict[str, str] = Field(default_factory=dict)
    command: str = ""
    """What gives these very numbers again."""
