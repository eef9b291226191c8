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
from itertools import repeat

from foretouch.core.config import Config
from foretouch.core.counters import PastContact
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import ContextWeight, PolicySpec, ScoreWeight
from foretouch.core.schema import Attributes
from foretouch.serving.decision.candidates import Lineup
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.screening import Screened, Together
from foretouch.serving.decision.send_time import Timetable, TimetableBook
from foretouch.serving.decision.worths import Moment, Stand, Terms, Toll, Worths
from foretouch.serving.rules.contact import FATIGUE_DAYS, Touch

ANY = "*"
_stand = tuple.__new__
"""Makes a ``Stand`` of its fields, without the call that names them."""


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


Weights = tuple[tuple[ContextWeight, ...], tuple[ScoreWeight, ...]]


def _weighed(
    lineup: Lineup, kept: Mapping[str, Terms], spec: PolicySpec
) -> tuple[list[tuple[Terms, float, float, int]], list[Weights]]:
    """The terms, base and lever of each of a lineup's offers and the place of its weights, and all weights, each once.

    Args:
        lineup: The options.
        kept: ``terms_of_all`` of the catalogue: offers for which the same weights hold share them.
        spec: The policy, for an offer that is none of the catalogue's.
    """
    rows: list[tuple[Terms, float, float, int]] = []
    weights: list[Weights] = []
    place: dict[tuple[int, int], int] = {}
    for offer in lineup.offers:
        terms = kept.get(offer.offer_id) or terms_of(offer, spec)
        which = (id(terms.contexts), id(terms.scores))  # the rows hold the terms, so that their identity stays theirs
        if which not in place:
            place[which] = len(weights)
            weights.append((terms.contexts, terms.scores))
        rows.append((terms, terms.base, terms.lever, place[which]))
    return rows, weights


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

    def timetable(self, item: Screened) -> Timetable:
        """What is known of the slots of an option."""
        return self._book.of(item.option.channel, item.slots)

    def appraise(self, items: Sequence[Screened], touch: Touch, lineup: Lineup | None = None) -> Worths:
        """What contacting the customer is worth, per option, given the contacts before it.

        Args:
            items: Options and their slots.
            touch: The touchpoint.
            lineup: The same options, where their lineup is at hand.
        """
        lineup = lineup or Lineup.of([option for option, _, _, _ in items])
        tolls = self._tolls(lineup.channels, touch)
        stands = self._stands(lineup)
        lanes, lane_at = _lanes(lineup, items)
        best: dict[int, list[Moment]] = {
            sign: [self._moment(channel, slots, sign) for channel, slots in lanes]
            for sign in {stand[2] for stand in stands}
        }
        best_of = [best[stand[2]] for stand in stands]
        moments = [best_of[place][lane] for place, lane in zip(lineup.offer_at, lane_at, strict=True)]
        chances, scales = [stand[0] for stand in stands], [stand[1] for stand in stands]
        fixed = [toll[2] for toll in tolls]
        priorities = [
            chances[place] * (scales[place] * moment[1]) - fixed[channel]
            for place, channel, moment in zip(lineup.offer_at, lineup.channel_at, moments, strict=True)
        ]
        return Worths(lineup, stands, tolls, moments, priorities)

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

    def _stands(self, lineup: Lineup) -> list[Stand]:
        """What holds for each offer on all its channels; its chance is that of any of its options."""
        factors = self._spec.factors
        keys, has_value = lineup.first_keys, factors.value
        chances = map(self._chances.get, keys) if factors.propensity else repeat(None, len(keys))
        rows, weights = lineup.keep("terms", self._terms, lambda: _weighed(lineup, self._terms, self._spec))
        multipliers = [
            (
                context_weight(contexts, self._context) if contexts else 1.0,
                score_weight(scores, self._levels) if scores else 1.0,
            )
            for contexts, scores in weights
        ]
        stands = []
        for (terms, base, lever, which), chance in zip(rows, chances, strict=True):
            context, score = multipliers[which]
            scale = context * base * score * lever
            if chance is None:
                own, worth, known = 1.0, scale, False
            else:
                own, worth, known = chance, chance * scale, has_value
            sign = 1 if worth > 0.0 else -1 if worth < 0.0 else 0
            stands.append(_stand(Stand, (own, scale, sign, known, terms, context, score)))
        return stands

    def _tolls(self, channels: Sequence[str], touch: Touch) -> list[Toll]:
        spec, factors = self._spec, self._spec.factors
        recent = recent_contacts(touch) if touch.request.personalised else []  # how much they were sent is theirs
        everywhere = len(recent)
        tolls = []
        for channel in channels:
            section = self._config.channels.get(channel)
            cost, price = 0.0, spec.fatigue_cost * everywhere
            if section is not None:
                cost = section.cost
                if section.fatigue_cost:
                    price += section.fatigue_cost * sum(contact.channel == channel for contact in recent)
                price += section.unsubscribe_rate * section.unsubscribe_cost
            if not factors.price:
                price = 0.0
            tolls.append(Toll(cost, price, (cost if factors.cost else 0.0) + price))
        return tolls


def _lanes(lineup: Lineup, items: Sequence[Screened]) -> tuple[list[tuple[str, tuple[datetime, ...]]], Sequence[int]]:
    """Channels with their slots, and which of these each option has: mostly all options of a channel share its slots.

    Args:
        lineup: The options.
        items: The same with their slots.
    """
    if isinstance(items, Together):
        return list(zip(lineup.channels, items.slots, strict=True)), lineup.channel_at
    slots_of = [slots for _, slots, _, _ in items]
    first = [slots_of[row] for row in lineup.first_of_channels]
    if slots_of == [first[channel] for channel in lineup.channel_at]:
        return list(zip(lineup.channels, first, strict=True)), lineup.channel_at
    place: dict[tuple[int, int], int] = {}
    lanes: list[tuple[str, tuple[datetime, ...]]] = []
    lane_at = []
    for channel, slots in zip(lineup.channel_at, slots_of, strict=True):
        key = (channel, id(slots))  # the items hold the slots, so that their identity stays theirs
        if key not in place:
            place[key] = len(lanes)
            lanes.append((lineup.channels[channel], slots))
        lane_at.append(place[key])
    return lanes, lane_at


def recent_contacts(touch: Touch) -> list[PastContact]:
    """Contacts of the customer in the last seven days, and those planned or just chosen."""
    since = touch.now - timedelta(days=FATIGUE_DAYS)
    return [contact for contact in (*touch.chosen, *touch.counters.contacts) if contact.at > since]
