"""The joint choice of offer, channel and time: as good as trying everything."""

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import PastContact
from foretouch.core.decisions import DecisionRecord
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.policy import ContextWeight, Factors, Lever, PolicySpec, ScoreWeight
from foretouch.serving import decide as decide_module
from foretouch.serving.decide import DecisionInputs
from foretouch.serving.decision.send_time import Rhythm
from tests.serving.decision import brute_force
from tests.serving.decision.world import (
    ALL_CONSENTS,
    NOW,
    OFFER_MODEL,
    OFFERS,
    LogisticScorer,
    card,
    counters,
    inputs,
    request,
)

CHANNELS = ("email", "sms", "push")
ZONES = ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC")
DAYS = tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in ("2026-03-10", "2026-03-28", "2026-10-24"))
UPLIFT = LogisticScorer(
    card=card("uplift", ("recency_days", "offer_value"), target="difference"), weights=(-0.1, 0.1), intercept=-0.5
)


class Shifted(LogisticScorer):
    """An uplift that may be negative."""

    def predict(self, vectors: Any, /) -> Any:
        return super().predict(vectors) - 0.5


def cases(seed: int) -> tuple[brute_force.Case, DecisionInputs, Rhythm]:
    """One random small case: few offers, ties everywhere, every factor on or off."""
    draw = random.Random(seed)
    now = draw.choice(DAYS) + timedelta(minutes=draw.randrange(1440), seconds=draw.choice((0, 13)))
    zone = draw.choice(ZONES)
    offers = tuple(
        Offer(
            offer_id=f"o{index}",
            name="offer",
            issue=draw.choice(("grow", "keep")),
            category=draw.choice("ab"),
            channels=tuple(draw.sample(CHANNELS, draw.randint(1, 3))),
            value=draw.choice((0.0, 1.0, 4.0, 4.0, 9.5)),
            cost=draw.choice((0.0, 0.5, 5.0)),
            lever=draw.choice((1.0, 1.0, 0.0, 2.5)),
            starts_at=draw.choice((None, None, now + timedelta(hours=5, minutes=10))),
            ends_at=draw.choice((None, None, now + timedelta(hours=7))),
        )
        for index in range(draw.randint(1, 4))
    )
    switches = {name: draw.random() < 0.85 for name in Factors.model_fields}
    spec = PolicySpec(
        kind="greedy",
        slot_exploration=0.0,
        propensity=draw.choice(("response", "response", "uplift")),
        factors=Factors(**switches),
        waiting_cost_per_hour=draw.choice((0.0, 0.0, 0.01, 0.3)),
        fatigue_cost=draw.choice((0.0, 0.05)),
        expires_after_hours=draw.choice((6.0, 24.0, 60.0)),
        context_weights=(
            ContextWeight(key="k", equals=1, percent=draw.choice((50.0, -30.0)), issue=draw.choice(("*", "grow"))),
            ContextWeight(key="k", equals=1, percent=-80.0, category="a"),
            ContextWeight(key="other", equals=1, percent=900.0),
        ),
        levers=(
            Lever(percent=draw.choice((25.0, -120.0)), issue="keep"),
            Lever(percent=40.0, category="b"),
            Lever(percent=-10.0, offer_id="o1"),
        ),
        score_weights=(ScoreWeight(model="churn", percent=draw.choice((0.0, 80.0)), category=draw.choice("*a")),),
    )
    config = Config(
        channels={
            name: ChannelSection(
                cost=draw.choice((0.0, 0.01, 0.3)),
                fatigue_cost=draw.choice((0.0, 0.02)),
                unsubscribe_rate=draw.choice((0.0, 0.01)),
                unsubscribe_cost=draw.choice((0.0, 20.0)),
            )
            for name in CHANNELS
        }
    )
    quiet = tuple(
        QuietHours(
            channels=draw.choice((("*",), ("sms", "push"))),
            start=time(draw.randrange(24)),
            end=time(draw.randrange(24)),
        )
        for _ in range(draw.randint(0, 2))
    )
    quiet = tuple(rule for rule in quiet if rule.start != rule.end)
    contacts = tuple(
        PastContact(at=now - timedelta(days=draw.choice((1, 3, 9))), channel=draw.choice(CHANNELS), offer_id="x")
        for _ in range(draw.randint(0, 2))
    )
    latest = draw.choice((None, None, (now + timedelta(hours=9)).isoformat()))
    asked = request(context=draw.choice(({}, {"k": 1})), send_window={"latest": latest})
    effects: dict[str, Any] = {}
    for name in draw.choice(((), ("*",), ("*", "sms"), ("email",))):
        effects[name] = np.array([draw.choice((0.5, 1.0, 1.0, 1.5)) for _ in range(168)])
    weights = np.array([draw.choice((1.0, 1.0, 2.0)) for _ in range(168)])
    rhythm = Rhythm(shares=weights / weights.sum(), support=3.0, effects=effects, identified=bool(effects))
    models: dict[str, Any] = dict(inputs().models)
    if draw.random() < 0.6:
        models["uplift"] = Shifted(card=UPLIFT.card, weights=UPLIFT.weights, intercept=UPLIFT.intercept)
    if draw.random() < 0.1:
        models.pop("offer")
    given = inputs(
        decided_at=now,
        seed=seed,
        catalogue=Catalogue(offers=offers),
        policies={"default": spec},
        config=config,
        contact_policy=ContactPolicy(quiet_hours=quiet),
        counters=counters(time_zone=zone, contacts=contacts, consents=ALL_CONSENTS),
        models=models,
    )
    case = brute_force.Case(
        request=asked,
        spec=spec,
        config=config,
        offers=offers,
        quiet=quiet,
        contacts=contacts,
        zone=ZoneInfo(zone),
        now=now,
        expires_at=now + timedelta(hours=spec.expires_after_hours),
        shares=rhythm.shares.tolist(),
        effects={name: values.tolist() for name, values in effects.items()},
    )
    return case, given, rhythm


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("block", range(8))
def test_joint_choice_equals_brute_force(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = nobody = 0
    for seed in range(block * 250, (block + 1) * 250):
        case, given, rhythm = cases(seed)
        monkeypatch.setattr(decide_module, "rhythm_of", lambda *_, rhythm=rhythm: (rhythm, ()))
        record = decide_module.decide(case.request, given)
        case = replace(case, levels={"churn": record.features.values["score_churn"]})
        by_uplift = case.spec.propensity == "uplift" and {"offer", "uplift"} <= given.models.keys()
        offers = {offer.offer_id: offer for offer in case.offers}
        best: dict[brute_force.Name, brute_force.Cell] = {}
        for offer in case.offers:
            for channel in offer.channels:
                found = next(c for c in record.candidates if (c.offer_id, c.channel) == (offer.offer_id, channel))
                chance = uplift_of(given, offer) if by_uplift else found.propensity
                cells = brute_force.grid(case, offer, channel, chance)
                assert (found.dropped_by is None) == bool(cells), (seed, found)
                if cells:
                    first = brute_force.best_first(cells)[0]
                    best[offer.offer_id, channel] = first
                    assert found.priority == near(first.worth), (seed, found)
        most = max([0.0, *(cell.worth for cell in best.values())])
        if not record.action:
            nobody += 1
            assert most <= 1e-9, seed
            continue
        sent += 1
        action = record.action[0]
        chance = uplift_of(given, offers[action.offer_id]) if by_uplift else action.propensity
        cells = brute_force.grid(case, offers[action.offer_id], action.channel, chance)
        first, *rest = brute_force.best_first(cells)
        assert action.priority == near(most), seed
        assert action.send_at == first.at, seed
        assert action.send is not None
        assert action.send.best_at == first.at
        assert action.send.runner_up_at == (rest[0].at if rest else None), seed
        assert action.send.score == near(first.share)
        known = chance is not None and case.spec.factors.propensity and case.spec.factors.value
        if known:
            at_once = cells[0]
            assert action.send.gain_over_first == near(first.worth - at_once.worth)
            lost = first.before_costs * first.timing * (at_once.patience - first.patience)
            assert action.send.waiting_cost == near(lost)
        else:
            assert action.send.gain_over_first is None
        timed = bool(case.effects.keys() & {"*", action.channel}) and case.spec.factors.timing
        assert (action.send.identified, action.send.effect) == (timed, first.timing if timed else None)
    assert sent > 60
    assert nobody > 10


def uplift_of(given: DecisionInputs, offer: Offer) -> float:
    scorer = given.models["uplift"]
    return float(scorer.predict(np.array([[given.features.values["recency_days"], offer.value]]))[0])


def decided(monkeypatch: pytest.MonkeyPatch, rhythm: Rhythm, asked: dict[str, Any], **changes: Any) -> DecisionRecord:
    monkeypatch.setattr(decide_module, "rhythm_of", lambda *_: (rhythm, ()))
    return decide_module.decide(request(**asked), inputs(**changes))


def evening(channel: str, times: float) -> Rhythm:
    """Sending on a channel at 18h UTC does ``times`` as much; activity is flat."""
    effect = np.ones(168)
    effect[18::24] = times
    return Rhythm(shares=np.full(168, 1.0 / 168.0), effects={channel: effect}, identified=True)


GREEDY = {"default": PolicySpec(kind="greedy", slot_exploration=0.0)}
UTC_COUNTERS = {"counters": counters(time_zone="UTC")}


def test_a_channels_hour_can_turn_the_choice_of_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer and channel first, then time, would choose e-mail: it is cheaper at every hour taken by itself."""
    tea = {"catalogue": Catalogue(offers=OFFERS[:1]), "policies": GREEDY, **UTC_COUNTERS}
    flat = decided(monkeypatch, evening("sms", 1.0), {}, **tea)
    assert flat.action[0].channel == "email"
    joint = decided(monkeypatch, evening("sms", 3.0), {}, **tea)
    assert (joint.action[0].channel, joint.action[0].send_at.hour) == ("sms", 18)


def test_a_cap_that_ends_in_hours_moves_the_contact_and_does_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    used = PastContact(at=NOW - timedelta(hours=19), channel="email", offer_id="x")
    record = decided(
        monkeypatch,
        evening("*", 1.0),
        {},
        policies=GREEDY,
        counters=counters(time_zone="UTC", contacts=(used,)),
        contact_policy=ContactPolicy(caps=(Cap(rule="daily", limit=1, days=1),)),
    )
    assert record.status == "decided"
    assert record.action[0].send_at >= used.at + timedelta(days=1)


def test_the_price_of_a_channel_is_its_own_fatigue_and_what_an_unsubscription_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Config(
        channels={
            "email": ChannelSection(cost=0.01, fatigue_cost=0.1, unsubscribe_rate=0.02, unsubscribe_cost=10.0),
            "sms": ChannelSection(cost=0.05, fatigue_cost=0.3),
        }
    )
    contacts = tuple(
        PastContact(at=NOW - timedelta(days=days), channel=channel, offer_id="x")
        for days, channel in ((1, "email"), (2, "email"), (6, "sms"), (8, "sms"))
    )
    record = decided(
        monkeypatch,
        evening("*", 1.0),
        {},
        policies={"default": PolicySpec(fatigue_cost=0.01)},
        counters=counters(contacts=contacts),
        config=config,
        contact_policy=ContactPolicy(),
    )
    prices = {c.channel: c.price for c in record.candidates if c.offer_id == "tea"}
    assert prices == pytest.approx({"email": 0.03 + 0.2 + 0.2, "sms": 0.03 + 0.3})
    free = PolicySpec(fatigue_cost=0.01, factors=Factors(price=False, cost=False))
    record = decided(
        monkeypatch, evening("*", 1.0), {}, policies={"default": free}, config=config, contact_policy=ContactPolicy()
    )
    for candidate in record.candidates[1:]:
        if candidate.offer_id == "tea":
            assert candidate.propensity is not None
            assert candidate.priority == pytest.approx(candidate.propensity * 3.0)


def test_where_one_uplift_is_unknown_all_are_compared_on_their_response(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = PolicySpec(kind="greedy", propensity="uplift", slot_exploration=0.0)
    response = decided(monkeypatch, evening("*", 1.0), {}, policies={"default": spec})
    assert response.status == "degraded"
    assert "uplift" in response.status_reason
    plain = decided(monkeypatch, evening("*", 1.0), {}, policies=GREEDY)
    assert [c.priority for c in response.candidates] == [c.priority for c in plain.candidates]
    known = decided(
        monkeypatch,
        evening("*", 1.0),
        {},
        policies={"default": spec},
        models={**inputs().models, "uplift": Shifted(card=UPLIFT.card, weights=(0.0, 0.0), intercept=-1.0)},
    )
    assert known.status == "decided"
    assert not known.action, "a contact that costs acceptances is not made, however likely its acceptance"


class Members(LogisticScorer):
    """An offer model with two members."""

    def members(self, vectors: Any, /) -> Any:
        raw = self.predict(vectors)
        return np.array([raw * 0.9, raw * 1.1])


def test_members_of_the_response_do_not_draw_for_an_uplift(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Members(card=OFFER_MODEL.card, weights=OFFER_MODEL.weights, intercept=OFFER_MODEL.intercept)
    models: dict[str, Any] = {"offer": model, "churn": inputs().models["churn"]}
    spec = PolicySpec(kind="thompson")
    by_response = decided(monkeypatch, evening("*", 1.0), {}, models=models, policies={"default": spec})
    assert by_response.status == "decided"
    uplift = LogisticScorer(card=UPLIFT.card, weights=(0.0, 0.0), intercept=-1.0)
    by_uplift = decided(
        monkeypatch,
        evening("*", 1.0),
        {},
        models={**models, "uplift": uplift},
        policies={"default": spec.replace(propensity="uplift")},
    )
    assert by_uplift.status == "degraded"
    assert "the uplift has none: softmax draws" in by_uplift.status_reason
