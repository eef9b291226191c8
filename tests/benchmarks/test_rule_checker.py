"""The judge of the rules catches every kind of broken promise, one planted at a time, and nothing else."""

import datetime as dt
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from rule_checker import Checker
from rule_counts import Contacts
from rule_log import Contact, Rules
from rule_proof import run

Row = dict[str, Any]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a few thousand decisions where rules break first."""
    folder = tmp_path_factory.mktemp("rules") / "workspace"
    made = run(folder, 1500, threads=4, say=False)
    assert min(made.statuses["fallback"], made.statuses["decided"]) > 200, "both without and with models"
    return folder / "state.db"


def test_the_service_breaks_no_promise(campaign: Path) -> None:
    checker = Checker(campaign)
    assert [str(violation) for violation in checker.run()] == []
    assert checker.counted["decisions"] > 1400
    assert checker.counted["contacts"] > 400


def judged(campaign: Path, change: Callable[[Any], object]) -> set[str]:
    """The rules broken after every rule set in the log was made stricter behind the service's back."""

    changed: set[int] = set()

    class Stricter(Checker):
        def rules(self, entry: Any) -> Any:
            rules = super().rules(entry)
            if id(rules) not in changed:
                changed.add(id(rules))
                change(rules)
            return rules

    return {violation.rule for violation in Stricter(campaign).run()}


def lower_caps(rules: Any) -> None:
    for cap in rules.policy["caps"]:
        cap["limit"] = 0 if cap["limit"] == 1 else 1


def widen_quiet_hours(rules: Any) -> None:
    rules.policy["quiet_hours"] = [{**rule, "start": "11:00:00"} for rule in rules.policy["quiet_hours"]]


def shorten_work(rules: Any) -> None:
    rules.policy["working_hours"] = [{**rule, "end": "10:00:00"} for rule in rules.policy["working_hours"]]


def widen_gap(rules: Any) -> None:
    rules.gap = dt.timedelta(hours=30)


def lengthen_pauses(rules: Any) -> None:
    for rule in rules.policy["cool_downs"]:
        rule.update(days=60.0, count=1, scope="customer")


def end_offers(rules: Any) -> None:
    for offer in rules.offers.values():
        offer["ends_at"] = "2025-03-10T00:00:00+00:00"


def issue_less(rules: Any) -> None:
    for offer in rules.offers.values():
        offer["caps"] = {"total": 1, "per_customer": 0, "per_day": 0}


def nobody_may(rules: Any) -> None:
    for offer in rules.offers.values():
        offer.update(eligibility="customer.age > 200", applicability="false", suitability="1 > 2", purposes=[])


STRICTER = {
    lower_caps: {"three_a_week", "one_sms_a_day", "household_a_day", "offer_a_week", "hero_twice", "sms_of_everyone"},
    widen_quiet_hours: {"quiet_hours", "sunday_evening"},
    shorten_work: {"calls_in_china"},
    widen_gap: {"minimum_gap"},
    lengthen_pauses: {"after_silence", "after_unsubscribe"},
    end_offers: {"dates"},
    issue_less: {"offer_total", "offer_per_customer", "offer_per_day"},
    nobody_may: {"eligibility", "applicability", "suitability", "purpose"},
}


def test_every_stricter_rule_is_found_broken(campaign: Path) -> None:
    found = judged(campaign, lambda rules: [change(rules) for change in STRICTER])
    for change, rules in STRICTER.items():
        assert rules <= found, change.__name__


