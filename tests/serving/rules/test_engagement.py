"""The three tiers: who is asked in which order, what is said, until when; and mistakes found when files are loaded."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from foretouch.core.config import ChannelSection, Config, load_toml
from foretouch.core.contact import ContactPolicy
from foretouch.core.counters import CounterSnapshot
from foretouch.core.decisions import FeatureSnapshot, Suppression
from foretouch.core.engagement import TIERS, EngagementPolicy, EngagementRule
from foretouch.core.errors import ConfigError
from foretouch.core.offers import Catalogue, Offer
from foretouch.core.workspace import Workspace
from foretouch.features.catalogue import AGES, FEATURES
from foretouch.features.ingest import ingest_tables
from foretouch.features.initialise import initialise
from foretouch.features.offers import load_catalogue
from foretouch.serving.rules.rule_check import check_contact_policy, check_engagement, check_touchpoints
from foretouch.serving.runtime.settings import LOOK_SECONDS, SettingsReader, read_settings
from tests.serving.decision.world import EVERY_PURPOSE, NOW, OFFERS, counters, decided

TEA, JAM = OFFERS[0].replace(issue="thirst"), OFFERS[1].replace(issue="hunger")
NAMES = frozenset({"recency_days", "days_since_send", "gap_mean_days", "tenure_days"})


def rule(**changes: Any) -> EngagementRule:
    return EngagementRule.model_validate({"rule": "r", "tier": "eligibility", "when": "false", **changes})


def dropped(*rules: EngagementRule, features: dict[str, Any] | None = None, **changes: Any) -> dict[str, Suppression]:
    """What was dropped by which statement, by offer."""
    known = FeatureSnapshot(known=True, values=features or {"recency_days": 5.0}, as_of={"v": NOW})
    offers = changes.pop("offers", (TEA, JAM))
    record = decided(
        engagement=EngagementPolicy(rules=rules),
        catalogue=Catalogue(offers=offers),
        features=known,
        contact_policy=ContactPolicy(),
        **changes,
    )
    found = {item.offer_id: item.dropped_by for item in record.candidates if item.offer_id and item.dropped_by}
    return {name: drop for name, drop in found.items() if drop.stage in TIERS}


def test_a_rule_is_about_an_issue_a_category_or_one_offer() -> None:
    assert set(dropped(rule())) == {"tea", "jam"}
    assert set(dropped(rule(issue="thirst"))) == {"tea"}
    assert set(dropped(rule(category="b"))) == {"jam"}
    assert set(dropped(rule(offer_id="tea", category="b"))) == set()


def test_tiers_are_asked_in_order_own_rules_first() -> None:
    rules = [rule(rule=f"{tier}-{index}", tier=tier) for index in (1, 2) for tier in reversed(TIERS)]
    assert dropped(*rules)["tea"].rule == "eligibility-1"
    own = JAM.replace(eligibility="true", applicability="feature.recency_days > 30.0", suitability="false")
    found = dropped(*(item for item in rules if item.tier != "eligibility"), offers=(own,))["jam"]
    assert (found.stage, found.rule) == ("applicability", "applicability")
    assert found.seen == {"feature.recency_days": 5.0}
    assert found.text == "feature.recency_days > 30.0: not met: feature.recency_days == 5"


def test_a_fallback_offer_ignores_tiers_and_never_a_contact_rule() -> None:
    last = JAM.replace(fallback=True, eligibility="false")
    record = decided(engagement=EngagementPolicy(rules=(rule(),)), catalogue=Catalogue(offers=(last,)))
    assert record.candidates[1].dropped_by is None
    nobody = decided(catalogue=Catalogue(offers=(last,)), counters=CounterSnapshot())
    assert nobody.candidates[1].dropped_by is not None
    assert nobody.candidates[1].dropped_by.stage == "consent"


@pytest.mark.parametrize(
    ("when", "features", "days"),
    [
        ("feature.recency_days > 30.0", {"recency_days": 5.0}, 25.0 + 1 / 86_400),
        ("feature.recency_days >= 30.0", {"recency_days": 5.0}, 25.0),
        ("30 <= feature.recency_days", {"recency_days": 5.0}, 25.0),
        (
            "feature.recency_days >= 7 && feature.days_since_send >= 10",
            {"recency_days": 5.0, "days_since_send": 1.0},
            9,
        ),
        (
            "feature.recency_days >= 7 || feature.days_since_send >= 10",
            {"recency_days": 5.0, "days_since_send": 1.0},
            2,
        ),
        ("feature.recency_days >= 7 && customer.region == 'north'", {"recency_days": 5.0}, None),
        ("feature.recency_days < 3.0", {"recency_days": 5.0}, None),
        ("feature.gap_mean_days > 30.0", {"gap_mean_days": 5.0}, None),
        ("feature.recency_days > 30.0", {"tenure_days": 5.0}, None),
        ("feature.recency_days > 30.0 && feature.tenure_days < 12.0", {"recency_days": 5.0, "tenure_days": 9.0}, None),
    ],
)
def test_it_says_when_an_age_alone_makes_it_true(when: str, features: dict[str, Any], days: float | None) -> None:
    drop = dropped(rule(when=when), features=features)["tea"]
    assert drop.until == (None if days is None else NOW + timedelta(days=days))
    if days is None:
        return
    ages = {name: value + days for name, value in features.items()}
    assert dropped(rule(when=when), features=ages) == {}
    assert dropped(rule(when=when), features={name: value - 1e-3 for name, value in ages.items()})


def test_the_sooner_of_its_end_and_the_age_counts() -> None:
    ends = NOW + timedelta(days=3)
    aged = rule(when="feature.recency_days >= 7.0", ends_at=ends)
    assert dropped(aged)["tea"].until == NOW + timedelta(days=2)
    assert dropped(aged, features={"recency_days": 1.0})["tea"].until == ends


def test_a_rule_holds_between_its_dates_also_at_the_slot() -> None:
    hour = timedelta(hours=1)
    assert dropped(rule(ends_at=NOW)) == {}
    begun = rule(starts_at=NOW + 3 * hour, ends_at=NOW + 5 * hour)
    for seed in range(30):
        record = decided(
            engagement=EngagementPolicy(rules=(begun,)), contact_policy=ContactPolicy(), seed=seed, ask={"n": 3}
        )
        assert not any(begun.starts_at <= action.send_at < begun.ends_at for action in record.action)  # type: ignore[operator]
    window = {"earliest": NOW + 3 * hour, "latest": NOW + 4 * hour}
    record = decided({"send_window": window}, engagement=EngagementPolicy(rules=(begun,)))
    drop = record.candidates[1].dropped_by
    assert drop is not None
    assert (drop.stage, drop.rule, drop.until) == ("eligibility", "r", begun.ends_at)


def test_a_rule_about_a_person_fails_closed_where_nothing_is_known() -> None:
    found = dropped(rule(when="feature.tenure_days > 3.0 && customer.region == 'north'"))["tea"]
    assert "value unknown" in found.text
    assert found.seen == {"feature.tenure_days": None, "customer.region": None}
    broken = JAM.model_copy(update={"suitability": "feature."})
    assert dropped(offers=(broken,))["jam"].rule == "broken_rule"


def test_one_answer_serves_every_offer_where_a_rule_names_no_offer() -> None:
    by_offer = rule(when="offer.value > 5.0")
    assert set(dropped(by_offer)) == {"tea"}
    assert set(dropped(by_offer, rule(rule="s", when="customer.vip"), counters=counters(attributes={"vip": True}))) == {
        "tea"
    }


def test_ages_are_features_and_every_feature_in_days_since_is_one() -> None:
    assert set(FEATURES) >= AGES
    assert {name for name in FEATURES if name.startswith("days_since_")} <= AGES


FILE = """schema_version = 1

