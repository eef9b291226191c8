"""Every table of a page as a sheet: a link under each, and the CSV that it leads to; whole results as JSON."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from foretouch.serving.jobs.score_file import formula_safe
from foretouch.serving.web.pages import HTML, PageAnswer

FIELD = "table"
"""Of the query: which table of the page is wanted, counted from 1."""
_END = "</table>"
_UNFIT = re.compile(r"[^A-Za-z0-9]+")


def with_downloads(
    answer: PageAnswer, *, here: str, query: Mapping[str, str], word: Callable[[int], str]
) -> PageAnswer:
    """A page with a link under each of its tables; or the one table that the query asks for, as CSV.

    Args:
        answer: Any answer; what is no page, or has no table, is given back as it is.
        here: Path of the page.
        query: Of the request.
        word: What the link to a table says.
    """
    if answer.status != 200 or answer.content_type != HTML or _END.encode() not in answer.body:
        return answer
    text = answer.body.decode()
    parts = text.split(_END)
    wanted = query.get(FIELD, "")
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) < len(parts):
        return _sheet(parts[int(wanted) - 1].rpartition("<table")[2], f"{here}-{wanted}")
    made = parts[0]
    for number, rest in enumerate(parts[1:], 1):
        address = "?" + urlencode({**query, FIELD: number})
        link = f'<a href="{escape(address)}" download>{escape(word(number))}</a>'
        made += f'{_END}<p class="download">{link}</p>{rest}'
    return PageAnswer(**{**vars(answer), "body": made.encode()})


def json_file(value: object, name: str) -> PageAnswer:
    """A value as a file to keep."""
    body = json.dumps(value, indent=2, ensure_ascii=False).encode()
    return PageAnswer(body=body, content_type="application/json", headers=(_attached(name, "json"),))


def _sheet(html: str, name: str) -> PageAnswer:
    reader = _Reader()
    reader.feed(f"<table{html}")
    out = io.StringIO(newline="")
    csv.writer(out).writerows([formula_safe(cell) for cell in row] for row in reader.rows)
    body = out.getvalue().encode("utf-8-sig")  # with a mark, so that spreadsheets read Chinese
    return PageAnswer(body=body, content_type="text/csv; charset=utf-8", headers=(_attached(name, "csv"),))


def _attached(name: str, ending: str) -> tuple[str, str]:
    plain = _UNFIT.sub("-", name).strip("-") or "table"
    return "content-disposition", f'attachment; filename="{plain}.{ending}"'


class _Reader(HTMLParser):
    """Cells of a table, as text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:  # noqa: ARG002 - the parser's interface
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in {"td", "th"} or (self._in_cell and tag not in {"tr", "tbody"})
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data.replace("\n", " ")
