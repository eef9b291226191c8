"""The world in which rules break first: every kind of rule, twenty offers, customers of every IANA time zone."""

import datetime as dt
import json
import random
import zoneinfo
from pathlib import Path

import pandas as pd

from foretouch.core.clock import ManualClock
from foretouch.core.state.people import Person
from foretouch.core.workspace import Workspace
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise

CUSTOMERS = 1500
CHANNELS = ("email", "sms", "push", "call")
PURPOSES = ("marketing", "retention", "service", "transactional")
PLACEMENTS = ("hero", "footer")
CATEGORIES = (("growth", "coupon"), ("growth", "content"), ("retention", "plan"))

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


def make_workspace(folder: Path, at: dt.datetime) -> Workspace:
    """A workspace with every kind of rule, and its offers, whose clock stands at ``at``."""
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
    ManualClock(folder / "clock.json").set(at)
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