[[rules]]
rule = "first"
tier = "eligibility"
when = "feature.recency_days < 3.0"

[[rules]]
rule = "second"
tier = "{tier}"
category = "{category}"
offer_id = "{offer_id}"
when = '''
  feature.tenure_days > 1.0 &&
  {when}'''
{more}
"""
GOOD = {"tier": "suitability", "category": "a", "offer_id": "*", "when": "offer.value > 0.0", "more": ""}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"when": "feature.recency_day > 1.0"}, "line 15, column 3: rule 'second': feature.recency_day is not known"),
        ({"when": "feature.recency_day > 1.0"}, "did you mean 'recency_days'?"),
        ({"when": "(offer.value > 0.0"}, "line 15, column 21: rule 'second': "),
        (
            {"when": "offer.valeu > 0.0"},
            "line 15, column 3: rule 'second': offer.valeu is not known; did you mean 'value'?",
        ),
        ({"when": "launch(offer.value)"}, "line 15, column 3: rule 'second': function 'launch' is not known"),
        (
            {"category": "zebra"},
            "line 11, column 12: rule 'second': category == 'zebra' is not in the catalogue; known: 'a', 'b'",
        ),
        (
            {"offer_id": "tee"},
            "line 12, column 12: rule 'second': offer_id == 'tee' is not in the catalogue; did you mean",
        ),
        ({"tier": "eligible"}, "line 10, column 8: rules.1.tier: "),
        (
            {"more": "issue = 'thurst'"},
            "line 16, column 9: rule 'second': issue == 'thurst' is not in the catalogue; did you",
        ),
        ({"more": "color = 1"}, "line 16, column 9: rules.1.color: "),
        ({"when": "feature.tenure_days > 2.0 ? 1 : 2"}, "line 14, column 1: rule 'second': it gives a number, must"),
    ],
)
def test_a_mistake_has_its_file_line_and_column(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    file = tmp_path / "engagement_policy.toml"
    catalogue = Catalogue(offers=(TEA, JAM))
    file.write_text(FILE.format(**GOOD), encoding="utf-8")
    check_engagement(load_toml(file, EngagementPolicy), catalogue, NAMES, file)
    file.write_text(FILE.format(**{**GOOD, **changes}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check_engagement(load_toml(file, EngagementPolicy), catalogue, NAMES, file)
    assert caught.value.message.startswith(f"{file}: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[caps]]\nrule = 'c'\nlimit = 1\ndays = 1\nchannels = ['sms', 'emial']",
            "line 5, column 20: rule 'c': channel 'emial' is not in foretouch.toml; did you mean 'email'?",
        ),
        (
            "[[caps]]\nrule = 'c'\nlimit = 1\ndays = 1\n[[caps]]\nrule = 'c'\nlimit = 1\ndays = 1\n",
            "line 6, column 8: two of caps are named 'c'",
        ),
        (
            "[[working_hours]]\ncalendar = 'DE-BAY'",
            "line 2, column 12: rule 'working_hours': calendar == 'DE-BAY': DE has no subdivision 'BAY'",
        ),
        ("[[caps]]\nrule = 'c'\nlimit = 1", "line 1, column 1: caps.0: "),
        ("[[working_hours]]\nstart = 18:00:00\nend = 09:00:00", "working_hours.0: Value error, end == 09:00:00"),
    ],
)
def test_a_contact_rule_that_cannot_hold_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "contact_policy.toml"
    file.write_text(text, encoding="utf-8")
    config = Config(channels={"email": ChannelSection(), "sms": ChannelSection()})
    with pytest.raises(ConfigError) as caught:
        check_contact_policy(load_toml(file, ContactPolicy), config, file)
    assert said in caught.value.message


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with two offers that have every field."""
    made = initialise(tmp_path / "w").workspace
    rows = [
        {
            "offer_id": "tea",
            "name": "Tea",
            "channels": "email",
            "category": "drinks",
            "issue": "thirst",
            "purposes": "transactional;service",
            "applicability": "feature.recency_days < 90.0",
            "suitability": "customer.age >= 18.0",
            "fallback": "true",
        },
        {"offer_id": "jam", "name": "Jam", "channels": "email", "category": "food"},
    ]
    ingest_tables(made, {"offers": pd.DataFrame(rows)})
    return made


