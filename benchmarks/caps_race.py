"""Fifty writers at once on each store of the state, and then, from the log alone, whether any cap was ever exceeded.

``PYTHONPATH=. python benchmarks/caps_race.py [--stores sqlite,postgres,redis] [--writers 50] [--requests 2000]``

Several processes decide for the same few people, far more often than the caps allow, as the service does: counters,
rules, draw, reservation and record in one step. SQLite and Postgres keep one log that the processes share. For Redis
every process has a log file of its own, so that nothing but Redis keeps them apart. The checker reads the decisions'
records and knows nothing of the rules' code: it counts, in every window that ends at a contact, what the caps count.
"""

import argparse
import bisect
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from result import write

from foretouch.core.contact import Cap, ContactPolicy
from foretouch.core.state.caps import GENERATION
from foretouch.core.state.connection import stream
from foretouch.core.state.db import State
from foretouch.core.state.postgres import PostgresDatabase
from foretouch.core.state.redis_caps import RedisCaps
from foretouch.core.stored_record import read_fields
from tests.suites.state_desk import NOW, Desk, offer
from tests.suites.state_servers import postgres_server, redis_server

PEOPLE, HOUSEHOLD = 240, 4
DAYS = 3.0
POLICY = ContactPolicy(
    caps=(
        Cap(rule="own", limit=3, days=1.0),
        Cap(rule="house", scope="household", limit=7, days=1.0),
        Cap(rule="sms", scope="channel", channels=("sms",), limit=1, days=1.0),
        Cap(rule="everyone", scope="total", limit=450, days=1.0),
        Cap(rule="month", scope="total", limit=1200, calendar="month"),
        Cap(rule="sms_a_day", scope="total", channels=("sms",), limit=60, calendar="day"),
    ),
    reservation_hours=None,
)
OFFERS = (offer("o1", total=300, per_customer=2), offer("o2", per_day=120), offer("o3"))
Kind = Literal["sqlite", "postgres", "redis"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgres", "redis")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one process keeps its state: a file or a url, and the url and generation of a store of caps."""

    log: str
    caps: str | None = None
    generation: str | None = None

    def open(self) -> State:
        """The state of one process."""
        if self.log.startswith("postgresql"):
            return State(PostgresDatabase(self.log))
        return State(Path(self.log), caps=None if self.caps is None else RedisCaps(self.caps, name="race"))


@contextmanager
def places(kind: Kind, processes: int) -> Iterator[list[Place]]:
    """A place for each process."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="race")))
        if kind == "sqlite":
            yield [Place(log=str(folder / "state.db"))] * processes
        elif kind == "postgres":
            yield [Place(log=stack.enter_context(postgres_server()).fresh())] * processes
        else:
            server = stack.enter_context(redis_server())
            store = RedisCaps(server.url, name="race")
            generation = store.rebuild([], "race")
            store.close()
            yield [
                Place(log=str(folder / f"state-{number}.db"), caps=server.url, generation=generation)
                for number in range(processes)
            ]


def prepare(place: Place) -> None:
    """People who consent, and the generation of the store."""
    with place.open() as state:
        desk = Desk(state, POLICY, offers=OFFERS)
        for first in range(0, PEOPLE, HOUSEHOLD):
            desk.register(*(f"p{first + member}" for member in range(HOUSEHOLD)), household=f"h{first}")
        if place.generation is not None:
            row = (GENERATION, place.generation)
            state.write(lambda connection: connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", row))


def decide_often(place: Place, number: int, writers: int, requests: int, told: Any) -> None:
    """One process: its writers decide one after the other, each waiting for its answer."""
    with place.open() as state:
        desk = Desk(state, POLICY, offers=OFFERS, prefix=f"d{number}")

        def one(writer: int) -> list[float]:
            waits = []
            for index in range(requests):
                at = NOW + timedelta(days=DAYS * index / requests)
                began = time.perf_counter()
                desk.submit(f"p{(writer * 7919 + index * 31) % PEOPLE}", at).result(600.0)
                waits.append(time.perf_counter() - began)
            return waits

        with ThreadPoolExecutor(writers) as pool:
            waits = sorted(wait for part in pool.map(one, range(writers)) for wait in part)
    told.put((waits[len(waits) // 2], waits[int(len(waits) * 0.99)]))


@dataclass(frozen=True)
class Sent:
    """One contact, as a decision's record tells of it."""

    customer: str
    household: str
    offer: str
    channel: str
    at: datetime


def read_log(place: Place) -> tuple[int, list[Sent], Counter[str]]:
    """How many decisions the log has, their contacts, and how many could not use the counters of caps, by cause."""
    sent: list[Sent] = []
    decisions, unusable = 0, Counter[str]()
    with place.open() as state:
        for (body,) in stream(state.read(), "SELECT record FROM decisions ORDER BY sequence"):
            record = read_fields(body, candidates=False)
            decisions += 1
            trouble = record["counters"].get("caps_error")
            if trouble is not None:
                unusable["moved" if "moved" in trouble else "late" if "cannot be read" in trouble else "gone"] += 1
            sent += [
                Sent(
                    customer=record["customer_id"],
                    household=record["counters"]["household_id"],
                    offer=action["offer_id"],
                    channel=action["channel"],
                    at=datetime.fromisoformat(action["send_at"]),
                )
                for action in record["action"]
            ]
    return decisions, sent, unusable


def most(sent: Sequence[Sent], key: Callable[[Sent], object], window: timedelta | None) -> int:
    """The most contacts of one key in any half-open window of that length; None is all time."""
    groups: dict[object, list[datetime]] = defaultdict(list)
    for contact in sent:
        groups[key(contact)].append(contact.at)
    found = 0
    for times in groups.values():
        times.sort()
        if window is None:
            found = max(found, len(times))
        else:
            found = max(found, *(last + 1 - bisect.bisect_right(times, at - window) for last, at in enumerate(times)))
    return found


def check(sent: Sequence[Sent]) -> dict[str, dict[str, int]]:
    """Per cap its limit and the most that was ever sent in one window."""
    day = timedelta(days=1)
    first, second = ([contact for contact in sent if contact.offer == name] for name in ("o1", "o2"))
    found = {
        "own": (3, most(sent, lambda contact: contact.customer, day)),
        "house": (7, most(sent, lambda contact: contact.household, day)),
        "sms": (1, most([contact for contact in sent if contact.channel == "sms"], lambda one: one.customer, day)),
        "everyone": (450, most(sent, lambda _: 0, day)),
        "sms_a_day": (60, most([one for one in sent if one.channel == "sms"], lambda one: one.at.date(), None)),
        "month": (1200, most(sent, lambda contact: (contact.at.year, contact.at.month), None)),
        "offer_total": (300, most(first, lambda _: 0, None)),
        "offer_per_customer": (2, most(first, lambda contact: contact.customer, None)),
        "offer_per_day": (120, most(second, lambda contact: contact.at.date(), None)),
    }
    return {name: {"limit": limit, "most": seen} for name, (limit, seen) in found.items()}


def race(kind: Kind, *, writers: int, requests: int, processes: int) -> dict[str, Any]:
    """Runs one store and checks its log."""
    context = multiprocessing.get_context("fork")  # what is imported is imported once; no thread is running here
    with places(kind, processes) as found:
        for place in dict.fromkeys(found):
            prepare(place)
        told = context.SimpleQueue()
        share = writers // processes
        crew = [
            context.Process(target=decide_often, args=(place, number, share, requests, told))
            for number, place in enumerate(found)
        ]
        began = time.perf_counter()
        for process in crew:
            process.start()
        for process in crew:
            process.join()
        seconds = time.perf_counter() - began
        if any(process.exitcode for process in crew):
            raise RuntimeError(f"{kind}: a writer failed")
        waits = [told.get() for _ in crew]
        logs = [read_log(place) for place in dict.fromkeys(found)]
    sent = [contact for _, contacts, _ in logs for contact in contacts]
    decisions = sum(count for count, _, _ in logs)
    caps = check(sent)
    return {
        "writers": share * processes,
        "processes": processes,
        "logs": len(logs),
        "decisions": decisions,
        "expected_decisions": share * processes * requests,
        "contacts": len(sent),
        "answered_without_caps": sum(causes.total() for _, _, causes in logs),
        "answered_without_caps_by_cause": dict(sum((causes for _, _, causes in logs), Counter[str]())),
        "seconds": seconds,
        "decisions_per_second": decisions / seconds,
        "wait_ms_p50_of_the_slowest_process": 1000.0 * max(half for half, _ in waits),
        "wait_ms_p99_of_the_slowest_process": 1000.0 * max(late for _, late in waits),
        "caps": caps,
        "exceeded": sorted(name for name, cap in caps.items() if cap["most"] > cap["limit"]),
    }


def main() -> int:
    """Runs the stores that are asked for; 1 when a cap was exceeded or a decision is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", default=",".join(KINDS))
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    began = time.perf_counter()
    figures: dict[str, Any] = {}
    for kind in KINDS:
        if kind in asked.stores.split(","):
            figures[kind] = race(
                kind, writers=asked.writers, requests=asked.requests, processes=min(asked.processes, asked.writers)
            )
            print(json.dumps({kind: figures[kind]}), flush=True)
    if asked.out is not None:
        command = f"PYTHONPATH=. python benchmarks/caps_race.py --writers {asked.writers} --requests {asked.requests}"
        write(asked.out, "caps-race", command=command, seconds=time.perf_counter() - began, figures={"stores": figures})
    wrong = [
        kind
        for kind, found in figures.items()
        if found["exceeded"] or found["decisions"] != found["expected_decisions"]
    ]
    print(f"exceeded or missing: {wrong or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
