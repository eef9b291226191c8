"""Which event is credited to which contact, and what every decision earned. Pure: the same rows, the same bits.

The rule. A contact is *activated* once its delivery is known (``outcomes.ACTIVATING``). A goal event is credited to at
most one contact: the one that the event names, else the latest activated contact of that customer at or before the
event whose window holds it, whose offer's category has that event as its acceptance, and whose offer is the one that
the event names, if it names any. Of contacts sent at one instant the smallest decision id counts, then the smallest
rank. Bots credit nothing. What was received after ``as_of`` is not known yet; when it is, the same call says so.

Beside the credit, every decision, contacted or not, gets its customer's goals within the window of the decision itself:
these columns are alike for controls and holdouts, and are what arms and policies are compared on.

Times are microseconds since 1970 UTC, windows are half open: [from, to).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import fsum
from typing import Literal

from foretouch.core.config import Config
from foretouch.core.outcomes import ACTIVATING, Outcome

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
SCAN_MICROS = 10_000_000
"""People do not click several links within ten seconds of a delivery; scanners do."""
SCAN_LINKS = 3
SILENT = frozenset({"confirmed", "released", "delivered"})
"""Outcomes that are no answer: a contact with none but these takes the default reward."""

ActivatedBy = Literal["delivered", "confirmed", "engagement"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """One contact of a decision, or (``rank`` 0) a decision for no contact."""

    decision_id: str
    rank: int
    customer_id: str
    decided_at: int
    send_at: int | None = None
    offer_id: str | None = None
    category: str = ""
    channel: str | None = None
    touchpoint: str = ""
    status: str = ""
    selection_probability: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One posted outcome."""

    outcome_id: str
    decision_id: str
    rank: int
    type: str
    occurred_at: int
    received_at: int
    by_machine: bool = False
    link: str | None = None
    links: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrence:
    """One event that may be a goal; ``decision_id``, ``rank`` and ``offer_id`` are what it names itself."""

    event_id: str
    customer_id: str
    event: str
    occurred_at: int
    received_at: int
    value: float | None = None
    decision_id: str | None = None
    rank: int | None = None
    offer_id: str | None = None
    is_bot: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reward:
    """What one contact, or one decision for no contact, earned as known at ``as_of``.

    Attributes:
        decided: Whose.
        as_of: What was received later is not in it.
        activated: Whether the contact is known to have gone out; nothing is learned from one that is not.
        activated_by: The best evidence of that. ``engagement`` alone means that deliveries are not posted: whoever
            answered is over-represented.
        window_ends_at: The end of its window: ``window_days`` after the send, or after the decision for no contact.
        mature: Whether the window is over; an immature reward may still change.
        reward: Sum of ``parts``; None where the contact was not activated.
        parts: ``goal``, ``default`` and each type of outcome with a value, where it is not 0.
        credited: Ids of the events credited to it.
        goal_mature: Whether the window of the decision itself is over.
        goal_count: The customer's acceptance events in the window of the decision, whoever caused them.
        goal_value: The sum of their values, in the workspace's currency.
        revenue: The sum of the value event's values in the same window.
    """

    decided: Decided
    as_of: int
    activated: bool
    activated_by: ActivatedBy | None
    window_ends_at: int
    mature: bool
    reward: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    credited: tuple[str, ...] = ()
    goal_mature: bool = False
    goal_count: int = 0
    goal_value: float = 0.0
    revenue: float = 0.0

    @property
    def goal_occurred(self) -> bool:
        """Whether any acceptance event happened in the window of the decision."""
        return self.goal_count > 0


def happening(outcome: Outcome, received_at: int) -> Happening:
    """A posted outcome as attribution sees it.

    Args:
        outcome: As posted.
        received_at: Microseconds since 1970 UTC.
    """
    link, links = outcome.properties.get("link"), outcome.properties.get("links")
    counted = isinstance(links, int) and not isinstance(links, bool) and 0 <= links < 2**31
    return Happening(
        outcome_id=outcome.outcome_id,
        decision_id=outcome.decision_id,
        rank=outcome.rank,
        type=outcome.type,
        occurred_at=(outcome.occurred_at - EPOCH) // timedelta(microseconds=1),
        received_at=received_at,
        by_machine=outcome.by_machine,
        link=link if isinstance(link, str) else None,
        links=links if counted else None,
    )


