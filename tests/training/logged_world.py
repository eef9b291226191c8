"""A simulated workspace whose service has decided for some weeks, in this process: real decisions, outcomes and events.

Every due person is asked about on their day, what they do is drawn from the world's truth, and posted as it happens.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import NAMESPACE_OID, uuid5

from foretouch.core.clock import ManualClock
from foretouch.core.decisions import DecisionRequest, SendWindow
from foretouch.core.events import CustomerEvent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.log import append_event
from foretouch.core.workspace import Workspace
from foretouch.features.initialise import initialise
from foretouch.features.online import OnlineFeatures
from foretouch.features.simulation import Simulation, data_end
from foretouch.features.simulation_replies import Contact, Replies, Reply
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake

CHANNELS = ("email", "sms")


@dataclass
class Campaign:
    """Weekly occasions of everyone, from the data's end on.

    Args:
        workspace: A simulated one.
    """

    workspace: Workspace
    decisions: int = 0
    contacts: int = 0
    _queue: list[tuple[datetime, int, Outcome | CustomerEvent]] = field(default_factory=list)
    _order: int = 0

    def run(self, days: int, follow_up: int, *, first_day: int | None = None) -> None:
        """Contacts people for some days, and lets life go on for some more."""
        replies = Replies(self.workspace.root / "truth")
        clock = ManualClock(self.workspace.clock_file)
        first = replies.days if first_day is None else first_day
        _keep_seed(self.workspace)
        with patch("foretouch.serving.runtime.decider.new_id", _ids(first)), Dataplane(self.workspace) as plane:
            intake = Intake(plane)
            for day in range(first, first + days + follow_up):
                clock.set(data_end(day))
                if day < first + days:
                    self._campaign(plane, replies, day)
                self._organic(replies, day)
                clock.set(data_end(day + 1))
                self._post(plane, intake, data_end(day + 1))

    def _campaign(self, plane: Dataplane, replies: Replies, day: int) -> None:
        due = replies.due(day)
        if not due:
            return
        begin = data_end(day)
        OnlineFeatures(self.workspace).refresh(due, begin)
        window = SendWindow(earliest=begin, latest=begin + timedelta(hours=23))
        requests = [
            DecisionRequest(
                request_id=f"weekly-{day}-{name}",
                customer_id=name,
                touchpoint="weekly",
                channels=CHANNELS,
                send_window=window,
            )
            for name in due
        ]
        for name, given in zip(due, plane.decide_many(requests), strict=True):
            assert not isinstance(given, Exception), given
            decision = json.loads(given.body)
            self.decisions += 1
            contact = None
            if decision["contact"]:
                action = decision["action"][0]
                sent_at = datetime.fromisoformat(action["send_at"])
                contact = Contact(offer_id=action["offer_id"], channel=action["channel"], sent_at=sent_at)
                self.contacts += 1
            reply = replies.occasion(name, day, begin + timedelta(hours=6), contact)
            self._book(name, day, decision["decision_id"], contact, reply)

    def _book(self, name: str, day: int, decision_id: str, contact: Contact | None, reply: Reply) -> None:
        if contact is not None:
            steps: Any = {
                "delivered" if reply.delivered else "bounced": contact.sent_at,
                "open": reply.opened_at,
                "click": reply.clicked_at,
                "unsubscribe": reply.unsubscribed_at,
            }
            for kind, at in steps.items():
                if at is not None:
                    identity = f"{decision_id}-{kind}"
                    outcome = Outcome(outcome_id=identity, decision_id=decision_id, type=kind, occurred_at=at)
                    self._later(at, outcome)
        if reply.converted_at is not None:
            shared: Any = {"customer_id": name, "channel": "web", "occurred_at": reply.converted_at}
            self._later(reply.converted_at, CustomerEvent(event_id=f"c{day}-{name}", event="conversion", **shared))
            basket = {"categories": {reply.category: reply.order_value}}
            order: Any = {"value": reply.order_value, "currency": "USD", "properties": basket}
            self._later(
                reply.converted_at, CustomerEvent(event_id=f"p{day}-{name}", event="purchase", **shared, **order)
            )

    def _organic(self, replies: Replies, day: int) -> None:
        for row in replies.organic(day).to_dict("records"):
            body: dict[str, Any] = {key: row[key] for key in ("event_id", "customer_id", "event", "channel")}
            if row["event"] == "purchase":
                body |= {"value": float(row["value"]), "currency": "USD"}
            at = row["occurred_at"].to_pydatetime()
            event = CustomerEvent(
                **body, occurred_at=at, is_bot=bool(row["is_bot"]), properties=json.loads(row["properties"])
            )
            self._later(at, event)

    def _later(self, at: datetime, item: Outcome | CustomerEvent) -> None:
        self._order += 1
        heappush(self._queue, (at, self._order, item))

    def _post(self, plane: Dataplane, intake: Intake, now: datetime) -> None:
        events = []
        while self._queue and self._queue[0][0] <= now:
            _, _, item = heappop(self._queue)
            if isinstance(item, CustomerEvent):
                events.append(item)
            else:
                assert intake.outcome(item).status == "accepted"
        plane.state.write(lambda connection: [append_event(connection, item, now) for item in events])


def _keep_seed(workspace: Workspace) -> None:
    """With the ids below: the same draws in every run, so that a test sees the same world or fails for a reason."""
    path = workspace.root / "secrets" / "seed.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("a seed for tests", encoding="utf-8")
    path.chmod(0o600)


def _ids(first: int) -> Callable[[str], str]:
    numbers = count()
    return lambda prefix: f"{prefix}_{uuid5(NAMESPACE_OID, f'{first}-{next(numbers)}').hex}"


def logged_world(
    root: Path, *, customers: int, history_days: int, days: int, follow_up: int = 8, window_days: int = 7
) -> Workspace:
    """A simulated workspace with a decision log; without a model, the policy decides by known rates.

    Args:
        root: Where.
        customers: How many people.
        history_days: Days of events before the first decision.
        days: Days with decisions; everyone is due once in seven.
        follow_up: Days afterwards.
        window_days: Of acceptance and reward; people answer within a week.
    """
    workspace = initialise(root, "simulated", simulation=Simulation(customers=customers, days=history_days)).workspace
    workspace = set_section(workspace, "goals.offer", [f"window_days = {window_days}"])
    workspace = set_section(workspace, "reward", [f"window_days = {window_days}"])
    Campaign(workspace).run(days, follow_up)
    return workspace


def set_section(workspace: Workspace, name: str, lines: Sequence[str]) -> Workspace:
    """Puts lines under a section of a workspace's configuration, before what is there, and opens it anew."""
    path = workspace.root / "foretouch.toml"
    text = path.read_text(encoding="utf-8")
    head = re.search(rf"(?m)^\[{re.escape(name)}\].*\n", text)
    keys = tuple(line.split("=")[0].strip() for line in lines)
    before, after = (text[: head.end()], text[head.end() :]) if head else (f"{text}\n[{name}]\n", "")
    own, edge, rest = after.partition("\n[")
    kept = [line for line in own.splitlines() if line.split("=")[0].strip() not in keys]
    path.write_text(before + "\n".join([*lines, *kept]) + "\n" + edge + rest, encoding="utf-8")
    return Workspace.open(workspace.root)
