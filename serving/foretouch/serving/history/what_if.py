"""What if another policy had decided? The same requests, features, counters, models and seeds under it. Pure.

Numbers of this module are expectations over the draw, from the whole distributions of both policies, so that the luck
of the seeds is not in them. They are model-based: propensities are the models' own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foretouch.core.decisions import DecisionRecord
from foretouch.core.policy import PolicySpec
from foretouch.serving.decide import decide_course
from foretouch.serving.decision.candidates import Key
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.inputs import DecisionInputs
from foretouch.serving.decision.selection import NO_CONTACT
from foretouch.serving.history.replay import under_policy
from foretouch.serving.history.shadow import first_key
from foretouch.serving.history.what_if_report import Beside, Group, Loser, ModelBased, Totals

OTHER = "(unknown)"
TINY = 1e-9
"""A fall smaller than this is rounding."""


@dataclass(kw_only=True)
class Sums:
    """Sums under both policies; index 0 is as logged, 1 is changed."""

    decisions: int = 0
    reach: list[float] = field(default_factory=lambda: [0.0, 0.0])
    spend: list[float] = field(default_factory=lambda: [0.0, 0.0])
    value: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def totals(self) -> dict[str, Any]:
        """As fields of ``Totals``."""
        return {
            "decisions": self.decisions,
            "reach": _beside(self.reach),
            "spend": _beside(self.spend),
            "value": _beside(self.value),
        }


def _beside(pair: list[float]) -> Beside:
    return Beside(base=pair[0], changed=pair[1])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One decision under both policies."""

    record: DecisionRecord
    base: Course
    changed: Course


def decide_both(record: DecisionRecord, inputs: DecisionInputs, policy: PolicySpec) -> Pair | str:
    """A logged decision as it was, and under another policy; or why no policy had a say in it.

    Args:
        record: The decision.
        inputs: What it was made from.
        policy: Takes the place of every policy; rules and holdouts stay.

    Raises:
        ConfigError: The policy cannot be followed.
    """
    return decide_beside(record, inputs, under_policy(inputs, policy))


def decide_beside(record: DecisionRecord, inputs: DecisionInputs, other: DecisionInputs) -> Pair | str:
    """A logged decision as it was, and from other inputs; or why no policy had a say in it.

    Args:
        record: The decision.
        inputs: What it was made from.
        other: The same with another policy or other models; request, features, counters and rules are those of then.

    Raises:
        ConfigError: A policy cannot be followed.
    """
    base = decide_course(record.request, inputs)
    if base.setting.holdout is not None:
        return "held out by an experiment"
    if not base.survivors:
        return "the rules left nothing"
    if base.forced is not None:
        return "the default action was taken"
    if not _as_logged(record, base):
        return "does not come out as it was logged"
    return Pair(record=record, base=base, changed=decide_course(record.request, other))


def _as_logged(record: DecisionRecord, course: Course) -> bool:
    """Whether a decision made again gives its candidates the logged probabilities."""
    shares = {
        (item.offer_id or "", item.treatment_id or "", item.channel or ""): item.selection_probability
        for item in record.candidates
        if item.dropped_by is None
    }
    return shares == course.selection.probabilities


class Tally:
    """Adds up decisions under both policies.

    Args:
        segments: Customer attributes or features whose groups are shown apart.
    """

    def __init__(self, segments: Iterable[str] = ()) -> None:
        self._segments = tuple(segments)
        self._all = Sums()
        self._offers: dict[str, Sums] = {}
        self._channels: dict[str, Sums] = {}
        self._groups: dict[str, dict[str, Sums]] = {name: {} for name in self._segments}
        self._customers: dict[str, Sums] = {}
        self._same = 0
        self._unvalued = 0

    def add(self, pair: Pair) -> None:
        """Counts one decision."""
        sides = (pair.base, pair.changed)
        groups = [self._groups[name].setdefault(group_of(pair.record, name), Sums()) for name in self._segments]
        whole = [self._all, self._customers.setdefault(pair.record.customer_id, Sums()), *groups]
        for sums in whole:
            sums.decisions += 1
        self._same += first_key(pair.base) == first_key(pair.changed)
        named: set[int] = set()
        unvalued = False
        for side, course in enumerate(sides):
            for key, share in course.selection.probabilities.items():
                if key == NO_CONTACT or share <= 0.0:
                    continue
                spend, value = _worth(course, key)
                unvalued |= value is None
                own = (self._offers.setdefault(key[0], Sums()), self._channels.setdefault(key[2], Sums()))
                for sums in (*whole, *own):
                    sums.reach[side] += share
                    sums.spend[side] += share * spend
                    sums.value[side] += share * (value or 0.0)
                for sums in own:
                    if id(sums) not in named:
                        named.add(id(sums))
                        sums.decisions += 1
        self._unvalued += unvalued

    def result(self, *, losers: int) -> ModelBased:
        """Everything added up.

        Args:
            losers: Most customers named among those who lose.
        """
        falls = [
            (name, sums)
            for name, sums in self._customers.items()
            if sums.value[1] < sums.value[0] - TINY or sums.reach[1] < sums.reach[0] - TINY
        ]
        falls.sort(key=lambda item: (item[1].value[1] - item[1].value[0], item[1].reach[1] - item[1].reach[0], item[0]))
        by_segment = {name: _groups(groups) for name, groups in self._groups.items()}
        return ModelBased(
            totals=Totals(**self._all.totals()),
            by_offer=_groups(self._offers),
            by_channel=_groups(self._channels),
            by_segment=by_segment,
            same_choice=self._same / self._all.decisions if self._all.decisions else 0.0,
            customers=len(self._customers),
            customers_losing_contact=sum(sums.reach[1] < sums.reach[0] - TINY for sums in self._customers.values()),
            customers_losing_value=sum(sums.value[1] < sums.value[0] - TINY for sums in self._customers.values()),
            losers=tuple(
                Loser(customer_id=name, decisions=sums.decisions, reach=_beside(sums.reach), value=_beside(sums.value))
                for name, sums in falls[:losers]
            ),
            losing_segments=tuple(
                f"{name}={group.name}"
                for name, groups in by_segment.items()
                for group in groups
                if group.value.difference < -TINY or group.reach.difference < -TINY
            ),
            unvalued=self._unvalued,
        )


def _worth(course: Course, key: Key) -> tuple[float, float | None]:
    """Expected spend and value of one contact; value is None where its propensity is not known."""
    worth = course.selection.worths[key]
    chance = course.found.by_key.get(key)
    offer_cost = worth.weights.get("offer_cost", 0.0)
    if chance is None:
        return worth.cost, None
    return worth.cost + chance * offer_cost, chance * (worth.value - offer_cost) - worth.cost


def unknown_segments(by_segment: Mapping[str, tuple[Group, ...]]) -> tuple[str, ...]:
    """Segments of which no customer has a value: probably mistyped."""
    return tuple(name for name, groups in by_segment.items() if {group.name for group in groups} == {OTHER})


def _groups(groups: Mapping[str, Sums]) -> tuple[Group, ...]:
    """By reach under either policy, largest first."""
    ordered = sorted(groups.items(), key=lambda item: (-max(item[1].reach), item[0]))
    return tuple(Group(name=name, **sums.totals()) for name, sums in ordered)


def group_of(record: DecisionRecord, segment: str) -> str:
    """Which group of a segment a customer was in: an attribute, else a feature, as it was known then."""
    value = record.counters.attributes.get(segment)
    if value is None:
        value = record.features.values.get(segment)
    return OTHER if value is None else str(value)
