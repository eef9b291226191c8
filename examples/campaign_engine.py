"""A small campaign engine for a simulated workspace: the example of how to integrate.

Every simulated day it

1. picks the customers who are due,
2. asks Foretouch over HTTP whether, with what, on which channel and when to contact each of them,
3. contacts whom it is told to contact, and nobody else; where it asked with ``defer_activation`` it first confirms the
   reservation, and does not send if a rule forbids it by now; a message that it cannot send after all it releases,
4. posts back what happened: delivery, opens, clicks and unsubscriptions with the decision's id, and everything people
   did (page views, forms, orders, conversions) as events, for contacted and uncontacted people alike,
5. moves the workspace's clock on.

What people do is drawn from the simulated world's truth (``Replies``): that class is the "real life" here, and the only
part that you would not write. Run it again after an interruption: request, outcome and event ids are the same, so the
service answers what it answered before and stores nothing twice.

    python examples/campaign_engine.py --workspace .demo/simulated --url http://127.0.0.1:8001 --days 14
"""

import argparse
import http.client
import json
import shlex
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock_time
from heapq import heappop, heappush
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pandas as pd

from foretouch.core.clock import ManualClock
from foretouch.features.simulation import data_end
from foretouch.features.simulation_replies import Contact, Replies, Reply

CHANNELS = ["email", "sms"]
TOUCHPOINT = "weekly"
ATTEMPTS = 5
RETRIED = {408, 429, 500, 502, 503, 504}
BATCH = 100
PLACEMENTS = ["hero", "footer"]
DEFERRED = 4
"""Of those asked one by one, one in so many is asked by GET and with ``defer_activation``."""
UNUSABLE = 97
"""One contact in about so many cannot be sent after all."""
ONE_BY_ONE = 20
"""Customers a day who are asked about one at a time; a quarter of them twice, as after a time-out."""

Json = dict[str, Any]


class Service:
    """Foretouch over HTTP, with one connection that is kept open.

    A call that fails is made again with the same body. That is safe: ``request_id``, ``outcome_id`` and ``event_id``
    make every call repeatable.

    Args:
        url: Where the service is.
        key: An API key.
    """

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self.connection: http.client.HTTPConnection | None = None
        self.retries = 0

    def settle(self, reservation_id: str, word: str) -> bool:
        """Confirms or releases a reservation; False when Foretouch says no (409): then do not send."""
        path = f"/v1/reservations/{quote(reservation_id)}:{word}"
        return (
            self.call("POST", path, accepted=(409,)).get("status") == {"confirm": "sent", "release": "released"}[word]
        )

    def call(self, method: str, path: str, body: Json | None = None, accepted: Sequence[int] = ()) -> Json:
        """The answer to one call.

        Args:
            method: GET or POST.
            path: With its query.
            body: As JSON; none is no body.
            accepted: Statuses of refusals that are an answer, too.

        Raises:
            RuntimeError: The service refused it, or could not be reached in five attempts.
        """
        data = None if body is None else json.dumps(body).encode()
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.retries += 1
                time.sleep(0.2 * 2**attempt)
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
                self.connection.request(method, path, data, self.headers)
                response = self.connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.connection = None
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status < 300 or response.status in accepted:
                answer: Json = json.loads(text)
                return answer
            problem = f"{response.status} {text[:300]!r}"
            if response.status not in RETRIED:
                break
        raise RuntimeError(f"{method} {path}: {problem}")


