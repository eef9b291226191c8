"""Makes decisions where rules break first, and has them judged by the independent checker.

Customers in every IANA time zone, days on which clocks jump, caps that are used up to their last contact, concurrent
requests for one customer, households, placements, cool-downs after outcomes that come late or never, suppression
lists, consents that come and go, offers with few pieces to give. Every decision goes through the service's own data
plane, with its durable log; the judge (``rule_checker.py``) reads the log alone.

    python benchmarks/rule_proof.py [--decisions 200000] [--folder DIR]
"""

import argparse
import datetime as dt
import json
import random
import sys
import tempfile
import time
import zoneinfo
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from result import write
from rule_checker import Checker

from foretouch.core.clock import ManualClock
from foretouch.core.contact import SuppressionEntry
from foretouch.core.decisions import DecisionRecord, DecisionRequest, FeatureSnapshot
from foretouch.core.events import Consent
from foretouch.core.outcomes import Outcome
from foretouch.core.state.people import Person, add_consents, upsert_customers
from foretouch.core.state.suppressions import add_suppressions
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.serving.runtime.dataplane import Dataplane
from foretouch.serving.runtime.intake import Intake

SEED = 20250330
CUSTOMERS = 1500
CHANNELS = ("email", "sms", "push", "call")
PURPOSES = ("marketing", "retention", "service", "transactional")
PLACEMENTS = ("hero", "footer")
CATEGORIES = (("growth", "coupon"), ("growth", "content"), ("retention", "plan"))
MOMENTS = (
    "2025-03-08T20:00:00+00:00",  # North America springs forward on the 9th
    "2025-03-29T18:00:00+00:00",  # Europe on the 30th
    "2025-04-05T10:00:00+00:00",  # Australia and New Zealand fall back on the 6th; Lord Howe by half an hour
    "2025-09-06T12:00:00+00:00",  # Chile springs forward
    "2025-09-27T20:00:00+00:00",  # China: the 28th is a Sunday that is worked; New Zealand springs forward
    "2025-10-25T18:00:00+00:00",  # Europe falls back on the 26th
    "2025-11-01T20:00:00+00:00",  # North America on the 2nd
    "2025-12-31T06:00:00+00:00",  # a month, a week and a year end
)
STEPS = 18
STEP_HOURS = 3.5

CONFIG = """
[workspace]
name = "rules"
time_zone = "Asia/Shanghai"

[clock]
kind = "manual"

[channels.email]
cost = 0.01
[channels.sms]
cost = 0.05
fatigue_cost = 0.01
[channels.push]
cost = 0.0
[channels.call]
cost = 1.0
unsubscribe_rate = 0.01
unsubscribe_cost = 5.0
"""

POLICY = """
kind = "softmax"
temperature = 2.0
floor = 0.5
slot_exploration = 0.5
expires_after_hours = 36.0
"""

RULES = """
minimum_gap_hours = 2.0
default_time_zone = "Asia/Shanghai"
reservation_hours = 24.0
suppressed_customers = ["c3", "c4"]

[[quiet_hours]]
start = 21:00:00
end = 08:00:00
channels = ["sms", "push", "call"]

[[quiet_hours]]
rule = "sunday_evening"
start = 17:30:00
end = 11:00:00
channels = ["email"]
days = ["sun"]

[[working_hours]]
rule = "calls_in_china"
channels = ["call"]
start = 09:00:00
end = 18:30:00
calendar = "CN"

[[caps]]
rule = "three_a_week"
limit = 3
days = 7.0

[[caps]]
rule = "one_sms_a_day"
scope = "channel"
channels = ["sms"]
limit = 1
calendar = "day"

[[caps]]
rule = "household_a_day"
scope = "household"
limit = 2
days = 1.0

[[caps]]
rule = "household_a_month"
scope = "household"
limit = 9
calendar = "month"

[[caps]]
rule = "offer_a_week"
scope = "offer"
limit = 1
calendar = "week"

[[caps]]
rule = "hero_twice"
scope = "placement"
limit = 2
days = 3.0

[[caps]]
rule = "calls_of_everyone"
scope = "total"
channels = ["call"]
limit = 400
days = 1.0

[[caps]]
rule = "sms_of_everyone"
scope = "total"
channels = ["sms"]
limit = 1500
calendar = "day"

[[cool_downs]]
rule = "after_silence"
after = ["unanswered"]
count = 2
days = 1.5
within_days = 20.0
scope = "channel"

[[cool_downs]]
rule = "after_rejection"
after = ["reject"]
days = 10.0
scope = "category"

[[cool_downs]]
rule = "after_unsubscribe"
after = ["unsubscribe", "complaint"]
days = 5.0
purposes = ["marketing", "retention", "service"]
"""

