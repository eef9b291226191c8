"""What each customer got and did: contacts that went out, answers and goals, customer by customer.

The customers come sorted, one at a time, however many there are. Evidence that a contact went out, bursts of scanners
and the credit of one event to one contact are those of ``core.attribution``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from foretouch.core.attribution import DAY, Decided, Happening, Occurrence, Reward, attribute, goal_events
from foretouch.experiments.insights.reading import Gathered
from foretouch.experiments.insights.store import rows_of

_CONTACTS = """
    SELECT customer_id, decision_id, rank, decided_at, send_at, offer_id, category, channel, cost, offer_cost, value
    FROM contacts ORDER BY customer_id, decided_at, decision_id, rank"""
_HAPPENED = """
    SELECT c.customer_id, h.outcome_id, h.decision_id, h.rank, h.type, h.occurred_at, h.received_at, h.by_machine,
           h.link, h.links
    FROM happened h JOIN (SELECT DISTINCT decision_id, customer_id FROM contacts) c ON c.decision_id = h.decision_id
    ORDER BY c.customer_id, h.outcome_id"""
_GOALS = """
    SELECT customer_id, event_id, event, epoch_us(occurred_at) AS occurred_at, epoch_us(received_at) AS received_at,
           value, json_extract_string(properties, '$.decision_id') AS decision_id,
           try_cast(json_extract_string(properties, '$.rank') AS INTEGER) AS rank,
           json_extract_string(properties, '$.offer_id') AS offer_id
    FROM events
    WHERE list_contains(?, event) AND NOT is_bot AND epoch_us(received_at) <= ?
      AND epoch_us(occurred_at) >= ? AND epoch_us(occurred_at) < ?
      AND customer_id IN (SELECT customer_id FROM decided)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """One contact of the period.

    Attributes:
        reward: Evidence that it went out, and the events credited to it.
        outcomes: What was posted of it.
        cost: Of the channel.
        offer_cost: Of the offer, if it is accepted.
        value: Of the goal, before the offer's cost.
    """

    reward: Reward
    outcomes: tuple[Happening, ...]
    cost: float
    offer_cost: float
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Journey:
    """One customer's contacts of the period, oldest first, and goal events, oldest first.

    Goal events lie between the beginning of the period and the end of the last window that a contact of it can have.
    """

    customer_id: str
    contacts: tuple[Contact, ...]
    goals: tuple[Occurrence, ...]


def window_of(gathered: Gathered) -> int:
    """For how long a contact may take credit, in microseconds: ``reward.window_days``."""
    return round(gathered.config.reward.window_days * DAY)


def journeys(gathered: Gathered) -> Iterator[Journey]:
    """Every customer of the period who had a contact or did the goal, sorted by id."""
    tables, known = gathered.tables, gathered.known
    accepted, _ = goal_events(gathered.config)
    low, high = gathered.begin, min(known + 1, gathered.end + window_of(gathered))
    tables.execute(f"CREATE OR REPLACE TABLE goals AS {_GOALS}", [sorted(accepted), known, low, high])
    accept = gathered.config.replace(reward=gathered.config.reward.replace(goal="accept"))
    contacts = _groups(rows_of(tables, _CONTACTS))
    happened = _Aside(rows_of(tables, _HAPPENED), _happening)
    goals = _groups(rows_of(tables, "SELECT * FROM goals ORDER BY customer_id, occurred_at, event_id"))
    for customer_id, own, done in _both(contacts, goals):
        events = tuple(_occurrence(row) for row in done)
        outcomes: dict[tuple[str, int], list[Happening]] = {}
        for item in happened.of(customer_id) if own else ():
            outcomes.setdefault((item.decision_id, item.rank), []).append(item)
        decided = [_decided(row) for row in own]
        costs = {(row[1], row[2]): row[8:11] for row in own}
        rewards = attribute(decided, (item for each in outcomes.values() for item in each), events, accept, known)
        yield Journey(
            customer_id=customer_id,
            contacts=tuple(
                Contact(
                    reward=reward,
                    outcomes=tuple(outcomes.get(key, ())),
                    cost=costs[key][0],
                    offer_cost=costs[key][1],
                    value=costs[key][2],
                )
                for reward in rewards
                for key in [(reward.decided.decision_id, reward.decided.rank)]
            ),
            goals=events,
        )


def _decided(row: tuple[Any, ...]) -> Decided:
    return Decided(
        customer_id=row[0],
        decision_id=row[1],
        rank=row[2],
        decided_at=row[3],
        send_at=row[4],
        offer_id=row[5],
        category=row[6],
        channel=row[7],
    )


def _happening(row: tuple[Any, ...]) -> Happening:
    names = ("outcome_id", "decision_id", "rank", "type", "occurred_at", "received_at", "by_machine", "link", "links")
    return Happening(**dict(zip(names, row[1:], strict=True)))


def _occurrence(row: tuple[Any, ...]) -> Occurrence:
    names = (
        "customer_id", "event_id", "event", "occurred_at", "received_at", "value", "decision_id", "rank", "offer_id",
    )  # fmt: skip
    return Occurrence(**dict(zip(names, row, strict=True)))


Groups = Iterator[tuple[str, list[tuple[Any, ...]]]]


def _groups(rows: Iterator[tuple[Any, ...]]) -> Groups:
    return ((str(name), list(own)) for name, own in groupby(rows, key=lambda row: row[0]))


def _both(left: Groups, right: Groups) -> Iterator[tuple[str, list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
    """Both sides' rows of every customer of either, in order."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        name = min(item[0] for item in (one, other) if item is not None)
        own: list[tuple[Any, ...]] = []
        done: list[tuple[Any, ...]] = []
        if one is not None and one[0] == name:
            own, one = one[1], next(left, None)
        if other is not None and other[0] == name:
            done, other = other[1], next(right, None)
        yield name, own, done


class _Aside:
    """Sorted rows, handed out customer by customer to a reader that comes in the same order."""

    def __init__(self, rows: Iterator[tuple[Any, ...]], make: Callable[[tuple[Any, ...]], Happening]) -> None:
        self._groups = _groups(rows)
        self._make = make
        self._next = next(self._groups, None)

    def of(self, customer_id: str) -> list[Happening]:
        """One customer's rows; those of customers before it are passed over."""
        while self._next is not None and self._next[0] < customer_id:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != customer_id:
            return []
        return [self._make(row) for row in self._next[1]]
