"""What every rule owes: it drops and names itself, says until when, and nothing that decides can get around it.

One class per rule. ``test_every_rule.py`` finds the rules in the contracts themselves, so that a rule without a class
of its own fails a test.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, get_args

import pytest

from foretouch.core.contact import Cap, ContactPolicy, CoolDown
from foretouch.core.decisions import DecisionRecord, Stage
from foretouch.core.engagement import TIERS
from foretouch.core.offers import Catalogue, OfferCaps
from foretouch.core.policy import Factors, PolicySpec
from foretouch.serving.decide import decide
from foretouch.serving.words.translations import in_chinese
from tests.serving.decision.world import EVERY_PURPOSE, NOW, OFFERS, inputs, request

OPEN = ContactPolicy(default_time_zone="Europe/Berlin")
ONE = OFFERS[1].replace(channels=("email",), purposes=EVERY_PURPOSE)
"""One offer on one channel, so that one rule decides everything."""
NUMBER = re.compile(r"\d+")
MICROSECOND = timedelta(microseconds=1)
NO_RULE = {
    *("schema_version", "name", "purposes_without_consent", "purposes_without_caps", "reservation_hours"),
    "default_time_zone",
}
"""Fields of the contact policy that are no rule of their own."""


def every_rule() -> set[str]:
    """Every rule that the contracts know, by name; a new field, scope or limit is a new rule."""
    fields = set(ContactPolicy.model_fields) - NO_RULE - {"caps", "cool_downs"}
    scopes = {f"cap:{scope}" for scope in get_args(Cap.model_fields["scope"].annotation)}
    pauses = {f"cool_down:{scope}" for scope in get_args(CoolDown.model_fields["scope"].annotation)}
    limits = {f"limit:{name}" for name in OfferCaps.model_fields}
    stages = {stage for stage in get_args(Stage) if stage in {"dates", "channel", "purpose", "consent", "suppression"}}
    return fields | scopes | pauses | limits | stages | set(TIERS)


@dataclass(frozen=True, kw_only=True)
class World:
    """A request and what the decision depends on.

    Attributes:
        ask: Fields of the request.
        given: Changes of the inputs.
        until: When the rule should say that it ends; None is never.
    """

    ask: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    until: datetime | None = None


class RuleContract:
    """Inherit, name the rule, and give a world in which it alone forbids, and the nearest one in which it does not."""

    rule: ClassVar[str]
    stage: ClassVar[str]
    named: ClassVar[str]
    """Its name in answers."""
    exempt: ClassVar[frozenset[str]] = frozenset()
    """Purposes that it does not stop."""
    slot_rule: ClassVar[bool] = True
    """Whether it is asked at the slot: then a later slot of the same decision may be free."""

    def forbidden(self) -> World:
        """The rule alone forbids every slot."""
        raise NotImplementedError

    def allowed(self) -> World:
        """The nearest world in which it does not."""
        raise NotImplementedError

    def test_it_drops_and_names_itself(self) -> None:
        record = at(self.forbidden())
        assert (record.status, record.action) == ("suppressed", ())
        drops = [item.dropped_by for item in record.candidates if item.dropped_by is not None]
        assert {(drop.stage, drop.rule) for drop in drops} == {(self.stage, self.named)}
        assert all(drop.text for drop in drops)

    def test_it_says_the_same_in_chinese_with_its_values(self) -> None:
        world = self.forbidden()
        chinese = replace(world, ask={**world.ask, "options": {"language": "zh"}})
        for there, here in zip(at(world).candidates, at(chinese).candidates, strict=True):
            if there.dropped_by is not None:
                assert here.dropped_by is not None
                said, own = there.dropped_by.text, here.dropped_by.text
                assert in_chinese(said) == own, said
                assert sorted(NUMBER.findall(own)) == sorted(NUMBER.findall(said))

    def test_beyond_its_edge_it_allows(self) -> None:
        record = at(self.allowed())
        assert (record.status, len(record.action)) == ("decided", 1)

    def test_it_says_until_when(self) -> None:
        world = self.forbidden()
        record = at(world)
        drop = record.candidates[1].dropped_by
        assert drop is not None
        assert drop.until == world.until
        if world.until is not None:
            assert at(world, now=world.until).action, "free at the moment that it named"
            before = at(world, now=world.until - MICROSECOND)
            assert not before.action, "and not before"

    def test_a_later_slot_is_used_where_it_is_free(self) -> None:
        world = self.forbidden()
        if world.until is None or not self.slot_rule or world.until - NOW > timedelta(days=6):
            return
        record = at(world, latest=world.until + timedelta(hours=30), expires=world.until + timedelta(hours=31))
        assert record.action
        assert record.action[0].send_at >= world.until

    @pytest.mark.parametrize(
        "way",
        [
            {"models": {}},
            {"ask": {"personalised": False}},
            {"ask": {"default_action": {"offer_id": "jam", "channel": "email"}}, "models": {}},
            {"fallback": True},
            {"value": 1e9},
        ],
        ids=["no model", "not personalised", "default action", "fallback offer", "any value"],
    )
    def test_nothing_gets_around_it(self, way: dict[str, Any]) -> None:
        world = self.forbidden()
        if "fallback" in way and self.stage in TIERS:
            return  # a fallback offer ignores the tiers; see test_engagement.py
        if not way.get("ask", {}).get("personalised", True) and self.stage in TIERS:
            return  # a rule about a person says nothing of nobody; that it fails closed is tested there
        catalogue = world.given.get("catalogue", Catalogue(offers=(ONE,)))
        changes = {"fallback": way.get("fallback", False), "value": way.get("value", 1.0)}
        offers = Catalogue(offers=tuple(offer.replace(**changes) for offer in catalogue.offers))
        given: dict[str, Any] = {**world.given, "catalogue": offers}
        if "models" in way:
            given["models"] = way["models"]
        record = at(World(ask={**world.ask, **way.get("ask", {})}, given=given))
        assert not record.action

    @pytest.mark.parametrize("purpose", EVERY_PURPOSE)
    def test_it_holds_for_the_purposes_that_it_should(self, purpose: str) -> None:
        world = self.forbidden()
        record = at(World(ask={**world.ask, "purpose": purpose}, given=world.given))
        assert bool(record.action) is (purpose in self.exempt)


def at(
    world: World, *, now: datetime | None = None, latest: datetime | None = None, expires: datetime | None = None
) -> DecisionRecord:
    """Decides in a world at a moment that is also the only slot, unless ``latest`` is later."""
    moment = now or world.given.get("decided_at", NOW)
    hours = 24.0 if expires is None else (expires - moment) / timedelta(hours=1)
    greedy = PolicySpec(
        kind="greedy",
        slot_exploration=0.0,
        expires_after_hours=hours,
        factors=Factors(cost=False, price=False, propensity=False),
    )
    window = {"latest": latest or moment}
    ask = {"send_window": window, **world.ask}
    base = {
        "contact_policy": OPEN,
        "catalogue": Catalogue(offers=(ONE,)),
        "policies": {"default": greedy},
        **world.given,
        "decided_at": moment,
    }
    consents = {f"{channel}/{purpose}": True for channel in ("email", "sms", "push") for purpose in EVERY_PURPOSE}
    if "counters" not in base:
        base["counters"] = inputs().counters
    if not world.given.get("keep_consents", False):
        base["counters"] = base["counters"].replace(consents=consents)
    base.pop("keep_consents", None)
    return decide(request(**ask), inputs(**base))
