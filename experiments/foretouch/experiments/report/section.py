"""One section of the report: a heading, findings, a chart and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Block:
    """One section.

    Attributes:
        name: For ids.
        title: Heading.
        note: What the reader sees, in one sentence.
        header: Column names.
        rows: Cells as text.
        chart: An ``<svg>`` element, or nothing.
        narrow: The same for a phone.
        sentences: Findings in words.
        texts: Columns that hold text rather than numbers.
        folded: The table is one click down.
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
