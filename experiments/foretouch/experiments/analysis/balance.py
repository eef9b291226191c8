"""Were the arms alike before the test? One answer for all covariates together."""

from dataclasses import dataclass

from foretouch.experiments.analysis.checks import ALARM, imbalance_p
from foretouch.experiments.analysis.refusals import Refused
from foretouch.experiments.analysis.source import Source
from foretouch.experiments.report.texts import say
from foretouch.experiments.results import Check

HOPELESS = 1e-6
"""Below this p chance is no explanation: whoever made the groups did not draw them by lot."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The most unequal covariate.

    Attributes:
        worst: Its name; empty without covariates.
        p: Of equal arm means, times the number of covariates (Bonferroni).
        count: How many covariates were compared.
    """

    worst: str
    p: float
    count: int

    @classmethod
    def of(cls, source: Source) -> "Balance":
        """Compares every covariate of the spec; columns that cannot be read are refused elsewhere."""
        names = sorted({name for metric in source.spec.metrics for name in metric.covariates})
        worst, smallest, compared = "", 1.0, 0
        for name in names:
            try:
                parts = source.covariate(name)
            except Refused:
                continue
            compared += 1
            p = imbalance_p(parts) * len(names)
            if p < smallest or not worst:
                worst, smallest = name, min(p, smallest)
        return cls(worst=worst, p=smallest, count=compared)

    @property
    def hopeless(self) -> bool:
        """The groups cannot have been drawn by lot."""
        return self.p < HOPELESS

    def lights(self, *, randomised: bool) -> tuple[Check, ...]:
        """One light, red where chance is no explanation."""
        if not self.count:
            return ()
        bad = self.p < ALARM
        code = "balance_bad" if bad else "balance_ok"
        light = "green" if not bad else "red" if self.hopeless or not randomised else "amber"
        return (Check.model_validate({"code": code, "light": light, **say(code, column=self.worst, count=self.count)}),)
