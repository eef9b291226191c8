"""The past of a simulated world: the events and sends of one block of people, drawn from their hidden truth.

The past policy was random: at each weekly occasion it contacted nobody with probability 0.5, and otherwise drew
uniformly among running offers and channels with consent, at a uniform local hour from 9 to 20. Its probability is
logged with every send, so that anything learnt from the log can be corrected for it.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretouch.features.simulation_events import Drawn, draw_events, events_table, organic_events, to_utc
from foretouch.features.simulation_world import (
    CHANNEL_STRENGTH,
    CHANNELS,
    RESPONSE_DAYS,
    WEEK,
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


def draw_history(people: People, offers: tuple[WorldOffer, ...], days: int, seed: int, *, block: int) -> History:
    """The events, sends and withdrawals of one block of people over days 0…days-1.

    ``people`` must be the whole block: ``cut`` makes it smaller afterwards, so that no draw depends on a world's size.
    """
    rng = np.random.default_rng([seed, block, 1])
    organic = organic_events(rng, people, np.arange(days), prefix=f"e{block}-")
    consents = {name: people.consents(name).copy() for name in CHANNELS}
    world = _Offers.of(offers)
    replies: list[Drawn] = []
    sends: list[_Sent] = []
    left: list[tuple[str, IntArray, FloatArray]] = []
    for week in range(-(-days // WEEK)):
        day = week * WEEK + people.weekday
        send = _occasions(rng, people, world, day, consents)
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
        replies += _replies(
            rng,
            people,
            f"w{block}-{week}-",
            at_local,
            delay,
            converts=converts,
            opens=opens,
            clicks=clicks,
            machine=machine,
        )
        rows = np.flatnonzero(contacted)
        sends.append(
            _Sent(
                touch_id=[f"t{number}-{week}" for number in people.number[rows]],
                rows=rows,
                offer=send.offer[rows],
                channel=send.channel[rows],
                sent=at_local[rows],
                delay=delay[rows],
                probability=send.probability[rows],
                converts=converts[rows],
                mature=day[rows] + RESPONSE_DAYS < days,
                untreated=p0[rows],
                treated=p1[rows],
            )
        )
        for index, name in enumerate(CHANNELS):
            gone = leaves & (send.channel == index)
            consents[name] &= ~gone
            which = np.flatnonzero(gone)
            left.append((name, which, at_local[which] + 0.05))
    answered = events_table(people, replies)
    answered.insert(0, "event_id", list(chain.from_iterable(part.event_id for part in replies)))
    sent = _Sent.joined(sends)
    gone_rows = np.concatenate([rows for _, rows, _ in left])
    return History(
        events=pd.concat([organic, answered], ignore_index=True),
        touches=_touches_table(people, offers, sent),
        withdrawals=pd.DataFrame(
            {
                "customer_id": people.customer_id[gone_rows],
                "channel": np.repeat(
                    np.array([name for name, _, _ in left], dtype=object), [len(rows) for _, rows, _ in left]
                ),
                "at": to_utc(np.concatenate([at for _, _, at in left]), people.zone[gone_rows]).array,
            }
        ),
        truth=pd.DataFrame({"touch_id": sent.touch_id, "untreated": sent.untreated, "treated": sent.treated}),
    )


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """The sends of one occasion, or of many; every array has one element per send."""

    touch_id: list[str]
    rows: IntArray
    offer: IntArray
    channel: IntArray
    sent: FloatArray
    delay: FloatArray
    probability: FloatArray
    converts: NDArray[np.bool_]
    mature: NDArray[np.bool_]
    untreated: FloatArray
    treated: FloatArray

    @classmethod
    def joined(cls, parts: "list[_Sent]") -> "_Sent":
        """Several one after the other."""
        names = [field.name for field in fields(cls) if field.name != "touch_id"]
        return cls(
            touch_id=list(chain.from_iterable(part.touch_id for part in parts)),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
        )


def _touches_table(people: People, offers: tuple[WorldOffer, ...], sent: _Sent) -> pd.DataFrame:
    zone = people.zone[sent.rows]
    return pd.DataFrame(
        {
            "touch_id": np.array(sent.touch_id, dtype=object),
            "customer_id": people.customer_id[sent.rows],
            "offer_id": np.array([offer.offer_id for offer in offers], dtype=object)[sent.offer],
            "channel": np.asarray(CHANNELS, dtype=object)[sent.channel],
            "sent_at": to_utc(sent.sent, zone).array,
            "selection_probability": sent.probability,
            "responded": pd.Series(sent.converts, dtype="boolean").mask(~sent.mature),
            "responded_at": to_utc(sent.sent + sent.delay, zone).where(sent.converts & sent.mature).array,
        }
    )


@dataclass(frozen=True, kw_only=True)
class _Offers:
    """The world's offers as arrays, shape (offers,)."""

    starts: IntArray
    ends: IntArray
    category: IntArray
    pull: FloatArray

    @classmethod
    def of(cls, offers: tuple[WorldOffer, ...]) -> "_Offers":
        """From the offers themselves."""
        return cls(
            starts=np.array([offer.start_day for offer in offers]),
            ends=np.array([offer.end_day for offer in offers]),
            category=np.array([offer.category for offer in offers]),
            pull=np.array([offer.pull for offer in offers]),
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
    offers: _Offers,
    day: IntArray,
    consents: dict[str, NDArray[np.bool_]],
) -> _Sends:
    """What the random past policy did at one occasion of everybody."""
    n = len(people)
    runs = (offers.starts[None, :] <= day[:, None]) & (day[:, None] < offers.ends[None, :])
    allowed = np.column_stack([consents[name] for name in CHANNELS])
    options = runs.sum(axis=1) * allowed.sum(axis=1)
    contacted = (rng.random(n) >= NO_CONTACT_SHARE) & (options > 0)
    offer = np.argmax(np.where(runs, rng.random(runs.shape), -1.0), axis=1)
    channel = np.argmax(np.where(allowed, rng.random(allowed.shape), -1.0), axis=1)
    return _Sends(
        contacted=contacted,
        offer=offer,
        category=offers.category[offer],
        pull=offers.pull[offer],
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
) -> list[Drawn]:
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
        ids = [f"{prefix}{name[:2]}{kind[0]}{number}" for number in people.number[rows]]
        parts.append(
            draw_events(rng, people, rows, kind, at_local[rows] + wait[rows], event_id=ids, is_bot=name == "machine")
        )
    return parts