def test_offers_bring_purposes_issue_tiers_and_fallback(workspace: Workspace) -> None:
    tea, jam = (load_catalogue(workspace).offers[index] for index in (1, 0))
    assert (tea.issue, tea.fallback, set(tea.purposes)) == ("thirst", True, {"transactional", "service"})
    assert (tea.applicability, tea.suitability) == ("feature.recency_days < 90.0", "customer.age >= 18.0")
    assert (jam.purposes, jam.fallback, jam.issue) == (("marketing", "retention", "service"), False, "")
    assert "purposes" not in jam.attributes
    assert set(Offer.model_fields["purposes"].default) < set(EVERY_PURPOSE)


def test_offers_with_unknown_purposes_or_rules_are_quarantined(workspace: Workspace) -> None:
    row = {"name": "x", "channels": "email"}
    bad = [
        {**row, "offer_id": "p", "purposes": "marketing;fun"},
        {**row, "offer_id": "s", "suitability": "feature."},
        {**row, "offer_id": "n", "applicability": "feature.recency_days"},
        {**row, "offer_id": "f", "fallback": "perhaps"},
    ]
    report = ingest_tables(workspace, {"offers": pd.DataFrame(bad)})
    assert {table.table: table.quarantined for table in report.tables}["offers"] == 4
    assert {offer.offer_id for offer in load_catalogue(workspace).offers} == {"tea", "jam"}


