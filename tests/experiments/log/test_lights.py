"""Lights of an experiment from the log: counted by hand from what was decided, posted and ingested."""

from collections.abc import Mapping
from html import unescape
from pathlib import Path

import pytest

from foretouch.experiments.log.experiment import analyze_experiment
from foretouch.experiments.report.page import render
from foretouch.experiments.results import Check, Results
from tests.experiments.insights.made_log import NOW, MadeLog
from tests.experiments.log.test_exposed import SPEC

PEOPLE = 60


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    """Sixty people in either arm; those of ``all`` are decisions 1 to 60."""
    made = MadeLog(tmp_path / "w")
    (made.root / "experiments").mkdir()
    (made.root / "experiments" / "held.toml").write_text(SPEC)
    for number in range(PEOPLE):
        made.decide(f"all{number}", 0, arms={"held": "all"}, chosen=("tea", "email"))
    for number in range(PEOPLE):
        made.decide(f"none{number}", 0, arms={"held": "none"}, status="control")
    return made


def analyzed(log: MadeLog) -> Results:
    return analyze_experiment(log.workspace, "held", now=NOW)


def lights(log: MadeLog) -> Mapping[str, Check]:
    return {check.code: check for check in analyzed(log).checks}


def test_without_any_delivery_posted_it_is_said_that_it_cannot_be_told(log: MadeLog) -> None:
    found = lights(log)
    assert {"bots_ok", "fresh_none"} <= set(found)
    assert [code for code in found if code.startswith("exposure")] == ["exposure_unknown"]
    assert found["exposure_unknown"].light == "amber"
    page = render(analyzed(log), "zh")
    assert "送达未知" in page, "a word on the strip"
    assert found["exposure_unknown"].text_zh in page, "and the whole sentence"


def test_where_nobody_was_to_be_contacted_nothing_is_said_of_deliveries(tmp_path: Path) -> None:
    made = MadeLog(tmp_path / "w")
    (made.root / "experiments").mkdir()
    (made.root / "experiments" / "held.toml").write_text(SPEC)
    for number in range(PEOPLE):
        for arm in ("all", "none"):
            made.decide(f"{arm}{number}", 0, arms={"held": arm}, status="control")
    assert not [code for code in lights(made) if code.startswith("exposure")]


def test_delivery_is_of_those_to_be_contacted(log: MadeLog) -> None:
    log.outcome(log.decide("none0", 1, chosen=("tea", "sms")), "bounced", 1)
    log.outcome(log.decide("none0", 1, chosen=("tea", "sms")), "delivered", 1)  # not its first decision: not in "all"
    none = lights(log)["exposure_none"]
    assert (none.light, "0%" in none.text_en) == ("amber", False)
    for number in range(1, 46):
        log.outcome(f"dec_{number:05d}", "delivered", 0)
    found = lights(log)["exposure_ok"]
    assert found.light == "green"
    assert "“all” 75.0%" in found.text_en
    assert "“all”75.0%" in found.text_zh
    assert "none" not in found.text_en
    for language, sentence in (("en", found.text_en), ("zh", found.text_zh)):  # the strip has a word for it
        assert unescape(render(analyzed(log), language)).count(sentence) == 1


def test_arms_of_which_one_is_not_reached_are_told_apart(tmp_path: Path) -> None:
    log = MadeLog(tmp_path / "w")
    (log.root / "experiments").mkdir()
    (log.root / "experiments" / "held.toml").write_text(SPEC.replace('kind = "no_contact"', 'kind = "random"'))
    for arm in ("all", "none"):
        for number in range(PEOPLE):
            decision = log.decide(f"{arm}{number}", 0, arms={"held": arm}, chosen=("tea", "email"))
            if arm == "all" or number < PEOPLE // 2:
                log.outcome(decision, "delivered", 0)
    found = lights(log)["exposure_uneven"]
    assert found.light == "amber"
    assert "“all” 100%, “none” 50%" in found.text_en


def test_who_has_only_machines_on_record_is_a_bot(log: MadeLog) -> None:
    for number in range(12):  # 12 of 120, all by events of machines
        log.event(f"none{number}", 2, kind="visit", bot=True)
    for number in range(6, 12):  # of whom six are people after all
        log.event(f"none{number}", 3, kind="visit")
    log.outcome("dec_00001", "machine_open", 0)
    log.outcome("dec_00002", "machine_open", 0)
    log.outcome("dec_00002", "click", 1)
    found = lights(log)
    assert "bots_uneven" not in found  # after the first exposure: no sign of how the arms were drawn
    assert found["bots_many"].light == "amber"
    assert "5.8%" in found["bots_many"].text_en  # 7 of 120
    for number in range(20):
        log.event(f"none{20 + number}", -2, kind="visit", bot=True)
    found = lights(log)
    assert found["bots_uneven"].light == "amber"
    assert "“none” 33.3%" in found["bots_uneven"].text_en
    for language in ("en", "zh"):
        page = unescape(render(analyzed(log), language))
        assert getattr(found["bots_uneven"], f"text_{language}") in page


def test_any_event_or_outcome_says_that_data_come_in(log: MadeLog) -> None:
    log.event("all0", 1)
    assert lights(log)["fresh_old"].light == "amber"  # the last window ends on day 7
    log.outcome("dec_00003", "delivered", 6)
    assert lights(log)["fresh_ok"].light == "green"
