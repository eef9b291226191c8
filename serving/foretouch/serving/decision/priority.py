"""Arbitration: what one contact is worth, factor by factor. Pure.

worth of option o at slot s = chance x scale x timing(channel, s) x patience(s) - fixed, where

* chance is the propensity (response, or uplift over no contact),
* scale = context weight x (value - offer cost) x score weight x lever,
* fixed = the channel's cost + price (fatigue of the policy and of the channel, risk of an unsubscription),

and a factor that the policy switches off counts as 1 (costs: as 0). The priority is the worth at the best slot:
chance x gain - fixed, with gain = scale x timing x patience there. See docs/decisions/0006-joint-choice.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from foretouch.core.config import Config
from foretouch.core.decisions import PastContact
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import ContextWeight, PolicySpec, ScoreWeight
from foretouch.core.schema import Attributes
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.screening import Screened
from foretouch.serving.decision.send_time import Timetable, TimetableBook
from foretouch.serving.rules.contact import FATIGUE_DAYS, Touch

ANY = "*"
Moment = tuple[int, float, dict[str, float]]
"""The best slot: its index, its factor, and the weights that it adds."""
_worth = tuple.__new__
"""Makes a ``Worth`` of its fields, without the call that names them."""


class Terms(NamedTuple):
    """What one policy makes of one offer, whoever the customer is.

    Attributes:
        value: Margin if the goal happens, in the workspace's currency.
        offer_cost: Cost of the offer itself, if the goal happens.
        base: value - offer_cost, or 1 where the policy switches value off.
        lever: The offer's own multiplier x (1 + sum of the policy's percentages / 100); never below 0.
        contexts: The context weights that hold for it.
        scores: The score weights that hold for it.
    """

    value: float
    offer_cost: float
    base: float
    lever: float
    contexts: tuple[ContextWeight, ...]
    scores: tuple[ScoreWeight, ...]


class Toll(NamedTuple):
    """What a contact costs on one channel, whatever comes of it, in the workspace's currency.

    Attributes:
        cost: The channel's cost of a contact.
        price: Fatigue and the risk of an unsubscription.
        fixed: What of both counts under the policy.
    """

    cost: float
    price: float
    fixed: float


class Worth(NamedTuple):
    """The parts of a priority, as the record keeps them; amounts in the workspace's currency.

    Attributes:
        value: Margin if the goal happens.
        cost: Cost of the contact on its channel.
        price: Price of one more contact: fatigue and the risk of an unsubscription.
        weights: Multipliers ``context``, ``score``, ``lever``, where they take part in the decision ``timing`` (effect
            of sending at the best slot) and ``patience`` (share of the value that is left there); and ``offer_cost``
            (currency, if the goal happens). The same names for every option of a decision.
        chance: Propensity as it counts: 1 where nothing can say, or the policy switches it off.
        scale: Worth of a certain acceptance before timing, patience and costs.
        gain: Worth of a certain acceptance at the best slot, before costs.
        fixed: Costs and price as they count.
        priority: chance x gain - fixed.
        best: Index of the best slot.
        known: Whether ``chance`` and value are what was estimated, so that the priority is an expected value.
    """

    value: float
    cost: float
    price: float
    weights: dict[str, float]
    chance: float
    scale: float
    gain: float
    fixed: float
    priority: float
    best: int
    known: bool


def terms_of(offer: Offer, spec: PolicySpec) -> Terms:
    """What a policy makes of an offer."""
    factors = spec.factors
    lever = 1.0
    if factors.lever:
        percent = sum(
            item.percent
            for item in spec.levers
            if holds_for(item.issue, offer.issue)
            and holds_for(item.category, offer.category)
            and holds_for(item.offer_id, offer.offer_id)
        )
        lever = offer.lever * max(0.0, 1.0 + percent / 100.0)
    contexts: Sequence[ContextWeight] = spec.context_weights if factors.context_weight else ()
    scores: Sequence[ScoreWeight] = spec.score_weights if factors.value else ()
    return Terms(
        value=offer.value,
        offer_cost=offer.cost,
        base=offer.value - offer.cost if factors.value else 1.0,
        lever=lever,
        contexts=tuple(
            item
            for item in contexts
            if holds_for(item.issue, offer.issue)
            and holds_for(item.category, offer.category)
            and holds_for(item.offer_id, offer.offer_id)
        ),
        scores=tuple(item for item in scores if holds_for(item.category, offer.category)),
    )


def terms_of_all(catalogue: Catalogue, spec: PolicySpec) -> dict[str, Terms]:
    """What a policy makes of every offer, by id; offers for which the same weights hold share them."""
    contexts: dict[tuple[int, ...], tuple[ContextWeight, ...]] = {}
    scores: dict[tuple[int, ...], tuple[ScoreWeight, ...]] = {}
    found = {}
    for offer in catalogue.offers:
        terms = terms_of(offer, spec)
        found[offer.offer_id] = terms._replace(
            contexts=contexts.setdefault(tuple(map(id, terms.contexts)), terms.contexts),
            scores=scores.setdefault(tuple(map(id, terms.scores)), terms.scores),
        )
    return found


def _standing(chance: float | None, scale: float, has_value: bool) -> tuple[float, bool, int]:
    """Propensity as it counts, whether it and the value are estimated, and the sign of the expected value."""
    if chance is None:
        return 1.0, False, 1 if scale > 0.0 else -1 if scale < 0.0 else 0
    worth = chance * scale
    return chance, has_value, 1 if worth > 0.0 else -1 if worth < 0.0 else 0


def holds_for(named: str, own: str) -> bool:
    """Whether a weight that names an issue, category or offer (or ``*``) holds for one."""
    return named in {ANY, own}


def context_weight(weights: Sequence[ContextWeight], context: Attributes) -> float:
    """1 + sum of the percentages that a request's context earns / 100; never below 0."""
    percent = sum(
        weight.percent for weight in weights if weight.key in context and _same(context[weight.key], weight.equals)
    )
    return max(0.0, 1.0 + percent / 100.0)


