"""The ladder, step by step; what may not be personal; contact rules on every step."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretouch.core.config import ChannelSection, Config, TouchpointSection
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import DecisionRecord, FeatureSnapshot
from foretouch.core.experiment import Arm, ExperimentSpec
from foretouch.core.offers import CandidateRef, Catalogue, Offer
from foretouch.core.policy import ContextWeight, PolicySpec, ScoreWeight
from foretouch.serving.history.replay import replay, replay_inputs
from foretouch.serving.models.scorers import ConstantScorer
from tests.serving.decision.world import (
    ALL_CONSENTS,
    CHURN_MODEL,
    NOW,
    OFFER_MODEL,
    OFFERS,
    BrokenScorer,
    card,
    counters,
    decided,
    inputs,
    total_probability,
)

BEFORE = replace(OFFER_MODEL, card=OFFER_MODEL.card.replace(version="6"), intercept=0.5)
BROKEN = BrokenScorer(card=OFFER_MODEL.card)
GREEDY = {"default": PolicySpec(kind="greedy", slot_exploration=0.0)}
CHANNELS = {name: ChannelSection(cost=0.01) for name in ("email", "sms", "push")}
STATIC = Config(
    channels=CHANNELS,
    touchpoints={"weekly": TouchpointSection(default_action=CandidateRef(offer_id="jam", channel="email"))},
)
NO_RATES = replace(OFFER_MODEL, card=OFFER_MODEL.card.replace(extras={}))
CALLERS = {"default_action": {"offer_id": "tea", "channel": "sms"}}
BLIND = FeatureSnapshot(error="the store is down")
DEFAULTS = replace(
    OFFER_MODEL, card=OFFER_MODEL.card.replace(extras={**OFFER_MODEL.card.extras, "defaults_allowed": True})
)

STEPS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("champion", "decided", {}, {}),
    ("stale", "degraded", {}, {"features": inputs().features.replace(stale=("v",))}),
    ("defaults", "degraded", {}, {"features": BLIND, "models": {"offer": DEFAULTS}}),
    ("previous", "degraded", {}, {"models": {}, "previous": {"offer": BEFORE}}),
    ("previous", "degraded", {}, {"models": {"offer": BROKEN}, "previous": {"offer": BEFORE}}),
    (
        "previous",
        "degraded",
        {},
        {"features": BLIND, "models": {"offer": OFFER_MODEL}, "previous": {"offer": DEFAULTS}},
    ),
    ("prior", "fallback", {}, {"models": {"offer": BROKEN}}),
    ("prior", "fallback", {}, {"models": {"offer": BROKEN}, "previous": {"offer": BROKEN}}),
    ("default_action", "fallback", CALLERS, {"models": {}, "config": STATIC}),
    ("static_default", "fallback", {}, {"models": {}, "config": STATIC}),
    ("rules", "fallback", {}, {"models": {}}),
    ("nothing", "fallback", {}, {"models": {}, "catalogue": Catalogue()}),
    ("not_personalised", "decided", {"personalised": False}, {}),
]


@pytest.mark.parametrize(("step", "status", "ask", "changes"), STEPS)
def test_every_step_is_labelled_replayed_and_sums_to_one(
    step: str, status: str, ask: dict[str, Any], changes: dict[str, Any]
) -> None:
    record = decided(ask, **changes)
    assert (record.fallback_step, record.status) == (step, status)
    assert record.status_reason
    assert total_probability(record) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("step", "status", "ask", "changes"), STEPS)
def test_contact_rules_hold_on_every_step(step: str, status: str, ask: dict[str, Any], changes: dict[str, Any]) -> None:
    without_sms = counters(consents={"email/marketing": True, "push/marketing": True})
    shuffle = {"default": PolicySpec(kind="shuffle")}
    for seed in range(12):
        record = decided(ask, **{**changes, "counters": without_sms, "policies": shuffle, "seed": seed})
        assert all(action.channel != "sms" for action in record.action)
        nobody = decided(ask, **{**changes, "counters": CounterSnapshot(consent_error="locked"), "seed": seed})
        assert not nobody.action


def test_the_previous_champion_says_why_and_is_named_for_replay() -> None:
    record = decided(models={"offer": BROKEN}, previous={"offer": BEFORE}, policies=GREEDY)
    assert "the offer model failed" in record.status_reason
    assert [(ref.version, ref.role) for ref in record.models if ref.name == "offer"] == [
        ("7", "champion"),
        ("6", "previous"),
    ]
    expected = decided(models={"offer": BEFORE}, policies=GREEDY)
    assert record.action[0].propensity == expected.action[0].propensity


def test_a_previous_champion_that_nobody_needs_is_not_asked() -> None:
    plain, beside = decided(), decided(previous={"offer": BEFORE, "churn": CHURN_MODEL})
    assert plain == beside


def test_the_customers_previous_models_stand_in_too() -> None:
    spec = {"default": PolicySpec(score_weights=(ScoreWeight(model="churn", percent=50.0),))}
    record = decided(models={"offer": OFFER_MODEL}, previous={"churn": CHURN_MODEL}, policies=spec)
    assert (record.status, record.fallback_step) == ("degraded", "previous")
    assert "the churn model is missing; the champion before it scored" in record.status_reason
    assert [ref.name for ref in record.models if ref.role == "previous"] == ["churn"]
    assert record.candidates[1].weights == decided(policies=spec).candidates[1].weights


def test_the_callers_default_comes_before_the_touchpoints() -> None:
    both = decided(CALLERS, models={}, config=STATIC)
    assert [(action.offer_id, action.channel) for action in both.action] == [("tea", "sms")]
    consents = {"email/marketing": True, "push/marketing": True}
    forbidden = decided(CALLERS, models={}, config=STATIC, counters=counters(consents=consents))
    assert forbidden.fallback_step == "static_default"
    assert [(action.offer_id, action.channel) for action in forbidden.action] == [("jam", "email")]
    none = decided(CALLERS, models={}, config=STATIC, counters=counters(consents={"push/marketing": True}))
    assert none.fallback_step == "rules"
    assert "forbid both default actions" in none.status_reason


def test_the_static_default_is_taken_where_the_catalogue_is_empty() -> None:
    record = decided(catalogue=Catalogue(), config=STATIC)
    assert (record.fallback_step, record.status) == ("static_default", "fallback")
    assert [action.offer_id for action in record.action] == ["jam"]


PEOPLE = st.fixed_dictionaries(
    {
        "recency": st.floats(0.0, 400.0),
        "shares": st.floats(0.0, 1.0),
        "age": st.integers(18, 90),
        "language": st.sampled_from(["en", "zh", None]),
        "known": st.booleans(),
        "contacts": st.integers(0, 3),
        "stale": st.booleans(),
    }
)
ABOUT_PEOPLE = (
    OFFERS[0],
    OFFERS[1].replace(suitability="customer.age > 40"),
    OFFERS[2].replace(applicability="feature.recency_days < 30.0 || customer.language == 'zh'"),
)


def choice(record: DecisionRecord) -> Any:
    """Everything about the choice, and nothing about who it is."""
    return (
        [(item.offer_id, item.channel, item.treatment_id, item.send_at, item.priority) for item in record.action],
        [
            (item.offer_id, item.channel, item.propensity, item.weights, item.price, item.selection_probability)
            for item in record.candidates
        ],
        record.fallback_step,
        record.status,
        record.shadow,
    )


def of_person(person: dict[str, Any], *, personalised: bool, **changes: Any) -> DecisionRecord:
    features = FeatureSnapshot(
        known=person["known"],
        values={"recency_days": person["recency"], "category_share_tea": person["shares"], "score_churn": 0.4},
        stale=("v",) if person["stale"] else (),
        as_of={"v": NOW - timedelta(hours=person["contacts"])},
    )
    past = tuple(
        PastContact(at=NOW - timedelta(days=index + 1), channel="email", offer_id="old")
        for index in range(person["contacts"])
    )
    known = counters(attributes={"age": person["age"]}, language=person["language"], contacts=past)
    spec = PolicySpec(
        fatigue_cost=0.3,
        score_weights=(ScoreWeight(model="churn", percent=80.0),),
        context_weights=(ContextWeight(key="page", equals="home", percent=50.0),),
    )
    ask = {"personalised": personalised, "context": {"page": "home"}}
    settings: dict[str, Any] = {
        "features": features,
        "counters": known,
        "policies": {"default": spec},
        "catalogue": Catalogue(offers=ABOUT_PEOPLE),
        **changes,
    }
    return decided(ask, **settings)


@given(PEOPLE, PEOPLE)
def test_nothing_about_the_person_moves_a_choice_that_may_not_be_personal(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert choice(of_person(one, personalised=False)) == choice(of_person(other, personalised=False))


def test_the_same_people_are_told_apart_where_it_may_be_personal() -> None:
    one = {"recency": 2.0, "shares": 0.1, "age": 50, "language": "en", "known": True, "contacts": 0, "stale": False}
    for name, value in (("recency", 300.0), ("age", 20), ("contacts", 3)):
        assert choice(of_person(one, personalised=True)) != choice(of_person({**one, name: value}, personalised=True))


def test_contact_rules_hold_where_it_may_not_be_personal() -> None:
    record = decided({"personalised": False}, counters=counters(consents={**ALL_CONSENTS, "email/marketing": False}))
    assert {item.channel for item in record.candidates if item.dropped_by is None} - {None} == {"sms", "push"}
    assert record.features.values == {}
    assert all(ref.role == "champion" for ref in record.models)


def standing(kind: str, **changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "key": "portfolio",
            "control": "rest",
            "weights": {"held": 1.0, "rest": 0.0},
            "arms": {"held": Arm(kind=kind).model_dump()},
            "metrics": [{"name": "m", "kind": "mean", "event": "purchase"}],
            "portfolio": True,
            **changes,
        }
    )


RICH = PolicySpec(
    context_weights=(ContextWeight(key="page", equals="home", percent=300.0, offer_id="jam"),),
    fatigue_cost=0.1,
    score_weights=(ScoreWeight(model="churn", percent=50.0),),
)


def arm_record(kind: str, **changes: Any) -> DecisionRecord:
    ask = {"context": {"page": "home"}}
    offers = tuple(offer.replace(lever=2.0) if offer.offer_id == "rye" else offer for offer in OFFERS)
    settings: dict[str, Any] = {
        "experiments": (standing(kind),),
        "policies": {"default": RICH},
        "catalogue": Catalogue(offers=offers),
        **changes,
    }
    return decided(ask, **settings)


def ranking(record: DecisionRecord) -> list[tuple[str, str]]:
    live = [item for item in record.candidates if item.offer_id is not None and item.dropped_by is None]
    return [(item.offer_id or "", item.channel or "") for item in sorted(live, key=lambda item: -(item.priority or 0))]


def test_propensity_alone_ranks_by_propensity() -> None:
    record = arm_record("propensity_only")
    live = [item for item in record.candidates if item.offer_id is not None]
    assert all(item.priority == item.propensity for item in live)
    assert record.status == "decided"
    assert [(item.arm, item.holdout) for item in record.experiments] == [("held", False)]


def test_no_levers_takes_levers_and_context_weights_away_and_nothing_else() -> None:
    record = arm_record("no_levers")
    for item in record.candidates[1:]:
        assert (item.weights["lever"], item.weights["context"]) == (1.0, 1.0)
        assert item.weights["score"] != 1.0
    plain = {offer.offer_id: offer for offer in OFFERS}
    whole = arm_record("policy")
    assert any(item.weights["lever"] == 2.0 for item in whole.candidates[1:])
    assert {item.propensity for item in record.candidates} == {item.propensity for item in whole.candidates}
    assert plain.keys() == {item.offer_id for item in record.candidates[1:]}


def test_rules_only_asks_no_model() -> None:
    record = arm_record("rules_only")
    assert (record.status, record.fallback_step) == ("decided", "rules_only")
    assert {item.propensity for item in record.candidates} == {None}
    assert record.action == () or record.action[0].propensity is None
    other = arm_record("rules_only", models={"offer": BEFORE, "churn": CHURN_MODEL})
    blind = arm_record("rules_only", models={}, features=FeatureSnapshot())
    assert ranking(record) == ranking(other) == ranking(blind)
    by_value = {offer.offer_id: offer.value - offer.cost for offer in OFFERS}
    assert ranking(record)[0][0] == max(by_value, key=lambda name: by_value[name] * (4.0 if name == "jam" else 1.0))


def test_the_random_arm_draws_evenly_also_from_new_offers() -> None:
    spec = PolicySpec(new_offers=RICH.new_offers.replace(mature_from=1000, immature_share=0.0))
    record = arm_record("random", policies={"default": spec})
    shares = {item.selection_probability for item in record.candidates if item.dropped_by is None}
    assert len(shares) == 1
    assert record.status == "control"
    assert record.experiments[0].holdout


def test_arms_of_every_kind_replay() -> None:
    for kind in ("no_contact", "business_as_usual", "random", "propensity_only", "no_levers", "rules_only", "policy"):
        record = arm_record(kind)
        given = inputs(
            experiments=(standing(kind),),
            policies={"default": RICH},
            catalogue=Catalogue(
                offers=tuple(offer.replace(lever=2.0) if offer.offer_id == "rye" else offer for offer in OFFERS)
            ),
        )
        again = replay_inputs(
            record,
            models=given.models,
            catalogue=given.catalogue,
            contact_policy=given.contact_policy,
            policies=given.policies,
            experiments=given.experiments,
            config=given.config,
        )
        assert replay(record, again).identical


def test_the_policy_of_an_arm_goes_before_the_touchpoints_before_the_workspaces() -> None:
    policies = {"default": PolicySpec(), "bold": PolicySpec(kind="noop"), "calm": PolicySpec(kind="shuffle")}
    config = Config(channels=CHANNELS, touchpoints={"weekly": TouchpointSection(policy="calm")})

    def shares(**changes: Any) -> set[float | None]:
        record = decided(policies=policies, **changes)
        return {item.selection_probability for item in record.candidates if item.dropped_by is None}

    assert len(shares(config=config)) == 1
    assert shares() != shares(config=config)
    bold = standing("policy", portfolio=False, arms={"held": {"policy": "bold"}})
    assert shares(config=config, experiments=(bold,)) == {0.0, 1.0}
    own = standing("policy", portfolio=False, arms={"held": {"policy": "policy"}})
    assert shares(config=config, experiments=(own,)) == shares(config=Config(channels=CHANNELS))
    gone = config.replace(touchpoints={"weekly": TouchpointSection(policy="gone")})
    record = decided(policies=policies, config=gone)
    assert any("'gone' of the touchpoint" in warning for warning in record.warnings)


def test_models_that_score_nothing_are_no_uplift_and_no_member() -> None:
    empty = ConstantScorer(card("uplift", ("recency_days",), target="difference"))
    record = decided(models={"offer": OFFER_MODEL, "uplift": empty}, policies=GREEDY)
    assert record.action[0].uplift is None
    assert "the uplift model failed" in (record.action[0].uplift_reason or "")


def test_an_offer_that_nobody_knows_is_no_default_without_a_channel() -> None:
    record = decided({"default_action": {"offer_id": "unheard"}}, models={}, catalogue=Catalogue())
    assert record.fallback_step == "nothing"
    assert Offer(offer_id="x", name="x", channels=("email",)).fallback is False
