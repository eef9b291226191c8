"""The funnel counted a second time, from the raw records, with none of our code: ``sqlite3`` and ``json`` alone.

    python benchmarks/funnel_count.py --workspace .demo/simulated --out docs/results/funnel.json

Reads the log's rows (schema version 2: candidates by column, ``rules`` once each), counts candidates, decisions and
customers by stage as docs/insights.md states, and how far contacts came from what was posted of them; then asks
``foretouch insights --json`` for its counts and names every one that differs. Exits 1 if any does. A workspace with
aliases, or with clicks of a scanner's burst, is beyond it.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from result import write

ORDER = (
    "requested", "dates", "channel", "purpose", "consent", "suppression", "eligibility", "applicability", "suitability",
    "cool_down", "caps", "quiet_hours", "fallback", "model", "holdout",
)  # fmt: skip
"""Stages by docs/rules.md."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
UNSENT = {"released", "reject"}
GONE_OUT = {"delivered", "confirmed", "open", "click", "machine_open", "machine_click", "unsubscribe", "complaint"}


def column(packed: Any, rows: int) -> list[Any]:
    """One column of candidates: a list as it is, each value once with a digit per row, or one value for all rows."""
    if isinstance(packed, dict):
        return [packed["of"][DIGITS.index(digit)] for digit in packed["at"]]
    return packed if isinstance(packed, list) else [packed] * rows


def dropped_by(record: dict[str, Any]) -> list[tuple[str, str] | None]:
    """What dropped each candidate that is an offer: stage and rule; None where it was left."""
    candidates = record["candidates"]
    rows = candidates["count"]
    offers, rules = (column(candidates.get(name), rows) for name in ("offer_id", "rule"))
    return [
        None if rule is None else tuple(record["rules"][rule][:2])
        for offer, rule in zip(offers, rules, strict=True)
        if offer is not None
    ]


def count(state: sqlite3.Connection) -> dict[str, Any]:
    """The funnel and the engagement of the whole log."""
    candidates: Counter[str] = Counter()
    by_rule: Counter[str] = Counter()
    furthest: dict[str, int] = {}
    reached: list[int] = []
    totals: Counter[str] = Counter()
    contacts: set[str] = set()
    statuses: Counter[str] = Counter()
    for decision_id, customer, body in state.execute("SELECT decision_id, customer_id, record FROM decisions"):
        record = json.loads(body)
        if record.get("logged", True) is False:
            continue
        found = dropped_by(record)
        actions = record.get("action") or []
        lost = [item for item in found if item is not None]
        for stage, rule in lost:
            candidates[stage] += 1
            by_rule[f"{stage}/{rule}"] += 1
        left = len(found) - len(lost)
        far = len(ORDER) + 1 if actions else len(ORDER) if left else max((ORDER.index(s) for s, _ in lost), default=0)
        reached.append(far)
        furthest[customer] = max(furthest.get(customer, 0), far)
        statuses[record["status"]] += 1
        totals.update({"considered": len(found), "left": left, "chosen": len(actions)})
        if actions:
            contacts.add(decision_id)
    posted: dict[str, set[str]] = defaultdict(set)
    for decision_id, kind in state.execute("SELECT decision_id, type FROM outcomes"):
        posted[decision_id].add(kind)
    people = list(furthest.values())
    return {
        "decisions": len(reached),
        "customers": len(people),
        "by_status": dict(statuses),
        **totals,
        "decisions_contacted": sum(far > len(ORDER) for far in reached),
        "customers_contacted": sum(far > len(ORDER) for far in people),
        "dropped": dict(candidates),
        "rules": dict(by_rule),
        "decisions_left": {stage: sum(far > ORDER.index(stage) for far in reached) for stage in candidates},
        "customers_left": {stage: sum(far > ORDER.index(stage) for far in people) for stage in candidates},
        "sent": sum(bool(posted[one] & GONE_OUT) or not posted[one] & UNSENT for one in contacts),
        "bounced": sum("bounced" in posted[one] for one in contacts),
        "delivered": sum(bool(posted[one] & GONE_OUT) for one in contacts),
        "opened": sum(bool(posted[one] & {"open", "click"}) for one in contacts),
        "clicked": sum("click" in posted[one] for one in contacts),
        "unsubscribed": sum(bool(posted[one] & {"unsubscribe", "complaint"}) for one in contacts),
    }


def ours(workspace: Path) -> dict[str, Any]:
    """The same counts by the public command."""
    program = Path(sys.executable).with_name("foretouch")
    with tempfile.TemporaryDirectory() as folder:
        call = [str(program), "insights", "--workspace", str(workspace), "--out", folder, "--json"]
        told = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    funnel, total = told["funnel"], told["engagement"]["total"]
    stages = {stage["stage"]: stage for stage in funnel["stages"]}
    plain = ("decisions", "customers", "by_status", "considered", "left", "chosen")
    return {
        **{name: funnel[name] for name in (*plain, "decisions_contacted", "customers_contacted")},
        "dropped": {name: stage["dropped"] for name, stage in stages.items()},
        "rules": {
            f"{name}/{rule['rule']}": rule["candidates"] for name, stage in stages.items() for rule in stage["rules"]
        },
        "decisions_left": {name: stage["decisions_left"] for name, stage in stages.items()},
        "customers_left": {name: stage["customers_left"] for name, stage in stages.items()},
        **{name: total[name] for name in ("sent", "bounced", "delivered", "opened", "clicked", "unsubscribed")},
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Counts that differ, by name."""
    return [f"{name}: {one[name]} / {other.get(name)}" for name in one if one[name] != other.get(name)]


def main() -> int:
    """Counts twice and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    started = time.perf_counter()
    with sqlite3.connect(f"file:{given.workspace / 'state.db'}?mode=ro", uri=True) as state:
        independent = count(state)
    wrong = differences(independent, ours(given.workspace))
    figures = {"counts": independent, "compared": len(independent), "differing": wrong}
    if given.out is not None:
        command = f"python benchmarks/funnel_count.py --workspace {given.workspace} --out {given.out}"
        seconds = time.perf_counter() - started
        write(given.out.parent, given.out.stem, command=command, seconds=seconds, figures=figures)
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
