"""The engagement policy: may they have it, is it relevant now, should they have it. Pure.

Three tiers, asked in this order; in each the offer's own rule first, then the policy's in the order of the file. A
rule is an expression over customer, feature, context and offer fields; one that is false, unknown or cannot be read
drops the offer and says which values it saw. What a policy and an offer say is compiled once and kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRequest, FeatureSnapshot
from foretouch.core.engagement import TIERS, EngagementPolicy, EngagementRule, Tier
from foretouch.core.errors import ConfigError
from foretouch.core.expressions import Expression, compile_expression
from foretouch.core.offers import Offer
from foretouch.features.catalogue import AGES
from foretouch.serving.rules.bans import NEVER_ENDS, Ban, Span

OFFER_FIELDS = ("offer_id", "name", "issue", "category", "value", "cost", "placement", "lever")

Values = Mapping[str, Mapping[str, Any]]


def rule_values(request: DecisionRequest, features: FeatureSnapshot, counters: CounterSnapshot) -> Values:
    """What rules may name, but the offer's fields: by namespace and name."""
    return {
        "customer": {
            **counters.attributes,
            "known": counters.known,
            "language": counters.language,
            "time_zone": counters.time_zone,
        },
        "feature": features.values,
        "context": request.context,
    }


def offer_values(offer: Offer) -> dict[str, Any]:
    """What rules may name of an offer: its fields and its attributes."""
    return {**offer.attributes, **{name: getattr(offer, name) for name in OFFER_FIELDS}}


@dataclass(frozen=True, slots=True)
class TierRule:
    """One compiled rule.

    Attributes:
        tier: Its tier.
        rule: Its id in answers: the policy's, or the tier's name for an offer's own.
        source: The expression's text.
        expression: None where it cannot be compiled; then nobody passes.
        problem: Why not.
        starts_at: Before it the rule does not hold.
        ends_at: From then on the rule does not hold.
        of_offer: Whether it names the offer's fields: else one answer does for every offer.
    """

    tier: Tier
    rule: str
    source: str
    expression: Expression | None
    problem: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    of_offer: bool = True


@dataclass(frozen=True, slots=True)
class OfferRules:
    """What the rules know of an offer before any customer is looked at.

    Attributes:
        offer: The offer.
        rules: Every rule that it must pass, in the order in which they are asked.
        values: What rules may name of it.
        group: The same number for offers with the same rules, none of which names the offer's fields: one answer does
            for all of them. None where a rule does.
        unlimited: Whether it has no issue limit of its own.
    """

    offer: Offer
    rules: tuple[TierRule, ...]
    values: Mapping[str, Any]
    group: int | None
    unlimited: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """Why an offer does not pass.

    Attributes:
        tier: The rule's tier.
        rule: Its id.
        text: Why, with the values seen.
        until: When it passes if nothing else happens: the rule ends, or an age in days has grown enough.
        seen: The values that the rule looked at.
    """

    tier: Tier
    rule: str
    text: str
    until: datetime | None
    seen: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the three tiers say about an offer.

    Attributes:
        missed: The rule that drops it now; None if it passes.
        bans: Times at which a rule that begins later would forbid it.
    """

    missed: Missed | None = None
    bans: tuple[tuple[Missed, Ban], ...] = ()


PASSED = Standing()


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the rules know of several offers together before any customer is looked at.

    Attributes:
        members: Each of them.
        starts_at: When the last of them begins; None where none has a beginning.
        ends_at: When the first of them ends; None where none has an end.
        purposes: What all of them are for.
        unlimited: Whether none has an issue limit of its own.
        asked: One of each group, and each that has no group: together they stand for all in what the tiers say.
    """

    members: tuple[OfferRules, ...]
    starts_at: datetime | None
    ends_at: datetime | None
    purposes: frozenset[str]
    unlimited: bool
    asked: tuple[OfferRules, ...]


class TierPlan:
    """The rules of an engagement policy, by offer.

    Args:
        policy: The policy.
    """

    def __init__(self, policy: EngagementPolicy) -> None:
        self._rules = tuple((rule, _compiled(rule.tier, rule.rule, rule.when, rule)) for rule in policy.rules)
        self._of: dict[str, OfferRules] = {}
        self._own: dict[tuple[Tier, str], TierRule] = {}
        self._groups: dict[tuple[int, ...], int] = {}

    def of(self, offer: Offer) -> OfferRules:
        """The rules of an offer; worked out once for as long as it is the same offer."""
        found = self._of.get(offer.offer_id)
        if found is None or found.offer is not offer:
            found = self._of[offer.offer_id] = self._make(offer)
        return found

    def crowd(self, offers: Sequence[Offer]) -> Crowd:
        """What is known of several offers together; at least one."""
        members = tuple(map(self.of, offers))
        groups = {one.group: one for one in members if one.group is not None}
        return Crowd(
            members=members,
            starts_at=max([offer.starts_at for offer in offers if offer.starts_at], default=None),
            ends_at=min([offer.ends_at for offer in offers if offer.ends_at], default=None),
            purposes=frozenset(offers[0].purposes).intersection(*[offer.purposes for offer in offers]),
            unlimited=all(one.unlimited for one in members),
            asked=(*groups.values(), *(one for one in members if one.group is None)),
        )

    def _make(self, offer: Offer) -> OfferRules:
        rules: list[TierRule] = []
        for tier in () if offer.fallback else TIERS:
            own: str = getattr(offer, tier)
            if own:
                rules.append(self._of_offers(tier, own))
            rules.extend(compiled for rule, compiled in self._rules if rule.tier == tier and holds_for(rule, offer))
        group = None
        if not any(rule.of_offer for rule in rules):  # rules are kept here, so that their identity stays theirs
            group = self._groups.setdefault(tuple(map(id, rules)), len(self._groups))
        caps = offer.caps
        return OfferRules(
            offer=offer,
            rules=tuple(rules),
            values=offer_values(offer),
            group=group,
            unlimited=caps.total is None and caps.per_customer is None and caps.per_day is None,
        )

    def _of_offers(self, tier: Tier, source: str) -> TierRule:
        """An offer's own rule; offers that state the same one share it, and so its answer."""
        rule = self._own.get((tier, source))
        if rule is None:
            rule = self._own[tier, source] = _compiled(tier, tier, source, None)
        return rule


