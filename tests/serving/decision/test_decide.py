"""Statuses, the fallback ladder, rules at their edges, holdouts, several actions, reasons."""

import socket
import time as clock
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest

from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.errors import ConfigError
from foretouch.core.experiment import ExperimentSpec
from foretouch.core.offers import Catalogue, Offer, OfferCaps
from foretouch.core.policy import ContextWeight, Factors, PolicySpec, ScoreWeight
from foretouch.serving.decide import decide
from foretouch.serving.decision.customer_scores import SCORE_FEATURES
from foretouch.serving.rules.rule_check import check_catalogue
from tests.serving.decision.world import (
    CHURN_MODEL,
    NOW,
    OFFER_MODEL,
    OFFERS,
    BrokenScorer,
    counters,
    decided,
    inputs,
    request,
    total_probability,
)

GREEDY = {"default": PolicySpec(kind="greedy", slot_exploration=0.0)}
UNKNOWN: dict[str, Any] = {"counters": CounterSnapshot(), "features": FeatureSnapshot()}
OPEN = ContactPolicy()
LATER = NOW + timedelta(hours=20)


def experiment(kind: str, **changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "key": "always-on",
            "control": "held",
            "weights": {"held": 1.0, "policy": 0.0},
            "arms": {"held": {"kind": kind}},
            "metrics": [{"name": "buys", "kind": "proportion", "event": "purchase"}],
            **changes,
        }
    )


def test_decided_by_the_champion() -> None:
    record = decided(policies=GREEDY)
    assert (record.status, record.fallback_step, record.contact) == ("decided", "champion", True)
    assert record.action[0].offer_id == "jam"
    assert record.action[0].selection_probability == 1.0
    assert [model.name for model in record.models] == ["churn", "offer"]
    assert record.features.values["score_churn"] == pytest.approx(0.3775406687981454)  # 1 / (1 + e^0.5)


def test_priority_is_the_sum_written_in_the_policy() -> None:
    spec = PolicySpec(
        kind="greedy",
        fatigue_cost=0.02,
        context_weights=(
            ContextWeight(key="intent", equals="leave", category="a", percent=100.0),
            ContextWeight(key="intent", equals="leave", offer_id="tea", percent=-25.0),
            ContextWeight(key="intent", equals="stay", percent=900.0),
        ),
        score_weights=(ScoreWeight(model="churn", percent=50.0),),
    )
    recent = PastContact(at=NOW - timedelta(days=2), channel="email", offer_id="x")
    tea = OFFERS[0].replace(lever=2.0)
    record = decided(
        {"context": {"intent": "leave"}, "channels": ["sms"]},
        policies={"default": spec},
        counters=counters(contacts=(recent,)),
        catalogue=Catalogue(offers=(tea,)),
    )
    by_channel = {candidate.channel: candidate for candidate in record.candidates}
    assert by_channel["email"].dropped_by is not None
    assert by_channel["email"].dropped_by.rule == "not_requested"
    sms = by_channel["sms"]
    assert sms.propensity is not None
    churn = record.features.values["score_churn"]
    by_hand = sms.propensity * 1.75 * (4.0 - 1.0) * (1.0 + 0.5 * churn) * 2.0 - 0.05 - 0.02
    assert sms.priority == pytest.approx(by_hand, rel=1e-12)
    assert sms.weights == pytest.approx({"context": 1.75, "score": 1.0 + 0.5 * churn, "lever": 2.0, "offer_cost": 1.0})


def test_every_factor_can_be_switched_off() -> None:
    off = Factors(propensity=False, context_weight=False, value=False, lever=False)
    spec = PolicySpec(factors=off, context_weights=(ContextWeight(key="k", equals=1, percent=500.0),))
    record = decided({"context": {"k": 1}}, policies={"default": spec})
    priorities = {(c.offer_id, c.channel): c.priority for c in record.candidates if c.offer_id and not c.dropped_by}
    assert priorities[("tea", "sms")] == pytest.approx(1.0 - 0.05)
    assert priorities[("jam", "email")] == pytest.approx(1.0 - 0.01)


def test_an_unknown_customer_is_suppressed_for_want_of_consent() -> None:
    record = decided(**UNKNOWN)
    assert (record.status, record.contact) == ("suppressed", False)
    assert "no consent is on record" in record.status_reason
    assert {item.offer_id for item in record.suppressed} == {"*"}
    assert record.candidates[0].selection_probability == 1.0


