"""How simulated people go on living after the data end: the dice of the campaign engine, and nothing else.

Every draw is a function of the world's seed, the person and the day, so that asking twice gives the same answer and a
contacted person is compared with what the same person would have done alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from foretouch.core.errors import NotFoundError
from foretouch.core.rng import derive_seed
from foretouch.features.simulation_events import organic_events
from foretouch.features.simulation_history import (
    CLICKS_OF_OPENS,
    DELAY_DAYS,
    DELIVERED,
    UNSUBSCRIBES,
    UNSUBSCRIBES_ANNOYED,
    open_probability,
)
from foretouch.features.simulation_world import (
    CATEGORIES,
    CHANNEL_STRENGTH,
    NIGHT_HOURS,
    RESPONSE_DAYS,
    START,
    WEEK,
    ZONES,
    IntArray,
    People,
)

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A message that went out.

    Attributes:
        offer_id: What it proposed.
        channel: On which channel.
        sent_at: When, tz-aware.
    """

    offer_id: str
    channel: str
    sent_at: datetime


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one person did at one occasion; times are tz-aware, None is did not.

    Attributes:
        delivered: Whether the message arrived; False without a contact.
        opened_at: When it was opened.
        clicked_at: When its link was followed.
        unsubscribed_at: When the channel's consent was withdrawn because of it.
        converted_at: When the person converted, contacted or not.
        order_value: Value of the order that comes with the conversion.
        category: What that order is for.
    """

    delivered: bool = False
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    converted_at: datetime | None = None
    order_value: float = 0.0
    category: str = ""


class Replies:
    """The people of a simulated workspace, after the data end.

    Args:
        folder: The ``truth`` folder.

    Raises:
        NotFoundError: It holds no truth.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "world.json").is_file():
            raise NotFoundError(f"{folder} holds no simulated world", hint="foretouch init DIR --sample simulated")
        world = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        self.seed: int = world["seed"]
        self.days: int = world["days"]
        self.people = People.of(pd.read_parquet(folder / "people.parquet"))
        offers = pd.read_parquet(folder / "offers.parquet")
        self._pull = dict(zip(offers["offer_id"], offers["pull"].astype(float), strict=True))
        self._category = dict(zip(offers["offer_id"], offers["category"].astype(int), strict=True))
        self._rows = {name: row for row, name in enumerate(self.people.customer_id)}

    def day_of(self, at: datetime) -> int:
        """The world's day that begins at 06:00 UTC and holds this time."""
        return (at - START - timedelta(hours=NIGHT_HOURS)) // DAY

    def due(self, day: int) -> list[str]:
        """Everyone who has their weekly occasion on a day, also those who have left unnoticed."""
        rows = (self.people.weekday == day % WEEK) & (self.people.created_day <= day)
        return [str(name) for name in self.people.customer_id[rows]]

    def zone(self, customer_id: str) -> ZoneInfo:
        """A person's time zone."""
        return ZoneInfo(ZONES[int(self.people.zone[self._rows[customer_id]])])

    def occasion(self, customer_id: str, day: int, at: datetime, contact: Contact | None) -> Reply:
        """What a person does at one occasion.

        Args:
            customer_id: Who.
            day: The world's day of the occasion.
            at: When the occasion is for somebody who is not contacted, tz-aware.
            contact: The message that went out, if any.
        """
        row = self._rows[customer_id]
        person = self.people.take(slice(row, row + 1))
        rng = np.random.default_rng([derive_seed(str(self.seed), customer_id, str(day)), 3])
        arrives, converts, opens, clicks, leaves = rng.random(5)
        delay = timedelta(days=float(min(rng.exponential(DELAY_DAYS), RESPONSE_DAYS - 0.01)))
        order = round(float(person.order_value[0] * rng.gamma(4.0, 0.25)), 2)
        category = CATEGORIES[int(rng.choice(len(CATEGORIES), p=person.affinity[0] / person.affinity[0].sum()))]
        delivered = contact is not None and bool(arrives < DELIVERED)
        start = contact.sent_at if contact is not None else at
        chance = float(person.untreated(day)[0])
        opened_at = clicked_at = unsubscribed_at = None
        if delivered and contact is not None:
            hour = np.array([contact.sent_at.astimezone(self.zone(customer_id)).hour])
            chance = self._treated(person, day, contact, hour)
            if opens < float(open_probability(person, hour)[0]):
                opened_at = start + delay * 0.1
                clicked_at = opened_at + timedelta(minutes=1) if clicks < CLICKS_OF_OPENS else None
            if leaves < (UNSUBSCRIBES_ANNOYED if person.stays[0] < 1 else UNSUBSCRIBES):
                unsubscribed_at = start + timedelta(minutes=70)
        return Reply(
            delivered=delivered,
            opened_at=opened_at,
            clicked_at=clicked_at,
            unsubscribed_at=unsubscribed_at,
            converted_at=start + delay if converts < chance else None,
            order_value=order if converts < chance else 0.0,
            category=category if converts < chance else "",
        )

    def _treated(self, person: People, day: int, contact: Contact, hour: IntArray) -> float:
        if contact.offer_id not in self._pull:
            return float(person.untreated(day)[0])
        return float(
            person.treated(
                day,
                pull=np.array([self._pull[contact.offer_id]]),
                category=np.array([self._category[contact.offer_id]]),
                strength=np.array([CHANNEL_STRENGTH.get(contact.channel, 1.0)]),
                hour=hour,
            )[0]
        )

    def organic(self, day: int, customers: Sequence[str] | None = None) -> pd.DataFrame:
        """What people do by themselves on one local day: page views, forms, orders, as rows of ``events``.

        Args:
            day: The world's day.
            customers: Only these people; None is everyone.
        """
        rng = np.random.default_rng([self.seed, 2_000_000 + day, 2])
        events = organic_events(rng, self.people, np.array([day]), prefix=f"d{day}-")
        return events if customers is None else events[events["customer_id"].isin(list(customers))]
