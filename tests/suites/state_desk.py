"""A desk that decides on a store as the service does: counters, draw, reservation and record in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zlib import crc32

import pytest

from foretouch.core.config import ChannelSection, Config
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import DecisionRecord, DecisionRequest, FeatureSnapshot
from foretouch.core.events import Consent
from foretouch.core.offers import Catalogue, Offer, OfferCaps
from foretouch.core.policy import PolicySpec
from foretouch.core.state.connection import Connection
from foretouch.core.state.counts import recount
from foretouch.core.state.db import State
from foretouch.core.state.people import Person, add_consents, counter_snapshot, upsert_customers
from foretouch.core.stored_record import StoredRecord
from foretouch.serving.decide import DecisionInputs, decide_course
from foretouch.serving.decision.inputs import DEFAULT_POLICY
from foretouch.serving.decision.record import store_course
from foretouch.serving.runtime.draft import Draft, reservations
from foretouch.serving.runtime.log_write import DecisionWriter, Pending, Repeat, read_counters
from foretouch.serving.runtime.settings import ExperimentSet, PolicySet, Settings

NOW = datetime(2026, 5, 6, 9, 7, 30, tzinfo=UTC)
CHANNELS = ("email", "sms")


def offer(name: str, *, placement: str | None = None, category: str = "", **caps: int) -> Offer:
    """An offer on every channel."""
    return Offer(
        offer_id=name,
        name=name,
        category=category,
        channels=CHANNELS,
        value=5.0,
        placement=placement,
        caps=OfferCaps(**caps),
        purposes=("marketing", "transactional"),
    )


@dataclass
class Desk:
    """Decides under one contact policy, with offers that everybody may have, without models."""

    state: State
    policy: ContactPolicy
    offers: tuple[Offer, ...] = (offer("o1"), offer("o2"))
    prefix: str = "dec"
    numbers: Iterator[int] = field(default_factory=count)
    broken: frozenset[str] = frozenset()  # decisions whose record cannot be written

    def __post_init__(self) -> None:
        self.settings = Settings(
            config=Config(channels={name: ChannelSection() for name in CHANNELS}),
            contact_policy=self.policy,
            policies=PolicySet(policies={DEFAULT_POLICY: PolicySpec(kind="shuffle", slot_exploration=1.0)}),
            experiments=ExperimentSet(),
            catalogue=Catalogue(offers=self.offers),
        )
        self.writer = DecisionWriter(self.state)

    def register(self, *names: str, household: str | None = None, at: datetime = NOW) -> None:
        """People who consent to everything."""
        people = [Person(customer_id=name, household_id=household, time_zone="UTC") for name in names]
        consents = [
            Consent(customer_id=name, channel=channel, purpose="marketing", granted=True, at=at - timedelta(days=400))
            for name in names
            for channel in CHANNELS
        ]
        self.state.write(lambda connection: upsert_customers(connection, people))
        self.state.write(lambda connection: add_consents(connection, consents))

    def submit(self, customer: str, now: datetime = NOW, *, repeat: Repeat | None = None, **asked: Any) -> Pending:
        """Puts a decision on its way."""
        request = DecisionRequest(customer_id=customer, **asked)
        decision_id = f"{self.prefix}_{next(self.numbers)}"

        def make(counters: CounterSnapshot) -> Draft:
            inputs = self.inputs(counters, decision_id, now)
            course = decide_course(request, inputs)

            def write() -> StoredRecord:
                if decision_id in self.broken:
                    raise ValueError(decision_id)
                return store_course(request, inputs, course)

            return Draft(contacts=reservations(request, inputs, course, self.settings), write=write)

        return self.writer.submit(request, now=now, settings=self.settings, repeat=repeat, make=make)

    def decide(self, customer: str, now: datetime = NOW, **asked: Any) -> DecisionRecord:
        """One decision, logged."""
        stored = self.submit(customer, now, **asked).result().stored
        assert stored is not None
        return stored.record

    def inputs(self, counters: CounterSnapshot, decision_id: str, now: datetime) -> DecisionInputs:
        """What a decision depends on."""
        settings = self.settings
        return DecisionInputs(
            decision_id=decision_id,
            decided_at=now,
            seed=crc32(decision_id.encode()),
            features=FeatureSnapshot(known=True),
            counters=counters,
            models={},
            catalogue=settings.catalogue,
            contact_policy=settings.contact_policy,
            policies=settings.policies.policies,
            experiments=(),
            config=settings.config,
            versions=settings.versions,
            plans=settings.plans,
        )

    def counters(self, customer: str, now: datetime = NOW) -> CounterSnapshot:
        """What the rules would see now."""
        return read_counters(
            self.state.read(), DecisionRequest(customer_id=customer), now, self.settings, caps=self.state.caps
        )

    def log_counters(self, customer: str, now: datetime = NOW) -> CounterSnapshot:
        """What the log itself says, wherever caps are counted."""
        return counter_snapshot(
            self.state.read(),
            customer,
            None,
            now,
            self.policy,
            offers=self.settings.capped_offers,
            asked=self.settings.asked,
            evidence=tuple(self.settings.offers_by_id),
        )


def contacted(records: Sequence[DecisionRecord]) -> int:
    return sum(len(record.action) for record in records)


def counters_of(state: State) -> list[tuple[str, str, int, int]]:
    return [
        tuple(row)
        for row in state.read().execute(
            "SELECT scope, name, bucket, contacts FROM counters WHERE contacts <> 0 ORDER BY scope, name, bucket"
        )
    ]


def counted_from_scratch(state: State) -> list[tuple[str, str, int, int]]:
    class Undo(Exception):  # noqa: N818 - takes the recount back
        pass

    found: list[tuple[str, str, int, int]] = []

    def job(connection: Connection) -> None:
        recount(connection)
        rows = connection.execute(
            "SELECT scope, name, bucket, contacts FROM counters WHERE contacts <> 0 ORDER BY scope, name, bucket"
        )
        found.extend(tuple(row) for row in rows)
        raise Undo

    with pytest.raises(Undo):
        state.write(job)
    return found
