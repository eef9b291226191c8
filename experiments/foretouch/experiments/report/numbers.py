"""Numbers, money, percentages and dates as a reader of each language writes them.

The patterns are those of the locale (Unicode CLDR, by Babel); only the number of decimals is chosen here.
"""

import math
from collections.abc import Sequence
from copy import copy
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Literal

from babel import Locale
from babel.numbers import get_minus_sign_symbol, get_plus_sign_symbol

from foretouch.experiments.report.catalogue import LANGUAGES, Phrase
from foretouch.experiments.report.labels import LABELS

LOCALES = {"en": "en_US", "zh": "zh_CN"}
Kind = Literal["decimal", "percent", "currency"]


@cache
def locale_of(language: str) -> Locale:
    """The locale whose patterns a language uses."""
    return Locale.parse(LOCALES[language])


@cache
def _pattern(language: str, kind: Kind, least: int, most: int) -> Any:
    found = locale_of(language)
    formats = {"decimal": found.decimal_formats, "percent": found.percent_formats, "currency": found.currency_formats}
    pattern = copy(formats[kind]["standard" if kind == "currency" else None])
    pattern.frac_prec = (least, most)
    return pattern


def _written(value: float, language: str, kind: Kind, decimals: tuple[int, int], *, currency: str | None = None) -> str:
    pattern = _pattern(language, kind, *decimals)
    return str(pattern.apply(value, locale_of(language), currency=currency, currency_digits=False))


def _signed(text: str, value: float, language: str, *, sign: bool) -> str:
    if value < 0.0:
        return get_minus_sign_symbol(LOCALES[language]) + text
    return get_plus_sign_symbol(LOCALES[language]) + text if sign and value > 0.0 else text


def _all(value: float, kind: Kind, decimals: int, *, sign: bool, currency: str | None = None) -> Phrase:
    shown = 0.0 if round(abs(value) * (100.0 if kind == "percent" else 1.0), decimals) == 0.0 else value
    return {
        code: _signed(_written(abs(shown), code, kind, (decimals, decimals), currency=currency), shown, code, sign=sign)
        for code in LANGUAGES
    }


def digits(values: Sequence[float]) -> int:
    """Decimals for some percentages: one; two where all are below 2 %; none where all are 10 % and more, one 100 %."""
    sizes = [abs(value) for value in values if math.isfinite(value)]
    if 0.0 < max(sizes, default=0.0) < 2.0:
        return 2
    return 0 if sizes and max(sizes) >= 100.0 and min(sizes) >= 10.0 else 1


def percents(values: Sequence[float], *, sign: bool = True) -> list[Phrase]:
    """Shares as percentages, all with the same decimals: 0.093 is +9.3%."""
    decimals = digits([100.0 * value for value in values])
    return [_all(value, "percent", decimals, sign=sign) for value in values]


def percent(value: float) -> Phrase:
    """A share as it was written, without needless zeros: 0.95 is 95%."""
    return {code: _written(value, code, "percent", (0, 2)) for code in LANGUAGES}


def points(values: Sequence[float], *, sign: bool = False) -> list[Phrase]:
    """Differences of shares as percentage points: 0.005 is 0.5 points."""
    scaled = [100.0 * value for value in values]
    decimals = digits(scaled)
    plain = [_all(value, "decimal", decimals, sign=sign) for value in scaled]
    return [{code: item[code] + LABELS["points"][code] for code in LANGUAGES} for item in plain]


def limit_points(value: float) -> Phrase:
    """A limit in percentage points, as short as it was written: 0.01 is 1 point."""
    unit = "point" if round(100.0 * value, 6) == 1.0 else "points"
    return {code: _written(100.0 * value, code, "decimal", (0, 4)) + LABELS[unit][code] for code in LANGUAGES}


def span(low: Phrase, high: Phrase) -> Phrase:
    """Two ends of an interval; a unit that both carry is said once."""
    return {code: f"{bare(low)[code]} … {high[code]}" for code in LANGUAGES}


def bare(value: Phrase) -> Phrase:
    """A difference without its unit, as the first of two that share it."""
    return {code: value[code].removesuffix(LABELS["points"][code]) for code in LANGUAGES}


def money(value: float, currency: str | None, *, sign: bool = True) -> Phrase:
    """An amount in the workspace's currency, without cents from 100 on."""
    if currency is None:
        return amount(value, sign=sign)
    return _all(value, "currency", 0 if abs(value) >= 100.0 else 2, sign=sign, currency=currency)


def amount(value: float, *, sign: bool = False) -> Phrase:
    """A plain number with four significant figures."""
    decimals = 0 if value == 0.0 else min(6, max(0, 3 - math.floor(math.log10(abs(value)))))
    return {
        code: _signed(_written(abs(value), code, "decimal", (min(decimals, 2), decimals)), value, code, sign=sign)
        for code in LANGUAGES
    }


def plain(value: float) -> Phrase:
    """A number as it was written, without needless zeros: 14 days, 0.5 days."""
    return {code: _written(value, code, "decimal", (0, 4)) for code in LANGUAGES}


def figures(value: float, significant: int = 4) -> Phrase:
    """A number for statisticians: so many significant figures, a power of ten where it is very small or large."""
    if not math.isfinite(value):
        return dict.fromkeys(LANGUAGES, "∞" if value > 0 else "–")
    if value != 0.0 and not 1e-4 <= abs(value) < 1e9:
        text = f"{value:.{significant - 1}e}"
        return dict.fromkeys(LANGUAGES, text)
    size = 0 if value == 0.0 else math.floor(math.log10(abs(value)))
    decimals = max(0, significant - 1 - size)
    return {
        code: _signed(_written(abs(value), code, "decimal", (0, decimals)), value, code, sign=False)
        for code in LANGUAGES
    }


def count(value: float) -> Phrase:
    """A count of people."""
    return {code: _written(round(value), code, "decimal", (0, 0)) for code in LANGUAGES}


def about(value: float) -> Phrase:
    """A count rounded up to two figures: nobody needs 12,037 more customers."""
    return count(about_units(value))


def about_units(value: float) -> int:
    """The same as a number."""
    if value <= 0:
        return 0
    step = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return int(math.ceil(value / step) * step)


def day(value: date | datetime) -> Phrase:
    """A date: Mar 2, 2026; 2026年3月2日."""
    from babel.dates import format_date  # noqa: PLC0415 - time zones, which only dates need

    return {code: format_date(value, "medium", locale=LOCALES[code]) for code in LANGUAGES}


def day_of(text: str) -> Phrase:
    """A day that is written as a date, ``2026-03-02``; any other text stays as it is."""
    try:
        return day(date.fromisoformat(text))
    except ValueError:
        return dict.fromkeys(LANGUAGES, text)


def moment(value: datetime) -> Phrase:
    """A time, in UTC, which it names."""
    from babel.dates import format_time  # noqa: PLC0415 - as above

    here = value.astimezone(UTC)
    dates = day(here)
    return {
        code: f"{dates[code]} {format_time(here, 'HH:mm', tzinfo=UTC, locale=LOCALES[code])} UTC" for code in LANGUAGES
    }
