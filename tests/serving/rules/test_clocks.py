"""Quiet and working hours against an oracle, minute by minute over changes of clock; calendars as published."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from holidays import country_holidays
from hypothesis import given, settings
from hypothesis import strategies as st

from foretouch.core.contact import WEEKDAYS, QuietHours, WorkingHours
from foretouch.core.errors import ConfigError
from foretouch.serving.rules.hours import HourRule, first_closed, next_open, open_slots
from foretouch.serving.rules.working_days import (
    SWAPPED_WITHIN,
    check_calendar,
    is_known,
    last_published,
    unpublished,
    working_year,
    works,
)
from tests.serving.rules import clock_oracle as oracle

ALL_ZONES = tuple(sorted(available_timezones()))
ODD_ZONES = (
    *("Australia/Lord_Howe", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Nuuk", "Antarctica/Troll"),
    *("Africa/Casablanca", "America/St_Johns", "Pacific/Chatham", "Europe/Berlin", "America/Santiago", "Asia/Gaza"),
)
"""Changes of half an hour, at midnight, backwards into the day before, of two hours, around Ramadan."""
RULES: tuple[HourRule, ...] = (
    QuietHours(start=time(21), end=time(8)),
    QuietHours(start=time(23, 30), end=time(1, 45), days=("fri", "sat", "sun")),
    QuietHours(start=time(1, 15), end=time(3, 5)),
    QuietHours(start=time(0), end=time(0), days=("sun",)),
    WorkingHours(start=time(0), end=time(2, 30)),
    WorkingHours(start=time(9), end=time(18)),
)


def differs(zone: ZoneInfo, start: datetime, hours: int) -> list[str]:
    """Minutes at which the service and the oracle disagree."""
    found = []
    for rule in RULES:
        expected = [moment for moment in oracle.walk(start, hours) if not _closed(moment, zone, rule)]
        got = open_slots(list(oracle.walk(start, hours)), zone, (rule,))
        found += [f"{zone.key} {rule}: {moment}" for moment in sorted(set(expected) ^ set(got))[:2]]
        free = next_open(start, zone, (rule,))
        if expected and free is not None and free <= expected[-1]:
            first = expected[0]
            # the oracle knows whole minutes; every rule and every change of clock falls on one
            found += [] if free == first else [f"{zone.key} {rule}: free at {free}, by the oracle at {first}"]
    return found


def _closed(moment: datetime, zone: ZoneInfo, rule: HourRule) -> bool:
    return oracle.quiet(moment, zone, rule) if isinstance(rule, QuietHours) else oracle.outside(moment, zone, rule)


@pytest.mark.parametrize("name", ODD_ZONES)
def test_every_minute_around_every_change_of_clock_of_two_years(name: str) -> None:
    zone = ZoneInfo(name)
    for change in oracle.transitions(zone, 2026, 2027):
        assert differs(zone, change - timedelta(hours=3), 18) == []


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ALL_ZONES), st.integers(0, 729))
def test_every_minute_of_any_day_in_any_zone(name: str, day: int) -> None:
    assert differs(ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), 30) == []


ZONES = st.sampled_from(ALL_ZONES).map(ZoneInfo)
CLOCKS = st.integers(0, 95).map(lambda quarter: time(quarter // 4, 15 * (quarter % 4)))
MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + minute * oracle.MINUTE
)


@settings(max_examples=150, deadline=None)
@given(
    zone=ZONES,
    at=MOMENTS,
    start=CLOCKS,
    length=st.integers(1, 95),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
)
def test_wider_quiet_hours_never_allow_more(
    *, zone: ZoneInfo, at: datetime, start: time, length: int, before: int, after: int
) -> None:
    wider_by = min(before + after + length, 96) - length
    narrow = QuietHours(start=start, end=_later(start, length))
    begin = min(before, wider_by)
    wide = QuietHours(start=_later(start, -begin), end=_later(start, length + wider_by - begin))
    slots = [at + timedelta(minutes=20 * step) for step in range(80)]
    assert set(open_slots(slots, zone, (wide,))) <= set(open_slots(slots, zone, (narrow,)))


@settings(max_examples=150, deadline=None)
@given(
    zone=ZONES,
    at=MOMENTS,
    start=CLOCKS,
    end=CLOCKS,
    days=st.sets(st.sampled_from(WEEKDAYS)),
    another=st.sampled_from(WEEKDAYS),
)
def test_another_quiet_day_never_allows_more(
    *, zone: ZoneInfo, at: datetime, start: time, end: time, days: set[str], another: str
) -> None:
    some = QuietHours.model_validate({"start": start, "end": end, "days": sorted(days)})
    more = QuietHours.model_validate({"start": start, "end": end, "days": sorted({*days, another})})
    slots = [at + timedelta(hours=step) for step in range(60)]
    assert set(open_slots(slots, zone, (more,))) <= set(open_slots(slots, zone, (some,)))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ALL_ZONES), MOMENTS, st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True))
def test_what_it_says_is_free_is_free_and_the_moment_before_is_not(
    name: str, at: datetime, rules: list[HourRule]
) -> None:
    zone = ZoneInfo(name)
    free = next_open(at, zone, rules)
    if free is None:  # rules that leave no hour of any day
        assert open_slots([at + timedelta(minutes=15 * step) for step in range(8 * 96)], zone, rules) == ()
        return
    assert first_closed(free.astimezone(zone), rules) is None
    if free > at:
        assert first_closed((free - timedelta(microseconds=1)).astimezone(zone), rules) is not None


def _later(clock: time, quarters: int) -> time:
    minute = (clock.hour * 60 + clock.minute + 15 * quarters) % 1440
    return time(minute // 60, minute % 60)


STATE_COUNCIL = {
    2024: (
        ("01-01", "02-10/02-17", "04-04/04-06", "05-01/05-05", "06-10", "09-15/09-17", "10-01/10-07"),
        ("02-04", "02-18", "04-07", "04-28", "05-11", "09-14", "09-29", "10-12"),
    ),
    2025: (
        ("01-01", "01-28/02-04", "04-04/04-06", "05-01/05-05", "05-31/06-02", "10-01/10-08"),
        ("01-26", "02-08", "04-27", "09-28", "10-11"),
    ),
    2026: (
        ("01-01/01-03", "02-15/02-23", "04-04/04-06", "05-01/05-05", "06-19/06-21", "09-25/09-27", "10-01/10-07"),
        ("01-04", "02-14", "02-28", "05-09", "09-20", "10-10"),
    ),
}
"""Days off and make-up working days, copied by hand from the State Council's yearly notices (部分节假日安排的通知)."""


