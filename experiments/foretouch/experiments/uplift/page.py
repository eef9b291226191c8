"""The uplift page: one self-contained HTML file per language, and the numbers as JSON."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from foretouch.experiments.report import numbers
from foretouch.experiments.report.fragment import environment, how_answered, render_blocks
from foretouch.experiments.report.labels import label
from foretouch.experiments.report.meanings import definitions_of
from foretouch.experiments.report.written import write_numbers, write_pages
from foretouch.experiments.uplift.answers import uplift_answers, uplift_sentences
from foretouch.experiments.uplift.blocks import WORDS, uplift_blocks
from foretouch.experiments.uplift.contract import UpliftResults
from foretouch.experiments.uplift.controls import controls, script

STEM = "uplift"
DATA = f"{STEM}.json"
MEANT = ("qini ci better_than_random", "average", "optimum gain", "money optimum")
"""What each of the answers rests on, in their order."""


def write_uplift(found: UpliftResults, folder: Path, languages: Sequence[str]) -> dict[str, Path]:
    """Writes one page per language, and the numbers beside them.

    Args:
        found: What to show.
        folder: Made if absent.
        languages: ``en``, ``zh`` or both; with both, each page links to the other.

    Returns:
        Paths by language; ``data`` is the JSON.
    """
    pages = write_pages(STEM, folder, languages, lambda language, other: render_uplift(found, language, other=other))
    return {**pages, "data": write_numbers(found, folder / DATA)}


def render_uplift(found: UpliftResults, language: str, *, other: str | None = None, scripts: bool = True) -> str:
    """The page as text.

    Args:
        found: What to show.
        language: ``en`` or ``zh``.
        other: Where the other language's page is.
        scripts: With prices to try on the page itself; a page that allows no script asks for them by a form of its own.
    """
    blocks = [
        replace(block, extra=controls(found, language)) if scripts and block.name == "uplift-money" else block
        for block in uplift_blocks(found, language)
    ]
    answers = uplift_answers(found, language)
    counts = {key: numbers.count(getattr(found, key)) for key in ("n", "treated", "control")}
    return (
        environment()
        .get_template("single.html.j2")
        .render(
            language=language,
            kind=WORDS.text("page", language),
            title=found.title,
            origin="",
            other=other,
            say=partial(label, language=language),
            code="win" if found.better_than_random else "unclear",
            four=answers,
            sentences=uplift_sentences(found, language),
            how=how_answered(
                "uplift",
                [answer.question for answer in answers],
                MEANT,
                language,
                command=found.command,
                place="qini, average, money",
            ),
            sections=render_blocks(blocks, language, command=found.command),
            counting=[WORDS.text("summary", language, outcome=found.outcome, **counts)],
            definitions=definitions_of("uplift", language),
            command=found.command,
            data=DATA,
            hashes={label("input_hash", language): found.inputs.get("rows_sha256", "–")},
            script=script(found, language) if scripts else "",
        )
    )
