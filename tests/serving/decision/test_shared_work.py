"""Work that options share: what is asked once for many says of each what asking it alone would have said."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foretouch.core.bundle import Calibration, ModelCard, ModelInput
from foretouch.core.contact import Cap, ContactPolicy, CoolDown, QuietHours, WorkingHours
from foretouch.core.counters import CounterSnapshot, PastContact, PastOutcome
from foretouch.core.engagement import EngagementPolicy, EngagementRule
from foretouch.core.offers import Catalogue, Offer, OfferCaps
from foretouch.features.crosses import pair_part
from foretouch.serving.decide import DecisionInputs, decide
from foretouch.serving.decision.candidates import Option, lay_out
from foretouch.serving.decision.course import Course
from foretouch.serving.decision.customer_rhythm import Reading
from foretouch.serving.decision.customer_scores import score_customer
from foretouch.serving.decision.plans import Plans
from foretouch.serving.decision.screening import Screened, Together, screen
from foretouch.serving.decision.send_time import Timetable
from foretouch.serving.decision.setting import set_out
from foretouch.serving.models.pair_plan import PairPlan
from foretouch.serving.models.rhythm import Rhythm, hour_distribution, send_effect
from foretouch.serving.models.score_plan import ScorePlan
from foretouch.serving.rules.engagement import rule_values
from foretouch.serving.rules.hours import HourRule, OpenHours, open_slots
from foretouch.serving.rules.local_hours import hour_of_week, hours_of_week
from foretouch.serving.rules.slots import HORIZON, walk
from tests.serving.decision.world import NOW, OFFER_MODEL, inputs, request
from tests.serving.decision.worlds import ZONES, worlds

FloatArray = NDArray[np.float64]
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CHANNELS = ("email", "sms")


def said(items: Sequence[Screened]) -> list[Any]:
    return [(item.option.key, item.slots, item.dropped, item.later) for item in items]


def screened(asked: dict[str, Any], given_inputs: DecisionInputs, *, together: bool) -> list[Any]:
    """Every option of the catalogue through the rules, all at once or each alone."""
    wanted = request(**asked)
    setting = set_out(wanted, given_inputs)
    values = rule_values(wanted, given_inputs.features, given_inputs.counters)
    options = lay_out(given_inputs.catalogue).options
    parts: list[Sequence[Option]] = [options] if together else [(option,) for option in options]
    found = [screen(part, setting.touch, values, setting.zone, setting.expires_at) for part in parts]
    return [one for part in found for one in said(part)]


@SETTINGS
@given(worlds())
def test_screening_all_together_is_screening_each_alone(world: tuple[dict[str, Any], DecisionInputs]) -> None:
    asked, given_inputs = world
    assert screened(asked, given_inputs, together=True) == screened(asked, given_inputs, together=False)


def test_options_whose_channels_share_their_slots_are_put_together_when_asked_for() -> None:
    offers = tuple(Offer(offer_id=name, name=name, channels=CHANNELS) for name in "abc")
    given_inputs = inputs(catalogue=Catalogue(offers=offers))
    wanted = request()
    setting = set_out(wanted, given_inputs)
    values = rule_values(wanted, given_inputs.features, given_inputs.counters)
    options = lay_out(given_inputs.catalogue).options
    found = screen(options, setting.touch, values, setting.zone, setting.expires_at)
    assert isinstance(found, Together)
    assert said(found) == screened({}, given_inputs, together=False)
    assert said(found[1:3]) == said(list(found)[1:3])
    assert (
        Course(
            setting=setting,
            customer=score_customer(given_inputs.features, {}, setting.spec, personalised=True),
            screened=found,
        ).lineup
        is options
    )


def contact(**changes: Any) -> PastContact:
    return PastContact(**{"at": NOW - timedelta(hours=1), "channel": "email", "offer_id": "b", **changes})


DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "starts later": ({"starts_at": NOW + timedelta(hours=4)}, {}),
    "not begun": ({"starts_at": NOW + timedelta(days=90)}, {}),
    "ends earlier": ({"ends_at": NOW + timedelta(hours=4)}, {}),
    "ended": ({"ends_at": NOW - timedelta(hours=4)}, {}),
    "another purpose": ({"purposes": ("service",)}, {}),
    "limit in total": ({"caps": OfferCaps(total=1)}, {"counters": {"offer_totals": {"b": 1}}}),
    "limit per customer": ({"caps": OfferCaps(per_customer=1)}, {"counters": {"offer_per_customer": {"b": 1}}}),
    "limit per day": ({"caps": OfferCaps(per_day=5)}, {}),
    "own eligibility": ({"eligibility": "feature.recency_days > 100.0"}, {}),
    "own applicability": ({"applicability": "context.page == 'cart'"}, {}),
    "own suitability": ({"suitability": "offer.value > 100.0"}, {}),
    "a rule of its category": (
        {"category": "food"},
        {"rules": {"category": "food", "when": "feature.recency_days > 100.0"}},
    ),
    "a rule of its issue": ({"issue": "loyalty"}, {"rules": {"issue": "loyalty", "when": "context.page == 'cart'"}}),
    "a rule of its own that begins later": (
        {},
        {"rules": {"offer_id": "b", "when": "context.page == 'cart'", "starts_at": NOW + timedelta(hours=5)}},
    ),
    "was sent before": (
        {},
        {
            "policy": {"caps": (Cap(rule="again", scope="offer", limit=1, days=0.2),)},
            "counters": {"contacts": (contact(),)},
        },
    ),
    "its placement is full": (
        {"placement": "hero"},
        {
            "policy": {"caps": (Cap(rule="hero", scope="placement", limit=1, days=0.2),)},
            "counters": {"contacts": (contact(offer_id="z", placement="hero"),)},
        },
    ),
    "a pause of its own": (
        {},
        {
            "policy": {"cool_downs": (CoolDown(rule="pause", after=("complaint",), scope="offer", days=0.2),)},
            "counters": {"outcomes": (PastOutcome(at=NOW - timedelta(hours=1), type="complaint", offer_id="b"),)},
        },
    ),
    "a pause of its category": (
        {"category": "food"},
        {
            "policy": {"cool_downs": (CoolDown(rule="pause", after=("complaint",), scope="category", days=0.2),)},
            "counters": {"outcomes": (PastOutcome(at=NOW - timedelta(hours=1), type="complaint", category="food"),)},
        },
    ),
}
"""What tells offer ``b`` from offers ``a`` and ``c``, and the world in which it matters."""


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_tells_two_offers_apart_is_seen(name: str) -> None:
    own, around = DIFFERENT[name]
    plain: dict[str, Any] = {"name": "o", "channels": CHANNELS, "category": "home", "value": 2.0}
    offers = tuple(
        Offer(**{**plain, "offer_id": offer_id, **(own if offer_id == "b" else {})}) for offer_id in ("a", "b", "c")
    )
    rule = around.get("rules")
    rules = () if rule is None else (EngagementRule(rule="r", tier="suitability", **rule),)
    given_inputs = inputs(
        catalogue=Catalogue(offers=offers),
        engagement=EngagementPolicy(rules=rules),
        contact_policy=ContactPolicy(
            **{"quiet_hours": (QuietHours(start=time(21), end=time(8)),), **around.get("policy", {})}
        ),
        counters=CounterSnapshot(
            known=True,
            time_zone="Europe/Berlin",
            consents={f"{channel}/marketing": True for channel in CHANNELS},
            **around.get("counters", {}),
        ),
    )
    together = screened({}, given_inputs, together=True)
    assert together == screened({}, given_inputs, together=False)
    of = {
        offer: [(slots, dropped is None) for key, slots, dropped, _ in together if key[0] == offer] for offer in "abc"
    }
    assert of["a"] == of["c"]
    assert all(passed for _, passed in of["a"])
    assert of["b"] != of["a"]


def test_channels_are_told_apart() -> None:
    offers = tuple(Offer(offer_id=name, name="o", channels=CHANNELS) for name in "abc")
    given_inputs = inputs(
        catalogue=Catalogue(offers=offers),
        contact_policy=ContactPolicy(quiet_hours=(QuietHours(channels=("sms",), start=time(16), end=time(15)),)),
    )
    found = {key: slots for key, slots, _, _ in screened({}, given_inputs, together=True)}
    assert all(len(found[name, "", "email"]) > len(found[name, "", "sms"]) for name in "abc")


def step_by_step(earliest: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """The walk in its plainest form: from whole hour to whole hour."""
    slots: list[datetime] = []
    at = earliest
    while at < min(until, earliest + HORIZON):
        local = at.astimezone(zone)
        if not slots or (local.minute, local.second, local.microsecond) == (0, 0, 0):
            slots.append(at)
        at += timedelta(hours=1) - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return slots


CHANGES = tuple(
    datetime.fromisoformat(day).replace(tzinfo=UTC)
    for day in ("2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31")
)


@pytest.mark.parametrize("zone", [*ZONES, "Pacific/Chatham", "America/Havana", "Asia/Tehran", "Africa/El_Aaiun"])
def test_hours_kept_by_day_are_those_of_a_walk(zone: str) -> None:
    clock = ZoneInfo(zone)
    rules: tuple[HourRule, ...] = (
        QuietHours(start=time(21, 30), end=time(8)),
        WorkingHours(rule="w", start=time(9), end=time(18, 15), calendar="DE"),
    )
    kept = OpenHours()
    for start, minutes, hours in product(CHANGES, (0, 7, 60 * 13), (0.3, 30.0, 200.0)):
        earliest = start + timedelta(minutes=minutes, microseconds=minutes)
        slots = walk(earliest, earliest + timedelta(hours=hours), clock)
        assert list(slots) == step_by_step(earliest, earliest + timedelta(hours=hours), clock)
        assert hours_of_week(slots, clock) == [hour_of_week(slot, clock) for slot in slots]
        for some in (rules, rules[:1], ()):
            assert kept.among(slots, clock, some) == open_slots(slots, clock, some)


def card(*names: str, **changes: Any) -> ModelCard:
    given_inputs = tuple(
        ModelInput(name=name.partition(":")[0], view="v", kind="category", levels=("food", "home", "3.0"))
        if ":" in name
        else ModelInput(name=name, view="v")
        for name in names
    )
    values = {**OFFER_MODEL.card.model_dump(), "inputs": given_inputs, **changes}
    return ModelCard(**values)


@pytest.mark.parametrize(
    "names",
    [
        ("recency_days", "offer_value", "offer_category:", "response_rate", "rfm_tier:"),
        ("offer_affinity", "offer_running_days", "offer_remaining_days", "offer_cost", "offer_coupons"),
        ("recency_days",),
        ("offer_value:", "offer_affinity"),
    ],
)
def test_vectors_of_a_catalogue_are_those_of_each_offer(names: tuple[str, ...]) -> None:
    offers = tuple(
        Offer(
            offer_id=f"o{index}",
            name="o",
            channels=("email",),
            category=("food", "home", "")[index % 3],
            value=3.0 * index,
            starts_at=None if index % 4 == 0 else NOW - timedelta(hours=7 * index),
            ends_at=None if index % 3 == 0 else NOW + timedelta(hours=9 * index),
            attributes={"coupons": index, "share_food": 0.1 * index} if index % 2 else {},
        )
        for index in range(8)
    )
    plan = ScorePlan(card(*names))
    pairs = PairPlan(plan, offers)
    customer = {"recency_days": 5.0, "rfm_tier": "food", "offer_value": 99.0, "category_share_food": 0.3}
    stranger = offers[2].model_copy(update={"value": 77.0})
    for asked in (offers, offers[::-3], (*offers[:2], stranger)):
        parts = [pair_part(customer, offer, NOW) for offer in asked]
        assert pairs.vectors(customer, asked, NOW).tobytes() == plan.pairs(customer, parts).tobytes()


def test_a_category_given_as_a_number_is_refused_either_way() -> None:
    offers = (Offer(offer_id="a", name="a", channels=("email",), category="food"),)
    with pytest.raises(ValueError, match="food"):
        PairPlan(ScorePlan(card("offer_category")), offers).vectors({}, offers, NOW)


@given(st.floats(-0.2, 1.2), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=8))
def test_calibration_between_knots_is_the_cards_own(raw: float, knots: list[float]) -> None:
    x = tuple(sorted(knots))
    calibration = Calibration(method="isotonic", x=x, y=tuple(sorted(value * value for value in x)))
    plan = ScorePlan(card("recency_days", calibration=calibration))
    for at in (raw, *x):
        assert plan.calibrated(at) == min(max(calibration.apply(at), 0.0), 1.0)


class SendTime:
    """A send-time model whose trees say the hour matters a little."""

    def __init__(self, *, refined: bool, identified: bool) -> None:
        rng = np.random.default_rng(3)
        about = Rhythm(
            counts_feature="purchase_hours",
            segment_feature="rfm_tier",
            everyone=rng.dirichlet(np.full(168, 3.0)),
            segments={"gold": rng.dirichlet(np.full(168, 3.0)), "None": rng.dirichlet(np.full(168, 3.0))},
            concentration=20.0,
            bandwidth=1.5,
            other_days=0.3,
            refined=refined,
        )
        effect = {
            "identified": identified,
            "why": "sends were spread",
            "everyone": {"*": rng.normal(0.0, 0.2, 168).tolist(), "sms": rng.normal(0.0, 0.2, 168).tolist()},
            "supported": {"*": [hour > 6 for hour in range(24)], "sms": [True] * 24},
            "segments": {"gold": rng.normal(0.0, 0.1, 24).tolist()},
            "lag": rng.normal(0.0, 0.3, 24).tolist(),
        }
        self.card = card(model="send-time", extras={**about.to_extras(), "effect_of_sending": effect})

    def predict(self, vectors: FloatArray, /) -> FloatArray:
        return 1.0 + 0.1 * np.sin(np.arange(len(vectors)))


@pytest.mark.parametrize(("refined", "identified"), [(False, True), (True, True), (False, False)])
@pytest.mark.parametrize("segment", ["gold", "tin", None])
@pytest.mark.parametrize("counts", [[index % 4 for index in range(168)], None])
def test_a_card_read_once_says_what_reading_it_each_time_says(
    refined: bool, identified: bool, segment: str | None, counts: list[int] | None
) -> None:
    scorer = SendTime(refined=refined, identified=identified)
    values = {"rfm_tier": segment, "purchase_hours": counts}
    found = Reading(scorer.card).of(scorer, values)
    shares, support = hour_distribution(scorer, values)
    effects, known = send_effect(scorer, values)
    assert found.shares.tobytes() == shares.tobytes()
    assert (found.support, found.identified, found.effects.keys()) == (support, known, effects.keys())
    assert all(found.effects[channel].tobytes() == effects[channel].tobytes() for channel in effects)
    assert found.basis == ("activity" if counts else "prior")


@given(
    st.lists(st.tuples(st.sampled_from((0.5, 1.0, 1.2)), st.sampled_from((0.1, 0.2))), min_size=1, max_size=9),
    st.sampled_from((-2.0, 0.0, 3.0)),
    st.sampled_from((0.0, 0.1)),
)
def test_the_best_slot_is_the_first_of_all_in_order(
    hours: list[tuple[float, float]], scale: float, waiting: float
) -> None:
    slots = tuple(NOW + timedelta(hours=index) for index in range(len(hours)))
    table = Timetable(
        slots,
        range(len(hours)),
        shares=[share for _, share in hours],
        effect=[effect for effect, _ in hours],
        waiting_cost_per_hour=waiting,
    )
    assert table.best(scale) == table.order(scale)[0]


def test_a_course_goes_on_as_a_copy_would() -> None:
    given_inputs = inputs()
    setting = set_out(request(), given_inputs)
    customer = score_customer(given_inputs.features, given_inputs.models, setting.spec, personalised=True)
    course = Course(setting=setting, customer=customer)
    assert course.survivors == ()
    item = Screened(option=lay_out(given_inputs.catalogue).options[0], slots=(NOW,))
    further = course.but(screened=(item,), held=True)
    expected = replace(course, screened=(item,), held=True)
    assert all(getattr(further, one.name) == getattr(expected, one.name) for one in fields(Course))
    assert (further.survivors, course.survivors) == ((item,), ())
    assert further.but(held=False).survivors == (item,)
    with pytest.raises(TypeError, match="heeld"):
        course.but(heeld=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), worlds())
def test_plans_kept_from_other_decisions_change_nothing(
    one: tuple[dict[str, Any], DecisionInputs], other: tuple[dict[str, Any], DecisionInputs]
) -> None:
    kept = Plans()
    fresh = [decide(request(**asked), given_inputs) for asked, given_inputs in (one, other, one)]
    again = [decide(request(**asked), replace(given_inputs, plans=kept)) for asked, given_inputs in (one, other, one)]
    assert fresh == again