def _same(left: object, right: object) -> bool:
    """Equality that keeps true and 1 apart."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def score_weight(weights: Sequence[ScoreWeight], levels: Mapping[str, float]) -> float:
    """1 + sum of percentage x the score's level / 100; a score that is not there adds nothing; never below 0.

    Args:
        weights: Those that hold for the offer.
        levels: Churn, value and lead by model name, each on [0, 1].
    """
    return max(0.0, 1.0 + sum(weight.percent * levels.get(weight.model, 0.0) for weight in weights) / 100.0)


class Appraiser:
    """What contacts are worth in one decision; everything that candidates share is worked out once.

    Args:
        spec: The policy: factors, weights, levers, the price of fatigue.
        config: For the channels' costs.
        context: The request's.
        levels: See ``score_weight``.
        chances: Propensity, or uplift, by option; None, where nothing can say, counts as 1 (a factor that is off).
        book: Where slots become timetables.
        catalogue: Whose offers' terms are kept.
        plans: Where they are kept.
    """

    def __init__(
        self,
        *,
        spec: PolicySpec,
        config: Config,
        context: Attributes,
        levels: Mapping[str, float],
        chances: Mapping[tuple[str, str, str], float | None],
        book: TimetableBook,
        catalogue: Catalogue,
        plans: Plans,
    ) -> None:
        self._spec = spec
        self._config = config
        self._context = context
        self._levels = levels
        self._chances = chances
        self._book = book
        self._terms = plans.get("terms", (catalogue, spec), lambda: terms_of_all(catalogue, spec))
        self._multipliers: dict[tuple[int, int], tuple[float, float]] = {}
        self._scales: dict[str, tuple[float, dict[str, float], float]] = {}

    def timetable(self, item: Screened) -> Timetable:
        """What is known of the slots of an option."""
        return self._book.of(item.option.channel, item.slots)

    def appraise(self, items: Sequence[Screened], touch: Touch) -> list[Worth]:
        """What contacting the customer is worth, per option, given the contacts before it."""
        tolls = self._tolls(items, touch)
        factors = self._spec.factors
        use_chance, has_value = factors.propensity, factors.value
        chances, scales = self._chances, self._scales
        latest: dict[str, tuple[tuple[datetime, ...], int, Moment]] = {}
        found = []
        offer: Offer | None = None
        value = scale = gain = 0.0
        weights: dict[str, float] = {}
        before: float | None = None
        chance, known, sign = 1.0, False, 0
        for option, slots, _, _ in items:
            key = option.key
            own = chances.get(key) if use_chance else None
            if option.offer is not offer:
                offer = option.offer
                value, weights, scale = scales.get(offer.offer_id) or self._scale(offer)
                before, chance, known, sign = own, *_standing(own, scale, has_value)
            elif own is not before:
                before, chance, known, sign = own, *_standing(own, scale, has_value)
            channel = key[2]
            kept = latest.get(channel)
            if kept is None or kept[0] is not slots or kept[1] != sign:
                kept = latest[channel] = (slots, sign, self._moment(channel, slots, sign))
            best, factor, parts = kept[2]
            gain = scale * factor
            cost, price, fixed = tolls[channel]
            worth = chance * gain - fixed
            weighed = {**weights, **parts} if parts else weights
            found.append(_worth(Worth, (value, cost, price, weighed, chance, scale, gain, fixed, worth, best, known)))
        return found

    def _moment(self, channel: str, slots: tuple[datetime, ...], sign: int) -> Moment:
        """The best slot for a contact whose expected value has a sign."""
        table = self._book.of(channel, slots)
        best = table.best(sign)
        parts = {}
        if self._book.timed:
            parts["timing"] = table.timing[best]
        if self._book.waiting:
            parts["patience"] = table.patience[best]
        return best, table.factors[best], parts

    def _scale(self, offer: Offer) -> tuple[float, dict[str, float], float]:
        """Value, weights and scale of an offer, kept for its other options."""
        terms = self._terms.get(offer.offer_id) or terms_of(offer, self._spec)
        which = (id(terms.contexts), id(terms.scores))  # the terms are kept, so that their identity stays theirs
        multipliers = self._multipliers.get(which)
        if multipliers is None:
            multipliers = self._multipliers[which] = (
                context_weight(terms.contexts, self._context) if terms.contexts else 1.0,
                score_weight(terms.scores, self._levels) if terms.scores else 1.0,
            )
        context, score = multipliers
        weights = {"context": context, "score": score, "lever": terms.lever, "offer_cost": terms.offer_cost}
        found = (terms.value, weights, context * terms.base * score * terms.lever)
        self._scales[offer.offer_id] = found
        return found

    def _tolls(self, items: Sequence[Screened], touch: Touch) -> dict[str, Toll]:
        spec, factors = self._spec, self._spec.factors
        recent = recent_contacts(touch) if touch.request.personalised else []  # how much they were sent is theirs
        everywhere = len(recent)
        tolls = {}
        for channel in {option.key[2] for option, _, _, _ in items}:
            section = self._config.channels.get(channel)
            cost, price = 0.0, spec.fatigue_cost * everywhere
            if section is not None:
                cost = section.cost
                if section.fatigue_cost:
                    price += section.fatigue_cost * sum(contact.channel == channel for contact in recent)
                price += section.unsubscribe_rate * section.unsubscribe_cost
            if not factors.price:
                price = 0.0
            tolls[channel] = Toll(cost, price, (cost if factors.cost else 0.0) + price)
        return tolls


def recent_contacts(touch: Touch) -> list[PastContact]:
    """Contacts of the customer in the last seven days, and those planned or just chosen."""
    since = touch.now - timedelta(days=FATIGUE_DAYS)
    return [contact for contact in (*touch.chosen, *touch.counters.contacts) if contact.at > since]
