"""Numbers, money and percentages as a reader of each language writes them."""

import math
from collections.abc import Sequence

from babel.numbers import format_currency, format_decimal

from foretouch.experiments.report.texts import LANGUAGES, Phrase

LOCALES = {"en": "en_US", "zh": "zh_CN"}
POINTS = {"en": " points", "zh": " 个百分点"}


def digits(values: Sequence[float]) -> int:
    """Decimals for some percentages: one; two where all are below 2 %; none where all are 10 % and more, one 100 %."""
    sizes = [abs(value) for value in values if math.isfinite(value)]
    if 0.0 < max(sizes, default=0.0) < 2.0:
        return 2
    return 0 if sizes and max(sizes) >= 100.0 and min(sizes) >= 10.0 else 1


def percents(values: Sequence[float], *, sign: bool = True) -> list[Phrase]:
    """Shares as percentages, all with the same decimals: 0.093 is +9.3%."""
    scaled = [100.0 * value for value in values]
    decimals = digits(scaled)
    text = "#,##0" + ("." + "0" * decimals if decimals else "")
    pattern = f"+{text};-{text}" if sign else text
    return [
        {code: f"{format_decimal(_zero(value), format=pattern, locale=LOCALES[code])}%" for code in LANGUAGES}
        for value in scaled
    ]


def points(values: Sequence[float], *, sign: bool = False) -> list[Phrase]:
    """Differences of shares as percentage points: 0.005 is 0.5 points."""
    plain = percents(values, sign=sign)
    return [{code: item[code].removesuffix("%") + POINTS[code] for code in LANGUAGES} for item in plain]


def limit_points(value: float) -> Phrase:
    """A limit in percentage points, as short as it was written: 0.01 is 1 point."""
    text = f"{100.0 * value:.4g}"
    return {code: text + (" point" if (code, text) == ("en", "1") else POINTS[code]) for code in LANGUAGES}


def span(low: Phrase, high: Phrase) -> Phrase:
    """Two ends of an interval; a unit that both carry is said once."""
    return {code: f"{bare(low)[code]} … {high[code]}" for code in LANGUAGES}


def bare(value: Phrase) -> Phrase:
    """A difference without its unit, as the first of two that share it."""
    return {code: value[code].removesuffix(POINTS[code]) for code in LANGUAGES}


def money(value: float, currency: str | None, *, sign: bool = True) -> Phrase:
    """An amount in the workspace's currency, without cents from 100 on."""
    if currency is None:
        return amount(value, sign=sign)
    rounded = abs(value) >= 100.0
    found = {}
    for code in LANGUAGES:
        text = format_currency(
            abs(round(value) if rounded else value),
            currency,
            format="¤#,##0" if rounded else "¤#,##0.00",
            locale=LOCALES[code],
            currency_digits=False,
        )
        found[code] = _signed(text, value, sign=sign)
    return found


def amount(value: float, *, sign: bool = False) -> Phrase:
    """A plain number with four significant figures."""
    decimals = 0 if value == 0.0 else min(6, max(0, 3 - math.floor(math.log10(abs(value)))))
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return {
        code: _signed(format_decimal(abs(value), format=pattern, locale=LOCALES[code]), value, sign=sign)
        for code in LANGUAGES
    }


def count(value: float) -> Phrase:
    """A count of people."""
    return {code: format_decimal(round(value), format="#,##0", locale=LOCALES[code]) for code in LANGUAGES}


def about(value: float) -> Phrase:
    """A count rounded up to two figures: nobody needs 12,037 more customers."""
    if value <= 0:
        return count(0)
    step = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return count(math.ceil(value / step) * step)


def _signed(text: str, value: float, *, sign: bool) -> str:
    if value < 0.0:
        return f"-{text}"
    return f"+{text}" if sign and value > 0.0 else text


def _zero(value: float) -> float:
    return 0.0 if abs(value) < 5e-4 else value