def holds_for(rule: EngagementRule, offer: Offer) -> bool:
    """Whether a rule is about an offer."""
    return (
        rule.issue in {"*", offer.issue}
        and rule.category in {"*", offer.category}
        and rule.offer_id in {"*", offer.offer_id}
    )


class Questions:
    """The tiers asked about one customer at one moment.

    Args:
        plan: The rules.
        values: See ``rule_values``.
        now: The decision's time.
    """

    def __init__(self, plan: TierPlan, values: Values, now: datetime) -> None:
        self._plan = plan
        self._values = values
        self._now = now
        self._by_offer: dict[str, Standing] = {}
        self._by_group: dict[int, Standing] = {}
        self._by_rule: dict[int, Missed | None] = {}

    def ask(self, offer: Offer) -> Standing:
        """What the tiers say about an offer."""
        return self.standing(self._plan.of(offer))

    def standing(self, about: OfferRules) -> Standing:
        """The same, of an offer whose rules are at hand."""
        if not about.rules:
            return PASSED
        group = about.group
        if group is not None:
            standing = self._by_group.get(group)
            if standing is None:
                standing = self._by_group[group] = self._ask(about)
            return standing
        offer_id = about.offer.offer_id
        standing = self._by_offer.get(offer_id)
        if standing is None:
            standing = self._by_offer[offer_id] = self._ask(about)
        return standing

    def _ask(self, about: OfferRules) -> Standing:
        bans: list[tuple[Missed, Ban]] = []
        for rule in about.rules:
            if rule.ends_at is not None and rule.ends_at <= self._now:
                continue
            missed = self._missed(rule, about)
            if missed is None:
                continue
            if rule.starts_at is None or rule.starts_at <= self._now:
                return Standing(missed=missed)
            span: Span = (rule.starts_at, rule.ends_at or NEVER_ENDS)
            bans.append((missed, Ban(missed.tier, missed.rule, missed.text, (span,))))
        return Standing(bans=tuple(bans)) if bans else PASSED

    def _missed(self, rule: TierRule, about: OfferRules) -> Missed | None:
        if rule.of_offer:
            return self._evaluate(rule, {**self._values, "offer": about.values})
        key = id(rule)
        if key not in self._by_rule:
            self._by_rule[key] = self._evaluate(rule, self._values)
        return self._by_rule[key]

    def _evaluate(self, rule: TierRule, values: Values) -> Missed | None:
        if rule.expression is None:
            text = f"the rule cannot be read, so nobody passes: {rule.problem}"
            return Missed(rule.tier, rule.rule, text, rule.ends_at, {})
        verdict = rule.expression.evaluate(values)
        if verdict.passed:
            return None
        until = rule.ends_at
        wait = rule.expression.turns_true(values, AGES) if rule.expression.compared else None
        if wait is not None:
            grown = self._now + timedelta(days=wait)
            until = grown if until is None else min(until, grown)
        return Missed(rule.tier, rule.rule, f"{rule.source}: {verdict.text}", until, verdict.seen)


def _compiled(tier: Tier, name: str, source: str, rule: EngagementRule | None) -> TierRule:
    starts_at = None if rule is None else rule.starts_at
    ends_at = None if rule is None else rule.ends_at
    try:
        expression = compile_expression(source)
    except ConfigError as error:
        broken = "broken_rule" if rule is None else name
        return TierRule(tier, broken, source, None, error.message, starts_at, ends_at, of_offer=False)
    of_offer = any(space == "offer" for space, _ in expression.fields)
    return TierRule(tier, name, source, expression, "", starts_at, ends_at, of_offer)


def known_names(offers: Collection[Offer], features: Collection[str]) -> dict[str, Collection[str]]:
    """What rules about these offers may name, by namespace; customers and contexts are open."""
    return {
        "offer": {*OFFER_FIELDS, *(name for offer in offers for name in offer.attributes)},
        "feature": features,
    }