ENGAGEMENT = """
[[rules]]
rule = "grown_up"
tier = "eligibility"
category = "plan"
when = 'customer.age >= 18'

[[rules]]
rule = "not_when_angry"
tier = "suitability"
issue = "growth"
when = 'context.mood != "angry"'

[[rules]]
rule = "winter_only"
tier = "applicability"
offer_id = "o5"
when = 'context.season == "winter"'
ends_at = 2025-10-26T00:00:00Z
"""


class NoFeatures:
    """A feature store in which nobody is known: rules, not scores, are judged here."""

    def read(self, _customer_id: str) -> FeatureSnapshot:
        """Nothing."""
        return FeatureSnapshot(known=True, values={"recency_days": 3.0})

    def refresh(self, _customer_ids: Sequence[str], _now: dt.datetime) -> None:
        """Nothing to compute again."""


def make_workspace(folder: Path) -> Workspace:
    """A workspace with every kind of rule, and its offers."""
    initialise(folder)
    for name, text in {
        "foretouch.toml": CONFIG,
        "policy.toml": POLICY,
        "contact_policy.toml": RULES,
        "engagement_policy.toml": ENGAGEMENT,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    for path in (folder / "experiments").glob("*.toml"):
        path.unlink()
    ManualClock(folder / "clock.json").set(dt.datetime.fromisoformat(MOMENTS[0]))
    workspace = Workspace.open(folder)
    ingest_tables(workspace, {"offers": _offers(), "treatments": _treatments()})
    return workspace


def _offers() -> pd.DataFrame:
    rows = []
    for number in range(20):
        issue, category = CATEGORIES[number % len(CATEGORIES)]
        caps = {}
        if number % 4 == 0:
            caps["per_day"] = 150
        if number % 5 == 0:
            caps["total"] = 2000
        if number % 3 == 0:
            caps["per_customer"] = 2
        rows.append(
            {
                "offer_id": f"o{number}",
                "name": f"Offer {number}",
                "issue": issue,
                "category": category,
                "channels": json.dumps(list(CHANNELS[: 2 + number % 3])),
                "value": 1.0 + number % 7,
                "cost": 0.1 * (number % 3),
                "starts_at": "2025-03-30T01:30:00Z" if number == 7 else None,
                "ends_at": "2025-10-26T01:30:00Z" if number == 8 else None,
                "eligibility": 'customer.region == "north" || feature.recency_days < 2.0' if number == 9 else "",
                "suitability": 'context.mood != "sad"' if number == 10 else "",
                "caps": json.dumps(caps),
                "placement": "hero" if number in {11, 12, 13} else None,
                "purposes": json.dumps(["transactional", "service"] if number in {14, 15} else list(PURPOSES[:3])),
                "fallback": number == 19,
                "prior_propensity": 0.02 + 0.01 * (number % 5),
            }
        )
    return pd.DataFrame(rows)


def _treatments() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"treatment_id": f"t{number}{letter}", "offer_id": f"o{number}", "channel": "email", "name": letter}
            for number in range(0, 20, 2)
            for letter in "ab"
        ]
    )


def people(draw: random.Random) -> list[Person]:
    """Customers of every zone, some in households, some of unknown zone."""
    zones = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
    found = []
    for number in range(CUSTOMERS):
        zone = None if number % 97 == 5 else zones[number % len(zones)]
        found.append(
            Person(
                customer_id=f"c{number}",
                household_id=f"h{number // 3}" if number % 4 else None,
                time_zone="Mars/Olympus" if number == 11 else zone,
                language=draw.choice(["en", "zh", None]),
                attributes={"age": draw.randint(15, 80), "region": draw.choice(["north", "south"])},
            )
        )
    return found


