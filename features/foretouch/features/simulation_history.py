"""The past of a simulated world: the events and sends of one block of people, drawn from their hidden truth.

The past policy was random: at each weekly occasion it contacted nobody with probability 0.5, and otherwise drew
uniformly among running offers and channels with consent, at a uniform local hour from 9 to 20. Its probability is
logged with every send, so that anything learnt from the log can be corrected for it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.features.simulation_world import (
    CATEGORIES,
    CHANNEL_STRENGTH,
    CHANNELS,
    RESPONSE_DAYS,
    START,
    WEEK,
    ZONES,
    FloatArray,
    IntArray,
    People,
    WorldOffer,
)

NO_CONTACT_SHARE = 0.5
FIRST_HOUR, LAST_HOUR = 9, 20
DELIVERED = 0.98
CLICKS_OF_OPENS = 0.25
MACHINE_OPENS = 0.05
UNSUBSCRIBES, UNSUBSCRIBES_ANNOYED = 0.002, 0.02
DELAY_DAYS = 0.9
"""Mean days between an occasion and its conversion; longer ones are cut at ``RESPONSE_DAYS``."""
VIEW_FACTOR, FORM_RATE, FORM_FACTOR = 4.0, 0.008, 12.0
BOT_VIEWS = 0.03


@dataclass(frozen=True, kw_only=True)
class History:
    """Canonical rows of one block, and the truth about its sends.

    Attributes:
        events: As DESIGN's table ``events``, unsorted.
        touches: As the table ``touches``.
        withdrawals: Consents withdrawn: customer_id, channel, at.
        truth: By touch_id: ``untreated`` and ``treated`` probability of converting.
    """

    events: pd.DataFrame
    touches: pd.DataFrame
    withdrawals: pd.DataFrame
    truth: pd.DataFrame

    def until(self, end: datetime) -> "History":
        """Only what had been received by then; a later reply to an earlier send is not known yet."""
        return replace(
            self,
            events=self.events[self.events["received_at"] <= end],
            withdrawals=self.withdrawals[self.withdrawals["at"] <= end],
        )

    def cut(self, customers: "NDArray[np.object_]") -> "History":
        """Only the rows of some customers."""
        touches = self.touches[self.touches["customer_id"].isin(customers)]
        return History(
            events=self.events[self.events["customer_id"].isin(customers)],
            touches=touches,
            withdrawals=self.withdrawals[self.withdrawals["customer_id"].isin(customers)],
            truth=self.truth[self.truth["touch_id"].isin(touches["touch_id"])],
        )


def to_utc(local_days: FloatArray, zone: IntArray) -> "pd.Series[pd.Timestamp]":
    """Days of local time since day 0 (fractions are hours) as UTC times; a skipped hour moves forward."""
    micros = np.round(np.asarray(local_days, dtype=np.float64) * 86_400_000_000).astype("timedelta64[us]")
    naive = pd.Series(np.datetime64(START.replace(tzinfo=None), "us") + micros)
    result = pd.Series(pd.NaT, index=naive.index, dtype="datetime64[us, UTC]")
    for index, name in enumerate(ZONES):
        rows = np.asarray(zone) == index
        if rows.any():
            first = np.ones(int(rows.sum()), dtype=bool)
            local = naive[rows].dt.tz_localize(name, ambiguous=first, nonexistent="shift_forward")
            result[rows] = local.dt.tz_convert("UTC")
    return result


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
        at = to_utc(local_day + draw_hours(rng, shapes[rows]), people.zone[rows])
        parts.append(_events(rng, people, rows, kind, at))
    events = pd.concat(parts, ignore_index=True)
    events.insert(0, "event_id", [f"{prefix}{index}" for index in range(len(events))])
    return events


def _events(
    rng: np.random.Generator, people: People, rows: IntArray, kind: str, at: "pd.Series[pd.Timestamp]"
) -> pd.DataFrame:
    values = np.full(len(rows), np.nan)
    properties: list[str] = ["{}"] * len(rows)
    bots = np.zeros(len(rows), dtype=bool)
    if kind == "purchase":
        values = np.round(people.order_value[rows] * rng.gamma(4.0, 0.25, len(rows)), 2)
        properties = order_properties(rng, people, rows, values)
    if kind == "page_view":
        bots = rng.random(len(rows)) < BOT_VIEWS
    return pd.DataFrame(
        {
            "customer_id": people.customer_id[rows],
            "event": kind,
            "occurred_at": at.array,
            "received_at": (at + pd.to_timedelta(rng.exponential(30.0, len(rows)).round(3), unit="s")).array,
            "channel": "email" if kind in {"open", "click"} else "web",
            "value": values,
            "currency": "USD" if kind == "purchase" else None,
            "is_bot": bots,
            "properties": properties,
        }
    )


def draw_history(people: People, offers: tuple[WorldOffer, ...], days: int, seed: int, *, block: int) -> History:
    """The events, sends and withdrawals of one block of people over days 0…days-1.

    ``people`` must be the whole block: ``cut`` makes it smaller afterwards, so that no draw depends on a world's size.
    """
    rng = np.random.default_rng([seed, block, 1])
    parts = [organic_events(rng, people, np.arange(days), prefix=f"e{block}-")]
    consents = {name: people.consents(name).copy() for name in CHANNELS}
    touches: list[pd.DataFrame] = []
    withdrawals: list[pd.DataFrame] = []
    truths: list[pd.DataFrame] = []
    for week in range(-(-days // WEEK)):
        day = week * WEEK + people.weekday
        send = _occasions(rng, people, offers, day, consents)
        happens = (day < days) & (day >= people.created_day)
        contacted = send.contacted & happens
        at_local = day + np.where(contacted, send.hour, 12) / 24
        p0 = people.untreated(day)
        p1 = people.treated(day, pull=send.pull, category=send.category, strength=send.strength, hour=send.hour)
        delivered = contacted & (rng.random(len(people)) < DELIVERED)
        draw = rng.random(len(people))
        converts = happens & (draw < np.where(delivered, p1, p0))
        delay = np.minimum(rng.exponential(DELAY_DAYS, len(people)), RESPONSE_DAYS - 0.01)
        opens = delivered & (rng.random(len(people)) < open_probability(people, send.hour))
        clicks = opens & (rng.random(len(people)) < CLICKS_OF_OPENS)
        machine = delivered & (rng.random(len(people)) < MACHINE_OPENS)
        leaves = delivered & (rng.random(len(people)) < np.where(people.stays < 1, UNSUBSCRIBES_ANNOYED, UNSUBSCRIBES))
        prefix = f"w{block}-{week}-"
        parts += _replies(
            rng, people, prefix, at_local, delay, converts=converts, opens=opens, clicks=clicks, machine=machine
        )
        rows = np.flatnonzero(contacted)
        ids = np.array([f"t{people.number[row]}-{week}" for row in rows], dtype=object)
        sent = to_utc(at_local[rows], people.zone[rows])
        mature = day[rows] + RESPONSE_DAYS < days
        touches.append(
            pd.DataFrame(
                {
                    "touch_id": ids,
                    "customer_id": people.customer_id[rows],
                    "offer_id": np.array([offers[index].offer_id for index in send.offer[rows]], dtype=object),
                    "channel": np.asarray(CHANNELS, dtype=object)[send.channel[rows]],
                    "sent_at": sent.array,
                    "selection_probability": send.probability[rows],
                    "responded": pd.Series(converts[rows], dtype="boolean").mask(~mature),
                    "responded_at": to_utc(at_local[rows] + delay[rows], people.zone[rows])
                    .where(converts[rows] & mature)
                    .array,
                }
            )
        )
        truths.append(pd.DataFrame({"touch_id": ids, "untreated": p0[rows], "treated": p1[rows]}))
        for index, name in enumerate(CHANNELS):
            gone = leaves & (send.channel == index)
            consents[name] &= ~gone
            which = np.flatnonzero(gone)
            when = to_utc(at_local[which] + 0.05, people.zone[which])
            withdrawals.append(
                pd.DataFrame({"customer_id": people.customer_id[which], "channel": name, "at": when.array})
            )
    return History(
        events=pd.concat([part for part in parts if len(part)], ignore_index=True),
        touches=pd.concat(touches, ignore_index=True),
        withdrawals=pd.concat(withdrawals, ignore_index=True),
        truth=pd.concat(truths, ignore_index=True),
    )


@dataclass(frozen=True, kw_only=True)
class _Sends:
    contacted: NDArray[np.bool_]
    offer: IntArray
    category: IntArray
    pull: FloatArray
    channel: IntArray
    strength: FloatArray
    hour: IntArray
    probability: FloatArray


def _occasions(
    rng: np.random.Generator,
    people: People,
    offers: tuple[WorldOffer, ...],
    day: IntArray,
    consents: dict[str, NDArray[np.bool_]],
) -> _Sends:
    """What the random past policy did at one occasion of everybody."""
    n = len(people)
    starts = np.array([offer.start_day for offer in offers])
    ends = np.array([offer.end_day for offer in offers])
    runs = (starts[None, :] <= day[:, None]) & (day[:, None] < ends[None, :])
    allowed = np.column_stack([consents[name] for name in CHANNELS])
    options = runs.sum(axis=1) * allowed.sum(axis=1)
    contacted = (rng.random(n) >= NO_CONTACT_SHARE) & (options > 0)
    offer = np.argmax(np.where(runs, rng.random(runs.shape), -1.0), axis=1)
    channel = np.argmax(np.where(allowed, rng.random(allowed.shape), -1.0), axis=1)
    return _Sends(
        contacted=contacted,
        offer=offer,
        category=np.array([item.category for item in offers])[offer],
        pull=np.array([item.pull for item in offers])[offer],
        channel=channel,
        strength=np.array([CHANNEL_STRENGTH[name] for name in CHANNELS])[channel],
        hour=rng.integers(FIRST_HOUR, LAST_HOUR + 1, n),
        probability=(1 - NO_CONTACT_SHARE) / np.maximum(options, 1),
    )


def open_probability(people: People, hour: IntArray) -> FloatArray:
    """Probability that a person opens a message delivered at a local hour, shape (n,)."""
    return 1 / (1 + np.exp(-(people.open_logit + 2.0 * (people.fit(hour) - 0.75))))


def _replies(
    rng: np.random.Generator,
    people: People,
    prefix: str,
    at_local: FloatArray,
    delay: FloatArray,
    **answers: NDArray[np.bool_],
) -> list[pd.DataFrame]:
    """The events of one occasion; a conversion comes with an order at the same time."""
    parts = []
    plan = (
        ("converts", "conversion", delay),
        ("converts", "purchase", delay),
        ("opens", "open", delay * 0.1),
        ("clicks", "click", delay * 0.1 + 0.001),
        ("machine", "open", np.full(len(people), 0.0002)),
    )
    for name, kind, wait in plan:
        rows = np.flatnonzero(answers[name])
        at = to_utc(at_local[rows] + wait[rows], people.zone[rows])
        events = _events(rng, people, rows, kind, at)
        if name == "machine":
            events["is_bot"] = True
        events.insert(0, "event_id", [f"{prefix}{name[:2]}{kind[0]}{people.number[row]}" for row in rows])
        parts.append(events)
    return parts
