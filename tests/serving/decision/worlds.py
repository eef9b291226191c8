"""Random worlds to decide in: rules, offers, placements, customers, clocks; every part often at its edge."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from foretouch.core.config import ChannelSection, Config, TouchpointSection
from foretouch.core.contact import Cap, ContactPolicy, QuietHours
from foretouch.core.counters import CounterSnapshot, PastContact
from foretouch.core.decisions import FeatureSnapshot
from foretouch.core.offers import Catalogue, Offer, OfferCaps
from foretouch.core.policy import Lever, NewOffers, PolicySpec
from foretouch.serving.decide import DecisionInputs, decision_seed
from tests.serving.decision.world import CHURN_MODEL, EVERY_PURPOSE, OFFER_MODEL, VERSIONS, inputs

CHANNELS = ("email", "sms", "push", "fax")
PURPOSES = ("marketing", "retention", "service", "transactional")
ZONES = (
    *("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"),
    *("Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "UTC"),
)
DST_DAYS = tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in ("2026-03-08", "2026-03-28", "2026-10-25"))
PLACEMENTS = ("hero", "side", "top")


def rarely(value: object, otherwise: object) -> st.SearchStrategy[Any]:
    return st.sampled_from((*[otherwise] * 14, value))


def moments(now: datetime, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(-days * 1440, days * 1440).map(lambda minutes: now + timedelta(minutes=minutes))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], DecisionInputs]:
    day = draw(st.sampled_from((*DST_DAYS, datetime(2026, 7, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC))))
    now = day + timedelta(minutes=draw(st.integers(0, 1440)), microseconds=draw(st.sampled_from((0, 1, 250_000))))
    some_channels = st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple)
    caps_of_offers = st.builds(
        OfferCaps,
        total=st.none() | st.integers(1, 6),
        per_customer=st.none() | st.integers(1, 6),
        per_day=st.none() | st.integers(1, 6),
    )
    offers = []
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)):
        starts = draw(st.none() | moments(now, 1))
        ends = draw(st.none() | moments(now + timedelta(days=1), 2))
        if starts is not None and ends is not None and ends <= starts:
            ends = starts + timedelta(hours=1)
        offers.append(
            Offer(
                offer_id=name,
                name=name,
                channels=draw(some_channels),
                value=draw(st.floats(0.0, 20.0)),
                starts_at=starts,
                ends_at=ends,
                caps=draw(caps_of_offers),
                eligibility=draw(st.sampled_from(("", "feature.recency_days < 10.0", "customer.vip == true"))),
                purposes=draw(st.sampled_from((EVERY_PURPOSE, EVERY_PURPOSE, ("marketing", "service")))),
                fallback=draw(rarely(True, False)) or draw(rarely(True, False)),
                placement=draw(st.sampled_from((None, None, *PLACEMENTS))),
            )
        )
    some_times = st.integers(0, 47).map(lambda half: time(half // 2, 30 * (half % 2)))
    rule_channels = st.just(("*",)) | some_channels
    policy = ContactPolicy(
        quiet_hours=tuple(
            draw(
                st.lists(
                    st.builds(QuietHours, channels=rule_channels, start=some_times, end=some_times),
                    min_size=1,
                    max_size=2,
                )
            )
        ),
        caps=tuple(
            Cap(rule=f"cap{index}", scope=scope, channels=draw(rule_channels), limit=limit, days=days)
            for index, (scope, limit, days) in enumerate(
                draw(
                    st.lists(
                        st.tuples(
                            st.sampled_from(("customer", "household", "channel", "offer", "placement", "total")),
                            st.integers(0, 5),
                            st.sampled_from((0.5, 1.0, 7.0)),
                        ),
                        max_size=3,
                    )
                )
            )
        ),
        minimum_gap_hours=draw(st.sampled_from((0.0, 0.0, 3.0, 12.0))),
        suppressed_customers=draw(rarely(("ann",), ())),
        default_time_zone=draw(st.sampled_from(ZONES)),
    )
    contacts = st.lists(
        st.builds(
            PastContact,
            at=moments(now, 3),
            channel=st.sampled_from(CHANNELS),
            offer_id=st.sampled_from("abcd"),
            placement=st.sampled_from((None, *PLACEMENTS)),
        ),
        max_size=4,
    ).map(tuple)
    counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))
    purpose = draw(st.sampled_from(PURPOSES))
    consents = {f"{channel}/{purpose}": draw(rarely(False, True)) for channel in CHANNELS}
    for channel in draw(st.lists(st.sampled_from(CHANNELS), max_size=1)):
        consents.pop(f"{channel}/{purpose}", None)
    own = draw(contacts)
    counters = CounterSnapshot(
        known=draw(st.booleans()),
        time_zone=draw(st.none() | st.sampled_from(ZONES)),
        household_id=draw(st.sampled_from((None, "home"))),
        attributes=draw(st.sampled_from(({}, {"vip": True}, {"vip": False}))),
        consents=consents,
        consent_error=draw(rarely("disk", None)),
        contacts=own,
        household_contacts=(*own, *draw(contacts)),
        offer_totals=draw(counts),
        offer_today=draw(counts),
        offer_per_customer=draw(counts),
        total_contacts={cap.rule: draw(st.integers(0, 5)) for cap in policy.caps if cap.scope == "total"},
    )
    features = draw(
        st.sampled_from(
            (
                FeatureSnapshot(known=True, values={"recency_days": 5.0}, as_of={"v": now}),
                FeatureSnapshot(known=True, values={"recency_days": 40.0}, as_of={"v": now}, stale=("v",)),
                FeatureSnapshot(),
                FeatureSnapshot(error="timeout"),
            )
        )
    )
    earliest = draw(st.none() | moments(now, 1).map(lambda at: at - timedelta(hours=12)))
    asked = {
        "purpose": purpose,
        "channels": draw(rarely(("sms",), None) | some_channels),
        "n": draw(st.integers(1, 3)),
        "placements": draw(
            st.none() | st.lists(st.sampled_from(PLACEMENTS), min_size=1, max_size=3, unique=True).map(tuple)
        ),
        "consent": draw(st.none() | st.dictionaries(st.sampled_from(CHANNELS), rarely(False, True))),
        "send_window": {
            "earliest": earliest,
            "latest": draw(st.none() | st.integers(1, 3000).map(lambda m: (earliest or now) + timedelta(minutes=m))),
            "time_zone": draw(st.none() | st.sampled_from(ZONES)),
        },
        "default_action": draw(st.none() | st.just({"offer_id": "a", "channel": "email"})),
        "personalised": draw(st.sampled_from((True, True, False))),
    }
    kind = draw(st.sampled_from(("shuffle", "shuffle", "greedy", "epsilon", "softmax", "thompson")))
    touchpoint = draw(rarely(TouchpointSection(n=2, placements=("top",), channels=("email", "sms")), None))
    decision_id = f"dec_{draw(st.integers(0, 10**6))}"
    return asked, inputs(
        decision_id=decision_id,
        decided_at=now,
        seed=decision_seed("key", "ann", decision_id),
        features=features,
        counters=counters,
        models=draw(st.sampled_from(({}, {"offer": OFFER_MODEL}, {"offer": OFFER_MODEL, "churn": CHURN_MODEL}))),
        catalogue=Catalogue(offers=tuple(offers)),
        contact_policy=policy,
        policies={
            "default": PolicySpec(
                kind=kind,
                slot_exploration=draw(st.sampled_from((0.0, 0.5, 1.0))),
                waiting_cost_per_hour=draw(st.sampled_from((0.0, 0.05))),
                propensity=draw(rarely("uplift", "response")),
                levers=(Lever(offer_id="a", percent=50.0),),
                new_offers=NewOffers(mature_from=draw(rarely(5, 0))),
                fatigue_cost=0.1,
                floor=0.05,
            )
        },
        config=Config(
            channels={name: ChannelSection(cost=0.01) for name in ("email", "sms", "push")},
            touchpoints={} if touchpoint is None else {"weekly": touchpoint},
        ),
        versions=VERSIONS,
    )
