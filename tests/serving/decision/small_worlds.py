"""Two hundred small decisions drawn by number alone: the same ones whatever is installed.

Every kind of policy and step of the ladder, several offers with and without rules of their own, contacts lately,
placements, quiet hours, caps, languages and levels of explanation.
"""

import random
from collections.abc import Iterator
from datetime import time, timedelta
from hashlib import sha256
from typing import Any

import orjson

from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.offers import Catalogue, Offer, OfferCaps
from foretouch.core.policy import ContextWeight, Lever, NewOffers, PolicySpec, ScoreWeight
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.decide import decide_course
from foretouch.serving.decision.record import store_course
from tests.serving.decision.world import CHURN_MODEL, EVERY_PURPOSE, NOW, OFFER_MODEL, inputs, request

COUNT = 200
DIGITS = 9
"""Significant digits of numbers in a digest: the last ones differ between processors and mathematical libraries."""
CHANNELS = ("email", "sms", "push")
ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/New_York", None)
KINDS = ("softmax", "greedy", "epsilon", "shuffle", "thompson", "noop")


def stored(number: int) -> StoredRecord:
    """One of them, as the log keeps it."""
    dice = random.Random(number)
    now = NOW + timedelta(minutes=dice.randrange(100_000), microseconds=dice.randrange(1_000_000))
    asked = request(
        n=dice.choice((1, 1, 2)),
        channels=dice.choice((None, CHANNELS, ("sms", "email"))),
        placements=dice.choice((None, None, ("hero", "side"))),
        personalised=dice.random() < 0.9,
        context={"weather": dice.choice(("rain", "sun"))},
        options={"explain": dice.choice(("none", "brief", "full")), "language": dice.choice(("en", "zh"))},
    )
    given = inputs(
        decision_id=f"dec_{number}",
        decided_at=now,
        seed=dice.getrandbits(64),
        features=dice.choice(
            (_known(dice, now), _known(dice, now), FeatureSnapshot(), FeatureSnapshot(error="timeout"))
        ),
        counters=_counters(dice, now),
        models=dice.choice(({}, {"offer": OFFER_MODEL}, {"offer": OFFER_MODEL, "churn": CHURN_MODEL})),
        catalogue=Catalogue(offers=tuple(_offer(dice, place) for place in range(8))),
        contact_policy=ContactPolicy(
            caps=(Cap(rule="week", limit=dice.randrange(1, 5), days=7),),
            quiet_hours=(QuietHours(channels=("sms", "push"), start=time(21), end=time(8, 30)),),
        ),
        policies={"default": _policy(dice, KINDS[number % len(KINDS)])},
    )
    record = store_course(asked, given, decide_course(asked, given))
    return record.with_fields(latency_ms={"features": 1.25, "queue": 0.5, "decide": 2.0})


def _known(dice: random.Random, now: Any) -> FeatureSnapshot:
    return FeatureSnapshot(
        known=True, values={"recency_days": round(dice.uniform(0.0, 60.0), 3)}, as_of={"v": now - timedelta(hours=3)}
    )


def _counters(dice: random.Random, now: Any) -> CounterSnapshot:
    contacts = [
        PastContact(
            at=now - timedelta(hours=dice.randrange(1, 400)), channel=dice.choice(CHANNELS), offer_id=f"o{place}"
        )
        for place in range(dice.randrange(3))
    ]
    return CounterSnapshot(
        known=True,
        time_zone=dice.choice(ZONES),
        consents={f"{channel}/marketing": dice.random() < 0.9 for channel in CHANNELS},
        contacts=tuple(sorted(contacts, key=lambda contact: contact.at, reverse=True)),
        offer_contacts={f"o{place}": dice.randrange(300) for place in range(8)},
    )


def _offer(dice: random.Random, place: int) -> Offer:
    return Offer(
        offer_id=f"o{place}",
        name=f"Offer {place}",
        category=f"c{place % 3}",
        channels=CHANNELS if dice.random() < 0.7 else ("email",),
        value=round(dice.uniform(0.0, 20.0), 2),
        cost=round(dice.uniform(0.0, 1.0), 2),
        eligibility=dice.choice(("", "", "feature.recency_days < 30.0")),
        caps=OfferCaps(per_customer=dice.choice((None, None, 1))),
        placement=dice.choice((None, None, "hero")),
        purposes=EVERY_PURPOSE,
        fallback=dice.random() < 0.1,
    )


def _policy(dice: random.Random, kind: Any) -> PolicySpec:
    return PolicySpec(
        kind=kind,
        slot_exploration=dice.choice((0.0, 0.5, 1.0)),
        waiting_cost_per_hour=dice.choice((0.0, 0.05)),
        explores_by=dice.choice(("spread", "evidence")),
        levers=(Lever(offer_id="o1", percent=50.0),),
        context_weights=(ContextWeight(key="weather", equals="rain", percent=30.0, category="c1"),),
        score_weights=(ScoreWeight(model="churn", percent=-20.0),),
        new_offers=NewOffers(mature_from=dice.choice((0, 20))),
        fatigue_cost=0.1,
        floor=0.01,
    )


def digests() -> Iterator[str]:
    """A line for each: its number, and what its record and its answer are, to nine digits."""
    for number in range(COUNT):
        found = stored(number)
        parts = (_rounded(orjson.loads(body)) for body in (found.stored_bytes, found.answer_bytes))
        yield f"{number} {' '.join(sha256(orjson.dumps(part)).hexdigest()[:16] for part in parts)}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