def goal_events(config: Config) -> tuple[frozenset[str], str]:
    """The events that count as acceptance of anything, and the value event."""
    return frozenset(config.goals.offer.acceptance.values()), config.goals.value.value_event


def acceptance_of(config: Config, category: str) -> str:
    """The event that counts as acceptance of an offer of a category; empty where none is configured."""
    acceptance = config.goals.offer.acceptance
    return acceptance.get(category) or acceptance.get("*", "")


def machine_clicks(happenings: Iterable[Happening], sent_at: int | None) -> frozenset[str]:
    """Ids of the clicks on one contact that a scanner made, though nobody said so.

    The rule: within ten seconds of the delivery, three different links were clicked, or all of the message's links
    where there are two and ``properties.links`` says so. The delivery is the first ``delivered``, else the send time.

    Args:
        happenings: Outcomes of one contact, in any order.
        sent_at: When it was to be sent.
    """
    items = list(happenings)
    deliveries = [item.occurred_at for item in items if item.type == "delivered"]
    delivered_at = min(deliveries) if deliveries else sent_at
    if delivered_at is None:
        return frozenset()
    early = [
        item
        for item in items
        if item.type == "click" and item.link is not None and item.occurred_at - delivered_at <= SCAN_MICROS
    ]
    declared = [item.links for item in early if item.links is not None and item.links >= 2]
    needed = min([SCAN_LINKS, *declared])
    if len({item.link for item in early}) < needed:
        return frozenset()
    return frozenset(item.outcome_id for item in early)


