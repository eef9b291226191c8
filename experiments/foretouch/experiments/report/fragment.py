"""Sections as HTML, for the report and for any other page: one template, one style sheet.

``render_blocks`` gives the sections alone, to stand inside a page of one's own::

    <style>{{ style }}</style> … <main>{{ fragment | safe }}</main>

``style`` is ``style_sheet()``, the one file that every page of this part includes. Charts bring no script and ask for
nothing. Headings start at ``level``, so that the order of headings holds wherever the fragment stands.

Stability: other packages build on ``Block``, ``render_blocks`` and ``style_sheet``.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import meaning
from foretouch.experiments.report.section import Block


@cache
def environment() -> Environment:
    """The templates of this part: escaping is on, an unknown name is an error."""
    return Environment(
        loader=PackageLoader("foretouch.experiments.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style_sheet() -> str:
    """The style sheet, as text: fits a desk, a phone and paper, light and with scripts off."""
    return files("foretouch.experiments.report").joinpath("templates", "style.css").read_text(encoding="utf-8")


def render_blocks(blocks: Sequence[Block], language: str, *, level: int = 2, command: str = "") -> Markup:
    """Sections as HTML: heading, findings, chart and the same as a table.

    Args:
        blocks: In the order of reading; their names are unique in the page.
        language: ``en`` or ``zh``, for the fixed labels; the blocks bring their own texts.
        level: Of the headings, 2 to 5.
        command: What gives the numbers again; stands with their definitions one click below each section.

    Returns:
        One ``<section>`` per block, escaped.
    """
    macro = environment().get_template("block.html.j2").module.block_section  # type: ignore[attr-defined]
    return Markup("\n").join(
        macro(block, label("table_of", language), how_made(block, language, command), level) for block in blocks
    )


def how_made(block: Block, language: str, command: str) -> Markup:
    """What a section's numbers mean and what gives them again, one click away; nothing for one without terms."""
    return how(block.terms(), language, title=block.title, commands=(command,), place=block.place)


def how(
    terms: Sequence[tuple[str, str]], language: str, *, title: str, commands: Sequence[str] = (), place: str = ""
) -> Markup:
    """The same of any terms.

    Args:
        terms: Each with what it means.
        language: ``en`` or ``zh``.
        title: Of what the terms belong to, for a screen reader.
        commands: What gives the numbers again; empty ones are left out.
        place: Where they are in its JSON.
    """
    if not terms:
        return Markup()
    macro = environment().get_template("how.html.j2").module.how_made  # type: ignore[attr-defined]
    words = {key: label(f"how_{key}", language) for key in ("made", "again", "place")}
    told: Markup = macro(terms, words, title, [command for command in commands if command], place)
    return told


def how_answered(
    document: str, questions: Sequence[str], meant: Sequence[str], language: str, *, command: str, place: str
) -> Markup:
    """The same of the questions that a page answers first.

    Args:
        document: As in ``meanings.meaning``.
        questions: As they are asked.
        meant: The fields that each answer rests on, in their order; may be longer.
        language: ``en`` or ``zh``.
        command: What gives the numbers again.
        place: Where they are in its JSON.
    """
    asked = zip(questions, meant[: len(questions)], strict=True)
    terms = [(question, meaning(document, fields, language)) for question, fields in asked]
    return how(terms, language, title=label("verdict", language), commands=[command], place=place)