@pytest.mark.parametrize("models", [{"offer": OFFER_MODEL}, {}])
def test_an_unknown_customer_gets_a_usable_transactional_fallback(models: Mapping[str, Any]) -> None:
    record = decided({"purpose": "transactional"}, models=models, policies=GREEDY, **UNKNOWN)
    assert (record.status, record.contact) == ("fallback", True)
    assert record.fallback_step == ("prior" if models else "rules")
    assert any("time zone" in warning for warning in record.warnings)
    if models:
        assert record.action[0].propensity in {0.1, 0.02}


def test_an_empty_workspace_says_so_and_still_asks_for_consent() -> None:
    nothing = decided(catalogue=Catalogue(), models={})
    assert (nothing.status, nothing.fallback_step, nothing.contact) == ("fallback", "nothing", False)
    assert decided(catalogue=Catalogue(), models={}, **UNKNOWN).status == "suppressed"


@pytest.mark.parametrize(
    ("features", "models", "status", "step", "words"),
    [
        (FeatureSnapshot(known=True, stale=("v",)), {"offer": OFFER_MODEL}, "degraded", "stale", "older than"),
        (FeatureSnapshot(error="late"), {"offer": OFFER_MODEL}, "fallback", "prior", "could not be read: late"),
        (FeatureSnapshot(), {"offer": OFFER_MODEL}, "fallback", "prior", "nothing is known"),
        (FeatureSnapshot(known=True), {}, "fallback", "rules", "the offer model is missing"),
        (
            FeatureSnapshot(known=True),
            {"offer": BrokenScorer(card=OFFER_MODEL.card)},
            "fallback",
            "prior",
            "the offer model failed",
        ),
    ],
)
def test_the_ladder(features: FeatureSnapshot, models: Mapping[str, Any], status: str, step: str, words: str) -> None:
    record = decided(features=features, models=models)
    assert (record.status, record.fallback_step) == (status, step)
    assert words in record.status_reason
    assert total_probability(record) == pytest.approx(1.0, abs=1e-12)


def test_a_card_may_allow_defaults() -> None:
    card = OFFER_MODEL.card.replace(extras={"defaults_allowed": True})
    record = decided(features=FeatureSnapshot(error="late"), models={"offer": replace(OFFER_MODEL, card=card)})
    assert (record.status, record.fallback_step) == ("degraded", "defaults")


def test_a_score_that_the_policy_needs_and_nobody_has_degrades() -> None:
    spec = PolicySpec(score_weights=(ScoreWeight(model="value", percent=50.0),))
    record = decided(policies={"default": spec})
    assert record.status == "degraded"
    assert "the value model is missing" in record.status_reason


def test_the_default_action_is_taken_when_nothing_else_can_say_and_rules_hold_for_it() -> None:
    ask = {"default_action": {"offer_id": "tea", "channel": "sms"}}
    record = decided(ask, models={})
    assert (record.status, record.fallback_step) == ("fallback", "default_action")
    assert [(action.offer_id, action.channel) for action in record.action] == [("tea", "sms")]
    forbidden = decided(ask, models={}, counters=counters(consents={"email/marketing": True}))
    assert forbidden.fallback_step == "rules"
    assert all(action.channel == "email" for action in forbidden.action)


def test_profiling_can_be_refused() -> None:
    record = decided({"personalised": False})
    assert (record.status, record.fallback_step) == ("decided", "not_personalised")
    assert record.features.values == {}
    assert {item.propensity for item in record.candidates if item.offer_id == "tea"} == {0.1}


@pytest.mark.parametrize("kind", ["noop", "shuffle", "greedy", "epsilon", "softmax"])
def test_what_is_owed_goes_out_whatever_it_is_worth(kind: Any) -> None:
    dear = {"default": PolicySpec(kind=kind, fatigue_cost=0.0, temperature=5.0)}
    worthless = Catalogue(offers=tuple(offer.replace(value=0.0) for offer in OFFERS))
    for seed in range(40):
        record = decided({"purpose": "transactional"}, policies=dear, catalogue=worthless, seed=seed)
        assert record.contact
        nobody, *others = record.candidates
        assert nobody.selection_probability == 0.0
        assert sum(item.selection_probability or 0.0 for item in others) == pytest.approx(1.0, abs=1e-12)
        assert all("no contact" not in reason.text for reason in record.action[0].reason_codes)


def test_unreadable_consent_stops_even_transactional_contacts() -> None:
    record = decided({"purpose": "transactional"}, counters=counters(consent_error="disk I/O error"))
    assert record.status == "suppressed"
    assert {item.rule for item in record.suppressed} == {"unreadable"}