def attribute(
    decisions: Iterable[Decided],
    outcomes: Iterable[Happening],
    events: Iterable[Occurrence],
    config: Config,
    as_of: int,
) -> list[Reward]:
    """What every decision earned, sorted by customer, time, decision and rank, whatever the order of the input.

    A customer's rows depend on that customer's rows alone, so that any number of them is done customer by customer.

    Args:
        decisions: Contacts, and decisions for no contact; later ones than ``as_of`` are left out.
        outcomes: Their outcomes; of decisions that are not given they are ignored.
        events: The customers' events, each id once.
        config: Says what the goal is, how long the window, and what outcomes are worth.
        as_of: What is known: received by then.
    """
    by_customer: dict[str, list[Decided]] = defaultdict(list)
    for item in decisions:
        if item.decided_at <= as_of:
            by_customer[item.customer_id].append(item)
    happened: dict[tuple[str, int], list[Happening]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.received_at <= as_of:
            happened[outcome.decision_id, outcome.rank].append(outcome)
    occurred: dict[str, list[Occurrence]] = defaultdict(list)
    accepted, value_event = goal_events(config)
    for event in events:
        if event.received_at <= as_of and not event.is_bot and (event.event in accepted or event.event == value_event):
            occurred[event.customer_id].append(event)
    rewards: list[Reward] = []
    for customer_id in sorted(by_customer):
        own = sorted(by_customer[customer_id], key=lambda item: (item.decided_at, item.decision_id, item.rank))
        done = sorted(occurred.get(customer_id, ()), key=lambda item: (item.occurred_at, item.event_id))
        rewards += _of_customer(own, happened, done, config, as_of)
    return rewards


def _of_customer(
    decisions: Sequence[Decided],
    happened: Mapping[tuple[str, int], Sequence[Happening]],
    events: Sequence[Occurrence],
    config: Config,
    as_of: int,
) -> list[Reward]:
    window = round(config.reward.window_days * DAY)
    evidence = {
        (item.decision_id, item.rank): _activated_by(happened.get((item.decision_id, item.rank), ()))
        for item in decisions
        if item.send_at is not None
    }
    contacts = [item for item in decisions if evidence.get((item.decision_id, item.rank)) is not None]
    contacts.sort(key=lambda item: (-_sent(item), item.decision_id, item.rank))
    credited: dict[tuple[str, int], list[Occurrence]] = defaultdict(list)
    for event in events:
        found = _credit(event, contacts, window, config)
        if found is not None:
            credited[found.decision_id, found.rank].append(event)
    accepted, value_event = goal_events(config)
    times = [event.occurred_at for event in events]
    rewards = []
    for item in decisions:
        key = (item.decision_id, item.rank)
        begins = item.decided_at if item.send_at is None else item.send_at
        activated_by = evidence.get(key)
        mature = begins + window <= as_of
        parts: dict[str, float] = {}
        if activated_by is not None:
            own = tuple(outcome for outcome in happened.get(key, ()) if outcome.occurred_at < begins + window)
            parts = _parts(item, own, credited.get(key, ()), config, mature=mature)
        alike = events[bisect_left(times, item.decided_at) : bisect_left(times, item.decided_at + window)]
        goals = [event for event in alike if event.event in accepted]
        rewards.append(
            Reward(
                decided=item,
                as_of=as_of,
                activated=activated_by is not None,
                activated_by=activated_by,
                window_ends_at=begins + window,
                mature=mature,
                reward=None if activated_by is None else fsum(parts.values()),
                parts=parts,
                credited=tuple(event.event_id for event in credited.get(key, ())),
                goal_mature=item.decided_at + window <= as_of,
                goal_count=len(goals),
                goal_value=fsum(event.value or 0.0 for event in goals),
                revenue=fsum(event.value or 0.0 for event in alike if event.event == value_event),
            )
        )
    return rewards


def _sent(item: Decided) -> int:
    return item.decided_at if item.send_at is None else item.send_at


def _activated_by(happenings: Sequence[Happening]) -> ActivatedBy | None:
    types = {item.type for item in happenings}
    if "delivered" in types:
        return "delivered"
    if "confirmed" in types:
        return "confirmed"
    return "engagement" if types & ACTIVATING else None


def _credit(event: Occurrence, contacts: Sequence[Decided], window: int, config: Config) -> Decided | None:
    """The first of the contacts, latest first, that may have the event."""
    goal = config.reward.goal
    if goal not in {"accept", "revenue"} or (goal == "revenue" and event.event != config.goals.value.value_event):
        return None
    first = bisect_left(contacts, -event.occurred_at, key=lambda item: -_sent(item))
    for item in contacts[first:]:
        if event.occurred_at >= _sent(item) + window:
            break  # all others are older
        if event.decision_id is not None and (event.decision_id, event.rank or item.rank) != (
            item.decision_id,
            item.rank,
        ):
            continue
        if event.offer_id is not None and event.offer_id != item.offer_id:
            continue
        if goal == "accept" and event.event != acceptance_of(config, item.category):
            continue
        return item
    return None


def _parts(
    item: Decided,
    happenings: Sequence[Happening],
    credited: Sequence[Occurrence],
    config: Config,
    *,
    mature: bool,
) -> dict[str, float]:
    """What one activated contact earned, by part; parts that are 0 are left out."""
    section = config.reward
    scanned = machine_clicks(happenings, item.send_at)
    people = [
        outcome
        for outcome in happenings
        if not outcome.by_machine
        and outcome.type not in {"machine_open", "machine_click"}
        and outcome.outcome_id not in scanned
    ]
    types = {outcome.type for outcome in people}
    goal = {
        "accept": float(bool(credited)),
        "revenue": fsum(event.value or 0.0 for event in credited),
        "click": float("click" in types),
        "open": float(bool(types & {"open", "click"})),  # a click shows that it was opened, images or not
    }[section.goal]
    parts = {"goal": goal}
    values: Mapping[str, float] = {str(name): worth for name, worth in section.outcome_values.items()}
    parts |= {name: values[name] for name in sorted(types & set(values))}
    machine = {outcome.type for outcome in happenings} & {"machine_open", "machine_click"}
    parts |= {name: values[name] for name in sorted(machine & set(values))}
    if mature and not credited and not types - SILENT:
        parts["default"] = section.default
    return {name: value for name, value in parts.items() if value != 0.0}
