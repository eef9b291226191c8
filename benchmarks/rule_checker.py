"""An independent judge of the rules: reads the decision log and the raw inputs, and names every broken promise.

It imports nothing that decides. Each rule is written here a second time, from its description in ``docs/rules.md``,
over plain values, as slowly and plainly as can be: what a contact was, what was known when it was decided, and what
else was planned at that time. It judges every action on its own, against the contacts decided before it.

    python benchmarks/rule_checker.py WORKSPACE
"""

import datetime as dt
import json
import sqlite3
import sys
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from foretouch.core.expressions import compile_expression
from foretouch.core.stored_record import read_fields

Json = Any
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SENT = {"delivered", "open", "machine_open", "click", "machine_click", "unsubscribe", "complaint", "convert", "revenue"}
NOT_SENT = {"bounced", "reject"}
ANSWERED = {"open", "click", "convert", "revenue"}
WITHDRAWS = {"unsubscribe": {"marketing", "retention"}, "complaint": {"marketing", "retention", "service"}}
TIERS = ("eligibility", "applicability", "suitability")
EVERY_PURPOSE = ("marketing", "retention", "service")


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
    counts: bool
    outcomes: list[tuple[dt.datetime, dt.datetime, str]] = field(default_factory=list)
    """Received at, occurred at, type; in the order in which they came."""

    def live(self, now: dt.datetime, expires_hours: float | None) -> bool:
        """Whether it counts against caps at ``now``."""
        if not self.counts:
            return False
        kinds = [kind for received, _, kind in self.outcomes if received <= now]
        if any(kind in SENT for kind in kinds):
            return True
        if any(kind in NOT_SENT for kind in kinds):
            return False
        return expires_hours is None or now < self.at + dt.timedelta(hours=expires_hours)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken promise."""

    rule: str
    decision_id: str
    detail: str


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


class Checker:
    """Judges a log.

    Args:
        database: The workspace's ``state.db``.
    """

    def __init__(self, database: Path) -> None:
        self.connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        self.rules: dict[tuple[str, ...], Rules] = {}
        self.zones: dict[str, ZoneInfo] = {}
        self.by_customer: dict[str, list[Contact]] = defaultdict(list)
        self.by_household: dict[str, list[Contact]] = defaultdict(list)
        self.by_offer: dict[str, list[Contact]] = defaultdict(list)
        self.everyone: list[Contact] = []
        """In the order of their send times."""
        self.people = {
            row[0]: {"household": row[1], "zone": row[2], "language": row[3], "attributes": json.loads(row[4])}
            for row in self.connection.execute(
                "SELECT customer_id, household_id, time_zone, language, attributes FROM customers"
            )
        }
        self.consents = self._consents()
        self.outcomes = self._outcomes()
        self.lists = self._lists()
        self.counted = {"decisions": 0, "contacts": 0}

    def run(self) -> Iterator[Violation]:
        """Every violation in the log, in its order."""
        for (line,) in self.connection.execute("SELECT record FROM decisions ORDER BY sequence"):
            self.counted["decisions"] += 1
            yield from self._judge(read_fields(line))

    # What the log and the tables say ------------------------------------------------------------------------------

    def _consents(self) -> Mapping[tuple[str, str, str], list[tuple[dt.datetime, bool]]]:
        found: dict[tuple[str, str, str], list[tuple[dt.datetime, bool]]] = defaultdict(list)
        for who, channel, purpose, known, granted in self.connection.execute(
            # What an outcome withdrew is known from when it was received.
            "SELECT c.customer_id, c.channel, c.purpose, CASE WHEN c.source LIKE 'outcome:%' THEN"
            " COALESCE((SELECT MIN(o.received_at) FROM outcomes o WHERE o.customer_id = c.customer_id"
            " AND o.type = substr(c.source, 9) AND o.received_at >= c.at), c.at) ELSE c.at END AS known, c.granted"
            " FROM consents c ORDER BY known"
        ):
            found[who, channel, purpose].append((_time(known), bool(granted)))
        return found

    def _outcomes(self) -> Mapping[tuple[str, int], list[tuple[dt.datetime, dt.datetime, str]]]:
        found: dict[tuple[str, int], list[tuple[dt.datetime, dt.datetime, str]]] = defaultdict(list)
        for (body,) in self.connection.execute("SELECT body FROM outcomes ORDER BY sequence"):
            line = json.loads(body)
            received = dt.datetime.fromisoformat(line["received_at"])
            occurred = dt.datetime.fromisoformat(line["occurred_at"])
            if line.get("is_bot"):
                continue
            found[line["decision_id"], line.get("rank", 1)].append((received, occurred, line["type"]))
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

    def _rules(self, entry: Json) -> Rules:
        versions = entry["versions"]
        key = tuple(versions.get(name, "") for name in ("contact_policy", "config", "offers", "engagement"))
        if key not in self.rules:
            bodies = [{} if not digest else json.loads(self._artifact(digest)) for digest in key]
            self.rules[key] = Rules(*bodies)
        return self.rules[key]

    def _artifact(self, digest: str) -> bytes:
        row = self.connection.execute("SELECT body FROM artifacts WHERE sha256 = ?", (digest,)).fetchone()
        body: bytes = row[0]
        return body

    def _zone(self, name: str) -> ZoneInfo:
        if name not in self.zones:
            self.zones[name] = ZoneInfo(name)
        return self.zones[name]

    # One decision -------------------------------------------------------------------------------------------------

    def _judge(self, entry: Json) -> Iterator[Violation]:
        rules = self._rules(entry)
        decided = dt.datetime.fromisoformat(entry["decided_at"])
        request = entry["request"]
        person = self.people.get(request["customer_id"], {"household": None, "zone": None, "attributes": {}})
        household = request.get("household_id") or person["household"]
        window = request.get("send_window") or {}
        name = window.get("time_zone") or person["zone"] or rules.default_zone
        try:
            zone = self._zone(name)
        except (KeyError, ValueError):
            zone = self._zone(rules.default_zone)
        options = request.get("options") or {}
        shown: set[str] = set()
        for action in entry["action"]:
            self.counted["contacts"] += 1
            offer = rules.offers.get(action["offer_id"])
            contact = Contact(
                decision_id=entry["decision_id"],
                rank=action["rank"],
                customer_id=request["customer_id"],
                household_id=household,
                offer_id=action["offer_id"],
                category=(offer or {}).get("category", ""),
                channel=action["channel"],
                placement=action.get("placement"),
                at=dt.datetime.fromisoformat(action["send_at"]),
                decided_at=decided,
                counts=bool(options.get("reserve_caps", True)) and not options.get("defer_activation", False),
                outcomes=self.outcomes.get((entry["decision_id"], action["rank"]), []),
            )
            for rule, detail in self._broken(contact, entry, rules, offer, zone):
                yield Violation(rule=rule, decision_id=entry["decision_id"], detail=detail)
            if contact.offer_id in shown:
                yield Violation(
                    rule="twice", decision_id=entry["decision_id"], detail=f"{contact.offer_id} is in the answer twice"
                )
            shown.add(contact.offer_id)
            self._remember(contact)
        total = sum(item.get("selection_probability") or 0.0 for item in entry["candidates"])
        if abs(total - 1.0) > 1e-12:
            yield Violation(rule="probabilities", decision_id=entry["decision_id"], detail=f"they sum to {total!r}")

    def _remember(self, contact: Contact) -> None:
        self.by_customer[contact.customer_id].append(contact)
        if contact.household_id is not None:
            self.by_household[contact.household_id].append(contact)
        self.by_offer[contact.offer_id].append(contact)
        insort(self.everyone, contact, key=_sent_at)

    def _broken(
        self, contact: Contact, entry: Json, rules: Rules, offer: Json | None, zone: ZoneInfo
    ) -> Iterator[tuple[str, str]]:
        purpose = entry["purpose"]
        yield from self._when(contact, entry, rules, offer)
        yield from self._consent(contact, entry, rules, purpose)
        yield from self._offer(contact, entry, offer, purpose)
        yield from self._clock(contact, rules, purpose, zone)
        yield from self._limits(contact, rules, offer)
        if purpose not in rules.policy["purposes_without_caps"]:
            yield from self._caps(contact, rules, zone)
            yield from self._gap(contact, rules)
        yield from self._pauses(contact, rules, purpose)

    # Rules, one by one --------------------------------------------------------------------------------------------

    def _when(self, contact: Contact, entry: Json, rules: Rules, offer: Json | None) -> Iterator[tuple[str, str]]:
        window = entry["request"].get("send_window") or {}
        if contact.at < contact.decided_at:
            yield "send_window", f"sent at {contact.at}, before the decision"
        if contact.at >= dt.datetime.fromisoformat(entry["expires_at"]):
            yield "send_window", f"sent at {contact.at}, after the decision expired"
        earliest, latest = window.get("earliest"), window.get("latest")
        if rules.config["clock"]["kind"] != "offset":
            if earliest and contact.at < dt.datetime.fromisoformat(earliest):
                yield "send_window", f"sent at {contact.at}, before the window"
            if latest and contact.at > dt.datetime.fromisoformat(latest):
                yield "send_window", f"sent at {contact.at}, after the window"
        if offer is None:
            return
        if offer.get("starts_at") and contact.at < dt.datetime.fromisoformat(offer["starts_at"]):
            yield "dates", "sent before the offer starts"
        if offer.get("ends_at") and contact.at >= dt.datetime.fromisoformat(offer["ends_at"]):
            yield "dates", "sent after the offer ended"

    def _consent(self, contact: Contact, entry: Json, rules: Rules, purpose: str) -> Iterator[tuple[str, str]]:
        lines = self.consents.get((contact.customer_id, contact.channel, purpose), [])
        known = [granted for at, granted in lines if at <= contact.decided_at]
        state = known[-1] if known else None
        if state is False:
            yield "consent", f"{contact.channel}/{purpose} was withdrawn"
        if state is None and purpose not in rules.policy["purposes_without_consent"]:
            yield "consent", f"no consent for {contact.channel}/{purpose}"
        if (entry["request"].get("consent") or {}).get(contact.channel) is False:
            yield "consent", "the request withdrew it"
        if contact.channel not in rules.config["channels"]:
            yield "channel", f"{contact.channel} is not configured"
        channels = entry["request"].get("channels")
        if channels is not None and contact.channel not in channels:
            yield "channel", f"{contact.channel} was not asked for"
        if contact.customer_id in rules.policy["suppressed_customers"]:
            yield "suppression", "the customer is on the policy's list"
        for line in self.lists.get(contact.customer_id, []):
            added, until = line["added_at"], line["ends_at"]
            holds = (added is None or _time(added) <= contact.decided_at) and (
                until is None or contact.at < _time(until)
            )
            if holds and line["channel"] in {"*", contact.channel} and line["purpose"] in {"*", purpose}:
                yield "suppression", f"on the list: {line.get('reason')}"

    def _offer(self, contact: Contact, entry: Json, offer: Json | None, purpose: str) -> Iterator[tuple[str, str]]:
        if offer is None:  # the caller's own default action may be unknown to the catalogue
            default = entry["request"].get("default_action") or {}
            if default.get("offer_id") != contact.offer_id:
                yield "catalogue", f"{contact.offer_id} is nowhere"
            return
        if purpose not in offer.get("purposes", EVERY_PURPOSE):
            yield "purpose", f"{contact.offer_id} is not for {purpose}"
        if contact.channel not in offer["channels"]:
            yield "channel", f"{contact.offer_id} is not for {contact.channel}"
        if contact.offer_id in entry["request"].get("exclude", []):
            yield "exclude", f"{contact.offer_id} was excluded"
        if contact.placement is not None and offer.get("placement") not in {None, contact.placement}:
            yield "placement", f"{contact.offer_id} is for {offer['placement']}, shown in {contact.placement}"
        if not offer.get("fallback"):
            yield from self._engaged(contact, entry, offer)

    def _engaged(self, contact: Contact, entry: Json, offer: Json) -> Iterator[tuple[str, str]]:
        person = self.people.get(contact.customer_id)
        values = {
            "customer": {
                **((person or {}).get("attributes") or {}),
                "known": person is not None,
                "language": (person or {}).get("language"),
                "time_zone": (person or {}).get("zone"),
            },
            "feature": entry["features"]["values"],
            "context": entry["request"].get("context", {}),
            "offer": {
                **offer.get("attributes", {}),
                **{k: v for k, v in offer.items() if not isinstance(v, (dict, list))},
            },
        }
        for tier in TIERS:
            if offer.get(tier) and not compile_expression(offer[tier]).evaluate(values).passed:
                yield tier, f"{contact.offer_id}: {offer[tier]}"
        for rule in self._rules(entry).engagement:
            meant = all(rule.get(name, "*") in {"*", offer.get(name, "")} for name in ("issue", "category", "offer_id"))
            starts, ends = rule.get("starts_at"), rule.get("ends_at")
            now = contact.decided_at
            on = (not starts or dt.datetime.fromisoformat(starts) <= now) and (
                not ends or now < dt.datetime.fromisoformat(ends)
            )
            if meant and on and not compile_expression(rule["when"]).evaluate(values).passed:
                yield rule["tier"], f"{contact.offer_id}: {rule['rule']}"

    def _clock(self, contact: Contact, rules: Rules, purpose: str, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
        local = contact.at.astimezone(zone)
        for rule in rules.policy["quiet_hours"]:
            if not _meant(rule, contact.channel, purpose):
                continue
            start, end = dt.time.fromisoformat(rule["start"]), dt.time.fromisoformat(rule["end"])
            days = rule.get("days", DAYS)
            today, yesterday = DAYS[local.weekday()], DAYS[(local.weekday() - 1) % 7]
            if start < end:
                quiet = start <= local.time() < end and today in days
            else:
                quiet = (local.time() >= start and today in days) or (local.time() < end and yesterday in days)
            if quiet:
                yield rule["rule"], f"{local.isoformat()} is in quiet hours"
        for rule in rules.policy.get("working_hours", ()):
            if not _meant(rule, contact.channel, purpose):
                continue
            start, end = dt.time.fromisoformat(rule["start"]), dt.time.fromisoformat(rule["end"])
            if not (start <= local.time() < end and _works(local.date(), rule.get("calendar", ""))):
                yield rule["rule"], f"{local.isoformat()} is outside working hours"

    def _others(self, contact: Contact, among: list[Contact], rules: Rules) -> list[Contact]:
        return [other for other in among if other.live(contact.decided_at, rules.expires_hours)]

    def _limits(self, contact: Contact, rules: Rules, offer: Json | None) -> Iterator[tuple[str, str]]:
        caps = (offer or {}).get("caps") or {}
        if not any(value is not None for value in caps.values()):
            return
        issued = self._others(contact, self.by_offer[contact.offer_id], rules)
        if caps.get("total") is not None and len(issued) + 1 > caps["total"]:
            yield "offer_total", f"{contact.offer_id} was issued {len(issued)} times before; {caps['total']} allowed"
        own = [other for other in issued if other.customer_id == contact.customer_id]
        if caps.get("per_customer") is not None and len(own) + 1 > caps["per_customer"]:
            yield "offer_per_customer", f"{contact.offer_id}: {len(own)} before; {caps['per_customer']} allowed"
        if caps.get("per_day") is not None:
            zone = self._zone(rules.default_zone)
            day = contact.at.astimezone(zone).date()
            same = sum(other.at.astimezone(zone).date() == day for other in issued)
            if same + 1 > caps["per_day"]:
                yield "offer_per_day", f"{contact.offer_id}: {same} on {day} before; {caps['per_day']} allowed"

    def _caps(self, contact: Contact, rules: Rules, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
        for cap in rules.policy["caps"]:
            if not _on_channel(cap, contact.channel):
                continue
            scope = cap["scope"]
            if scope == "placement" and contact.placement is None:
                continue
            if scope == "total":
                span = dt.timedelta(days=cap["days"] if cap.get("days") is not None else 32.0)
                first = bisect_left(self.everyone, contact.at - span, key=_sent_at)
                among = self.everyone[first : bisect_right(self.everyone, contact.at + span, key=_sent_at)]
            elif scope == "household" and contact.household_id is not None:
                mine = self.by_customer[contact.customer_id]
                theirs = self.by_household[contact.household_id]
                among = [*theirs, *(other for other in mine if other.household_id != contact.household_id)]
            else:
                among = self.by_customer[contact.customer_id]
            same = [
                other
                for other in self._others(contact, among, rules)
                if _on_channel(cap, other.channel)
                and (scope != "channel" or other.channel == contact.channel)
                and (scope != "offer" or other.offer_id == contact.offer_id)
                and (scope != "placement" or other.placement == contact.placement)
            ]
            clock = self._zone(rules.default_zone) if scope in {"household", "total"} else zone
            most = _most(contact.at, [other.at for other in same], cap, clock)
            if most > cap["limit"]:
                yield cap["rule"], f"{most} contacts ({scope}) in one window; {cap['limit']} allowed"

    def _gap(self, contact: Contact, rules: Rules) -> Iterator[tuple[str, str]]:
        for other in self._others(contact, self.by_customer[contact.customer_id], rules):
            if abs(other.at - contact.at) < rules.gap:
                yield "minimum_gap", f"{abs(other.at - contact.at)} after {other.decision_id}"

    def _pauses(self, contact: Contact, rules: Rules, purpose: str) -> Iterator[tuple[str, str]]:
        for rule in rules.policy.get("cool_downs", ()):
            if not _on_channel(rule, contact.channel) or purpose not in rule["purposes"]:
                continue
            scope, now = rule["scope"], contact.decided_at
            mine = [
                other
                for other in self.by_customer[contact.customer_id]
                if _on_channel(rule, other.channel)
                and (scope != "channel" or other.channel == contact.channel)
                and (scope != "offer" or other.offer_id == contact.offer_id)
                and (scope != "category" or other.category == contact.category)
            ]
            since = now - dt.timedelta(days=rule["within_days"])
            kinds = set(rule["after"]) - {"unanswered"}
            times = sorted(
                occurred
                for other in mine
                for received, occurred, kind in other.outcomes
                if kind in kinds and received <= now and occurred > since
            )
            if len(times) >= rule["count"] and contact.at < times[-1] + dt.timedelta(days=rule["days"]):
                yield rule["rule"], f"{len(times)} outcomes, the last at {times[-1]}"
            if "unanswered" in rule["after"]:
                past = sorted(
                    (
                        other
                        for other in mine
                        if other.live(now, rules.expires_hours)
                        and since < other.at <= now
                        and other.decision_id != contact.decision_id
                    ),
                    # Of contacts at one instant none is the latest: an answer to one of them is an answer.
                    key=lambda other: (other.at, any(kind in ANSWERED for _, _, kind in other.outcomes)),
                )[-rule["count"] :]
                silent = [
                    other
                    for other in past
                    if not any(kind in ANSWERED and received <= now for received, _, kind in other.outcomes)
                ]
                if len(silent) >= rule["count"] and contact.at < past[-1].at + dt.timedelta(days=rule["days"]):
                    yield rule["rule"], f"{len(silent)} unanswered, the last at {past[-1].at}"


def _sent_at(contact: Contact) -> dt.datetime:
    return contact.at


def _time(micros: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=int(micros))


def _on_channel(rule: Json, channel: str) -> bool:
    return "*" in rule["channels"] or channel in rule["channels"]


def _meant(rule: Json, channel: str, purpose: str) -> bool:
    return _on_channel(rule, channel) and purpose in rule["purposes"]


def _works(day: dt.date, calendar: str) -> bool:
    """Whether a day is a working day; China's make-up days come from another library than the service's."""
    if not calendar:
        return day.weekday() < 5
    if calendar == "CN":
        import chinese_calendar  # type: ignore[import-untyped] # noqa: PLC0415 - only where such a rule is judged

        return bool(chinese_calendar.is_workday(day))
    country, _, part = calendar.partition("-")
    return day.weekday() < 5 and day not in holidays.country_holidays(country, subdiv=part or None, years=day.year)


def _most(at: dt.datetime, others: list[dt.datetime], cap: Json, zone: ZoneInfo) -> int:
    """The most contacts in any window that holds ``at``, the new one counted."""
    if cap.get("days") is not None:
        length = dt.timedelta(days=cap["days"])
        ends = [end for end in [at, *others] if at <= end < at + length]
        return 1 + max(sum(end - length < other <= end for other in others) for end in ends)
    period = cap["calendar"]

    def name(moment: dt.datetime) -> tuple[int, ...]:
        day = moment.astimezone(zone).date()
        if period == "day":
            return (day.year, day.month, day.day)
        return tuple(day.isocalendar()[:2]) if period == "week" else (day.year, day.month)

    return 1 + sum(name(other) == name(at) for other in others)


def main(arguments: list[str]) -> int:
    """Judges one workspace; exit code 1 if a promise was broken."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "state.db").is_file():
        print("usage: python benchmarks/rule_checker.py WORKSPACE (a folder with state.db)", file=sys.stderr)
        return 2
    checker = Checker(Path(arguments[0]) / "state.db")
    found = list(checker.run())
    for violation in found[:50]:
        print(f"{violation.decision_id}: {violation.rule}: {violation.detail}")
    print(f"{checker.counted['decisions']} decisions, {checker.counted['contacts']} contacts, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
