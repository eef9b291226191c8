"""Multi-touch attribution of conversions to channels and offers: five rules, Markov's removal effect, Shapley's value.

A touch is a contact that is known to have gone out. A conversion's path is the customer's touches in the
``window_days`` before it that came after the conversion before. Touches that lead to none are a path that was lost,
once their window is over; before that they are open, and no model counts them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foretouch.experiments.insights import markov
from foretouch.experiments.insights.contract import Attribution, AttributionRow
from foretouch.experiments.insights.journeys import Contact, Journey
from foretouch.experiments.insights.touch_rules import RULES, shapley

MODELS = (*RULES, "markov", "shapley")
DIMENSIONS: dict[str, Callable[[Contact], str]] = {
    "channel": lambda contact: contact.reward.decided.channel or "",
    "offer": lambda contact: contact.reward.decided.offer_id or "",
}


@dataclass(kw_only=True)
class _Dimension:
    """What one way of naming touches adds up to."""

    contacts: Counter[str] = field(default_factory=Counter)
    credit: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    steps: markov.Steps = field(default_factory=Counter)


class AttributionCount:
    """Adds journeys up.

    Args:
        window: Microseconds before a conversion in which a touch counts.
        end: Conversions without any touch count before it, microseconds since 1970.
        known: A window that ends later is open.
    """

    def __init__(self, *, window: int, end: int, known: int) -> None:
        self._window, self._end, self._known = window, end, known
        self._dimensions = {name: _Dimension() for name in DIMENSIONS}
        self.converted = self.alone = self.lost = self.open = 0
        self.lengths: Counter[int] = Counter()

    def add(self, journey: Journey) -> list[int]:
        """Counts one customer's journey.

        Returns:
            The times of the conversions that had a touch before them.
        """
        touches = sorted(
            (contact for contact in journey.contacts if contact.reward.activated),
            key=lambda contact: (_sent(contact), contact.reward.decided.decision_id, contact.reward.decided.rank),
        )
        found = []
        for at in (goal.occurred_at for goal in journey.goals):
            before = [contact for contact in touches if _sent(contact) <= at]
            touches = touches[len(before) :]
            path = [contact for contact in before if at < _sent(contact) + self._window]
            self._lose(before[: len(before) - len(path)])
            if path:
                self._convert(path, at)
                found.append(at)
            elif at < self._end:
                self.alone += 1
        self._lose(touches)
        return found

    def _convert(self, path: Sequence[Contact], at: int) -> None:
        self.converted += 1
        self.lengths[len(path)] += 1
        ages = [float(at - _sent(contact)) for contact in path]
        weights = {name: rule(ages) for name, rule in RULES.items()}
        for name, said in DIMENSIONS.items():
            touches = [said(contact) for contact in path]
            own = self._dimensions[name]
            own.contacts.update(touches)
            own.steps.update(markov.steps_of(touches, converted=True))
            for model, shared in weights.items():
                for touch, weight in zip(touches, shared, strict=True):
                    own.credit[model][touch] += weight
            for touch, weight in shapley(touches).items():
                own.credit["shapley"][touch] += weight

    def _lose(self, touches: Sequence[Contact]) -> None:
        if not touches:
            return
        if _sent(touches[-1]) + self._window > self._known:
            self.open += 1
            return
        self.lost += 1
        for name, said in DIMENSIONS.items():
            named = [said(contact) for contact in touches]
            self._dimensions[name].contacts.update(named)
            self._dimensions[name].steps.update(markov.steps_of(named, converted=False))

    def result(self, *, window_days: float) -> Attribution:
        """Every model's credit by channel and by offer; each model's credits sum to the conversions."""
        rows = []
        for name, own in self._dimensions.items():
            effects = markov.removal_effects(own.steps)
            shared = markov.shares(effects)
            for touch in sorted(own.contacts, key=lambda item: (-own.credit["last"][item], item)):
                credit = {model: float(own.credit[model][touch]) for model in (*RULES, "shapley")}
                credit["markov"] = shared.get(touch, 0.0) * self.converted
                rows.append(
                    AttributionRow(
                        dimension=name,
                        touch=touch,
                        touches=own.contacts[touch],
                        removal_effect=effects.get(touch, 0.0),
                        credit={model: credit[model] for model in MODELS},
                    )
                )
        return Attribution(
            window_days=window_days,
            conversions=self.converted,
            without_touch=self.alone,
            lost=self.lost,
            open=self.open,
            touches_per_conversion=(
                sum(length * count for length, count in self.lengths.items()) / self.converted
                if self.converted
                else None
            ),
            rows=tuple(rows),
        )


def _sent(contact: Contact) -> int:
    decided = contact.reward.decided
    return decided.decided_at if decided.send_at is None else decided.send_at
