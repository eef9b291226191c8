"""Every feature again, in plain Python: slow, obvious, and written from the descriptions, not from the SQL."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAY = 86400.0


@dataclass(frozen=True)
class Person:
    customer_id: str
    created_at: datetime
    time_zone: str | None
    plan: str | None


@dataclass(frozen=True)
class Event:
    event_id: str
    customer_id: str
    event: str
    occurred_at: datetime
    received_at: datetime
    value: float | None = None
    is_bot: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Touch:
    touch_id: str
    customer_id: str
    offer_id: str
    sent_at: datetime
    responded_at: datetime | None


@dataclass(frozen=True)
class World:
    people: Sequence[Person]
    events: Sequence[Event]
    touches: Sequence[Touch]
    offer_ends: dict[str, datetime | None]


def days_between(later: datetime, earlier: datetime) -> float:
    return (later - earlier) / timedelta(days=1)


def seen(events: Sequence[Event], customer_id: str, as_of: datetime) -> list[Event]:
    return [
        event
        for event in events
        if event.customer_id == customer_id
        and event.occurred_at < as_of
        and event.received_at <= as_of
        and not event.is_bot
    ]


def within(events: Sequence[Event], as_of: datetime, days: float) -> list[Event]:
    return [event for event in events if as_of - event.occurred_at <= timedelta(days=days)]


def ratio(a: float, b: float) -> float | None:
    return None if b == 0 else a / b


def features(world: World, customer_id: str, as_of: datetime, *, default_zone: str) -> dict[str, Any]:
    person = next((item for item in world.people if item.customer_id == customer_id), None)
    known = seen(world.events, customer_id, as_of)
    bought = [event for event in known if event.event == "purchase"]
    result: dict[str, Any] = {}
    result.update(_purchases(bought, as_of))
    result.update(_profile(world, person, bought, result, as_of))
    result.update(_preferences(within(bought, as_of, 365)))
    result.update(_campaigns(world, customer_id, known, as_of))
    result.update(_activity(world, customer_id, known, as_of))
    zone = ZoneInfo((person.time_zone if person else None) or default_zone)
    result.update(_rhythm(within(known, as_of, 365), zone))
    return result


def _purchases(bought: list[Event], as_of: datetime) -> dict[str, Any]:
    ages = [days_between(as_of, event.occurred_at) for event in bought]
    recency, first = (min(ages), max(ages)) if ages else (None, None)
    result: dict[str, Any] = {"recency_days": recency, "first_purchase_days": first}
    for days in (7, 28, 56, 90, 365):
        recent = within(bought, as_of, days)
        result[f"frequency_{days}d"] = len(recent)
        result[f"monetary_{days}d"] = math.fsum(event.value or 0.0 for event in recent)
    result["purchases_total"] = len(bought)
    result["monetary_total"] = math.fsum(event.value or 0.0 for event in bought)
    year = [event.value or 0.0 for event in within(bought, as_of, 365)]
    result["basket_mean_365d"] = math.fsum(year) / len(year) if year else None
    result["basket_max_365d"] = max(year) if year else None
    gap = None
    if recency is not None and first is not None and len(bought) > 1:
        gap = (first - recency) / (len(bought) - 1)
    result["gap_mean_days"] = gap
    result["recency_per_gap"] = None if gap is None or recency is None else ratio(recency, gap)
    microseconds = [(as_of - event.occurred_at) // timedelta(microseconds=1) for event in within(bought, as_of, 84)]
    result["active_weeks_12"] = len({(age - 1) // (7 * 86_400_000_000) for age in microseconds})
    earlier = result["frequency_56d"] - result["frequency_28d"]
    result["frequency_trend"] = ratio(result["frequency_28d"], earlier)
    spent = round(result["monetary_56d"] - result["monetary_28d"], 4)
    result["monetary_trend"] = ratio(result["monetary_28d"], spent)
    pace = None if first is None else max(min(first, 365.0), 28.0)
    for name in ("frequency", "monetary"):
        # a customer who never bought has paced the shortest time with nothing
        result[f"{name}_per_90_days"] = result[f"{name}_365d"] * 90.0 / (28.0 if pace is None else pace)
    return result


def _cuts(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[math.ceil(share * len(ordered) / 5) - 1] for share in range(1, 5)]


def _profile(  # noqa: C901 - as long as the description it repeats
    world: World, person: Person | None, bought: list[Event], values: dict[str, Any], as_of: datetime
) -> dict[str, Any]:
    month = as_of.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    population = []
    for customer_id in {event.customer_id for event in world.events}:
        year = within(
            [event for event in seen(world.events, customer_id, month) if event.event == "purchase"], month, 365
        )
        if year:
            population.append(
                (
                    min(days_between(month, event.occurred_at) for event in year),
                    len(year),
                    round(math.fsum(event.value or 0.0 for event in year), 4),
                )
            )
    scores: list[int | None] = [None, None, None]
    if population and bought:
        own = (values["recency_days"], values["frequency_365d"], round(values["monetary_365d"], 4))
        for index in range(3):
            cuts = _cuts([row[index] for row in population])
            scores[index] = 1 + sum((own[index] < cut) if index == 0 else (own[index] > cut) for cut in cuts)
    if not bought:
        tier = "none"
    elif scores[0] is None:
        tier = "unknown"
    else:
        total = sum(score or 0 for score in scores)
        tier = "top" if total >= 13 else "high" if total >= 10 else "middle" if total >= 7 else "low"
    if not bought:
        stage = "prospect"
    elif values["recency_days"] > 56:
        stage = "lapsed"
    elif values["recency_days"] > 28:
        stage = "at_risk"
    elif values["first_purchase_days"] <= 28:
        stage = "new"
    else:
        stage = "loyal" if values["active_weeks_12"] >= 8 else "active"
    return {
        "tenure_days": days_between(as_of, person.created_at) if person else None,
        "rfm_tier": tier,
        "rfm_recency": scores[0],
        "rfm_frequency": scores[1],
        "rfm_monetary": scores[2],
        "lifecycle_stage": stage,
        "attribute_plan": person.plan if person else None,
    }


def _preferences(year: list[Event]) -> dict[str, Any]:
    names = {"A": "category_share_a", "B-1": "category_share_b_1"}
    with_categories = [event.properties["categories"] for event in year if "categories" in event.properties]
    total = math.fsum(value for item in with_categories for value in item.values())
    shares: dict[str, float | None] = {}
    for name, column in names.items():
        shares[column] = ratio(math.fsum(item.get(name, 0.0) for item in with_categories), total)
    rest = math.fsum(value for item in with_categories for name, value in item.items() if name not in names)
    shares["category_share_other"] = ratio(rest, total)
    favourite = None
    if total:
        labels = dict(zip(shares, ("A", "B-1", "other"), strict=True))
        favourite = labels[max(shares, key=lambda column: shares[column] or 0.0)]
    off = [event for event in year if "retail_disc" in event.properties]
    saved = math.fsum(event.properties["retail_disc"] for event in off)
    paid = math.fsum(event.value or 0.0 for event in off)
    coupons = [event.properties["coupon_disc"] for event in year if "coupon_disc" in event.properties]
    return {
        **shares,
        "favourite_category": favourite,
        "discount_share": ratio(saved, paid + saved) if off else None,
        "coupon_share": sum(value > 0 for value in coupons) / len(coupons) if coupons else None,
        "coupon_saved_365d": math.fsum(coupons) if coupons else None,
    }


def _campaigns(world: World, customer_id: str, known: list[Event], as_of: datetime) -> dict[str, Any]:
    sends = [touch for touch in world.touches if touch.customer_id == customer_id and touch.sent_at < as_of]
    answered = [touch for touch in sends if touch.responded_at is not None and touch.responded_at < as_of]
    result: dict[str, Any] = {}
    for days in (28, 90, 365):
        recent = [touch for touch in sends if as_of - touch.sent_at <= timedelta(days=days)]
        result[f"sends_{days}d"] = len(recent)
        result[f"responses_{days}d"] = sum(touch in answered for touch in recent)
        coupons = [event for event in known if event.event == "coupon_redemption"]
        result[f"coupons_{days}d"] = len(within(coupons, as_of, days))
    result["response_rate_365d"] = ratio(result["responses_365d"], result["sends_365d"])
    result["days_since_send"] = min((days_between(as_of, touch.sent_at) for touch in sends), default=None)
    result["days_since_response"] = min(
        (days_between(as_of, touch.responded_at) for touch in answered if touch.responded_at), default=None
    )
    ends = {touch.touch_id: world.offer_ends[touch.offer_id] or touch.sent_at + timedelta(days=28) for touch in sends}
    running = [touch for touch in sends if as_of < ends[touch.touch_id]]
    result["active_offers"] = len(running)
    result["open_offers"] = sum(touch not in answered for touch in running)
    result["offer_days_left"] = max((days_between(ends[touch.touch_id], as_of) for touch in running), default=None)
    result["days_since_coupon"] = min(
        (days_between(as_of, event.occurred_at) for event in known if event.event == "coupon_redemption"), default=None
    )
    return result


def _activity(world: World, customer_id: str, known: list[Event], as_of: datetime) -> dict[str, Any]:
    recent = within(known, as_of, 28)
    result: dict[str, Any] = {
        f"recent_{name}": sum(event.event == name for event in recent)
        for name in ("conversion", "form_submit", "page_view", "purchase")
    }
    result["recent_send"] = sum(
        touch.customer_id == customer_id and touch.sent_at < as_of and as_of - touch.sent_at <= timedelta(days=28)
        for touch in world.touches
    )
    goals = [event for event in known if event.event == "conversion"]
    result["goal_total"] = len(goals)
    for name, chosen in (
        ("days_since_goal", goals),
        ("days_since_activity", [event for event in known if event.event == "purchase"]),
        ("days_since_event", known),
    ):
        result[name] = min((days_between(as_of, event.occurred_at) for event in chosen), default=None)
    result["events_28d"] = len(recent)
    return result


def _rhythm(year: list[Event], zone: ZoneInfo) -> dict[str, Any]:
    counts = {"purchase_hours": [0] * 168, "engagement_hours": [0] * 168}
    for event in year:
        local = event.occurred_at.astimezone(zone)
        hour = local.weekday() * 24 + local.hour
        if event.event == "purchase":
            counts["purchase_hours"][hour] += 1
        if event.event in {"open", "page_view"}:
            counts["engagement_hours"][hour] += 1
    total = sum(counts["purchase_hours"])
    return {**counts, "weekend_share": ratio(sum(counts["purchase_hours"][120:]), total)}
