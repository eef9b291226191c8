"""The engagement policy: rules about which offers a customer may, needs or should be shown, in three tiers."""

from typing import Literal

from pydantic import Field, model_validator

from foretouch.core.schema import Contract, Time

Tier = Literal["eligibility", "applicability", "suitability"]
TIERS: tuple[Tier, ...] = ("eligibility", "applicability", "suitability")
"""In the order in which they are asked: may they have it, is it relevant now, should they have it."""


class EngagementRule(Contract):
    """One rule: an offer that it holds for passes only where the expression is true."""

    rule: str = Field(min_length=1)
    """Its id in answers and records; unique."""
    tier: Tier
    """May they have it, is it relevant now, or should they have it."""
    when: str = Field(min_length=1)
    """An expression (CEL) over ``customer``, ``feature``, ``context`` and ``offer``."""
    issue: str = "*"
    """Offers it holds for; ``*`` is every issue."""
    category: str = "*"
    """Offers it holds for; ``*`` is every category."""
    offer_id: str = "*"
    """Or one offer; ``*`` is every offer."""
    starts_at: Time | None = None
    """Before it the rule does not hold."""
    ends_at: Time | None = None
    """From then on the rule does not hold; exclusive."""


class EngagementPolicy(Contract):
    """Every rule of ``engagement_policy.toml``, besides the offers' own."""

    schema_version: Literal[1] = 1
    rules: tuple[EngagementRule, ...] = ()
    """Asked by tier, then in this order."""

    @model_validator(mode="after")
    def _unique(self) -> "EngagementPolicy":
        names = [rule.rule for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules {twice} are named twice")
        return self


NO_RULES = EngagementPolicy()
"""Only the offers' own rules."""