def test_a_consent_that_was_not_there_is_found(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "state.db"
    with sqlite3.connect(campaign) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute("UPDATE consents SET granted = 0")
    assert "consent" in {violation.rule for violation in Checker(copy).run()}


def test_a_complaint_that_arrives_late_is_as_old_as_it_is(campaign: Path, tmp_path: Path) -> None:
    """A consent given after the complaint holds, also where the complaint was received after it; without it, none."""
    copy = tmp_path / "state.db"
    with sqlite3.connect(campaign) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute(
            "INSERT INTO consents (customer_id, channel, purpose, at, granted, source)"
            " SELECT customer_id, channel, purpose, at - 1, 0, 'outcome:complaint' FROM consents WHERE granted"
        )
        for who, at in target.execute("SELECT customer_id, MAX(at) FROM consents GROUP BY 1").fetchall():
            later = dt.datetime.fromtimestamp(at / 1e6 + 1.0, dt.UTC).isoformat()
            body = {"type": "complaint", "decision_id": "none", "occurred_at": later, "received_at": later}
            target.execute(
                "INSERT INTO outcomes (outcome_id, decision_id, customer_id, type, occurred_at, received_at, body)"
                " VALUES (?, 'none', ?, 'complaint', ?, ?, ?)",
                (f"late-{who}", who, at, at + 1_000_000, json.dumps(body)),
            )
    assert "consent" not in {violation.rule for violation in Checker(copy).run()}
    with sqlite3.connect(copy) as target:
        target.execute("DELETE FROM consents WHERE granted")
    assert "consent" in {violation.rule for violation in Checker(copy).run()}


def test_a_list_that_was_not_kept_is_found(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "state.db"
    with sqlite3.connect(campaign) as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute(
            "INSERT OR REPLACE INTO suppressions (customer_id, channel, purpose, reason, ends_at, added_at)"
            " SELECT customer_id, '*', '*', 'planted', NULL, 0 FROM customers"
        )
    assert "suppression" in {violation.rule for violation in Checker(copy).run()}


def sent(number: int, at: dt.datetime, *told: str, reserved: bool = True, after: float = 1.0) -> Contact:
    """A contact of one customer, decided an hour before it is sent, with what was reported ``after`` hours later."""
    reported = at + dt.timedelta(hours=after)
    return Contact(
        decision_id=f"d{number}",
        rank=1,
        customer_id="c1",
        household_id=None,
        offer_id=f"o{number}",
        category="plan",
        channel="push",
        placement=None,
        at=at,
        decided_at=at - dt.timedelta(hours=1),
        reserved=reserved,
        outcomes=[(reported, reported, kind) for kind in told],
    )


NOON = dt.datetime(2025, 4, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PLAIN = Rules(
    {
        "default_time_zone": "UTC",
        "minimum_gap_hours": 48.0,
        "caps": [{"rule": "one", "scope": "customer", "channels": ["*"], "limit": 1, "days": 3.0}],
        "cool_downs": [
            {
                "rule": "silence",
                "after": ["unanswered"],
                "count": 1,
                "days": 2.0,
                "within_days": 9.0,
                "scope": "customer",
                "channels": ["*"],
                "purposes": ["marketing"],
            }
        ],
        "reservation_hours": 6.0,
    },
    {},
    {"offers": []},
    {},
)
EVERY = {"one", "minimum_gap", "silence"}


def broken(*before: Contact) -> set[str]:
    """The rules on other contacts that a contact at noon of the next day would break."""
    contacts = Contacts(ZoneInfo)
    for contact in before:
        contacts.add(contact)
    next_one = sent(99, NOON + DAY)
    found = [*contacts.caps(next_one, PLAIN, ZoneInfo("UTC")), *contacts.gap(next_one, PLAIN)]
    return {rule for rule, _ in [*found, *contacts.pauses(next_one, PLAIN, "marketing")]}


@pytest.mark.parametrize(
    ("contact", "rules"),
    [
        (sent(1, NOON, "delivered"), EVERY),
        (sent(1, NOON, "delivered", reserved=False), EVERY),
        (sent(1, NOON, "confirmed", reserved=False), EVERY),
        (sent(1, NOON, "delivered", reserved=False, after=30.0), set()),  # nobody knew of it yet
        (sent(1, NOON, reserved=False), set()),
        (sent(1, NOON), set()),  # its reservation has lapsed
        (sent(1, NOON + 0.9 * DAY), EVERY),  # reserved, and not lapsed yet
        (sent(1, NOON + 1.1 * DAY), {"one", "minimum_gap"}),  # reserved, and due in the future
        (sent(1, NOON, "bounced"), set()),
        (sent(1, NOON, "bounced", "delivered"), EVERY),
        (sent(1, NOON, "convert"), set()),  # a goal shows no delivery
        (sent(1, NOON, "open"), {"one", "minimum_gap"}),
        (sent(1, NOON, "machine_open"), EVERY),
    ],
)
def test_a_contact_counts_from_its_reservation_or_from_its_delivery(contact: Contact, rules: set[str]) -> None:
    assert broken(contact) == rules


def test_of_two_contacts_at_one_moment_an_answered_one_is_the_latest_though_it_was_not_reserved() -> None:
    silent, answered = sent(1, NOON, "delivered"), sent(2, NOON, "delivered", "click", reserved=False)
    assert "silence" in broken(silent)
    assert "silence" not in broken(silent, answered)
    assert "silence" not in broken(answered, silent)


def test_it_reads_the_log_and_nothing_that_decides() -> None:
    for name in ("rule_checker", "rule_counts", "rule_log"):
        text = (Path(__file__).parents[2] / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        assert "foretouch.serving" not in text
