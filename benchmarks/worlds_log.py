"""The log of a simulated world, and what can be known of customers from it."""

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray
from worlds_truth import CATEGORIES, CHANNELS, LOAD_DAYS, SATED_DAYS, SEGMENTS, FloatArray, IntArray, World

NEWEST_ROWS = 250_000
"""At most so many of the newest closed rows are learnt from."""
KNOWN_DAYS = 30.0
RECENT_DAYS = 6.0
LATELY_DAYS = 2.5
FAR = 60.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One day's contacts as they were logged, m of them.

    Attributes:
        day: Of the decisions.
        who: Customers.
        offer: Index of each offer.
        channel: Index of each channel.
        rows: Features as they were known, shape (m, inputs).
        probability: Selection probability; missing for those of before the first decision.
        believed: Propensity at the decision.
        accepted: Whether it was or will be accepted.
        delay: Days until that is known.
    """

    day: int
    who: IntArray
    offer: IntArray
    channel: IntArray
    rows: NDArray[np.float32]
    probability: FloatArray
    believed: FloatArray
    accepted: NDArray[np.bool_]
    delay: IntArray

    def take(self, which: NDArray[np.bool_]) -> "Sent":
        """Some of them."""
        arrays = {item.name: getattr(self, item.name)[which] for item in fields(self) if item.name != "day"}
        return replace(self, **arrays)


@dataclass
class Memory:
    """What is known of every customer from the log, and (``load``, ``sated``) what only the world knows."""

    load: FloatArray
    sated: FloatArray
    week: FloatArray
    contacts: FloatArray
    last_contact: FloatArray
    accepted: FloatArray
    last_accepted: FloatArray
    contacts_category: FloatArray
    sends_recent: FloatArray
    wins_recent: FloatArray
    sends_alike: FloatArray
    wins_alike: FloatArray
    expected_alike: FloatArray
    sends_lately: FloatArray
    wins_lately: FloatArray
    sends_ever: FloatArray
    wins_ever: FloatArray

    @classmethod
    def new(cls, world: World) -> "Memory":
        """Nothing has happened."""
        n, k = world.customers, world.offers
        return cls(
            load=np.zeros(n),
            sated=np.zeros((n, CATEGORIES)),
            week=np.zeros((n, 7)),
            contacts=np.zeros(n),
            last_contact=np.full(n, -FAR),
            accepted=np.zeros((n, CATEGORIES)),
            last_accepted=np.full((n, CATEGORIES), -FAR),
            contacts_category=np.zeros((n, CATEGORIES)),
            sends_recent=np.zeros(k),
            wins_recent=np.zeros(k),
            sends_alike=np.zeros((SEGMENTS, CATEGORIES)),
            wins_alike=np.zeros((SEGMENTS, CATEGORIES)),
            expected_alike=np.zeros((SEGMENTS, CATEGORIES)),
            sends_lately=np.zeros((SEGMENTS, CATEGORIES)),
            wins_lately=np.zeros((SEGMENTS, CATEGORIES)),
            sends_ever=np.zeros((k, CHANNELS)),
            wins_ever=np.zeros((k, CHANNELS)),
        )

    def night(self, day: int) -> None:
        """A day passes."""
        self.load *= np.exp(-1 / LOAD_DAYS)
        self.sated *= np.exp(-1 / SATED_DAYS)
        self.contacts *= np.exp(-1 / KNOWN_DAYS)
        self.accepted *= np.exp(-1 / KNOWN_DAYS)
        self.contacts_category *= np.exp(-1 / KNOWN_DAYS)
        self.sends_recent *= np.exp(-1 / RECENT_DAYS)
        self.wins_recent *= np.exp(-1 / RECENT_DAYS)
        self.sends_alike *= np.exp(-1 / RECENT_DAYS)
        self.wins_alike *= np.exp(-1 / RECENT_DAYS)
        self.expected_alike *= np.exp(-1 / RECENT_DAYS)
        self.sends_lately *= np.exp(-1 / LATELY_DAYS)
        self.wins_lately *= np.exp(-1 / LATELY_DAYS)
        self.week[:, day % 7] = 0.0

    def note(self, sends: "Sent", category: IntArray, segment: IntArray) -> None:
        """Contacts go out.

        Args:
            sends: What went out.
            category: Of each one's offer.
            segment: Of each one's customer.
        """
        who = sends.who
        np.add.at(self.load, who, 1.0)
        np.add.at(self.week, (who, np.full(len(who), sends.day % 7)), 1.0)
        np.add.at(self.contacts, who, 1.0)
        np.add.at(self.contacts_category, (who, category), 1.0)
        np.add.at(self.sends_recent, sends.offer, 1.0)
        np.add.at(self.sends_alike, (segment, category), 1.0)
        np.add.at(self.sends_lately, (segment, category), 1.0)
        np.add.at(self.expected_alike, (segment, category), sends.believed)
        np.add.at(self.sends_ever, (sends.offer, sends.channel), 1.0)
        self.last_contact[who] = sends.day
        np.add.at(self.sated, (who[sends.accepted], category[sends.accepted]), 1.0)


@dataclass
class Log:
    """Contacts as they were logged: grows by blocks of a day."""

    blocks: list["Sent"] = field(default_factory=list)

    def append(self, sends: "Sent") -> None:
        """One day's contacts."""
        self.blocks.append(sends)

    def closed(self, day: int, window: int) -> tuple[NDArray[np.float32], FloatArray]:
        """The newest rows whose window has closed, oldest first: matrix and label."""
        kept: list[Sent] = []
        total = 0
        for block in reversed([block for block in self.blocks if block.day + window <= day]):
            if total + len(block.who) > NEWEST_ROWS:
                break
            kept.insert(0, block)
            total += len(block.who)
        label = np.concatenate([block.accepted & (block.delay <= window) for block in kept])
        return np.concatenate([block.rows for block in kept]), label.astype(np.float64)

    def closed_rows(self, day: int, window: int) -> int:
        """How many rows have a window that has closed."""
        return sum(len(block.who) for block in self.blocks if block.day + window <= day)

    def since(self, day: float) -> list["Sent"]:
        """The blocks of a day and later, oldest first."""
        return [block for block in self.blocks if block.day >= day]
