"""Sections as a fragment of any page: escaped, headed as asked, charts with what they show in words."""

import re

import pytest
from markupsafe import Markup

from foretouch.experiments.report.fragment import render_blocks, style_sheet
from foretouch.experiments.report.section import Block


def block(**given: object) -> Block:
    fields: dict[str, object] = {
        "name": "one",
        "title": "A & B",
        "note": "Note",
        "header": ["a", "b"],
        "rows": [["x", "1"]],
    }
    return Block(**{**fields, **given})  # type: ignore[arg-type]


def test_texts_are_escaped_and_html_fields_are_not() -> None:
    drawn = "<svg role='img'></svg>"
    made = render_blocks(
        [block(title="<b>x</b>", rows=[["<i>", "1"]], chart=drawn, narrow=drawn, extra=Markup("<hr>"))], "en"
    )
    assert "<b>" not in made
    assert "<i>" not in made
    assert made.count(drawn) == 2
    assert "<hr>" in made


@pytest.mark.parametrize("level", [2, 3, 5])
def test_headings_start_where_the_page_says(level: int) -> None:
    made = render_blocks([block(), block(name="two")], "en", level=level)
    assert re.findall(r"<h(\d) id=\"h-(\w+)\"", made) == [(str(level), "one"), (str(level), "two")]


def test_a_section_without_a_table_has_none_and_a_folded_one_without_a_chart_stays_open() -> None:
    assert "<table" not in render_blocks([block(rows=[], header=[])], "en")
    assert "<details" not in render_blocks([block(folded=True)], "en")
    folded = render_blocks([block(folded=True, chart="<svg></svg>", narrow="<svg></svg>")], "zh")
    assert "<summary>以表格显示</summary>" in folded


def test_the_style_sheet_asks_for_nothing() -> None:
    style = style_sheet()
    assert "@import" not in style
    assert "url(" not in style
    assert "@media print" in style