@dataclass
class Promises:
    """Our own book of what must never happen, kept apart from the service's.

    It knows the consents and past sends of the workspace's tables, what people withdrew since, and the contact policy
    as it is written; every contact is checked against it before it goes out.
    """

    quiet: list[tuple[clock_time, clock_time]]
    caps: list[tuple[int, float]]
    gap: timedelta
    consents: dict[tuple[str, str], bool]
    contacts: dict[str, list[datetime]]
    broken: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, workspace: Path, ids: set[str]) -> "Promises":
        """Read from a workspace's files."""
        policy = tomllib.loads((workspace / "contact_policy.toml").read_text(encoding="utf-8"))
        consents = pd.read_parquet(workspace / "data" / "consents.parquet").sort_values("at", kind="stable")
        consents = consents[(consents["purpose"] == "marketing") & consents["customer_id"].isin(ids)]
        touches = pd.read_parquet(workspace / "data" / "touches.parquet", columns=["customer_id", "sent_at"])
        contacts: dict[str, list[datetime]] = defaultdict(list)
        for customer, sent_at in touches[touches["customer_id"].isin(ids)].itertuples(index=False):
            contacts[customer].append(sent_at.to_pydatetime())
        rows = consents[["customer_id", "channel", "granted"]].itertuples(index=False)
        return cls(
            quiet=[(rule["start"], rule["end"]) for rule in policy.get("quiet_hours", [])],
            caps=[(rule["limit"], rule["days"]) for rule in policy.get("caps", []) if rule["scope"] == "customer"],
            gap=timedelta(hours=policy.get("minimum_gap_hours", 0.0)),
            consents={(customer, channel): bool(granted) for customer, channel, granted in rows},
            contacts=contacts,
        )

    def check(self, customer: str, contact: Contact, local: datetime, asked_at: datetime) -> None:
        """Counts every promise that this contact would break, and books it."""
        earlier = self.contacts[customer]
        if not self.consents.get((customer, contact.channel), False):
            self.broken["consent"] += 1
        if any(_within(local.time(), start, end) for start, end in self.quiet):
            self.broken["quiet hours"] += 1
        for limit, days in self.caps:
            if sum(contact.sent_at - at < timedelta(days=days) for at in earlier) >= limit:
                self.broken["cap"] += 1
        if any(abs(contact.sent_at - at) < self.gap for at in earlier):
            self.broken["gap"] += 1
        if not asked_at <= contact.sent_at < asked_at + timedelta(days=1):
            self.broken["send window"] += 1
        earlier.append(contact.sent_at)


def _within(at: clock_time, start: clock_time, end: clock_time) -> bool:
    return start <= at < end if start <= end else at >= start or at < end