@pytest.mark.parametrize("year", sorted(STATE_COUNCIL))
def test_chinas_working_days_are_those_that_were_published(year: int) -> None:
    spans, made_up = STATE_COUNCIL[year]
    off: set[date] = set()
    for span in spans:
        first, _, last = span.partition("/")
        day, end = date.fromisoformat(f"{year}-{first}"), date.fromisoformat(f"{year}-{last or first}")
        while day <= end:
            off.add(day)
            day += timedelta(days=1)
    worked = {date.fromisoformat(f"{year}-{day}") for day in made_up}
    day = date(year, 1, 1)
    while day.year == year:
        assert works(day, "CN") is (day in worked or (day.weekday() < 5 and day not in off)), day
        assert is_known(day, "CN")
        day += timedelta(days=1)


def test_a_year_that_the_library_does_not_know_is_closed_where_days_may_be_swapped() -> None:
    year = 2040
    assert last_published("CN", year) < year
    holidays = {date(year, 1, 1), date(year, 2, 12), date(year, 5, 1), date(year, 10, 1)}
    for holiday in holidays:
        for offset in range(-SWAPPED_WITHIN, SWAPPED_WITHIN + 1):
            day = holiday + timedelta(days=offset)
            assert not works(day, "CN")
    assert works(date(year, 7, 16), "CN")
    assert not works(date(year, 7, 15), "CN"), "a Sunday"
    assert not is_known(date(year, 9, 28), "CN")
    assert unpublished(("CN",), date(year, 7, 16), date(year, 7, 17)) == ()
    warnings = unpublished(("CN", "CN"), date(year, 9, 1), date(year, 9, 28))
    assert [f"working days of {year}" in text for text in warnings] == [True]


def test_no_swap_of_the_published_years_was_further_from_a_holiday_than_the_uncertain_days() -> None:
    for year in range(2015, 2027):
        pretended = working_year("CN", year).working
        certain = _certain(year)
        assert {day for day in certain if day not in pretended} == set(), year


def _certain(year: int) -> set[int]:
    """Days of a published year that would be open if nothing were published: they must really be working days."""
    book = country_holidays("CN", years=[year - 1, year, year + 1])
    statutory = {day.toordinal() for day, name in book.items() if "substituted" not in name and "observed" not in name}
    near = {day + offset for day in statutory for offset in range(-SWAPPED_WITHIN, SWAPPED_WITHIN + 1)}
    days = range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1)
    return {day for day in days if date.fromordinal(day).weekday() < 5 and day not in near}


def test_other_countries_have_their_own_holidays_and_weekends() -> None:
    assert not works(date(2026, 6, 4), "DE-BY")  # Corpus Christi
    assert works(date(2026, 6, 4), "DE-BE")
    assert not works(date(2026, 11, 26), "US")  # Thanksgiving
    assert works(date(2026, 6, 7), "SA"), "a Sunday"
    assert not works(date(2026, 6, 5), "SA"), "a Friday"
    assert works(date(2026, 12, 25), "")


@pytest.mark.parametrize(
    ("calendar", "said"),
    [("CHINA", "no country 'CHINA'"), ("DE-BAY", "no subdivision 'BAY'"), ("XX", "no country 'XX'")],
)
def test_a_calendar_that_is_not_there_is_named(calendar: str, said: str) -> None:
    check_calendar("")
    check_calendar("DE-BY")
    with pytest.raises(ConfigError) as caught:
        check_calendar(calendar)
    assert said in caught.value.message


def test_a_local_time_with_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="has an offset"):
        QuietHours.model_validate({"start": "21:00:00Z", "end": "08:00:00"})
