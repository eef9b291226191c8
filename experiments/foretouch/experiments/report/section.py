"""One section of a page: a heading, findings, a chart and the same as a table.

``fragment.render_blocks`` turns sections into HTML; ``charts`` draws. A section is written in one language: whoever
makes it takes texts from a table and numbers from ``numbers``.

Stability: other packages build on ``Block``; a field is added with a default, and none is renamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Block:
    """One section.

    Texts are plain and are escaped; only ``chart``, ``narrow`` and ``extra`` are HTML.

    Attributes:
        name: For ids; unique in the page, letters, digits and hyphens.
        title: Heading.
        note: What the reader sees, in one sentence.
        header: Column names; empty for a section without a table.
        rows: Cells as text; the first of a row is its heading. A line break stays one.
        chart: An ``<svg>`` element of ``charts``, or nothing.
        narrow: The same for a phone; required where there is a chart.
        sentences: Findings in words.
        texts: Columns that hold text rather than numbers.
        folded: The table is one click down; without a chart it stays open.
        footnotes: Remarks under the table.
        meanings: What each column's numbers mean, in the order of ``header``; empty for a column without numbers.
        also: Further terms of the section with their meanings: numbers in its sentences and its chart.
        place: Where the numbers are in the JSON beside the page, such as ``metrics``.
        extra: HTML that stands after the chart, such as controls; made here, never from data.
    """

    name: str
    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    chart: str = ""
    narrow: str = ""
    sentences: Sequence[str] = ()
    texts: frozenset[int] = field(default=frozenset())
    folded: bool = False
    footnotes: Sequence[str] = ()
    meanings: Sequence[str] = ()
    also: Sequence[tuple[str, str]] = ()
    place: str = ""
    extra: Markup = Markup()  # noqa: RUF009 - a string: immutable

    def terms(self) -> tuple[tuple[str, str], ...]:
        """Every term of the section with what it means."""
        columns = ((name, told) for name, told in zip(self.header, self.meanings, strict=False) if told)
        return (*columns, *self.also)