class Campaign:
    """Fires decisions and answers at the data plane.

    Args:
        plane: The service without a transport.
        draw: Every random choice.
    """

    def __init__(self, plane: Dataplane, draw: random.Random) -> None:
        self.plane = plane
        self.intake = Intake(plane)
        self.draw = draw
        self.open: list[tuple[DecisionRecord, int]] = []
        self.sent = 0
        self.statuses: Counter[str] = Counter()

    def requests(self, count: int) -> list[DecisionRequest]:
        """Touchpoints of all kinds; a tenth of the customers gets half of them, many at the same moment."""
        draw = self.draw
        found: list[DecisionRequest] = []
        while len(found) < count:
            who = draw.randrange(CUSTOMERS // 10) if draw.random() < 0.5 else draw.randrange(CUSTOMERS)
            now = self.plane.clock.now()
            fields: dict[str, object] = {
                "customer_id": f"c{who}",
                "touchpoint": draw.choice(["weekly", "web"]),
                "purpose": draw.choices(PURPOSES, (0.6, 0.15, 0.15, 0.1))[0],
                "context": {"mood": draw.choice(["fine", "sad", "angry"]), "season": draw.choice(["winter", "summer"])},
                "n": draw.choice([1, 1, 2, 4]),
                "options": {"explain": "none", "reserve_caps": draw.random() < 0.97},
            }
            if draw.random() < 0.2:
                fields["placements"] = list(PLACEMENTS)
            if draw.random() < 0.3:
                fields["channels"] = draw.sample(CHANNELS, draw.randint(1, 3))
            if draw.random() < 0.3:
                first = now + dt.timedelta(hours=draw.uniform(0, 20))
                last = first + dt.timedelta(hours=draw.uniform(0.2, 14))
                fields["send_window"] = {"earliest": first.isoformat(), "latest": last.isoformat()}
            if draw.random() < 0.05:
                fields["consent"] = {"email": False}
            if draw.random() < 0.05:
                fields["exclude"] = [f"o{draw.randrange(20)}"]
            if draw.random() < 0.1:
                fields["default_action"] = {"offer_id": f"o{draw.randrange(25)}", "channel": draw.choice(CHANNELS)}
            if draw.random() < 0.05:
                fields["personalised"] = False
            found.extend([DecisionRequest.model_validate(fields)] * (3 if draw.random() < 0.1 else 1))
        return found[:count]

    def decide(self, count: int, pool: ThreadPoolExecutor) -> None:
        """Decides concurrently."""
        for given in pool.map(self.plane.decide_one, self.requests(count)):
            record = given.record
            if record is None:
                continue
            if not record.logged:  # the machine was busy: the answer says so, and no one can hold it to anything
                self.statuses["not logged"] += 1
                continue
            self.statuses[record.status] += 1
            self.open.extend((record, action.rank) for action in record.action)

    def answer(self) -> None:
        """Delivers some of what was sent, late or never; some people answer, some leave."""
        now, kept = self.plane.clock.now(), []
        for record, rank in self.open:
            action = record.action[rank - 1]
            chance = self.draw.random()
            if action.send_at > now or chance < 0.35:
                if action.send_at > now - dt.timedelta(hours=20):
                    kept.append((record, rank))
                continue
            kinds = ["delivered"]
            if chance > 0.93:
                kinds = ["bounced"]
            elif chance > 0.85:
                kinds += [self.draw.choice(["open", "click", "machine_open", "convert"])]
            elif chance > 0.83:
                kinds += [self.draw.choice(["unsubscribe", "complaint", "reject"])]
            for kind in kinds:
                self.sent += 1
                self.intake.outcome(
                    Outcome.model_validate(
                        {
                            "outcome_id": f"x{self.sent}",
                            "decision_id": record.decision_id,
                            "rank": rank,
                            "type": kind,
                            "occurred_at": min(now, action.send_at + dt.timedelta(minutes=5)),
                        }
                    )
                )
        self.open = kept

    def change_minds(self) -> None:
        """Consents given and withdrawn, customers put on lists."""
        now, draw = self.plane.clock.now(), self.draw
        consents = [
            Consent(
                customer_id=f"c{draw.randrange(CUSTOMERS)}",
                channel=draw.choice(CHANNELS),
                purpose=draw.choice(PURPOSES),
                granted=draw.random() < 0.7,
                at=now,
                source="proof",
            )
            for _ in range(150)
        ]
        entries = [
            SuppressionEntry(
                customer_id=f"c{draw.randrange(CUSTOMERS)}",
                channel=draw.choice(["*", *CHANNELS]),
                purpose=draw.choice(["*", "marketing"]),
                reason="proof",
                until=draw.choice([None, now + dt.timedelta(hours=30)]),
            )
            for _ in range(3)
        ]
        self.plane.state.write(lambda connection: add_consents(connection, consents))
        self.plane.state.write(lambda connection: add_suppressions(connection, entries, now))


def run(folder: Path, decisions: int, *, threads: int = 8, say: bool = True) -> Campaign:
    """Makes the decisions; the log is in ``folder`` afterwards."""
    draw = random.Random(SEED)
    workspace = make_workspace(folder)
    clock = ManualClock(workspace.clock_file)
    everyone = people(draw)
    start = dt.datetime.fromisoformat(MOMENTS[0]) - dt.timedelta(days=1)
    per_step = max(decisions // (len(MOMENTS) * STEPS), 1)
    with Dataplane(workspace, features=NoFeatures()) as plane, ThreadPoolExecutor(threads) as pool:
        plane.state.write(lambda connection: upsert_customers(connection, everyone))
        consents = [
            Consent(
                customer_id=person.customer_id, channel=channel, purpose=purpose, granted=True, at=start, source="proof"
            )
            for person in everyone
            for channel in CHANNELS
            for purpose in PURPOSES
            if draw.random() < 0.85
        ]
        plane.state.write(lambda connection: add_consents(connection, consents))
        campaign = Campaign(plane, draw)
        made = 0
        for moment in MOMENTS:
            for step in range(STEPS):
                jump = dt.timedelta(hours=step * STEP_HOURS, minutes=step * 7)
                clock.set(dt.datetime.fromisoformat(moment) + jump)
                campaign.change_minds()
                campaign.answer()
                # No answer arrives at the very moment of a decision: their order would be nobody's to tell.
                clock.set(dt.datetime.fromisoformat(moment) + jump + dt.timedelta(seconds=1))
                last = moment == MOMENTS[-1] and step == STEPS - 1
                count = decisions - made if last else per_step
                campaign.decide(count, pool)
                made += count
            if say:
                print(f"{made} decisions up to {clock.now():%Y-%m-%d %H:%M}", file=sys.stderr)
    return campaign


def main() -> int:
    """Runs the proof and keeps its result; exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="keep the workspace here")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "rules"
        campaign = run(folder, options.decisions)
        decided = time.perf_counter() - started
        checker = Checker(folder / "state.db")
        found = list(checker.run())
    by_rule = Counter(violation.rule for violation in found)
    figures = {
        "decisions": checker.counted["decisions"],
        "contacts": checker.counted["contacts"],
        "outcomes": campaign.sent,
        "statuses": dict(campaign.statuses),
        "time_zones": len({person["zone"] for person in checker.people.values()}),
        "violations": len(found),
        "violations_by_rule": dict(by_rule),
        "decisions_a_second": checker.counted["decisions"] / decided,
    }
    command = f"python benchmarks/rule_proof.py --decisions {options.decisions}"
    path = write(options.out, "rules", command=command, seconds=time.perf_counter() - started, figures=figures)
    for violation in found[:20]:
        print(f"{violation.decision_id}: {violation.rule}: {violation.detail}")
    print(json.dumps(figures, indent=2))
    print(f"written to {path}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
