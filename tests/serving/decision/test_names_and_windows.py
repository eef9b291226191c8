"""What a caller gets wrong most: windows on another clock, mistyped names; and the short list of what was dropped."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foretouch.core.config import ClockSection
from foretouch.core.decisions import DecisionRecord
from foretouch.core.offers import Catalogue, Offer
from foretouch.serving.history.replay import replay
from tests.serving.decision.world import NOW, OFFERS, counters, decided, inputs

OFFSET = ClockSection(kind="offset", offset_seconds=-280_504_950.589)
ELSEWHERE = inputs().config.replace(clock=OFFSET)
MACHINE_NOW = NOW - timedelta(seconds=OFFSET.offset_seconds)


def window(start: datetime, hours: float) -> dict[str, Any]:
    return {"send_window": {"earliest": start.isoformat(), "latest": (start + timedelta(hours=hours)).isoformat()}}


def test_a_window_on_the_machines_clock_is_moved_like_an_event() -> None:
    asked = {**window(MACHINE_NOW + timedelta(hours=1), 3), "n": 1}
    record = decided(asked, config=ELSEWHERE)
    assert record.contact
    assert NOW + timedelta(hours=1) <= record.action[0].send_at <= NOW + timedelta(hours=4)
    assert sum("was moved" in warning for warning in record.warnings) == 2
    assert record.request.send_window.earliest == MACHINE_NOW + timedelta(hours=1), "the record holds what was asked"
    assert replay(record, inputs(config=ELSEWHERE)).identical
    here = decided(window(NOW + timedelta(hours=1), 3), config=ELSEWHERE)
    assert [action.send_at for action in here.action] == [action.send_at for action in record.action]
    assert not any("was moved" in warning for warning in here.warnings)


def test_without_an_offset_nothing_is_moved() -> None:
    record = decided(window(MACHINE_NOW, 3))
    assert (record.status, record.warnings[:0]) == ("suppressed", ())
    assert not any("was moved" in warning for warning in record.warnings)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (NOW + timedelta(days=4), "the send window opens at 2026-03-14 14:20 UTC, after the latest possible time"),
        (NOW - timedelta(days=4), "the send window closed at 2026-03-06 18:20 UTC"),
    ],
)
def test_a_window_out_of_reach_says_which_end_is_wrong(start: datetime, said: str) -> None:
    record = decided(window(start, 4))
    assert record.status == "suppressed"
    assert {item.rule for item in record.suppressed} == {"send_window"}
    assert said in record.suppressed[0].text


def test_names_that_nothing_has_are_warned_of() -> None:
    record = decided({"channels": ["emial", "email"], "baseline_offer_id": "tee"})
    assert record.contact
    assert "the request names channel 'emial', which foretouch.toml does not have" in record.warnings
    assert "baseline_offer_id 'tee' is not in the catalogue" in record.warnings
    assert not decided({"channels": ["email"], "baseline_offer_id": "tea"}).warnings[1:]


def crowded(**changes: Any) -> DecisionRecord:
    """Twenty offers that ended, and the three that are on."""
    ended = tuple(
        Offer(offer_id=f"old-{number}", name="", channels=("email", "sms"), ends_at=datetime(2026, 1, 1, tzinfo=UTC))
        for number in range(20)
    )
    return decided(catalogue=Catalogue(offers=(*ended, *OFFERS)), **changes)


def test_a_rule_about_the_customer_is_said_once_however_many_offers_have_ended() -> None:
    record = crowded(counters=counters(consents={}))
    first, *rest = record.suppressed
    assert (first.offer_id, first.stage, first.rule) == ("*", "consent", "no_record")
    assert {item.offer_id for item in rest} == {f"old-{number}" for number in range(20)}
    assert {item.text for item in rest} == {"the offer ended 2026-01-01 00:00 UTC"}
    assert record.status_reason == (
        "For this customer no consent is on record for this purpose, so no contact is allowed."
    )


def test_offers_that_have_ended_never_make_a_star_while_others_are_on() -> None:
    record = crowded()
    assert record.contact
    assert not any(item.offer_id == "*" and item.stage == "dates" for item in record.suppressed)
    alone = decided(catalogue=Catalogue(offers=(OFFERS[0].replace(ends_at=NOW - timedelta(days=1)),)))
    assert [(item.offer_id, item.rule) for item in alone.suppressed] == [("*", "ends_at")]