@pytest.mark.parametrize(("statement", "allowed"), [({"sms": False}, False), ({"sms": True}, False), (None, False)])
def test_a_consent_snapshot_can_only_narrow(statement: dict[str, bool] | None, allowed: bool) -> None:
    record = decided({"consent": statement, "channels": ["sms"]}, counters=counters(consents={"email/marketing": True}))
    assert (record.status != "suppressed") is allowed


def test_a_cap_counts_to_its_edge_and_says_until_when() -> None:
    policy = ContactPolicy(caps=(Cap(rule="weekly", limit=2, days=7),))
    oldest = NOW - timedelta(days=7)
    at_edge = (
        PastContact(at=NOW - timedelta(days=1), channel="email", offer_id="x"),
        PastContact(at=oldest, channel="email", offer_id="x"),
    )
    assert decided(contact_policy=policy, counters=counters(contacts=at_edge)).status == "decided"
    inside = (at_edge[0], at_edge[1].replace(at=oldest + timedelta(microseconds=1)))
    later = decided(contact_policy=policy, counters=counters(contacts=inside), policies=GREEDY)
    assert later.action[0].send_at == datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # the next slot is free of the cap
    record = decided({"send_window": {"latest": NOW}}, contact_policy=policy, counters=counters(contacts=inside))
    assert record.status == "suppressed"
    assert record.suppressed[0].until == NOW + timedelta(microseconds=1)
    assert "2 contacts (customer) in 7 days; 2 allowed" in record.suppressed[0].text


def test_a_cap_over_everyone_that_was_not_counted_forbids() -> None:
    policy = ContactPolicy(caps=(Cap(rule="volume", scope="total", limit=10, days=1),))
    assert decided(contact_policy=policy).status == "suppressed"
    assert decided(contact_policy=policy, counters=counters(total_contacts={"volume": 9})).status == "decided"
    assert decided(contact_policy=policy, counters=counters(total_contacts={"volume": 10})).status == "suppressed"


def test_caps_and_gaps_count_the_contacts_of_this_very_decision() -> None:
    shuffle = {"default": PolicySpec(kind="shuffle")}
    ask = {"n": 3}
    for index in range(40):
        record = decided(ask, policies=shuffle, seed=index, contact_policy=OPEN)
        assert len({action.offer_id for action in record.action}) == len(record.action)
        capped = decided(
            ask, policies=shuffle, seed=index, contact_policy=ContactPolicy(caps=(Cap(rule="one", limit=2, days=1),))
        )
        assert len(capped.action) <= 2
        apart = decided(ask, policies=shuffle, seed=index, contact_policy=ContactPolicy(minimum_gap_hours=5))
        times = sorted(action.send_at for action in apart.action)
        assert all(later - earlier >= timedelta(hours=5) for earlier, later in pairwise(times))
    assert any(len(decided(ask, policies=shuffle, seed=index, contact_policy=OPEN).action) == 3 for index in range(40))


def test_the_minimum_gap_moves_the_slot_and_then_drops() -> None:
    past = counters(contacts=(PastContact(at=NOW - timedelta(hours=3), channel="sms", offer_id="x"),))
    record = decided(contact_policy=ContactPolicy(minimum_gap_hours=5), counters=past, policies=GREEDY)
    assert record.action[0].send_at == datetime(2026, 3, 10, 17, 0, tzinfo=UTC)  # the first whole hour after 16:20
    never = decided(contact_policy=ContactPolicy(minimum_gap_hours=48), counters=past)
    assert {(item.stage, item.rule) for item in never.suppressed} == {("caps", "minimum_gap")}
    assert never.suppressed[0].until == NOW + timedelta(hours=45)


def test_a_daily_limit_keeps_the_slot_on_the_day_that_was_counted() -> None:
    offer = OFFERS[1].replace(caps=OfferCaps(per_day=1))
    quiet = ContactPolicy(quiet_hours=(QuietHours(start=time(15), end=time(23, 59)),), default_time_zone="UTC")
    record = decided(contact_policy=quiet, counters=counters(time_zone="UTC"), catalogue=Catalogue(offers=(offer,)))
    assert all(action.send_at < datetime(2026, 3, 11, tzinfo=UTC) for action in record.action)
    late = inputs(
        decided_at=datetime(2026, 3, 10, 16, 0, tzinfo=UTC),
        contact_policy=quiet,
        counters=counters(time_zone="UTC"),
        catalogue=Catalogue(offers=(offer,)),
    )
    assert decide(request(), late).suppressed[0].stage == "quiet_hours"


