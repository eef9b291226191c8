"""``foretouch decide`` and ``foretouch replay`` on a workspace with real models, features and log."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.core.errors import ConfigError, NotFoundError
from foretouch.core.workspace import Workspace
from tests.serving.service.world import consenting, count


def run(*arguments: object) -> str:
    result = CliRunner().invoke(build_app(), [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def decided(workspace: Workspace, customer: str, *more: str) -> Any:
    return json.loads(run("decide", "--customer", customer, "--workspace", workspace.root, "--json", *more))


def test_a_decision_is_explained_logged_and_replayed(fresh: Workspace) -> None:
    customer = consenting(fresh)[0]
    before = count(fresh, "decisions")
    text = run("decide", "--customer", customer, "--workspace", fresh.root, "--channel", "email")
    assert "no contact" in text
    assert "probability" in text
    assert count(fresh, "decisions") == before + 1
    record = decided(fresh, customer, "--touchpoint", "weekly", "--channel", "email", "--channel", "sms")
    assert record["touchpoint"] == "weekly"
    assert record["request"]["channels"] == ["email", "sms"]
    assert "identical" in run("replay", record["decision_id"], "--workspace", fresh.root)


def test_replay_is_identical_after_the_policy_was_edited_and_shows_what_another_would_change(fresh: Workspace) -> None:
    record = decided(fresh, consenting(fresh)[0])
    (fresh.root / "policies").mkdir(exist_ok=True)
    (fresh.root / "policies" / "silent.toml").write_text('name = "silent"\nkind = "noop"\n', encoding="utf-8")
    (fresh.root / "policy.toml").write_text('kind = "greedy"\nfatigue_cost = 3.0\n', encoding="utf-8")
    again = json.loads(run("replay", record["decision_id"], "--workspace", fresh.root, "--json"))
    assert again["identical"] is True
    changed = json.loads(run("replay", record["decision_id"], "-w", fresh.root, "--policy", "silent", "--json"))
    assert changed["identical"] is False
    assert changed["decision"]["action"] == []
    assert "changed under policy silent" in run("replay", record["decision_id"], "-w", fresh.root, "--policy", "silent")


def test_a_dry_run_logs_nothing(fresh: Workspace) -> None:
    before = count(fresh, "decisions")
    record = decided(fresh, consenting(fresh)[0], "--dry-run")
    assert record["logged"] is False
    assert count(fresh, "decisions") == before


def test_an_unknown_customer_is_answered(fresh: Workspace) -> None:
    assert decided(fresh, "nobody")["status"] == "suppressed"
    assert decided(fresh, "nobody", "--purpose", "transactional")["status"] == "fallback"


def test_what_the_user_did_not_say_the_touchpoint_says(fresh: Workspace) -> None:
    config = fresh.root / "foretouch.toml"
    section = '[touchpoints.order]\npurpose = "transactional"\nchannels = ["email"]\n'
    config.write_text(f"{config.read_text(encoding='utf-8')}\n{section}", encoding="utf-8")
    customer = consenting(fresh)[0]
    record = decided(fresh, customer, "--touchpoint", "order", "--dry-run")
    assert record["purpose"] == "transactional"
    assert {item["channel"] for item in record["candidates"]} <= {None, "email"} | {
        item["channel"] for item in record["suppressed"]
    }
    said = decided(fresh, customer, "--touchpoint", "order", "--purpose", "marketing", "--dry-run")
    assert said["purpose"] == "marketing"


def test_placements_language_and_the_amount_of_reasons_are_the_users(fresh: Workspace) -> None:
    customer = consenting(fresh)[0]
    owed = ("--purpose", "transactional", "--channel", "email", "--dry-run")
    record = decided(fresh, customer, *owed, "--placement", "hero", "--placement", "footer", "--language", "zh")
    assert record["request"]["placements"] == ["hero", "footer"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in record["status_reason"])
    (action,) = record["action"]
    assert action["placement"] == "hero"
    assert action["reason_codes"]
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in reason["text"]) for reason in action["reason_codes"])
    assert decided(fresh, customer, *owed, "--explain", "none")["action"][0]["reason_codes"] == []
    with pytest.raises(ConfigError, match="language"):
        run("decide", "--customer", customer, "--language", "fr", "--workspace", fresh.root)


def test_mistakes_name_what_is_wrong(fresh: Workspace) -> None:
    with pytest.raises(ConfigError, match="purpose"):
        run("decide", "--customer", "1", "--purpose", "fun", "--workspace", fresh.root)
    with pytest.raises(NotFoundError, match="no decision 'gone'"):
        run("replay", "gone", "--workspace", fresh.root)


def test_a_decision_is_told_on_the_customers_own_clock_with_the_next_command(fresh: Workspace) -> None:
    customer = consenting(fresh)[0]
    record = decided(fresh, customer, "--channel", "email", "--dry-run")
    zone = record["counters"]["time_zone"]
    text = run("decide", "--customer", customer, "--workspace", fresh.root, "--channel", "email")
    at = fresh.clock.now().astimezone(ZoneInfo(zone))
    told = " ".join(text.split())
    assert f"{at:%a %Y-%m-%d %H:%M} {zone}" in told
    decision_id = told.partition("decision dec_")[2].split()[0]
    assert f"next: foretouch replay dec_{decision_id} --workspace {fresh.root}" in text
    before_the_table = text.partition("\n candidate ")[0].splitlines()[2:]
    assert len(before_the_table) >= 2
    assert not any(line.endswith(" ") or len(line) > 80 for line in before_the_table)
    dry = run("decide", "--customer", customer, "--workspace", fresh.root, "--dry-run")
    assert f"next: foretouch decide --customer {customer} --workspace {fresh.root}" in dry
