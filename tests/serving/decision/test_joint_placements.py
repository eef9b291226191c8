"""Several contacts in one answer: placements, fallback offers, and the probabilities of one draw after another."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.counters import PastContact
from foretouch.core.decisions import DecisionRecord
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import PolicySpec
from tests.serving.decision.world import NOW, counters, decided, total_probability

OPEN = ContactPolicy()
GREEDY = {"default": PolicySpec(kind="greedy", slot_exploration=0.0)}
SHUFFLE = {"default": PolicySpec(kind="shuffle")}


def offer(name: str, value: float, **changes: Any) -> Offer:
    return Offer.model_validate({"offer_id": name, "name": name, "channels": ["email"], "value": value, **changes})


WIDE = offer("wide", 9.0, placement="hero")
SIDE = offer("side", 8.0, placement="sidebar")
ANY = offer("any", 7.0)
MORE = offer("more", 6.0)
LAST = offer("last", 1.0, fallback=True, eligibility="feature.recency_days > 1000.0")
SHELF = Catalogue(offers=(WIDE, SIDE, ANY, MORE))


def ask(catalogue: Catalogue = SHELF, asked: dict[str, Any] | None = None, **changes: Any) -> DecisionRecord:
    given = {"policies": GREEDY, "contact_policy": OPEN, "catalogue": catalogue, **changes}
    return decided({"placements": ["sidebar", "hero"], **(asked or {})}, **given)


def shown(record: DecisionRecord) -> list[tuple[str | None, str]]:
    return [(action.placement, action.offer_id) for action in record.action]


def dropped(record: DecisionRecord, name: str) -> tuple[str, str] | None:
    drop = next(candidate.dropped_by for candidate in record.candidates if candidate.offer_id == name)
    return None if drop is None else (drop.stage, drop.rule)


def test_placements_are_filled_in_order_each_offer_once_and_bound_offers_in_their_own() -> None:
    record = ask()
    assert shown(record) == [("sidebar", "side"), ("hero", "wide")]
    assert [action.rank for action in record.action] == [1, 2]
    assert shown(ask(asked={"placements": ["hero", "sidebar"]})) == [("hero", "wide"), ("sidebar", "side")]
    two_each = ask(asked={"n": 2})
    assert shown(two_each) == [("sidebar", "side"), ("sidebar", "any"), ("hero", "wide"), ("hero", "more")]


def test_an_offer_whose_placement_is_not_asked_for_is_named_with_the_reason() -> None:
    record = ask(asked={"placements": ["sidebar"]})
    assert dropped(record, "wide") == ("requested", "placement")
    assert shown(record) == [("sidebar", "side")]


def test_without_placements_a_bound_offer_is_a_candidate_like_any_other() -> None:
    record = ask(asked={"placements": None, "n": 4})
    assert [action.offer_id for action in record.action] == ["wide", "side", "any", "more"]
    assert [action.placement for action in record.action] == ["hero", "sidebar", None, None], "where each is shown"


def test_the_record_keeps_the_first_draws_distribution_and_each_action_its_own() -> None:
    record = ask(policies={"default": PolicySpec(kind="shuffle", slot_exploration=0.0)}, seed=4)
    shares = {candidate.offer_id: candidate.selection_probability for candidate in record.candidates}
    assert shares == {None: 0.25, "any": 0.25, "more": 0.25, "side": 0.25, "wide": 0.0}
    assert total_probability(record) == 1.0
    left = 4 - sum(action.placement == "sidebar" and action.offer_id in {"any", "more"} for action in record.action)
    hero = [action for action in record.action if action.placement == "hero"]
    assert all(action.selection_probability == pytest.approx(1.0 / left) for action in hero)


def test_no_contact_leaves_a_placement_empty_and_the_next_one_is_filled() -> None:
    records = [ask(policies=SHUFFLE, seed=seed) for seed in range(60)]
    assert any([action.placement for action in record.action] == ["hero"] for record in records)
    assert any(not record.action for record in records)


def test_the_product_of_the_logged_probabilities_is_the_frequency_of_the_whole_answer() -> None:
    catalogue = Catalogue(offers=(SIDE, ANY))
    soft = {"default": PolicySpec(temperature=1.0, slot_exploration=0.0)}
    counts: Counter[tuple[str | None, str | None]] = Counter()
    products: dict[tuple[str | None, str | None], float] = {}
    n = 1500
    for seed in range(n):
        record = ask(catalogue, {"options": {"explain": "none"}}, policies=soft, seed=seed)
        by_place = {action.placement: action for action in record.action}
        first, second = by_place.get("sidebar"), by_place.get("hero")
        key = (first.offer_id if first else None, second.offer_id if second else None)
        counts[key] += 1
        if second is not None:
            nobody = record.candidates[0].selection_probability
            one = first.selection_probability if first else nobody
            assert one is not None
            assert second.selection_probability is not None
            products[key] = one * second.selection_probability
    assert set(products) == {("side", "any"), (None, "any")}
    for key, product in products.items():
        spread = (product * (1.0 - product) / n) ** 0.5
        assert abs(counts[key] / n - product) < 4.0 * spread


def test_a_cap_of_a_placement_counts_there_and_nowhere_else() -> None:
    policy = ContactPolicy(caps=(Cap(rule="hero_daily", scope="placement", limit=1, days=1),))
    used = counters(
        contacts=(PastContact(at=NOW - timedelta(hours=2), channel="email", offer_id="old", placement="hero"),)
    )
    record = ask(asked={"n": 2}, contact_policy=policy, counters=used)
    full_until = NOW + timedelta(hours=22)
    for action in record.action:
        assert action.placement == "sidebar" or action.send_at >= full_until
    assert sum(action.placement == "sidebar" for action in record.action) == 1, (
        "its own cap counts what was just chosen"
    )
    short = ask(
        asked={"send_window": {"latest": (NOW + timedelta(hours=3)).isoformat()}}, contact_policy=policy, counters=used
    )
    assert shown(short) == [("sidebar", "side")]
    assert dropped(short, "wide") == ("caps", "hero_daily")
    assert dropped(short, "any") is None, "the sidebar has room for it"


def test_a_fallback_offer_is_proposed_only_where_no_other_is_left() -> None:
    others = ask(Catalogue(offers=(ANY, LAST)), {"placements": None})
    assert dropped(others, "last") == ("fallback", "other_offers")
    assert shown(others) == [(None, "any")]
    barred = ANY.replace(eligibility="feature.recency_days > 1000.0")
    alone = ask(Catalogue(offers=(barred, LAST)), {"placements": None})
    assert dropped(alone, "any") == ("eligibility", "eligibility")
    assert shown(alone) == [(None, "last")], "its own eligibility is not asked"
    assert alone.status == "decided"
    assert "fallback_offer" in {reason.code for reason in alone.action[0].reason_codes}


def test_a_fallback_offer_ignores_no_date_and_no_contact_rule() -> None:
    for changes, stage in (
        ({"catalogue": Catalogue(offers=(LAST.replace(ends_at=NOW - timedelta(days=1)),))}, "dates"),
        ({"counters": counters(consents={})}, "consent"),
        ({"contact_policy": ContactPolicy(caps=(Cap(rule="none", limit=0, days=1),))}, "caps"),
        ({"asked": {"purpose": "transactional", "placements": None}}, "purpose"),
    ):
        given: dict[str, Any] = {"catalogue": Catalogue(offers=(LAST,)), "asked": {"placements": None}, **changes}
        record = ask(given.pop("catalogue"), given.pop("asked"), **given)
        assert not record.action
        found = dropped(record, "last")
        assert found is not None
        assert found[0] == stage


def test_a_fallback_offer_fills_the_placement_that_nothing_else_fits() -> None:
    record = ask(Catalogue(offers=(WIDE, LAST)))
    assert shown(record) == [("sidebar", "last"), ("hero", "wide")]
    dear = ask(Catalogue(offers=(WIDE, LAST.replace(value=90.0))), {"placements": ["hero", "sidebar"]})
    assert shown(dear) == [("hero", "wide"), ("sidebar", "last")], "worth more, and still only where no other is left"
    full = ask(Catalogue(offers=(WIDE, SIDE, LAST)))
    assert shown(full) == [("sidebar", "side"), ("hero", "wide")]
    assert dropped(full, "last") == ("fallback", "other_offers")


def test_a_default_action_may_be_an_offer_that_is_else_a_fallback() -> None:
    record = ask(
        Catalogue(offers=(ANY, LAST)),
        {"placements": None, "default_action": {"offer_id": "last", "channel": "email"}},
        models={},
    )
    assert (record.fallback_step, shown(record)) == ("default_action", [(None, "last")])
    assert total_probability(record) == 1.0


def test_an_explored_choice_shows_the_greedy_one_beside_it() -> None:
    records = [ask(asked={"placements": None}, policies=SHUFFLE, seed=seed) for seed in range(40)]
    explored = [record.action[0] for record in records if record.action and record.action[0].explored]
    assert explored
    for action in explored:
        assert action.greedy is not None
        assert action.greedy.offer_id == "wide"
        assert action.reason_codes[0].code == "explored"
    greedy = [record.action[0] for record in records if record.action and not record.action[0].explored]
    assert greedy
    assert all(action.greedy is None and action.offer_id == "wide" for action in greedy)
    poor = Catalogue(offers=(ANY.replace(value=0.0, cost=5.0),))
    sent = [ask(poor, {"placements": None}, policies=SHUFFLE, seed=seed).action for seed in range(20)]
    assert {action[0].greedy.offer_id for action in sent if action and action[0].greedy} == {"*"}