def test_quiet_hours_that_leave_no_slot_say_until_when() -> None:
    window = {"latest": "2026-03-11T06:00:00Z", "earliest": "2026-03-10T20:30:00Z"}  # 21:30 to 07:00 in Berlin
    record = decided({"send_window": window})
    assert {(item.stage, item.rule) for item in record.suppressed} == {("quiet_hours", "quiet_hours")}
    assert record.suppressed[0].until == datetime(2026, 3, 11, 7, 0, tzinfo=UTC)


def test_eligibility_shows_the_values_it_saw() -> None:
    strict = OFFERS[1].replace(eligibility='feature.recency_days > 30.0 || customer.region == "north"')
    record = decided(catalogue=Catalogue(offers=(strict,)), counters=counters(attributes={"region": "south"}))
    drop = record.candidates[1].dropped_by
    assert drop is not None
    assert drop.text.endswith('not met: feature.recency_days == 5, customer.region == "south"')
    unknown = decided(catalogue=Catalogue(offers=(strict,)), features=FeatureSnapshot(known=True))
    assert "value unknown" in unknown.suppressed[0].text


def test_a_catalogues_rules_are_checked_when_it_is_loaded() -> None:
    good = OFFERS[0].replace(eligibility="feature.score_churn > 0.5 && offer.brand == 'x'", attributes={"brand": "x"})
    check_catalogue(Catalogue(offers=(good,)), SCORE_FEATURES)
    for rule, place in (
        ("feature.nope > 1", "line 1, column 1"),
        ("offer.brand ==", "line 1"),
        ("offer.hue == 1", "hue"),
    ):
        bad = Catalogue(offers=(OFFERS[0].replace(eligibility=rule),))
        with pytest.raises(ConfigError, match=place) as caught:
            check_catalogue(bad, SCORE_FEATURES)
        assert "offer 'tea', eligibility" in caught.value.message
    broken = decided(catalogue=Catalogue(offers=(OFFERS[0].replace(eligibility="feature."),)))
    assert broken.suppressed[0].rule == "broken_rule"


def test_an_arm_may_call_the_workspaces_policy_by_name() -> None:
    for name in ("default", "policy"):
        arms = {"held": {"kind": "policy", "policy": name}}
        record = decided(experiments=(experiment("policy", arms=arms),), policies=GREEDY)
        assert record.status == "decided"
        assert not any("policy" in warning for warning in record.warnings)


def test_requested_offers_only_and_unknown_names_are_reported() -> None:
    record = decided({"candidates": [{"offer_id": "tea", "channel": "sms"}, {"offer_id": "gone"}]})
    assert [(item.offer_id, item.channel) for item in record.candidates] == [(None, None), ("tea", "sms")]
    assert [(item.offer_id, item.rule) for item in record.suppressed] == [("gone", "unknown_offer")]
    excluded = decided({"exclude": ["tea", "jam", "rye"]})
    assert (excluded.status, {item.rule for item in excluded.suppressed}) == ("suppressed", {"exclude"})
    assert decided({"collection": "b"}).candidates[1].offer_id == "jam"


@pytest.mark.parametrize(
    ("kind", "baseline", "sent"),
    [("no_contact", "tea", []), ("business_as_usual", "tea", ["tea"]), ("business_as_usual", None, [])],
)
def test_holdouts(kind: str, baseline: str | None, sent: list[str]) -> None:
    record = decided({"baseline_offer_id": baseline}, experiments=(experiment(kind),))
    assert record.status == "control"
    assert [action.offer_id for action in record.action] == sent
    assert record.experiments[0].holdout
    assert total_probability(record) == 1.0
    held = [candidate.dropped_by for candidate in record.candidates if candidate.dropped_by]
    assert {drop.stage for drop in held} == {"holdout"}


def test_the_random_arm_is_uniform_over_what_the_rules_left() -> None:
    record = decided(experiments=(experiment("random"),))
    shares = [candidate.selection_probability for candidate in record.candidates]
    assert record.status == "control"
    assert shares == pytest.approx([1 / 7] * 7)


def test_rules_come_before_holdouts() -> None:
    assert decided(experiments=(experiment("no_contact"),), **UNKNOWN).status == "suppressed"


