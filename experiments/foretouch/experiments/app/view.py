"""Templates, and numbers, money and times as a reader of each language writes them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foretouch.experiments.app.static import static_url
from foretouch.experiments.app.visit import Visit
from foretouch.experiments.app.words import LANGUAGES, Language, say
from foretouch.experiments.report import numbers
from foretouch.experiments.report.fragment import how
from foretouch.experiments.report.meanings import meaning
from foretouch.experiments.report.numbers import LOCALES
from foretouch.serving.web.pages import PageAnswer

DASH = "–"
NAV = (
    "experiments",
    "insights",
    "what_if",
    "uplift",
    "policies",
    "policy",
    "rules",
    "decisions",
    "models",
    "data",
    "history",
)
"""Pages of the menu, in its order; each is also the last part of its address."""
PATHS = {name: f"/app/{name.replace('_', '-')}" for name in NAV}


@cache
def environment() -> Environment:
    """The templates: escaping is on, an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("foretouch.experiments.app", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update({"static_url": static_url, "paths": PATHS, "languages": LANGUAGES})
    return made


class Formats:
    """How one reader sees numbers and times.

    Args:
        language: The reader's.
        currency: The workspace's.
        zone: The workspace's time zone: times of the log are shown in it.
    """

    def __init__(self, language: Language, currency: str, zone: str) -> None:
        self._language, self._currency, self._zone = language, currency, ZoneInfo(zone)

    def count(self, value: float) -> str:
        """A whole number."""
        return numbers.count(value)[self._language]

    def number(self, value: float | None) -> str:
        """Four significant figures."""
        return DASH if value is None or not math.isfinite(value) else numbers.amount(value)[self._language]

    def signed(self, value: float | None) -> str:
        """The same with its sign."""
        return DASH if value is None else numbers.amount(value, sign=True)[self._language]

    def money(self, value: float | None, *, sign: bool = False) -> str:
        """An amount in the workspace's currency."""
        return DASH if value is None else numbers.money(value, self._currency, sign=sign)[self._language]

    def percent(self, value: float | None, *, sign: bool = False) -> str:
        """A share."""
        return DASH if value is None else numbers.percents([value], sign=sign)[0][self._language]

    def when(self, at: datetime | None, zone: str | None = None) -> str:
        """A moment, with the name of its zone."""
        if at is None:
            return DASH
        local = at.astimezone(self._zone if zone is None else ZoneInfo(zone))
        locale = LOCALES[self._language]
        day, clock = format_date(local.date(), "medium", locale=locale), format_time(local, "HH:mm", locale=locale)
        return f"{day} {clock} {zone or self._zone.key}"

    def day(self, at: datetime | None) -> str:
        """A day."""
        if at is None:
            return DASH
        return format_date(at.astimezone(self._zone).date(), "medium", locale=LOCALES[self._language])


def render(
    visit: Visit,
    template: str,
    values: Mapping[str, Any],
    *,
    currency: str,
    zone: str,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> PageAnswer:
    """A page from its template.

    Args:
        visit: For whom.
        template: Without ``.html.j2``.
        values: What it shows.
        currency: The workspace's.
        zone: The workspace's time zone.
        status: HTTP status.
        headers: Beside those of every page.
    """
    t: Callable[..., str] = partial(say, visit.language)

    def defined(document: str, terms: Iterable[tuple[str, str]], commands: Sequence[str], title: str) -> Markup:
        """What the numbers of a table mean, and what gives them again."""
        told = [(term, meaning(document, fields, visit.language)) for term, fields in terms]
        return how(told, visit.language, title=title, commands=commands)

    text = (
        environment()
        .get_template(f"{template}.html.j2")
        .render(
            visit=visit,
            language=visit.language,
            t=t,
            f=Formats(visit.language, currency, zone),
            nav=NAV,
            defined=defined,
            **{"refresh": 0, "title": t(f"nav_{visit.page}") if visit.page in NAV else t("name"), **values},
        )
    )
    return PageAnswer(status=status, body=text.encode(), headers=headers)
