"""The insights as one self-contained HTML file per language, in the report's own dress."""

from collections.abc import Sequence
from datetime import UTC
from functools import partial
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foretouch.experiments.insights.blocks import insight_blocks
from foretouch.experiments.insights.contract import Insights
from foretouch.experiments.insights.texts import text
from foretouch.experiments.report.fragment import render_blocks, style_sheet
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.report.texts import SENTENCES, sentence
from foretouch.experiments.report.written import write_numbers, write_pages

TEMPLATE = "insights.html.j2"
STEM = "insights"
DATA = f"{STEM}.json"


def write_insights(found: Insights, folder: Path, languages: Sequence[str]) -> dict[str, Path]:
    """Writes one page per language, and the numbers beside them.

    Args:
        found: What to show.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both; with both, each page links to the other.

    Returns:
        Paths by language; ``data`` is the JSON.
    """
    pages = write_pages(STEM, folder, languages, lambda language, other: render(found, language, other=other))
    return {**pages, "data": write_numbers(found, folder / DATA)}


def render(found: Insights, language: str, *, other: str | None = None) -> str:
    """The page as text.

    Args:
        found: What to show.
        language: ``en`` or ``zh``.
        other: Where the other language's page is.
    """
    environment = Environment(
        loader=PackageLoader("foretouch.experiments.insights", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ends = {"since": found.since, "until": found.until, "as_of": found.as_of}
    times = {name: f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for name, at in ends.items()}
    return environment.get_template(TEMPLATE).render(
        insights=found,
        language=language,
        style=Markup(style_sheet()),  # noqa: S704 - our own file
        other=other,
        say=partial(text, language=language),
        period=text("period", language, **times),
        origin=sentence(origin, language) if (origin := f"origin_{found.origin}") in SENTENCES else "",
        summary=[getattr(item, f"text_{language}") for item in found.summary],
        sections=render_blocks(insight_blocks(found, language), language, command=found.command),
        definitions=definitions_of("insights", language),
        data=DATA,
    )
