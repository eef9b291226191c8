"""Slots on real clocks: skipped and repeated hours, half-hour zones, quiet hours over midnight, the slot's draw."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from foretouch.core.contact import QuietHours
from foretouch.core.decisions import Send
from foretouch.serving.decision.send_time import NO_RHYTHM, Rhythm, Timetable, TimetableBook, choose_slot
from foretouch.serving.rules.slots import hour_of_week, is_quiet, walk
from tests.serving.decision.world import counters, decided

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local_times(start: str, end: str, zone: str) -> list[str]:
    return [f"{slot.astimezone(ZoneInfo(zone)):%d %H:%M}" for slot in walk(utc(start), utc(end), ZoneInfo(zone))]


def test_a_skipped_hour_has_no_slot() -> None:
    assert local_times("2026-03-29T00:00", "2026-03-29T03:00", "Europe/Berlin") == ["29 01:00", "29 03:00", "29 04:00"]


def test_a_repeated_hour_has_two_slots() -> None:
    slots = walk(utc("2026-10-25T00:00"), utc("2026-10-25T03:00"), BERLIN)
    assert [slot.astimezone(BERLIN).hour for slot in slots] == [2, 2, 3]
    assert len(set(slots)) == 3


def test_half_hour_zones_keep_whole_local_hours() -> None:
    assert local_times("2026-05-01T00:10", "2026-05-01T03:00", "Asia/Kolkata") == [
        "01 05:40",
        "01 06:00",
        "01 07:00",
        "01 08:00",
    ]
    assert local_times("2026-05-01T00:10", "2026-05-01T02:20", "Asia/Kathmandu") == [
        "01 05:55",
        "01 06:00",
        "01 07:00",
        "01 08:00",
    ]


def test_a_half_hour_change_of_clock() -> None:
    # Lord Howe goes from +11:00 to +10:30 on 5 April 2026 at 02:00 local, which becomes 01:30
    times = local_times("2026-04-04T13:30", "2026-04-04T17:40", "Australia/Lord_Howe")
    assert times == ["05 00:30", "05 01:00", "05 02:00", "05 03:00", "05 04:00"]


def test_every_zone_and_day_gives_whole_local_hours_in_order() -> None:
    for zone in ("America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Kathmandu"):
        for month in range(1, 13):
            start = datetime(2026, month, 1, 0, 7, tzinfo=UTC)
            slots = walk(start, start + timedelta(days=9), ZoneInfo(zone))
            assert slots[0] == start
            assert slots[-1] < start + timedelta(days=7)
            assert all(slot.astimezone(ZoneInfo(zone)).minute == 0 for slot in slots[1:])
            assert all(later > earlier for earlier, later in pairwise(slots))
            assert 165 <= len(slots) <= 170


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"), [(20, 59, False), (21, 0, True), (0, 0, True), (7, 59, True), (8, 0, False)]
)
def test_quiet_hours_pass_midnight(hour: int, minute: int, quiet: bool) -> None:
    at = datetime(2026, 3, 10, hour, minute, tzinfo=BERLIN).astimezone(UTC)
    assert is_quiet(at, BERLIN, QuietHours(start=time(21), end=time(8))) is quiet


def test_quiet_hours_with_equal_ends_are_the_whole_day() -> None:
    rule = QuietHours(start=time(9), end=time(9))
    assert all(is_quiet(utc("2026-03-10T00:00") + timedelta(hours=hour), BERLIN, rule) for hour in range(24))


def test_hours_of_the_week_begin_on_monday() -> None:
    assert hour_of_week(utc("2026-03-08T23:00"), BERLIN) == 0
    assert hour_of_week(utc("2026-03-08T22:59"), BERLIN) == 167


def rhythm(*peaks: int) -> Rhythm:
    shares = np.full(168, 1.0)
    for rank, peak in enumerate(peaks):
        shares[peak] = 50.0 - rank
    return Rhythm(shares=shares / shares.sum(), support=12.0)


def table(slots: Sequence[datetime], zone: ZoneInfo, of: Rhythm, **changes: Any) -> Timetable:
    return TimetableBook(zone, of, **changes).of("email", tuple(slots))


def test_best_slot_and_runner_up() -> None:
    slots = walk(utc("2026-03-09T00:00"), utc("2026-03-10T00:00"), ZoneInfo("UTC"))
    of = rhythm(18, 7)
    at, send = choose_slot(table(slots, ZoneInfo("UTC"), of), of, exploration=0.0, position=lambda _: 0.5)
    assert at == send.best_at == utc("2026-03-09T18:00")
    assert send.runner_up_at == utc("2026-03-09T07:00")
    assert send.score == pytest.approx(50.0 / (50.0 + 49.0 + 166.0))
    assert (send.slot_probability, send.explored, send.support) == (1.0, False, 12.0)


def test_the_slots_probabilities_are_those_of_the_draw() -> None:
    slots = walk(utc("2026-03-09T00:00"), utc("2026-03-09T04:00"), ZoneInfo("UTC"))
    seen: dict[datetime, float] = {}
    of = rhythm(2)
    times = table(slots, ZoneInfo("UTC"), of)
    total = 0.0
    grid = [(step + 0.5) / 40 for step in range(40)]
    for first in grid:
        for second in grid:
            numbers = {"slot/explore": first, "slot/which": second}
            at, send = choose_slot(times, of, exploration=0.25, position=numbers.__getitem__)
            seen[at] = seen.get(at, 0.0) + 1.0 / 1600.0
            assert send.slot_probability == pytest.approx(0.0625 + (0.75 if at == slots[2] else 0.0))
            assert send.explored == (at != slots[2])
            total += 1.0 / 1600.0
    assert seen == pytest.approx({slot: 0.8125 if slot == slots[2] else 0.0625 for slot in slots})


def test_without_a_model_the_first_allowed_slot_is_the_best() -> None:
    slots = walk(utc("2026-03-09T05:00"), utc("2026-03-09T09:00"), BERLIN)
    at, send = choose_slot(table(slots, BERLIN, NO_RHYTHM), NO_RHYTHM, exploration=0.0, position=lambda _: 0.0)
    assert (at, send.basis) == (slots[0], "none")


def with_effect(*, identified: bool = True, **hours: float) -> Rhythm:
    """Active most at 18, then at 7 on a Monday; sending does what ``h<hour>`` says, and 1 elsewhere."""
    effect = np.ones(168)
    for name, times in hours.items():
        effect[int(name[1:])] = times
    return replace(rhythm(18, 7), effects={"*": effect}, identified=identified)


MONDAY = walk(utc("2026-03-09T00:00"), utc("2026-03-10T00:00"), ZoneInfo("UTC"))


def send(of: Rhythm, **changes: Any) -> Send:
    scale = changes.pop("scale", 2.0)
    return choose_slot(
        table(MONDAY, ZoneInfo("UTC"), of, **changes), of, exploration=0.0, position=lambda _: 0.5, scale=scale
    ).send


def test_an_identified_effect_decides_and_activity_only_breaks_ties() -> None:
    found = send(with_effect(h11=1.5, h7=1.2))
    assert (found.best_at.hour, found.runner_up_at and found.runner_up_at.hour) == (11, 7)
    assert (found.basis, found.identified, found.effect) == ("effect", True, 1.5)
    assert found.score == pytest.approx(1.0 / (50.0 + 49.0 + 166.0)), "activity at the best slot, not at the busiest"
    assert found.gain_over_first == pytest.approx(2.0 * 0.5)
    tied = send(with_effect(h7=1.5, h18=1.5))
    assert (tied.best_at.hour, tied.runner_up_at and tied.runner_up_at.hour) == (18, 7)


def test_an_effect_that_is_not_identified_or_is_switched_off_takes_no_part() -> None:
    for found in (send(with_effect(identified=False, h11=1.5)), send(with_effect(h11=1.5), use_effects=False)):
        assert (found.best_at.hour, found.basis) == (18, "activity")
        assert (found.identified, found.effect, found.gain_over_first) == (False, None, 0.0)


def test_an_effect_that_does_not_tell_the_slots_apart_is_not_what_the_choice_rests_on() -> None:
    """An effect that was found to be none is no reason: the answer must not say that the hour had the most effect."""
    flat = send(with_effect())
    assert (flat.best_at.hour, flat.basis, flat.identified, flat.effect) == (18, "activity", True, 1.0)
    assert send(with_effect(), now=MONDAY[0], waiting_cost_per_hour=0.1).basis == "none"
    assert send(with_effect(h11=1.5), scale=0.0).basis == "activity", "worth nothing at any hour"


def test_what_waiting_costs_and_gains() -> None:
    costly = {"now": MONDAY[0], "waiting_cost_per_hour": 0.1}
    found = send(with_effect(h1=1.5, h20=2.0), **costly)
    assert found.best_at.hour == 1
    assert found.waiting_cost == pytest.approx(2.0 * 1.5 * 0.1)
    assert found.gain_over_first == pytest.approx(2.0 * (1.5 * 0.9 - 1.0))
    patient = send(with_effect(h1=1.5, h20=2.0), now=MONDAY[0], waiting_cost_per_hour=0.001)
    assert patient.best_at.hour == 20
    assert patient.waiting_cost == pytest.approx(2.0 * 2.0 * (1.0 - 0.999**20))
    first = send(rhythm(18, 7), **costly)
    assert (first.best_at.hour, first.basis, first.waiting_cost, first.gain_over_first) == (0, "none", 0.0, 0.0)


def test_waiting_is_counted_from_now_and_not_from_the_first_slot() -> None:
    early = utc("2026-03-08T20:00")
    late = table(MONDAY, ZoneInfo("UTC"), NO_RHYTHM, now=early, waiting_cost_per_hour=0.5)
    assert late.patience[0] == pytest.approx(0.5**4)
    assert late.patience[3] == pytest.approx(0.5**7)


def test_a_loss_is_least_where_sending_does_least() -> None:
    assert send(with_effect(h11=1.5, h4=0.5), scale=-1.0).best_at.hour == 4
    assert send(with_effect(h11=1.5, h4=0.5), scale=0.0).best_at.hour == 18, "worth nothing anywhere: activity decides"


def test_a_channels_own_effect_goes_before_that_of_every_channel() -> None:
    of = replace(with_effect(h11=1.5), effects={"*": with_effect(h11=1.5).effects["*"], "sms": np.full(168, 0.7)})
    book = TimetableBook(ZoneInfo("UTC"), of)
    slots = tuple(MONDAY)
    assert book.of("sms", slots).timing == [0.7] * 24
    assert book.of("email", slots).timing[11] == 1.5
    assert book.of("email", slots) is book.of("email", slots), "worked out once"
    partly = replace(of, effects={"sms": np.full(168, 0.7)})
    assert not TimetableBook(ZoneInfo("UTC"), partly).of("email", slots).timed


def test_the_zone_of_the_request_wins_and_a_missing_one_warns() -> None:
    asked = decided({"send_window": {"time_zone": "Asia/Shanghai"}})
    assert all("time zone" not in warning for warning in asked.warnings)
    missing = decided(counters=counters(time_zone=None))
    assert any("UTC is used for quiet hours" in warning for warning in missing.warnings)
    broken = decided(counters=counters(time_zone="Mars/Olympus"))
    assert any("Mars/Olympus" in warning for warning in broken.warnings)
