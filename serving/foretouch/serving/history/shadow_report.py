"""How a shadow and the champion disagree: shares with intervals, by touchpoint and offer, and what it is worth."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from foretouch.core.decisions import DecisionRecord
from foretouch.core.schema import Contract

Z = 1.959963984540054
"""Normal quantile of a 95 % interval."""
NO_OFFER = "(no contact)"


class Disagreement(Contract):
    """How often two policies chose otherwise."""

    name: str
    decisions: int
    differs: int
    share: float
    low: float
    high: float
    """95 % interval of the share (Wilson 1927)."""


class ShadowReport(Contract):
    """One shadow over a range of decisions."""

    schema_version: int = 1
    policy: str
    models: tuple[str, ...] = ()
    """Challengers that took part, as ``name version``."""
    overall: Disagreement
    by_touchpoint: tuple[Disagreement, ...] = ()
    by_offer: tuple[Disagreement, ...] = ()
    """By the champion's offer."""
    steps: dict[str, int]
    """Steps of the ladder on which the shadow decided."""
    value_difference: float | None = None
    """Mean per decision of the shadow's expected priority less the champion's, in the champion's priorities:
    model-based; null where none is known."""
    value_low: float | None = None
    value_high: float | None = None
    """95 % interval of that mean (normal)."""
    valued: int = 0


@dataclass(kw_only=True)
class _Count:
    decisions: int = 0
    differs: int = 0


def wilson(differs: int, decisions: int) -> tuple[float, float]:
    """The 95 % interval of a share; Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Args:
        differs: Successes.
        decisions: Trials, at least 1.
    """
    share = differs / decisions
    centre = share + Z * Z / (2 * decisions)
    reach = Z * sqrt(share * (1.0 - share) / decisions + Z * Z / (4 * decisions * decisions))
    whole = 1.0 + Z * Z / decisions
    return max((centre - reach) / whole, 0.0), min((centre + reach) / whole, 1.0)


def shadow_reports(records: Iterable[DecisionRecord]) -> tuple[ShadowReport, ...]:
    """One report per shadow: per policy and set of challengers, in the order in which they came.

    Args:
        records: Logged decisions; those without a shadow are passed over.
    """
    made: dict[tuple[str, ...], _Maker] = {}
    for record in records:
        for choice in record.shadow:
            models = tuple(f"{ref.name} {ref.version}" for ref in choice.models)
            maker = made.setdefault((choice.policy, *models), _Maker(choice.policy, models))
            offer = record.action[0].offer_id if record.action else NO_OFFER
            maker.add(record.touchpoint, offer, agrees=choice.agrees, step=choice.step)
            if choice.expected_value is not None and choice.champion_value is not None:
                maker.differences.append(choice.expected_value - choice.champion_value)
    return tuple(maker.report() for maker in made.values())


class _Maker:
    """Counts one shadow."""

    def __init__(self, policy: str, models: tuple[str, ...]) -> None:
        self._policy = policy
        self._models = models
        self._overall = _Count()
        self._touchpoints: dict[str, _Count] = {}
        self._offers: dict[str, _Count] = {}
        self._steps: dict[str, int] = {}
        self.differences: list[float] = []

    def add(self, touchpoint: str, offer: str, *, agrees: bool, step: str) -> None:
        """Counts one decision."""
        self._steps[step] = self._steps.get(step, 0) + 1
        counts = (
            self._overall,
            self._touchpoints.setdefault(touchpoint, _Count()),
            self._offers.setdefault(offer, _Count()),
        )
        for count in counts:
            count.decisions += 1
            count.differs += not agrees

    def report(self) -> ShadowReport:
        """What was counted."""
        n = len(self.differences)
        mean = sum(self.differences) / n if n else None
        reach = None
        if mean is not None and n > 1:
            reach = Z * sqrt(sum((item - mean) ** 2 for item in self.differences) / (n - 1) / n)
        return ShadowReport(
            policy=self._policy,
            models=self._models,
            overall=_line("all", self._overall),
            by_touchpoint=_lines(self._touchpoints),
            by_offer=_lines(self._offers),
            steps=self._steps,
            value_difference=mean,
            value_low=None if mean is None or reach is None else mean - reach,
            value_high=None if mean is None or reach is None else mean + reach,
            valued=n,
        )


def _lines(counts: dict[str, _Count]) -> tuple[Disagreement, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1].decisions, item[0]))
    return tuple(_line(name, count) for name, count in ordered)


def _line(name: str, count: _Count) -> Disagreement:
    low, high = wilson(count.differs, count.decisions)
    share = count.differs / count.decisions
    return Disagreement(name=name, decisions=count.decisions, differs=count.differs, share=share, low=low, high=high)
