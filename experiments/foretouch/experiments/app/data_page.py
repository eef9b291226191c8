"""Data quality: what came in, what is missing, and which rows were refused and why."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from foretouch.core.state.connection import from_micros
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.visit import Visit
from foretouch.serving.web.pages import PageAnswer

EXAMPLES, MOST_MISSING = 3, 8
MOST_LINES = 20_000
"""Refused rows of a table that are read: the counts of a longer file are those of its end."""
ID_COLUMNS = ("customer_id", "event_id", "offer_id", "touch_id", "treatment_id", "alias_of", "outcome_id")
"""What an example shows of a row: ids, and the columns that are at fault."""


def show(site: Site, visit: Visit) -> PageAnswer:
    """The report of the last ingest, and both quarantines."""
    path = site.workspace.data / "quality.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    tables = [] if report is None else [_table(name, item) for name, item in sorted(report["tables"].items())]
    refused = [_refused(file) for file in sorted(site.workspace.quarantine.glob("*.jsonl"))]
    return site.render(
        visit, "data", at=None if report is None else report["at"], tables=tables, refused=refused, posted=_posted(site)
    )


def _table(name: str, item: dict[str, Any]) -> dict[str, Any]:
    missing = sorted(((share, column) for column, share in item["missing"].items() if share > 0.0), reverse=True)
    return {
        **item,
        "name": name,
        "gaps": [(column, share) for share, column in missing[:MOST_MISSING]],
        "more_gaps": max(0, len(missing) - MOST_MISSING),
    }


def _refused(path: Path) -> dict[str, Any]:
    """Refused rows of one table, by reason."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[dict[str, Any]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines[-MOST_LINES:]:
        row = json.loads(line)
        for reason in row["reasons"]:
            key = (str(reason["column"]), str(reason["text"]))
            counts[key] += 1
            kept = examples.setdefault(key, [])
            if len(kept) < EXAMPLES:
                kept.append({"source": row["source"], "row": row["row"], "shown": _shown(row["content"], key[0])})
    reasons = [
        {"column": column, "text": text, "count": number, "examples": examples[column, text]}
        for (column, text), number in counts.most_common()
    ]
    return {"table": path.stem, "rows": len(lines), "reasons": reasons}


def _shown(content: Any, column: str) -> str:
    if not isinstance(content, dict):
        return str(content)[:200]
    names = [name for name in dict.fromkeys((*ID_COLUMNS, column)) if name in content]
    return ", ".join(f"{name} = {content[name]!s:.80}" for name in names)


def _posted(site: Site) -> list[dict[str, Any]]:
    """What was posted to the service and set aside, by kind and reason."""
    rows = (
        site.plane.state.read()
        .execute("SELECT kind, reason, COUNT(*), MAX(at) FROM quarantine GROUP BY kind, reason ORDER BY 3 DESC")
        .fetchall()
    )
    return [
        {"kind": kind, "reason": reason, "count": int(number), "last": from_micros(last)}
        for kind, reason, number, last in rows
    ]