def test_what_is_owed_to_the_customer_is_not_held_back_unless_the_experiment_names_it() -> None:
    ask = {"purpose": "transactional"}
    everywhere = decided(ask, experiments=(experiment("no_contact"),))
    assert (everywhere.status, everywhere.experiments) == ("decided", ())
    named = decided(ask, experiments=(experiment("no_contact", touchpoints=["weekly"]),))
    assert named.status == "control"


def test_what_is_owed_goes_out_at_the_first_allowed_slot() -> None:
    eager = {"default": PolicySpec(kind="greedy", slot_exploration=1.0)}
    record = decided({"purpose": "transactional", "send_window": {"earliest": NOW, "latest": LATER}}, policies=eager)
    assert record.action[0].send_at == NOW
    assert record.action[0].send is not None
    assert (record.action[0].send.slot_probability, record.action[0].send.explored) == (1.0, False)


def test_an_arm_can_name_a_policy() -> None:
    arms = {"held": {"kind": "policy", "policy": "bold"}}
    record = decided(
        experiments=(experiment("policy", arms=arms),),
        policies={**GREEDY, "bold": PolicySpec(kind="noop")},
    )
    assert (record.status, record.contact) == ("decided", False)
    missing = decided(experiments=(experiment("policy", arms=arms),), policies=GREEDY)
    assert any("'bold'" in warning for warning in missing.warnings)


def test_a_policy_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'bandit'"):
        decided(policies={"default": PolicySpec().model_copy(update={"kind": "bandit"})})


def test_exploration_says_so_with_its_probability() -> None:
    records = [decided(policies={"default": PolicySpec(kind="shuffle")}, seed=seed) for seed in range(60)]
    explored = [record.action[0] for record in records if record.action and record.action[0].explored]
    assert explored
    assert explored[0].reason_codes[0].code == "explored"
    assert "the highest priority was jam by email" in explored[0].reason_codes[0].text
    assert any(not record.action for record in records)


def test_full_reasons_carry_the_models_own_contributions() -> None:
    action = decided({"options": {"explain": "full"}}, policies=GREEDY).action[0]
    found = {reason.feature: reason for reason in action.reason_codes if reason.feature}
    assert found["recency_days"].contribution == pytest.approx(-0.25)
    assert found["offer_value"].contribution == pytest.approx(1.2)
    assert found["recency_days"].text == "days since the last purchase: 5"
    brief = decided(policies=GREEDY).action[0].reason_codes
    assert [reason.code for reason in brief] == ["highest_priority", "first_allowed_slot"]
    assert decided({"options": {"explain": False}}, policies=GREEDY).action[0].reason_codes == ()


def test_logged_probabilities_are_the_frequencies_of_the_draw() -> None:
    shares = {
        (item.offer_id, item.treatment_id, item.channel): item.selection_probability or 0.0
        for item in decided(policies={"default": PolicySpec(temperature=1.0)}).candidates
    }
    counts = dict.fromkeys(shares, 0)
    n = 1500
    base = inputs(policies={"default": PolicySpec(temperature=1.0)})
    for seed in range(n):
        record = decide(request(options={"explain": False}), replace(base, seed=seed))
        action = record.action[0] if record.action else None
        counts[(action.offer_id, action.treatment_id, action.channel) if action else (None, None, None)] += 1
    chi_square = sum((counts[key] - n * share) ** 2 / (n * share) for key, share in shares.items())
    assert chi_square < 24.1  # 99.95 % quantile with 7 - 1 degrees of freedom (scipy.stats.chi2.ppf)


def test_deciding_touches_no_file_socket_or_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(models={"offer": OFFER_MODEL, "churn": CHURN_MODEL})
    decide(request(), given)  # zones are read from disk at their first use

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("I/O in the pure core")

    for module, name in ((socket, "socket"), (clock, "time"), (clock, "monotonic"), (clock, "perf_counter")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("os.urandom", refuse)
    monkeypatch.setattr("foretouch.core.clock.utc_now", refuse)
    record = decide(request(n=3), given)
    monkeypatch.undo()
    assert record.status == "decided"


def test_sixty_candidates_stay_a_short_record() -> None:
    offers = tuple(
        Offer(offer_id=f"offer-{index:02}", name="n", channels=("email", "sms", "push"), value=float(index))
        for index in range(20)
    )
    config = Config(channels={name: ChannelSection(cost=0.01) for name in ("email", "sms", "push")})
    record = decided(catalogue=Catalogue(offers=offers), config=config)
    assert len(record.candidates) == 61
    assert len(record.to_line()) < 40_000
