"""The events of simulated people: what they do by themselves, and the table that drawn events become."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.features.simulation_clock import zone_clock
from foretouch.features.simulation_world import CATEGORIES, START, WEEK, ZONES, FloatArray, IntArray, People

VIEW_FACTOR, FORM_RATE, FORM_FACTOR = 4.0, 0.008, 12.0
BOT_VIEWS = 0.03


def to_utc(local_days: FloatArray, zone: IntArray) -> "pd.Series[pd.Timestamp]":
    """Days of local time since day 0 (fractions are hours) as UTC times; a skipped hour moves forward."""
    micros = np.round(np.asarray(local_days, dtype=np.float64) * 86_400_000_000).astype(np.int64)
    local = micros + round(START.timestamp() * 1e6)
    found = np.empty(len(local), dtype=np.int64)
    for index, name in enumerate(ZONES):
        rows = np.flatnonzero(np.asarray(zone) == index)
        if len(rows):
            found[rows] = zone_clock(name).to_utc(local[rows])
    return pd.Series(pd.DatetimeIndex(found.view("datetime64[us]")).tz_localize("UTC"))


def draw_hours(rng: np.random.Generator, shapes: FloatArray) -> FloatArray:
    """One time of day each, in days (0 to 1), from hourly shares of shape (m, 24)."""
    ends = np.cumsum(shapes, axis=1)
    hour = (rng.random(len(shapes))[:, None] > ends).sum(axis=1).clip(0, 23)
    times: FloatArray = (hour + rng.random(len(shapes))) / 24
    return times


def order_properties(rng: np.random.Generator, people: People, rows: IntArray, values: FloatArray) -> list[str]:
    """JSON properties of orders: what of which category, and at which discount (in currency)."""
    main = (rng.random(len(rows))[:, None] > np.cumsum(people.affinity[rows], axis=1)).sum(axis=1).clip(0, 3)
    other = (rng.random(len(rows))[:, None] > np.cumsum(people.affinity[rows], axis=1)).sum(axis=1).clip(0, 3)
    bargain = rng.random(len(rows)) < people.discount_love[rows]
    result = []
    for first, second, value, cheap in zip(main, other, values, bargain, strict=True):
        part = round(float(value) * 0.7, 2)
        shares = {CATEGORIES[first]: part}
        shares[CATEGORIES[second]] = round(shares.get(CATEGORIES[second], 0.0) + float(value) - part, 2)
        body = ",".join(f'"{name}":{amount}' for name, amount in shares.items())
        discount = round(0.15 * float(value), 2) if cheap else 0.0
        result.append(f'{{"categories":{{{body}}},"retail_disc":{discount},"coupon_disc":0.0,"coupon_match_disc":0.0}}')
    return result


def organic_day_counts(
    rng: np.random.Generator, people: People, days: IntArray
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """How many page views, forms and purchases each person has on each day: three arrays of shape (n, days)."""
    grid = np.asarray(days)[None, :]
    column = People(**{name: getattr(people, name)[:, None] for name in People.__dataclass_fields__})
    alive, intent = column.alive(grid), column.intent(grid)
    week = people.day_weights()[:, np.asarray(days) % WEEK] * alive
    views = rng.poisson(people.view_rate[:, None] * week * np.where(intent, VIEW_FACTOR, 1.0))
    forms = rng.poisson(FORM_RATE * week * np.where(intent, FORM_FACTOR, 1.0))
    orders = rng.poisson(people.purchase_rate[:, None] * week)
    return views, forms, orders


def organic_events(rng: np.random.Generator, people: People, days: IntArray, *, prefix: str) -> pd.DataFrame:
    """Everything people do by themselves on some days.

    Args:
        rng: Source of the draws.
        people: Who.
        days: Local days, from day 0 of the world.
        prefix: Start of the event ids.

    Returns:
        Rows of the table ``events``.
    """
    shapes = people.hour_shape()
    parts = []
    for kind, counts in zip(
        ("page_view", "form_submit", "purchase"), organic_day_counts(rng, people, days), strict=True
    ):
        person, day = np.nonzero(counts)
        times = counts[person, day]
        rows, local_day = np.repeat(person, times), np.repeat(np.asarray(days)[day], times)
        parts.append(draw_events(rng, people, rows, kind, local_day + draw_hours(rng, shapes[rows])))
    events = events_table(people, parts)
    events.insert(0, "event_id", [f"{prefix}{index}" for index in range(len(events))])
    return events


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Events of one kind as they were drawn: many small ones become one table at the end of a block.

    Attributes:
        kind: The event.
        rows: Whose, as places among the people, shape (n,) like all that follow.
        local_days: When, in days of local time since day 0.
        received_after: Seconds until it was received.
        value: Of an order, else NaN.
        is_bot: Whether a machine did it.
        properties: JSON.
        event_id: Ids; empty where they are given to the whole table.
    """

    kind: str
    rows: IntArray
    local_days: FloatArray
    received_after: FloatArray
    value: FloatArray
    is_bot: NDArray[np.bool_]
    properties: list[str]
    event_id: list[str]


def draw_events(
    rng: np.random.Generator,
    people: People,
    rows: IntArray,
    kind: str,
    local_days: FloatArray,
    *,
    event_id: list[str] | None = None,
    is_bot: bool = False,
) -> Drawn:
    """Draws what an event of a kind brings with it.

    Args:
        rng: Source of the draws.
        people: Who there is.
        rows: Whose events, as places among them, shape (n,).
        kind: The event.
        local_days: When, in days of local time since day 0, shape (n,).
        event_id: Their ids, n of them.
        is_bot: Whether all of them are a machine's.
    """
    values = np.full(len(rows), np.nan)
    properties: list[str] = ["{}"] * len(rows)
    bots = np.zeros(len(rows), dtype=bool)
    if kind == "purchase":
        values = np.round(people.order_value[rows] * rng.gamma(4.0, 0.25, len(rows)), 2)
        properties = order_properties(rng, people, rows, values)
    if kind == "page_view":
        bots = rng.random(len(rows)) < BOT_VIEWS
    return Drawn(
        kind=kind,
        rows=rows,
        local_days=local_days,
        received_after=rng.exponential(30.0, len(rows)).round(3),
        value=values,
        is_bot=bots | is_bot,
        properties=properties,
        event_id=event_id or [],
    )


def events_table(people: People, parts: list[Drawn]) -> pd.DataFrame:
    """Rows of the table ``events`` without their ids, in the order of the parts."""
    sizes = [len(part.rows) for part in parts]
    rows = np.concatenate([part.rows for part in parts])
    kinds = np.repeat(np.array([part.kind for part in parts], dtype=object), sizes)
    at = to_utc(np.concatenate([part.local_days for part in parts]), people.zone[rows])
    wait = np.round(np.concatenate([part.received_after for part in parts]) * 1e6).astype("timedelta64[us]")
    mail, order = (kinds == "open") | (kinds == "click"), kinds == "purchase"
    return pd.DataFrame(
        {
            "customer_id": people.customer_id[rows],
            "event": kinds,
            "occurred_at": at.array,
            "received_at": (at + pd.Series(wait)).array,
            "channel": np.where(mail, np.array("email", dtype=object), np.array("web", dtype=object)),
            "value": np.concatenate([part.value for part in parts]),
            "currency": np.where(order, np.array("USD", dtype=object), np.array(None, dtype=object)),
            "is_bot": np.concatenate([part.is_bot for part in parts]),
            "properties": list(chain.from_iterable(part.properties for part in parts)),
        }
    )
