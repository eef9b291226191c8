"""Rules about other contacts: how many, how close, and what became of them; the judge's second writing of them."""

import datetime as dt
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from rule_log import Contact, Json, Rules

Broken = Iterator[tuple[str, str]]
"""Rules that a contact breaks, each with what shows it."""


class Contacts:
    """Every contact judged so far, and what it leaves for the next one.

    Args:
        zone: Finds a time zone by its name.
    """

    def __init__(self, zone: Callable[[str], ZoneInfo]) -> None:
        self._zone = zone
        self._by_customer: dict[str, list[Contact]] = defaultdict(list)
        self._by_household: dict[str, list[Contact]] = defaultdict(list)
        self._by_offer: dict[str, list[Contact]] = defaultdict(list)
        self._everyone: list[Contact] = []
        """In the order of their send times."""

    def add(self, contact: Contact) -> None:
        """Remembers a contact."""
        self._by_customer[contact.customer_id].append(contact)
        if contact.household_id is not None:
            self._by_household[contact.household_id].append(contact)
        self._by_offer[contact.offer_id].append(contact)
        insort(self._everyone, contact, key=_sent_at)

    def _others(self, contact: Contact, among: list[Contact], rules: Rules) -> list[Contact]:
        return [other for other in among if other.counts(contact.decided_at, rules.expires_hours)]

    def limits(self, contact: Contact, rules: Rules, offer: Json | None) -> Broken:
        """Issue limits of the offer."""
        caps = (offer or {}).get("caps") or {}
        if not any(value is not None for value in caps.values()):
            return
        issued = self._others(contact, self._by_offer[contact.offer_id], rules)
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

    def caps(self, contact: Contact, rules: Rules, zone: ZoneInfo) -> Broken:
        """Caps of the contact policy."""
        for cap in rules.policy["caps"]:
            if not on_channel(cap, contact.channel):
                continue
            scope = cap["scope"]
            if scope == "placement" and contact.placement is None:
                continue
            if scope == "total":
                span = dt.timedelta(days=cap["days"] if cap.get("days") is not None else 32.0)
                first = bisect_left(self._everyone, contact.at - span, key=_sent_at)
                among = self._everyone[first : bisect_right(self._everyone, contact.at + span, key=_sent_at)]
            elif scope == "household" and contact.household_id is not None:
                mine = self._by_customer[contact.customer_id]
                theirs = self._by_household[contact.household_id]
                among = [*theirs, *(other for other in mine if other.household_id != contact.household_id)]
            else:
                among = self._by_customer[contact.customer_id]
            same = [
                other
                for other in self._others(contact, among, rules)
                if on_channel(cap, other.channel)
                and (scope != "channel" or other.channel == contact.channel)
                and (scope != "offer" or other.offer_id == contact.offer_id)
                and (scope != "placement" or other.placement == contact.placement)
            ]
            clock = self._zone(rules.default_zone) if scope in {"household", "total"} else zone
            most = _most(contact.at, [other.at for other in same], cap, clock)
            if most > cap["limit"]:
                yield cap["rule"], f"{most} contacts ({scope}) in one window; {cap['limit']} allowed"

    def gap(self, contact: Contact, rules: Rules) -> Broken:
        """The minimum gap to the customer's other contacts."""
        for other in self._others(contact, self._by_customer[contact.customer_id], rules):
            if abs(other.at - contact.at) < rules.gap:
                yield "minimum_gap", f"{abs(other.at - contact.at)} after {other.decision_id}"

    def pauses(self, contact: Contact, rules: Rules, purpose: str) -> Broken:
        """Cool-downs."""
        for rule in rules.policy.get("cool_downs", ()):
            if not on_channel(rule, contact.channel) or purpose not in rule["purposes"]:
                continue
            scope, now = rule["scope"], contact.decided_at
            mine = [
                other
                for other in self._by_customer[contact.customer_id]
                if on_channel(rule, other.channel)
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
                        if other.counts(now, rules.expires_hours)
                        and since < other.at <= now
                        and other.decision_id != contact.decision_id
                    ),
                    # Of contacts at the same moment an answered one is the latest.
                    key=lambda other: (other.at, other.answered(now)),
                )[-rule["count"] :]
                silent = [other for other in past if not other.answered(now)]
                if len(silent) >= rule["count"] and contact.at < past[-1].at + dt.timedelta(days=rule["days"]):
                    yield rule["rule"], f"{len(silent)} unanswered, the last at {past[-1].at}"


def _sent_at(contact: Contact) -> dt.datetime:
    return contact.at


def on_channel(rule: Json, channel: str) -> bool:
    """Whether a rule is about a channel."""
    return "*" in rule["channels"] or channel in rule["channels"]


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