@dataclass
class Counts:
    """What the engine did."""

    decisions: int = 0
    contacts: int = 0
    status: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    events: int = 0
    conversions: int = 0
    refused: int = 0
    repeats: int = 0
    repeats_identical: int = 0
    confirmed: int = 0
    released: int = 0
    not_confirmed: int = 0
    placements: Counter[str] = field(default_factory=Counter)
    one_by_one_ms: list[float] = field(default_factory=list)

    def summary(self, engine: "Engine") -> Json:
        """As JSON."""
        times = sorted(self.one_by_one_ms)
        return {
            "origin": "simulated",
            "customers": len(engine.customers),
            "decisions": self.decisions,
            "by_status": dict(self.status),
            "contacts": self.contacts,
            "outcomes": dict(self.outcomes),
            "events": self.events,
            "conversions": self.conversions,
            "refused_by_service": self.refused,
            "repeated_requests": self.repeats,
            "repeated_answers_identical": self.repeats_identical,
            "reservations": {
                "confirmed": self.confirmed,
                "released": self.released,
                "refused_by_now": self.not_confirmed,
            },
            "placements_filled": dict(self.placements),
            "http_retries": engine.service.retries,
            "broken_promises": dict(engine.promises.broken),
            "decision_ms_median": round(times[len(times) // 2], 1) if times else None,
        }


class Engine:
    """The campaign: one pass over simulated days.

    Args:
        workspace: Folder of the simulated workspace.
        service: Its service.
        customers: How many people take part; None is all.
    """

    def __init__(self, workspace: Path, service: Service, customers: int | None = None) -> None:
        self.service = service
        self.replies = Replies(workspace / "truth")
        self.clock = ManualClock(workspace / "clock.json")
        everyone = [str(name) for name in self.replies.people.customer_id]
        self.customers = set(everyone[:customers])
        self.promises = Promises.of(workspace, self.customers)
        self.counts = Counts()
        self._queue: list[tuple[datetime, int, str, Json]] = []
        self._deferred: set[str] = set()
        self._order = 0

    def run(
        self, days: int, follow_up: int, first_day: int | None = None, weekly: Sequence[Sequence[str]] = ()
    ) -> Json:
        """Runs the campaign, then lets life go on without it, so that late conversions are seen.

        Args:
            days: Days on which customers are contacted.
            follow_up: Days afterwards.
            first_day: Day of the world on which it begins; None is right after the data.
            weekly: Commands to run after every seventh day, as a scheduler would.
        """
        first = self.replies.days if first_day is None else first_day
        for day in range(first, first + days + follow_up):
            self.clock.set(data_end(day))
            if day < first + days:
                self._campaign(day)
            self._organic(day)
            self.clock.set(data_end(day + 1))
            self._post_until(data_end(day + 1))
            if (day - first) % 7 == 6 and day + 1 < first + days:
                for command in weekly:
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            print(
                f"\r  day {day - first + 1} of {days + follow_up}: {self.counts.decisions} decisions, "
                f"{self.counts.contacts} contacts, {self.counts.conversions} conversions ",
                end="",
                flush=True,
                file=sys.stderr,
            )
        print(file=sys.stderr)
        return self.counts.summary(self)

    def _campaign(self, day: int) -> None:
        due = [name for name in self.replies.due(day) if name in self.customers]
        if due:
            self._show_page(due[0])
        for customer, decision in self._ask(due, day):
            self.counts.decisions += 1
            self.counts.status[decision["status"]] += 1
            contact = self._contact(customer, decision, day)
            # Nobody is left out: who is not contacted has an occasion, too, and may convert all the same.
            reply = self.replies.occasion(customer, day, data_end(day) + timedelta(hours=6), contact)
            self._book(customer, day, decision["decision_id"], contact, reply)

    def _ask(self, customers: Sequence[str], day: int) -> Iterator[tuple[str, Json]]:
        """A decision for each customer: some one by one, the rest in batches."""
        for index, customer in enumerate(customers[:ONE_BY_ONE]):
            started = time.perf_counter()
            if index % DEFERRED == 1:
                yield customer, self._ask_by_get(customer, day)
                continue
            decision = self.service.call("POST", "/v1/decisions", self._request(customer, day))
            self.counts.one_by_one_ms.append((time.perf_counter() - started) * 1000)
            if index % 4 == 0:
                again = self.service.call("POST", "/v1/decisions", self._request(customer, day))
                self.counts.repeats += 1
                self.counts.repeats_identical += again == decision
            yield customer, decision
        rest = customers[ONE_BY_ONE:]
        for start in range(0, len(rest), BATCH):
            part = rest[start : start + BATCH]
            body = {"requests": [self._request(customer, day) for customer in part]}
            results = self.service.call("POST", "/v1/decisions:batch", body)["results"]
            for customer, result in zip(part, results, strict=True):
                if "decision" in result:
                    yield customer, result["decision"]
                else:
                    self.counts.refused += 1

    def _ask_by_get(self, customer: str, day: int) -> Json:
        """The same question as a query string, for engines that can only GET; we may yet decide not to send."""
        asked = self._request(customer, day)
        query = {
            "request_id": asked["request_id"],
            "customer_id": customer,
            "channels": ",".join(CHANNELS),
            "earliest": asked["send_window"]["earliest"],
            "latest": asked["send_window"]["latest"],
            "defer_activation": "true",
        }
        decision = self.service.call("GET", f"/v1/touchpoints/{TOUCHPOINT}/decision?{urlencode(query)}")
        self._deferred |= {action["reservation_id"] for action in decision["action"]}
        return decision

    def _show_page(self, customer: str) -> None:
        """A page with two places: an offer is shown in one of them at most. A dry run: nothing is kept."""
        body = {
            "customer_id": customer,
            "touchpoint": "page",
            "channels": CHANNELS,
            "placements": PLACEMENTS,
            "options": {"dry_run": True},
        }
        actions = self.service.call("POST", "/v1/decisions", body)["action"]
        offers = [action["offer_id"] for action in actions]
        if len(offers) > len(set(offers)):
            self.promises.broken["offer shown twice"] += 1
        self.counts.placements.update(action["placement"] for action in actions)

    def _request(self, customer: str, day: int) -> Json:
        begin = data_end(day)
        return {
            "request_id": f"weekly-{day}-{customer}",
            "customer_id": customer,
            "touchpoint": TOUCHPOINT,
            "purpose": "marketing",
            "channels": CHANNELS,
            "send_window": {"earliest": begin.isoformat(), "latest": (begin + timedelta(hours=23)).isoformat()},
        }

    def _contact(self, customer: str, decision: Json, day: int) -> Contact | None:
        """The message that goes out: exactly what the decision says, or nothing."""
        if not decision["contact"]:
            return None
        action = decision["action"][0]
        if action["reservation_id"] and not self._settled(customer, action["reservation_id"], day):
            return None
        contact = Contact(
            offer_id=action["offer_id"], channel=action["channel"], sent_at=datetime.fromisoformat(action["send_at"])
        )
        local = contact.sent_at.astimezone(self.replies.zone(customer))
        self.promises.check(customer, contact, local, data_end(day))
        self.counts.contacts += 1
        return contact

    def _settled(self, customer: str, reservation_id: str, day: int) -> bool:
        """Says whether the message goes out, and learns whether it may.

        Confirming is needed only after ``defer_activation``; elsewhere the delivery says it all. A small share of
        addresses turns out to be unusable just before the send: these are released, and their places are free again.
        """
        if (day + len(customer) + ord(customer[-1])) % UNUSABLE == 0:
            self.counts.released += self.service.settle(reservation_id, "release")
            return False
        if reservation_id in self._deferred:
            self._deferred.discard(reservation_id)
            if not self.service.settle(reservation_id, "confirm"):
                self.counts.not_confirmed += 1
                return False
            self.counts.confirmed += 1
        return True

    def _book(self, customer: str, day: int, decision_id: str, contact: Contact | None, reply: Reply) -> None:
        """Queues what will be posted when its time has come."""
        if contact is not None:
            steps = {
                "delivered" if reply.delivered else "bounced": contact.sent_at,
                "open": reply.opened_at,
                "click": reply.clicked_at,
                "unsubscribe": reply.unsubscribed_at,
            }
            for kind, at in steps.items():
                if at is not None:
                    body = {"outcome_id": f"{decision_id}-{kind}", "decision_id": decision_id, "type": kind}
                    self._later(at, "outcomes", body)
                if kind == "unsubscribe" and at is not None:
                    self.promises.consents[customer, contact.channel] = False
        if reply.converted_at is not None:
            # A goal is an event, posted for everybody: it comes from the shop and knows nothing of campaigns.
            self.counts.conversions += 1
            event = {"customer_id": customer, "channel": "web"}
            order = {"value": reply.order_value, "currency": "USD"}
            basket = {"properties": {"categories": {reply.category: reply.order_value}}}
            self._later(
                reply.converted_at, "events", {**event, "event_id": f"c{day}-{customer}", "event": "conversion"}
            )
            purchase = {**event, **order, **basket, "event_id": f"p{day}-{customer}", "event": "purchase"}
            self._later(reply.converted_at, "events", purchase)

    def _organic(self, day: int) -> None:
        for row in self.replies.organic(day, sorted(self.customers)).to_dict("records"):
            body = {name: row[name] for name in ("event_id", "customer_id", "event", "channel")}
            body |= {"is_bot": bool(row["is_bot"]), "properties": json.loads(row["properties"])}
            if row["event"] == "purchase":
                body |= {"value": float(row["value"]), "currency": "USD"}
            self._later(row["occurred_at"].to_pydatetime(), "events", body)

    def _later(self, at: datetime, kind: str, body: Json) -> None:
        self._order += 1
        heappush(self._queue, (at, self._order, kind, {**body, "occurred_at": at.isoformat()}))

    def _post_until(self, now: datetime) -> None:
        """Posts everything that has happened by now, in the order in which it happened."""
        ready: dict[str, list[Json]] = {"outcomes": [], "events": []}
        while self._queue and self._queue[0][0] <= now:
            _, _, kind, body = heappop(self._queue)
            ready[kind].append(body)
        for kind, items in ready.items():
            for start in range(0, len(items), 500):
                part = items[start : start + 500]
                answer = self.service.call("POST", f"/v1/{kind}", {kind: part})
                self.counts.refused += answer["counts"]["refused"] + answer["counts"]["quarantined"]
        self.counts.events += len(ready["events"])
        self.counts.outcomes.update(item["type"] for item in ready["outcomes"])


def main() -> None:
    """Runs a campaign from the command line."""
    parser = argparse.ArgumentParser(description="A simulated campaign against a running Foretouch service.")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key-file", type=Path, help="default: secrets/api.key of the workspace")
    parser.add_argument("--days", type=int, default=14, help="days with contacts")
    parser.add_argument("--follow-up", type=int, default=7, help="days afterwards, so that late conversions are seen")
    parser.add_argument("--first-day", type=int, help="day of the world; default: right after the data")
    parser.add_argument("--customers", type=int, help="how many take part; default: all")
    parser.add_argument(
        "--weekly",
        action="append",
        default=[],
        help="command after every seventh day, e.g. 'foretouch features build …'",
    )
    parser.add_argument("--out", type=Path, help="write the counts here as JSON")
    given = parser.parse_args()
    key = (given.key_file or given.workspace / "secrets" / "api.key").read_text(encoding="utf-8").strip()
    engine = Engine(given.workspace, Service(given.url, key), given.customers)
    weekly = [shlex.split(command) for command in given.weekly]
    summary = engine.run(given.days, given.follow_up, given.first_day, weekly)
    text = json.dumps(summary, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    if sum(engine.promises.broken.values()) or summary["repeated_requests"] != summary["repeated_answers_identical"]:
        raise SystemExit("a promise was broken, see broken_promises and repeated_answers_identical above")


if __name__ == "__main__":
    main()