def write_rule(workspace: Workspace, when: str) -> None:
    text = f'[[rules]]\nrule = "late"\ntier = "eligibility"\nwhen = "{when}"\n'
    (workspace.root / "engagement_policy.toml").write_text(text, encoding="utf-8")


def test_a_running_service_keeps_the_settings_it_had(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SettingsReader(workspace)
    assert reader.current.engagement.rules == ()
    write_rule(workspace, "feature.recency_days > 3.0")
    assert _eventually(reader).engagement.rules[0].rule == "late"
    write_rule(workspace, "feature.recncy_days > 3.0")
    kept = _eventually(reader)
    assert kept.engagement.rules[0].when == "feature.recency_days > 3.0"
    assert reader.error is not None
    assert "line 4, column 9: rule 'late': feature.recncy_days is not known; did you mean" in reader.error


def _eventually(reader: SettingsReader) -> Any:
    time.sleep(LOOK_SECONDS + 0.05)
    _ = reader.current
    return reader.current


def test_nothing_starts_on_a_rule_that_cannot_be_read(workspace: Workspace) -> None:
    write_rule(workspace, "feature.recency_days >")
    with pytest.raises(ConfigError, match=r"engagement_policy\.toml: line 4, column \d+: rule 'late'"):
        read_settings(workspace)
    command = [str(Path(sys.executable).parent / "foretouch"), "decide", "--customer", "ann", "-w", str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "engagement_policy.toml: line 4" in done.stderr.replace("\n", " ")


def test_datetimes_of_rules_are_utc_where_they_have_no_offset(workspace: Workspace) -> None:
    path = workspace.root / "engagement_policy.toml"
    path.write_text('[[rules]]\nrule = "r"\ntier = "suitability"\nwhen = "true"\nends_at = 2027-01-01T00:00:00\n')
    assert workspace.engagement_policy().rules[0].ends_at == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "line"),
    [('channels = ["email", "emial"]', 4), ('default_action = { offer_id = "a", channel = "emial" }', 4)],
)
def test_a_touchpoint_on_a_channel_that_there_is_not_is_refused_by_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "foretouch.toml"
    file.write_text(f"[channels.email]\ncost = 0.1\n[touchpoints.weekly]\n{text}\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=rf"line {line}, column \d+: touchpoint 'weekly': channel 'emial' is not"
    ) as caught:
        check_touchpoints(load_toml(file, Config), file)
    assert "email" in caught.value.message
    file.write_text('[channels.email]\n[touchpoints.weekly]\nchannels = ["email"]\n', encoding="utf-8")
    check_touchpoints(load_toml(file, Config), file)
