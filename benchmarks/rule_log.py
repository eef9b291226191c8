"""What the decision log and the raw inputs say, read for the judge of the rules without anything that decides."""

import datetime as dt
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from foretouch.core.stored_record import read_fields

Json = Any
Told = tuple[dt.datetime, dt.datetime, str]
"""An outcome: received at, occurred at, type."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SENT = frozenset(
    {"confirmed", "delivered", "open", "machine_open", "click", "machine_click", "unsubscribe", "complaint"}
)
"""Outcomes that show that a contact went out; a goal alone is none."""
NOT_SENT = frozenset({"released", "bounced", "reject"})
ANSWERED = frozenset({"open", "click", "convert", "revenue"})
MACHINES = {"open": "machine_open", "click": "machine_click"}
"""What a person's answer becomes where the outcome says itself that a machine gave it."""


@dataclass(kw_only=True)
class Contact:
    """One contact as the log tells it."""

    decision_id: str
    rank: int
    customer_id: str
    household_id: str | None
    offer_id: str
    category: str
    channel: str
    placement: str | None
    at: dt.datetime
    decided_at: dt.datetime
    reserved: bool
    """Whether it counted from its decision on; else it counts from its delivery on."""
    outcomes: list[Told] = field(default_factory=list)
    """In the order in which they came."""

    def counts(self, now: dt.datetime, expires_hours: float | None) -> bool:
        """Whether it counts against caps, gaps and as a contact that nobody answered, at ``now``.

        What is known to have gone out counts, whatever else was reported and whether it had been reserved or not. Of
        the rest only what was reserved, was not given back, and has not lapsed.
        """
        kinds = [kind for received, _, kind in self.outcomes if received <= now]
        if any(kind in SENT for kind in kinds):
            return True
        if not self.reserved or any(kind in NOT_SENT for kind in kinds):
            return False
        return expires_hours is None or now < self.at + dt.timedelta(hours=expires_hours)

    def answered(self, now: dt.datetime) -> bool:
        """Whether a person is known to have answered it at ``now``."""
        return any(kind in ANSWERED and received <= now for received, _, kind in self.outcomes)


class Rules:
    """The configuration that one decision was made under, as plain JSON."""

    def __init__(self, policy: Json, config: Json, offers: Json, engagement: Json) -> None:
        self.policy = policy
        self.config = config
        self.offers = {offer["offer_id"]: offer for offer in offers["offers"]}
        self.engagement = engagement.get("rules", [])
        self.default_zone = policy["default_time_zone"]
        self.gap = dt.timedelta(hours=policy["minimum_gap_hours"])
        self.expires_hours = policy.get("reservation_hours", 72.0)


class Log:
    """The log of a workspace, and the tables that its decisions looked at.

    Args:
        database: The workspace's ``state.db``.
    """

    def __init__(self, database: Path) -> None:
        self.connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        self._known: dict[tuple[str, ...], Rules] = {}
        self._zones: dict[str, ZoneInfo] = {}
        self.people = {
            row[0]: {"household": row[1], "zone": row[2], "language": row[3], "attributes": json.loads(row[4])}
            for row in self.connection.execute(
                "SELECT customer_id, household_id, time_zone, language, attributes FROM customers"
            )
        }
        self.consents = self._consents()
        self.outcomes = self._outcomes()
        self.lists = self._lists()

    def close(self) -> None:
        """Lets go of the file."""
        self.connection.close()

    def decisions(self) -> Iterator[Json]:
        """Every decision as it was logged, in the log's order."""
        for (line,) in self.connection.execute("SELECT record FROM decisions ORDER BY sequence"):
            yield read_fields(line)

    def rules(self, entry: Json) -> Rules:
        """What a decision was made under."""
        versions = entry["versions"]
        key = tuple(versions.get(name, "") for name in ("contact_policy", "config", "offers", "engagement"))
        if key not in self._known:
            self._known[key] = Rules(*({} if not digest else json.loads(self._artifact(digest)) for digest in key))
        return self._known[key]

    def zone(self, name: str) -> ZoneInfo:
        """A time zone.

        Raises:
            KeyError, ValueError: There is none of that name.
        """
        if name not in self._zones:
            self._zones[name] = ZoneInfo(name)
        return self._zones[name]

    def _consents(self) -> Mapping[tuple[str, str, str], list[tuple[dt.datetime, dt.datetime, bool]]]:
        """When each was given or withdrawn, from when that was known, and which; the newest of the first last."""
        found: dict[tuple[str, str, str], list[tuple[dt.datetime, dt.datetime, bool]]] = defaultdict(list)
        for who, channel, purpose, at, known, granted in self.connection.execute(
            # What an outcome withdrew is known from when it was received, and as old as what the customer did.
            "SELECT c.customer_id, c.channel, c.purpose, c.at, CASE WHEN c.source LIKE 'outcome:%' THEN"
            " COALESCE((SELECT MIN(o.received_at) FROM outcomes o WHERE o.customer_id = c.customer_id"
            " AND o.type = substr(c.source, 9) AND o.received_at >= c.at), c.at) ELSE c.at END AS known, c.granted"
            " FROM consents c ORDER BY c.at"
        ):
            found[who, channel, purpose].append((moment(at), moment(known), bool(granted)))
        return found

    def _outcomes(self) -> Mapping[tuple[str, int], list[Told]]:
        found: dict[tuple[str, int], list[Told]] = defaultdict(list)
        for (body,) in self.connection.execute("SELECT body FROM outcomes ORDER BY sequence"):
            line = json.loads(body)
            received = dt.datetime.fromisoformat(line["received_at"])
            occurred = dt.datetime.fromisoformat(line["occurred_at"])
            kind = MACHINES.get(line["type"], line["type"]) if line.get("is_bot") else line["type"]
            found[line["decision_id"], line.get("rank", 1)].append((received, occurred, kind))
        return found

    def _lists(self) -> Mapping[str, list[Json]]:
        found: dict[str, list[Json]] = defaultdict(list)
        names = {row[0] for row in self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "suppressions" in names:
            cursor = self.connection.execute("SELECT * FROM suppressions")
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                line = dict(zip(columns, row, strict=True))
                found[line["customer_id"]].append(line)
        return found

    def _artifact(self, digest: str) -> bytes:
        row = self.connection.execute("SELECT body FROM artifacts WHERE sha256 = ?", (digest,)).fetchone()
        body: bytes = row[0]
        return body


def moment(micros: int) -> dt.datetime:
    """A stored time, in microseconds, as one."""
    return EPOCH + dt.timedelta(microseconds=int(micros))
