"""An independent judge of the rules: reads the decision log and the raw inputs, and names every broken promise.

It imports nothing that decides. Each rule is written here a second time, from its description in ``docs/rules.md``,
over plain values, as slowly and plainly as can be: what a contact was, what was known when it was decided, and what
else was planned at that time. It judges every action on its own, against the contacts decided before it.

    python benchmarks/rule_checker.py WORKSPACE
"""

import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
from rule_counts import Broken, Contacts, on_channel
from rule_log import Contact, Json, Log, Rules, moment

from foretouch.core.expressions import compile_expression

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIERS = ("eligibility", "applicability", "suitability")
EVERY_PURPOSE = ("marketing", "retention", "service")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken promise."""

    rule: str
    decision_id: str
    detail: str


class Checker:
    """Judges a log.

    Args:
        database: The workspace's ``state.db``.
    """

    def __init__(self, database: Path) -> None:
        self.log = Log(database)
        self.contacts = Contacts(self.log.zone)
        self.counted = {"decisions": 0, "contacts": 0}

    def run(self) -> Iterator[Violation]:
        """Every violation in the log, in its order; the file is let go of at the end."""
        try:
            for entry in self.log.decisions():
                self.counted["decisions"] += 1
                yield from self._judge(entry)
        finally:
            self.log.close()

    def rules(self, entry: Json) -> Rules:
        """What a decision was made under."""
        return self.log.rules(entry)

    # One decision -------------------------------------------------------------------------------------------------

    def _judge(self, entry: Json) -> Iterator[Violation]:
        rules = self.rules(entry)
        decided = dt.datetime.fromisoformat(entry["decided_at"])
        request = entry["request"]
        person = self.log.people.get(request["customer_id"], {"household": None, "zone": None, "attributes": {}})
        household = request.get("household_id") or person["household"]
        window = request.get("send_window") or {}
        name = window.get("time_zone") or person["zone"] or rules.default_zone
        try:
            zone = self.log.zone(name)
        except (KeyError, ValueError):
            zone = self.log.zone(rules.default_zone)
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
                reserved=bool(options.get("reserve_caps", True)) and not options.get("defer_activation", False),
                outcomes=self.log.outcomes.get((entry["decision_id"], action["rank"]), []),
            )
            for rule, detail in self._broken(contact, entry, rules, offer, zone):
                yield Violation(rule=rule, decision_id=entry["decision_id"], detail=detail)
            if contact.offer_id in shown:
                yield Violation(
                    rule="twice", decision_id=entry["decision_id"], detail=f"{contact.offer_id} is in the answer twice"
                )
            shown.add(contact.offer_id)
            self.contacts.add(contact)
        total = sum(item.get("selection_probability") or 0.0 for item in entry["candidates"])
        if abs(total - 1.0) > 1e-12:
            yield Violation(rule="probabilities", decision_id=entry["decision_id"], detail=f"they sum to {total!r}")

    def _broken(self, contact: Contact, entry: Json, rules: Rules, offer: Json | None, zone: ZoneInfo) -> Broken:
        purpose = entry["purpose"]
        yield from self._when(contact, entry, rules, offer)
        yield from self._consent(contact, entry, rules, purpose)
        yield from self._offer(contact, entry, offer, purpose)
        yield from self._clock(contact, rules, purpose, zone)
        yield from self.contacts.limits(contact, rules, offer)
        if purpose not in rules.policy["purposes_without_caps"]:
            yield from self.contacts.caps(contact, rules, zone)
            yield from self.contacts.gap(contact, rules)
        yield from self.contacts.pauses(contact, rules, purpose)

    # Rules, one by one --------------------------------------------------------------------------------------------

    def _when(self, contact: Contact, entry: Json, rules: Rules, offer: Json | None) -> Broken:
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

    def _consent(self, contact: Contact, entry: Json, rules: Rules, purpose: str) -> Broken:
        lines = self.log.consents.get((contact.customer_id, contact.channel, purpose), [])
        known = [granted for _, known_at, granted in lines if known_at <= contact.decided_at]
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
        for line in self.log.lists.get(contact.customer_id, []):
            added, until = line["added_at"], line["ends_at"]
            holds = (added is None or moment(added) <= contact.decided_at) and (
                until is None or contact.at < moment(until)
            )
            if holds and line["channel"] in {"*", contact.channel} and line["purpose"] in {"*", purpose}:
                yield "suppression", f"on the list: {line.get('reason')}"

    def _offer(self, contact: Contact, entry: Json, offer: Json | None, purpose: str) -> Broken:
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

    def _engaged(self, contact: Contact, entry: Json, offer: Json) -> Broken:
        person = self.log.people.get(contact.customer_id)
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
        for rule in self.rules(entry).engagement:
            meant = all(rule.get(name, "*") in {"*", offer.get(name, "")} for name in ("issue", "category", "offer_id"))
            starts, ends = rule.get("starts_at"), rule.get("ends_at")
            now = contact.decided_at
            on = (not starts or dt.datetime.fromisoformat(starts) <= now) and (
                not ends or now < dt.datetime.fromisoformat(ends)
            )
            if meant and on and not compile_expression(rule["when"]).evaluate(values).passed:
                yield rule["tier"], f"{contact.offer_id}: {rule['rule']}"

    def _clock(self, contact: Contact, rules: Rules, purpose: str, zone: ZoneInfo) -> Broken:
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


def _meant(rule: Json, channel: str, purpose: str) -> bool:
    return on_channel(rule, channel) and purpose in rule["purposes"]


def _works(day: dt.date, calendar: str) -> bool:
    """Whether a day is a working day; China's make-up days come from another library than the service's."""
    if not calendar:
        return day.weekday() < 5
    if calendar == "CN":
        import chinese_calendar  # type: ignore[import-untyped] # noqa: PLC0415 - only where such a rule is judged

        return bool(chinese_calendar.is_workday(day))
    country, _, part = calendar.partition("-")
    return day.weekday() < 5 and day not in holidays.country_holidays(country, subdiv=part or None, years=day.year)


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
