"""Working days: Monday to Friday, or a country's own with its public holidays and make-up working days.

The days come from the ``holidays`` library (docs/decisions/0007 says why this one). China's State Council publishes
the days of a year in the autumn before: which weekdays are swapped for which weekends cannot be worked out. In a year
that the library does not have yet, a day is a working day only if it is a weekday, no statutory holiday, and further
from every statutory holiday than a day was ever swapped; all others are not known, which forbids them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from foretouch.core.errors import ConfigError
from foretouch.core.expressions import nearest

if TYPE_CHECKING:
    from holidays import HolidayBase

PUBLISHED_YEARLY = frozenset({"CN"})
"""Countries whose make-up working days are published year by year, and cannot be worked out before."""
SWAPPED_WITHIN = 10
"""Days: the furthest that China moved a day from a statutory holiday, 2008 to 2026 (11 May 2024, of Labour Day)."""
LOOKED_BACK = 8
"""Years in which the last published one is looked for."""


@dataclass(frozen=True, kw_only=True)
class WorkingYear:
    """One year of a calendar, by ``date.toordinal``.

    Attributes:
        working: Days on which people work.
        unknown: Days of which that is not known yet; none of them is in ``working``.
    """

    working: frozenset[int]
    unknown: frozenset[int] = frozenset()


def works(day: date, calendar: str) -> bool:
    """Whether a day is known to be a working day.

    Args:
        day: The local date.
        calendar: ``WorkingHours.calendar``; empty is Monday to Friday.
    """
    if not calendar:
        return day.weekday() < 5
    return day.toordinal() in working_year(calendar, day.year).working


def is_known(day: date, calendar: str) -> bool:
    """Whether the calendar can say of a day whether people work."""
    return not calendar or day.toordinal() not in working_year(calendar, day.year).unknown


def check_calendar(calendar: str) -> None:
    """Makes sure that a calendar can be used, and reads the library: later look-ups touch no file.

    Raises:
        ConfigError: The library has no such country or subdivision; the message names the nearest one.
    """
    if not calendar:
        return
    from holidays.utils import list_supported_countries  # noqa: PLC0415 - 0.2 s that only such a rule costs

    known = list_supported_countries()
    country, _, part = calendar.partition("-")
    if country not in known:
        raise ConfigError(
            f"calendar == {calendar!r}: there is no country {country!r}{nearest(country, known)}",
            hint="write a country's two letters, and a subdivision if you like: 'CN', 'US', 'DE-BY'",
        )
    if part and part not in known[country]:
        raise ConfigError(
            f"calendar == {calendar!r}: {country} has no subdivision {part!r}{nearest(part, known[country])}",
            hint=f"there are: {', '.join(known[country]) or 'none'}",
        )
    working_year(calendar, 2026)


@lru_cache(maxsize=512)
def working_year(calendar: str, year: int) -> WorkingYear:
    """The working days of a year.

    Args:
        calendar: Country and subdivision as ``check_calendar`` accepts them.
        year: Of the Gregorian calendar.
    """
    days = range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1)
    country = calendar.partition("-")[0]
    known = _library(calendar, range(year - 1, year + 2))
    working = frozenset(day for day in days if known.is_working_day(date.fromordinal(day)))
    if country not in PUBLISHED_YEARLY or year <= last_published(calendar, year):
        return WorkingYear(working=working)
    near = frozenset(
        day + offset for day in map(date.toordinal, known) for offset in range(-SWAPPED_WITHIN, SWAPPED_WITHIN + 1)
    )
    off = frozenset(map(date.toordinal, known))
    return WorkingYear(working=working - near, unknown=near.intersection(days) - off)


@lru_cache(maxsize=64)
def last_published(calendar: str, year: int) -> int:
    """The last year up to ``year`` whose make-up working days the library has; some earlier one if none of late."""
    swaps = _library(calendar, range(year - LOOKED_BACK, year + 1)).weekend_workdays
    return max((day.year for day in swaps if day.year <= year), default=0)


def _library(calendar: str, years: Iterable[int]) -> "HolidayBase":
    from holidays import country_holidays  # noqa: PLC0415 - see check_calendar

    country, _, part = calendar.partition("-")
    return country_holidays(country, subdiv=part or None, years=list(years))


def unpublished(calendars: Iterable[str], first: date, last: date) -> tuple[str, ...]:
    """Warnings about calendars that do not know every day from ``first`` to ``last``."""
    said = []
    for calendar in sorted(set(calendars)):
        day = first
        while day <= last and is_known(day, calendar):
            day += timedelta(days=1)
        if day <= last:
            said.append(
                f"the working days of {day.year} in {calendar.partition('-')[0]} are not in the calendar library yet: "
                f"days near a public holiday are taken as closed"
            )
    return tuple(said)
