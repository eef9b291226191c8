"""The log of a simulated world, and what can be known of customers from it."""

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray
from worlds_truth import CATEGORIES, CHANNELS, LOAD_DAYS, SATED_DAYS, SEGMENTS, FloatArray, IntArray, World

from foretouch.training.newest import Maturity

NEWEST_ROWS = 250_000
"""At most so many of the newest rows are learnt from."""
MATURITY_DAYS = 60
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


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a morning tells of earlier contacts, oldest first, n of them.

    Attributes:
        rows: Features, shape (n, inputs).
        offer: Shape (n,).
        label: Whether an acceptance within the window is known by now, shape (n,).
        age: In days, shape (n,).
    """

    rows: NDArray[np.float32]
    offer: IntArray
    label: FloatArray
    age: FloatArray


@dataclass
class Log:
    """Contacts as they were logged: grows by blocks of a day."""

    blocks: list["Sent"] = field(default_factory=list)

    def append(self, sends: "Sent") -> None:
        """One day's contacts."""
        self.blocks.append(sends)

    def known(self, day: int, window: int) -> "Known":
        """The newest rows of earlier days, open or closed."""
        kept: list[Sent] = []
        total = 0
        for block in reversed([block for block in self.blocks if block.day < day]):
            if total + len(block.who) > NEWEST_ROWS:
                break
            kept.insert(0, block)
            total += len(block.who)
        label = np.concatenate([block.accepted & (block.delay <= min(window, day - block.day)) for block in kept])
        return Known(
            rows=np.concatenate([block.rows for block in kept]),
            offer=np.concatenate([block.offer for block in kept]),
            label=label.astype(np.float64),
            age=np.concatenate([np.full(len(block.who), float(day - block.day)) for block in kept]),
        )

    def known_rows(self, day: int, maturity: Maturity) -> int:
        """How many rows are closed, an open one counted as the share of acceptances that is known at its age."""
        share = maturity.at(np.array([max(float(day - block.day), 0.0) for block in self.blocks]))
        return int(sum(len(block.who) * part for block, part in zip(self.blocks, share.tolist(), strict=True)))

    def maturity(self, day: int, window: int) -> Maturity:
        """How many acceptances are known by age, from rows of the last days that are closed."""
        closed = [block for block in self.blocks if day - window - MATURITY_DAYS <= block.day <= day - window]
        wait = np.concatenate([block.delay[block.accepted] for block in closed]).astype(np.float64)
        return Maturity(waits=np.sort(wait[wait <= window]), window_days=window)

    def since(self, day: float) -> list["Sent"]:
        """The blocks of a day and later, oldest first."""
        return [block for block in self.blocks if block.day >= day]
