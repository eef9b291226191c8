"""What an experiment's spec may say beyond arms and metrics: when it is looked at, what was believed, what to check."""

from typing import Literal

from pydantic import Field, model_validator

from foretouch.core.schema import Contract, Share

SequentialKind = Literal["fixed", "anytime", "group_sequential", "hybrid"]
SpendingKind = Literal["obrien-fleming", "pocock", "power"]


class Sequential(Contract):
    """When the results may decide, and how the error rate is kept however often one looks."""

    kind: SequentialKind
    """``fixed``: once, at the planned end (whoever looks before gets the anytime-valid answer); ``anytime``: always;
    ``group_sequential``: at a few planned looks, each with its bound; ``hybrid``: at any time by a small part of the
    error rate, at the planned end by the rest."""
    planned_units: int | None = Field(default=None, ge=4)
    """Units of all arms together at the planned end; ``group_sequential`` and ``hybrid`` need it."""
    looks: tuple[Share, ...] = (0.25, 0.5, 0.75, 1.0)
    """Shares of the planned units at which a ``group_sequential`` test is looked at."""
    spending: SpendingKind = "obrien-fleming"
    """How a ``group_sequential`` test spends its error rate over the looks."""
    rho: float = Field(default=3.0, gt=0.0, le=20.0)
    """Exponent of ``spending = "power"``."""
    early_share: float = Field(default=0.2, gt=0.0, lt=1.0)
    """Part of the error rate that a ``hybrid`` test keeps for stopping before its end."""

    @model_validator(mode="after")
    def _complete(self) -> "Sequential":
        if self.kind in {"group_sequential", "hybrid"} and self.planned_units is None:
            raise ValueError(f"kind {self.kind!r} needs planned_units")
        rising = all(before < now for before, now in zip((0.0, *self.looks), self.looks, strict=False))
        if not self.looks or not rising or self.looks[-1] != 1.0:
            raise ValueError(f"looks == {list(self.looks)}, must rise from above 0 to 1")
        return self


class Prior(Contract):
    """What was believed about an effect before the test: a normal distribution."""

    on: Literal["lift", "difference"] = "lift"
    """Of the relative lift, or of the difference in the metric's own unit."""
    mean: float = 0.0
    """Its mean."""
    sd: float = Field(default=0.3, gt=0.0)
    """Its standard deviation: 0.3 on the lift says that two in three changes are within 30 %."""


class TrustColumns(Contract):
    """Columns of the rows that only the trust checks read."""

    bot: str | None = None
    """1 where the unit is taken for a bot, else 0."""
    delivered_at: str | None = None
    """When the message reached the unit; empty where none was delivered."""
